# SPDX-License-Identifier: Apache-2.0
"""`bastide catalog coverage`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put


@click.command()
@options.format_option("table", "json", default="table")
@options.output_option
@options.pack_option
@click.option("--missing", is_flag=True, help="Also list the entries that nothing covers.")
def coverage(format_: str, output: Path | None, packs: tuple[Path, ...], missing: bool) -> None:
    """Show how much of each framework the rules and controls cover.

    An entry counts only when a rule or a control names it itself; a technique isn't covered by its sub-techniques.

    \b
    Examples:
      bastide catalog coverage --missing
      bastide catalog coverage --format json
    """
    from bastide.catalog import coverage as compute
    from bastide.cli.work import read_catalog

    catalog = read_catalog(packs)
    groups = compute.coverage(catalog)
    if format_ == "json":
        from bastide.report.catalog import coverage_json
        from bastide.report.document import dumps

        put(dumps(coverage_json(groups, catalog)), output)
    else:
        from bastide.cli.listing import coverage_table

        put(coverage_table(groups, missing, catalog, to_screen=output is None), output)
