# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger erase`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bastide.evidence.bodies import Bodies

WAIT = 15.0
"""Seconds that a running guard has for it."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--subject", required=True, metavar="ID", help="Whose texts go: the user, or the agent where there is none."
)
@click.option(
    "--signing-key",
    type=click.Path(path_type=Path),
    metavar="PEM",
    help="The log's private key, where it isn't in FOLDER.",
)
@click.pass_context
def erase(ctx: click.Context, *, folder: Path, subject: str, signing_key: Path | None) -> None:
    """Erase the texts that the log in FOLDER, and its parts, keep of a subject: its key and its bodies, for good.

    The chain stays whole, and has an entry that says so. Entries keep who did what and when: only texts are erased. A guard that is running
    does it itself, within seconds.

    \b
    Exit codes: 0 erased; 2 the call is wrong, or it can't be done; 3 a running guard was asked and has not answered yet.

    \b
    Example:
      bastide ledger erase guard-log --subject ada@example.com
    """
    from bastide.errors import LedgerHeld, UsageError
    from bastide.evidence.bodies import Bodies
    from bastide.evidence.erase import erase_marked
    from bastide.evidence.files import read_small
    from bastide.evidence.parts import holds_ledger, ledgers

    found = [one for one in ledgers(folder) if holds_ledger(one)]
    if not found:
        raise UsageError(f"{folder}: holds no ledger")
    pem = read_small(signing_key) if signing_key else None
    marked = [(one, bodies := Bodies(one), bodies.mark(subject)) for one in found]
    asked = []
    for one, bodies, who in marked:
        try:
            erase_marked(one, pem, folder)
        except LedgerHeld:
            asked.append((bodies, who))
    if not _done(asked):
        click.echo("a running guard was asked to erase it and has not done so yet", err=True)
        ctx.exit(3)
    click.echo(f"erased: subject {', '.join(sorted({who for _, _, who in marked}))}")


def _done(asked: list[tuple[Bodies, str]]) -> bool:
    until = time.monotonic() + WAIT
    while any(who in bodies.marked() for bodies, who in asked):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
