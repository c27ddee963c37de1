# SPDX-License-Identifier: Apache-2.0
"""`bastide models promote`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import by_option, ledger_option, registry_option
from bastide.cli.output import keep_inputs


@click.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.option("--to", "stage", required=True, help="The stage.")
@click.option(
    "--policy", "-p", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The admission policy."
)
@click.option("--path", type=click.Path(path_type=Path), help="Where the model is now, when it was moved.")
@ledger_option
@registry_option
@by_option
@options.format_option("table", "json", "junit", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def promote(
    ctx: click.Context,
    *,
    name: str,
    stage: str,
    policy: Path,
    path: Path | None,
    ledger: Path | None,
    registry: Path,
    by: str | None,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Move a version to a stage, when the admission policy holds for it now.

    Refused promotions change nothing and are kept too. Whether these are still the bytes that were registered is the first question.

    \b
    Exit codes:
      0  promoted
      1  refused, with the reasons
      2  the call, the registry or a policy is wrong, or the model isn't there any more
      3  it can't be decided, so nothing was changed

    \b
    Examples:
      bastide models promote support@2 --to production --policy admission.yaml
    """
    from bastide.cli.admission import CODES, apart, checked_stage, ledger_of, named, put_decision, scanner, who
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission import gather
    from bastide.verify.admission.policy_file import load_policy

    keep_inputs([output], policy, registry)
    rules = load_policy(policy)
    kept = SqliteRegistry(registry, make=False)
    version = named(kept, name)
    place, log = path or Path(version.path), ledger_of(ledger, registry)
    apart(place, registry, log, output)
    request = gather.Request(
        path=place,
        name=version.name,
        stage=checked_stage(rules, stage),
        by=who(by),
        ledger=log,
        action="promote",
        expected=version,
    )
    decision = gather.admit(request, rules, partial(scanner, quiet), kept)
    put_decision(decision, format_, output, quiet)
    ctx.exit(CODES[decision.outcome.value])
