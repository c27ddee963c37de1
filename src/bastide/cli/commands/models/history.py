# SPDX-License-Identifier: Apache-2.0
"""`bastide models history`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import registry_option
from bastide.cli.output import put


@click.command()
@click.argument("name", required=False, metavar="[NAME[@VERSION]]")
@registry_option
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
def history(*, name: str | None, registry: Path, format_: str, output: Path | None, quiet: bool) -> None:
    """Who did what, oldest first: registrations, approvals, promotions, refusals. Of all models, or of one.

    The registry can be written to by whoever may write the file; the ledger beside it can't be changed unnoticed (`bastide ledger verify`).

    \b
    Examples:
      bastide models history
      bastide models history support@2 --format json
    """
    from bastide.cli.admission import history_table, named
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission.history import entries

    kept = SqliteRegistry(registry, make=False)
    versions = kept.versions()
    if name is not None:
        last = named(kept, name)
        versions = [last] if name.endswith(f"@{last.number}") else kept.versions(last.name)
    found = entries(kept, versions)
    if format_ == "json":
        from bastide.report.admission_json import history_json
        from bastide.report.document import dumps

        put(dumps(history_json(found)), output, quiet)
    else:
        put(history_table(found, output is None), output, quiet)
