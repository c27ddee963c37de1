# SPDX-License-Identifier: Apache-2.0
"""`bastide models list`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import registry_option
from bastide.cli.output import put


@click.command("list")
@registry_option
@click.option("--stage", default=None, help="Only versions in this stage.")
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
def list_(*, registry: Path, stage: str | None, format_: str, output: Path | None, quiet: bool) -> None:
    """List all versions, with stage, digest, who registered them and where they are.

    \b
    Examples:
      bastide models list
      bastide models list --stage production --format json
    """
    from bastide.cli.admission import versions_table
    from bastide.store.models import SqliteRegistry

    versions = [v for v in SqliteRegistry(registry, make=False).versions() if stage is None or v.stage == stage]
    if format_ == "json":
        from bastide.report.admission_json import models_json
        from bastide.report.document import dumps

        put(dumps(models_json(versions)), output, quiet)
    else:
        put(versions_table(versions, output is None), output, quiet)
