# SPDX-License-Identifier: Apache-2.0
"""`bastide models show`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import registry_option
from bastide.cli.output import put


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@registry_option
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
def show(*, name: str, registry: Path, format_: str, output: Path | None, quiet: bool) -> None:
    """Show the versions of a model: where they come from, what they were made from, approvals, and every decision.

    \b
    Examples:
      bastide models show support
      bastide models show support@2 --format json
    """
    from bastide.cli.admission import history_table, named
    from bastide.store.models import SqliteRegistry

    kept = SqliteRegistry(registry, make=False)
    last = named(kept, name)
    versions = [last] if name.endswith(f"@{last.number}") else kept.versions(last.name)
    entries = [(one, kept.approvals(one), kept.decisions(one)) for one in versions]
    if format_ == "json":
        from bastide.report.admission_json import history_json
        from bastide.report.json_ import dumps

        put(dumps(history_json(entries)), output, quiet)
    else:
        put(history_table(entries, output is None), output, quiet)
