# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger`: the guard's log, checked, shown, exported, erased from."""

from __future__ import annotations

import click

from bastide.cli.group import LazyGroup

_HERE = "bastide.cli.commands.ledger"


@click.group(
    cls=LazyGroup,
    lazy={
        "verify": f"{_HERE}.verify:verify",
        "show": f"{_HERE}.show:show",
        "export": f"{_HERE}.export:export",
        "erase": f"{_HERE}.erase:erase",
        "checkpoint": f"{_HERE}.checkpoint:checkpoint",
    },
)
def ledger() -> None:
    """The guard's log: is it what was written, what does it say, and how is a person's data taken out of it.

    \b
    Examples:
      bastide ledger verify guard-log --key guard.pub.pem
      bastide ledger show guard-log --kind decision
      bastide ledger export guard-log --format ocsf -o events.jsonl
    """
