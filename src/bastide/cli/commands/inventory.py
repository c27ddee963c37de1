# SPDX-License-Identifier: Apache-2.0
"""`bastide inventory`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@options.format_option("table", "json", "cyclonedx", default="table")
@options.output_option
@options.pack_option
@options.quiet_option
@click.pass_context
def inventory(
    ctx: click.Context,
    *,
    folders: tuple[Path, ...],
    format_: str,
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """List what AI there is in repositories: models, agents, tools, MCP servers, stores, guards.

    \b
    Exit codes:
      0  all of it was read
      2  the call is wrong, or there is no such folder
      3  files could not be read, so something may be missing

    \b
    Examples:
      bastide inventory repos/*
      bastide inventory repos/* --format cyclonedx -o ai-bom.json
    """
    from bastide.discover.inventory import inventory as look

    found = look(folders, packs)
    if format_ == "table":
        from bastide.cli.discovered import inventory_table

        put(inventory_table(found, to_screen=output is None), output, quiet)
    else:
        from bastide.report.document import dumps
        from bastide.report.inventory_bom import inventory_cyclonedx, inventory_json

        put(dumps(inventory_json(found) if format_ == "json" else inventory_cyclonedx(found)), output, quiet)
    if found.incomplete:
        ctx.exit(3)
