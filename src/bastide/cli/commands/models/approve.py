# SPDX-License-Identifier: Apache-2.0
"""`bastide models approve`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import by_option, registry_option


@click.command()
@click.argument("name", metavar="NAME@VERSION")
@click.option("--for", "stage", required=True, help="The stage.")
@click.option("--reason", default="", help="Why, for whoever reads it later.")
@click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="DIR", help="The ledger into which it is written too."
)
@registry_option
@by_option
@options.quiet_option
def approve(
    *, name: str, stage: str, reason: str, ledger: Path | None, registry: Path, by: str | None, quiet: bool
) -> None:
    """Approve that a version may go to a stage. The name is noted, not proven: where that matters, demand a signed attestation.

    \b
    Examples:
      bastide models approve support@2 --for production --reason 'review of 12 June'
    """
    from datetime import UTC, datetime

    from bastide.cli.admission import named, who
    from bastide.errors import UsageError
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission.model import Approval

    kept = SqliteRegistry(registry, make=False)
    version = named(kept, name)
    if not name.endswith(f"@{version.number}"):
        raise UsageError(f"say which version is approved: {version}")
    approval = Approval(stage, who(by), datetime.now(UTC), reason)
    if ledger is not None:
        from bastide.verify.signing.logbook import record

        entry = {
            "kind": "approval",
            "model": version.name,
            "version": version.number,
            "digest": version.digest,
            "stage": stage,
        }
        record(ledger, {**entry, "by": approval.by, "reason": reason, "at": approval.at.isoformat()})
    kept.approve(version, approval)
    if not quiet:
        click.echo(f"{version}: approved for {stage} by {approval.by}")
