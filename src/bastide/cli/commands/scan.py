# SPDX-License-Identifier: Apache-2.0
"""`bastide scan`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from bastide.verify.artifacts.model import FileReport
    from bastide.verify.artifacts.walk import Found


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH|URL...")
@options.format_option("table", "json", "sarif", "junit", "vex", default="table")
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
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of reports: what hasn't changed isn't read again. A scan that was stopped goes on with it.",
)
@click.option("--ray", "cluster", metavar="ADDRESS", help="Scan on this Ray cluster; `local` makes one here.")
@click.option("--allow-unknown", is_flag=True, help="Exit with 0 when nothing is unsafe.")
@options.output_option
@options.quiet_option
@click.pass_context
def scan(
    ctx: click.Context,
    *,
    paths: tuple[str, ...],
    format_: str,
    jobs: int | None,
    timeout: float,
    memory: int,
    cache: Path | None,
    cluster: str | None,
    allow_unknown: bool,
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
      3  none is unsafe, but one is unknown, or something was passed over

    \b
    Examples:
      bastide scan model.pt
      bastide scan models/ --format json -o scan.json
      bastide scan models/ --format sarif -o scan.sarif --jobs 8
      bastide scan s3://models/support/ --cache ~/.cache/bastide
      bastide scan hf://datasets/acme/models --ray auto --cache /shared/bastide
    """
    from bastide.cli.scanning import passed_over, progress
    from bastide.cli.work import processors
    from bastide.verify.artifacts.cache import open_cache
    from bastide.verify.artifacts.model import Verdict
    from bastide.verify.artifacts.pool import Allowance, scan_files
    from bastide.verify.artifacts.walk import find_files

    keep_inputs([output], *(Path(path) for path in paths))
    found = find_files(paths)
    allowance = Allowance(timeout, memory << 20)
    kept = open_cache(cache) if cache else None
    if cluster:
        from bastide.verify.artifacts.on_ray import scan_on_ray

        scanned = scan_on_ray(found.files, cluster, allowance, cache)
    else:
        scanned = scan_files(found.files, jobs or processors(), allowance, cache=kept)
    reports = list(progress(scanned, len(found.files), quiet))
    if format_ == "table":
        from bastide.cli.scanned import scan_table

        put(scan_table(reports, to_screen=output is None), output, quiet)
    else:
        _write(reports, found, format_, output, quiet)
    passed_over(found)
    verdicts = {r.verdict for r in reports}
    unknown = (Verdict.UNKNOWN in verdicts or bool(found.passed_over)) and not allow_unknown
    ctx.exit(1 if Verdict.UNSAFE in verdicts else 3 if unknown else 0)


def _write(reports: Sequence[FileReport], found: Found, format_: str, output: Path | None, quiet: bool) -> None:
    from bastide.report.document import dumps
    from bastide.report.scan_json import scan_json, scan_junit, scan_sarif

    match format_:
        case "junit":
            put(scan_junit(reports), output, quiet)
        case "sarif":
            put(dumps(scan_sarif(reports)), output, quiet)
        case "vex":
            from bastide.report.scan_vex import scan_vex

            put(dumps(scan_vex(reports)), output, quiet)
        case _:
            put(dumps(scan_json(reports, found.passed_over)), output, quiet)
