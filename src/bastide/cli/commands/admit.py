# SPDX-License-Identifier: Apache-2.0
"""`bastide admit`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=_PATH)
@click.option("--policy", "-p", required=True, type=_PATH, metavar="FILE", help="The admission policy.")
@click.option("--stage", default="", help="The stage for which it is decided; one of the policy's.")
@click.option("--name", default="", help="How the policy calls the model; default: the last part of its path.")
@click.option(
    "--registry",
    type=_PATH,
    metavar="FILE",
    help="The registry with versions and approvals; the decision is kept there. `bastide models add` makes one.",
)
@click.option(
    "--ledger",
    type=_PATH,
    metavar="DIR",
    help="The ledger into which the decision is written; default: beside the registry.",
)
@click.option("--by", help="Who decides; default: the user of the system.")
@options.format_option("table", "json", "junit", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def admit(
    ctx: click.Context,
    *,
    model: Path,
    policy: Path,
    stage: str,
    name: str,
    registry: Path | None,
    ledger: Path | None,
    by: str | None,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """May MODEL be used? The one command for a pipeline.

    Scans it, verifies who signed it, reads what is stated about it, and looks up who approved it, as far as the policy asks. Everything is
    decided now, for the bytes that are there now; what can't be decided doesn't hold.

    \b
    Exit codes:
      0  admitted: everything that is demanded holds
      1  refused, with the reasons
      2  the call or a policy is wrong, or there is no model
      3  it can't be decided, so it isn't admitted

    \b
    Examples:
      bastide admit models/support-v2 --policy admission.yaml --stage candidate
      bastide admit models/support-v2 --policy admission.yaml --stage production --registry models.db --ledger model-log
      bastide admit models/support-v2 --policy admission.yaml --format junit -o decision.xml
    """
    from bastide.cli.admission import CODES, apart, checked_stage, ledger_of, put_decision, scanner, who
    from bastide.verify.admission import gather
    from bastide.verify.admission.layouts import name_of
    from bastide.verify.admission.policy_file import load_policy

    keep_inputs([output], policy, registry)
    rules = load_policy(policy)
    kept = None
    if registry is not None:
        from bastide.store.models import SqliteRegistry

        kept = SqliteRegistry(registry, make=False)
    log = ledger_of(ledger, registry)
    apart(model, registry, log, output)
    request = gather.Request(model, name or name_of(model), checked_stage(rules, stage), who(by), ledger=log)
    decision = gather.admit(request, rules, partial(scanner, quiet), kept)
    put_decision(decision, format_, output, quiet)
    ctx.exit(CODES[decision.outcome.value])
