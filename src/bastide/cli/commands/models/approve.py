# SPDX-License-Identifier: Apache-2.0
"""`bastide models approve`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import by_option, ledger_option, registry_option


@click.command()
@click.argument("name", metavar="NAME@VERSION")
@click.option("--for", "stage", required=True, help="The stage.")
@click.option("--withdraw", is_flag=True, help="Take back what the same person approved before.")
@click.option("--reason", default="", help="Why, for whoever reads it later.")
@click.option(
    "--policy", "-p", type=click.Path(path_type=Path), metavar="FILE", help="Check that the policy has this stage."
)
@ledger_option
@registry_option
@by_option
@options.quiet_option
def approve(
    *,
    name: str,
    stage: str,
    withdraw: bool,
    reason: str,
    policy: Path | None,
    ledger: Path | None,
    registry: Path,
    by: str | None,
    quiet: bool,
) -> None:
    """Approve that a version may go to a stage: these bytes, and no others. Promotion is a step of its own.

    The name is noted, not proven: where that matters, demand a signed attestation in the trust policy.

    \b
    Examples:
      bastide models approve support@2 --for production --reason 'review of 12 June'
      bastide models approve support@2 --for production --withdraw
    """
    from datetime import UTC, datetime

    from bastide.cli.admission import checked_stage, ledger_of, named, who
    from bastide.cli.text import one_line
    from bastide.errors import UsageError
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission import gather
    from bastide.verify.admission.model import Approval
    from bastide.verify.admission.policy_file import load_policy

    if policy is not None:
        checked_stage(load_policy(policy), stage)
    kept = SqliteRegistry(registry, make=False)
    version = named(kept, name, exactly=True)
    if not stage.strip():
        raise UsageError("--for is the name of a stage")
    approval = Approval(" ".join(stage.split()), who(by), datetime.now(UTC), " ".join(reason.split()), withdraw)
    gather.approve(version, approval, kept, ledger_of(ledger, registry))
    if not quiet:
        what = "withdrawn" if withdraw else "approved"
        click.echo(one_line(f"{version}: {what} for {approval.stage} by {approval.by}"))
