# SPDX-License-Identifier: Apache-2.0
"""`bastide catalog list`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put

WHAT = ("rules", "controls", "kinds", "attributes", "frameworks")


@click.command("list")
@click.argument("what", type=click.Choice(WHAT), required=False)
@options.format_option("table", "json", default="table")
@options.output_option
@options.pack_option
def list_(what: str | None, format_: str, output: Path | None, packs: tuple[Path, ...]) -> None:
    """List rules, controls, kinds, attributes or frameworks; without a word, how many there are of each.

    \b
    Examples:
      bastide catalog list rules
      bastide catalog list --format json > catalog.json
    """
    from bastide.cli.work import read_catalog

    catalog = read_catalog(packs)
    if format_ == "json":
        from bastide.report.catalog import catalog_json
        from bastide.report.document import dumps

        put(dumps(catalog_json(catalog, (what,) if what else WHAT)), output)
    else:
        from bastide.cli.listing import listing

        put(listing(catalog, what, to_screen=output is None), output)
