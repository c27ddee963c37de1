# SPDX-License-Identifier: Apache-2.0
"""`bastide scan`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@options.format_option("table", "json", "sarif", "junit", default="table")
@click.option(
    "--jobs", "-j", type=click.IntRange(1, 256), default=None, help="Files at a time; as many as there are processors."
)
@click.option("--timeout", type=click.FloatRange(0.1), default=120.0, show_default=True, help="Seconds for one file.")
@click.option(
    "--memory",
    type=click.IntRange(64),
    default=2048,
    show_default=True,
    metavar="MIB",
    help="For one file, beside the file.",
)
@options.output_option
@options.quiet_option
@click.pass_context
def scan(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    format_: str,
    jobs: int | None,
    timeout: float,
    memory: int,
    output: Path | None,
    quiet: bool,
) -> None:
    """Find out what loading model files would do, without loading them.

    Each file is safe, unsafe or unknown. Safe means that all of it was read and that loading it runs no code; what was not read
    or not understood is unknown.

    \b
    Exit codes:
      0  every file is safe
      1  a file is unsafe
      2  the call is wrong, or there is nothing at a path
      3  none is unsafe, but one is unknown

    \b
    Examples:
      bastide scan model.pt
      bastide scan models/ --format json -o scan.json
      bastide scan models/ --format sarif -o scan.sarif --jobs 8
    """
    from bastide.cli.scanned import progress, scan_table
    from bastide.cli.work import processors
    from bastide.verify.artifacts.model import Verdict
    from bastide.verify.artifacts.pool import Allowance, scan_files
    from bastide.verify.artifacts.scan import walk

    keep_inputs([output], *paths)
    files = [file for path in paths for file in walk(path)]
    reports = list(
        progress(scan_files(files, jobs or processors(), Allowance(timeout, memory << 20)), len(files), quiet)
    )
    if format_ == "table":
        put(scan_table(reports, to_screen=output is None), output, quiet)
    else:
        from bastide.report.json_ import dumps
        from bastide.report.scan_json import scan_json, scan_junit, scan_sarif

        if format_ == "junit":
            put(scan_junit(reports), output, quiet)
        else:
            put(dumps(scan_json(reports) if format_ == "json" else scan_sarif(reports)), output, quiet)
    verdicts = {r.verdict for r in reports}
    ctx.exit(1 if Verdict.UNSAFE in verdicts else 3 if Verdict.UNKNOWN in verdicts else 0)
