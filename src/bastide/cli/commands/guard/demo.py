# SPDX-License-Identifier: Apache-2.0
"""`bastide guard demo`."""

from __future__ import annotations

from pathlib import Path

import click

_COLOURS = {"result": "green", "guard": "yellow", "desk": "cyan", "tool": "magenta"}


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the guard's files (plan, settings, log) in this empty folder.",
)
@click.pass_context
def demo(ctx: click.Context, *, keep: Path | None) -> None:
    """See an attack on an agent without and with the guard; a minute, on this machine only.

    A model that obeys whatever it reads, an agent with a mailbox and a refund tool, and a mail in which an attacker asks for money.

    \b
    Exit codes:
      0  the guard did what it is for
      1  it did not
      2  the call is wrong

    \b
    Examples:
      bastide guard demo
      bastide guard demo --keep /tmp/demo && bastide ledger verify /tmp/demo/log
    """
    import asyncio
    import contextlib
    import tempfile

    from bastide.errors import UsageError
    from bastide.guard.demo.story import SUMMARY, tell_story

    def tell(who: str, what: str) -> None:
        if who == "scene":
            click.secho(f"\n{what}", bold=True)
            return
        for number, line in enumerate(what.split("\n")):
            head = f"{who:>9}" if number == 0 else " " * 9
            click.echo(click.style(f"  {head}  ", fg=_COLOURS.get(who)) + line)

    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep}: is not empty")
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        ending = asyncio.run(tell_story(folder, tell))
    click.echo(f"\n{SUMMARY}")
    good = ending.stolen_without > 0 and ending.stolen_with == 0 and ending.refunded > 0 and ending.log_whole
    ctx.exit(0 if good else 1)
