# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from bastide.evidence.report import Report

CODES = {"whole": 0, "unproven": 3, "broken": 1}
"""From the best to the worst."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--key", "keys", multiple=True, type=click.Path(path_type=Path), metavar="PEM",
    help="Public key that was kept elsewhere; repeatable. Default: those in the folder.",
)  # fmt: skip
@click.option(
    "--checkpoint", "anchors", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A checkpoint that was kept elsewhere: shows whether the end was cut off; repeatable.",
)  # fmt: skip
@options.format_option("table", "json", default="table")
@options.output_option
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    folder: Path,
    keys: tuple[Path, ...],
    anchors: tuple[Path, ...],
    format_: str,
    output: Path | None,
) -> None:
    """Check every hash, link, signature and body of the ledger in FOLDER, and of its parts. It may be in use meanwhile.

    \b
    Exit codes:
      0  it is what was written, as far as the signatures reach
      1  something was changed, removed, added or put in another place
      2  the call is wrong, or there is no ledger
      3  nothing is wrong, but nothing is proven: no public key is known, or nothing is signed yet

    \b
    Examples:
      bastide ledger verify guard-log
      bastide ledger verify guard-log --key guard.pub.pem --checkpoint yesterday.json --format json
    """
    from bastide.errors import UsageError
    from bastide.evidence.files import read_small
    from bastide.evidence.parts import verify_all

    keep_inputs([output], *keys, *anchors)
    pems = []
    for key in keys:
        pem = read_small(key)
        if pem is None:
            raise UsageError(f"{key}: there is no such file")
        pems.append(pem)
    report, *parts = reports = verify_all(folder, pems or None, anchors)
    worst = max((one.state for one in reports), key=list(CODES).index)
    if format_ == "json":
        from bastide.report.document import dumps

        put(dumps({**report.document(), "state": worst, "parts": [part.document() for part in parts]}), output)
    else:
        put("".join(map(_table, reports)), output)
    ctx.exit(CODES[worst])


def _table(report: Report) -> str:
    from bastide.cli.text import one_line, plural

    words = {"whole": "whole: the ledger is what was written", "broken": "BROKEN", "unproven": "unproven"}
    lines = [f"{one_line(report.folder)}: {words[report.state]}"]
    span = f", {report.first} to {report.last}" if report.entries else ""
    lines.append(f"  {plural(report.entries, 'entry').replace('entrys', 'entries')}{span}")
    lines.append(f"  {plural(report.checkpoints, 'valid checkpoint')}, the last over entry {report.covered}")
    if report.pruned:
        lines.append(f"  entries up to {report.pruned} were deleted by retention; a signed stub stands for them")
    if report.bodies or report.erased:
        lines.append(f"  {report.bodies} bodies are what was written, {report.erased} were erased")
    if report.repaired:
        lines.append(f"  repaired after a crash: {plural(report.repaired, 'time')}")
    if report.clock_jumps:
        lines.append(f"  the clock went back: {plural(report.clock_jumps, 'time')}")
    lines += [f"  ✗ {one_line(str(problem))}" for problem in report.problems[:20]]
    if (more := report.problem_count - 20) > 0:
        lines.append(f"  ... and {more} more")
    lines += [f"  - {one_line(limit)}" for limit in report.limits]
    return "\n".join(lines) + "\n"
