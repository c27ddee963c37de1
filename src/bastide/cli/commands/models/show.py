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
    """Show the versions of a model: where they come from, what they were made from, evidence, approvals, and every decision.

    \b
    Examples:
      bastide models show support
      bastide models show support@2 --format json
    """
    from bastide.cli.admission import named, show_table
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission.history import entries

    kept = SqliteRegistry(registry, make=False)
    last = named(kept, name)
    versions = [last] if name.endswith(f"@{last.number}") else kept.versions(last.name)
    found = entries(kept, versions)
    if format_ == "json":
        from bastide.report.admission_json import history_json
        from bastide.report.document import dumps

        put(dumps(history_json(found)), output, quiet)
    else:
        put(show_table(found, output is None), output, quiet)
