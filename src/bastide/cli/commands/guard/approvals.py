# SPDX-License-Identifier: Apache-2.0
"""`bastide guard approvals`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _guard_options(command: F) -> F:
    url = click.option("--url", default="http://127.0.0.1:8088", show_default=True, help="Where the guard is.")
    key = click.option(
        "--key-env",
        default="BASTIDE_KEY",
        show_default=True,
        metavar="VARIABLE",
        help="The variable with a key that may decide.",
    )
    return url(key(command))


@click.group()
def approvals() -> None:
    """What agents want to do that a person has to agree to, at a guard that runs.

    \b
    Examples:
      bastide guard approvals list
      bastide guard approvals show apr_0123456789abcdef01234567
      bastide guard approvals decide apr_0123456789abcdef01234567 allow --note "checked with the customer"
    """


@approvals.command("list")
@_guard_options
@click.option("--format", "-f", "format_", type=click.Choice(["table", "json"]), default="table", help="What to write.")
def list_(*, url: str, key_env: str, format_: str) -> None:
    """List what waits for a decision.

    \b
    Example:
      bastide guard approvals list --url https://guard.example --key-env MY_KEY
    """
    from bastide.guard.approvals.client import ApprovalsClient
    from bastide.guard.approvals.listing import as_json, as_lines

    found = ApprovalsClient.from_variable(url, key_env).pending()
    click.echo(as_json(found) if format_ == "json" else as_lines(found))


@approvals.command()
@click.argument("id_", metavar="ID")
@_guard_options
@click.option("--format", "-f", "format_", type=click.Choice(["text", "json"]), default="text", help="What to write.")
def show(*, id_: str, url: str, key_env: str, format_: str) -> None:
    """Show what exactly will run, who asks, and why it needs a person.

    \b
    Example:
      bastide guard approvals show apr_0123456789abcdef01234567
    """
    from bastide.guard.approvals.client import ApprovalsClient
    from bastide.guard.approvals.listing import as_json, as_text

    found = ApprovalsClient.from_variable(url, key_env).get(id_)
    click.echo(as_json(found) if format_ == "json" else as_text(found))


@approvals.command()
@click.argument("id_", metavar="ID")
@click.argument("answer", type=click.Choice(["allow", "deny"]))
@_guard_options
@click.option("--note", default="", metavar="TEXT", help="Why; the agent reads it too.")
def decide(*, id_: str, answer: str, url: str, key_env: str, note: str) -> None:
    """Agree to a call, once, or refuse it.

    \b
    Example:
      bastide guard approvals decide apr_0123456789abcdef01234567 deny --note "not to this account"
    """
    from bastide.cli.text import one_line
    from bastide.guard.approvals.client import ApprovalsClient

    done = ApprovalsClient.from_variable(url, key_env).decide(id_, answer, note)
    click.echo(one_line(f"{done.get('state')}: {done.get('tool')}, decided by {done.get('decided_by')}"))
