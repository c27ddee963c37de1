# SPDX-License-Identifier: Apache-2.0
"""`bastide models retire`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import by_option, ledger_option, registry_option


@click.command()
@click.argument("name", metavar="NAME@VERSION")
@click.option("--reason", default="", help="Why, for whoever reads it later.")
@ledger_option
@registry_option
@by_option
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
def retire(
    *,
    name: str,
    reason: str,
    ledger: Path | None,
    registry: Path,
    by: str | None,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Take a version out of its stage. No policy is asked: what is bad has to be able to go.

    \b
    Examples:
      bastide models retire support@2 --reason 'leaks addresses, see incident 12'
    """
    from bastide.cli.admission import ledger_of, named, put_decision, who
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission import gather

    kept = SqliteRegistry(registry, make=False)
    version = named(kept, name, exactly=True)
    decision = gather.retire(version, who(by), " ".join(reason.split()), kept, ledger_of(ledger, registry))
    put_decision(decision, format_, output, quiet)
