# SPDX-License-Identifier: Apache-2.0
"""`bastide discover`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@options.format_option("table", "json", default="table")
@options.output_option
@options.pack_option
@options.quiet_option
@click.pass_context
def discover(
    ctx: click.Context, *, folder: Path, format_: str, output: Path | None, packs: tuple[Path, ...], quiet: bool
) -> None:
    """Read a repository and say which AI system is in it: components, flows, weak settings, each with its file and line.

    Nothing is executed, rendered or fetched. What could not be read is listed, and makes the result incomplete.

    \b
    Exit codes:
      0  all of it was read, and no expectation fails
      1  an expectation fails
      2  the call is wrong, or there is no such folder
      3  none fails, but files could not be read

    \b
    Examples:
      bastide discover .
      bastide discover infra/ --format json -o found.json
    """
    from bastide.discover.discover import discover as look

    found = look(folder, packs=packs)
    if format_ == "json":
        from bastide.report.discovery_json import discovery_json
        from bastide.report.json_ import dumps

        put(dumps(discovery_json(found)), output, quiet)
    else:
        from bastide.cli.discovered import discovery_table

        put(discovery_table(found, to_screen=output is None), output, quiet)
    if any(w.state == "fail" for w in found.weaknesses):
        ctx.exit(1)
    if not found.complete:
        ctx.exit(3)
