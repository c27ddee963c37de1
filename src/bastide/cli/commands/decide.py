# SPDX-License-Identifier: Apache-2.0
"""`bastide decide`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import one_at_a_time, write_file
from bastide.cli.text import printable
from bastide.errors import UsageError, did_you_mean


@click.command()
@options.plan_argument(default=None)
@click.argument("finding")
@click.option("--state", type=click.Choice(["accepted", "false-positive"]), help="What is decided.")
@click.option("--owner", metavar="WHO", help="Who answers for it: a team or a role.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--expires", type=options.Day(), metavar="DATE", help="From this day on the finding is open again.")
@click.option("--remove", is_flag=True, help="Take the decision about FINDING back.")
@options.pack_option
@options.quiet_option
def decide(
    *,
    plan: Path,
    finding: str,
    state: str | None,
    owner: str | None,
    reason: str | None,
    expires: date | None,
    remove: bool,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Record what was decided about FINDING of PLAN, in the side file beside it (bastide.findings.yaml).

    An acceptance needs an owner, a reason and a day on which it ends; a false positive an owner and a reason.

    \b
    Examples:
      bastide decide bastide.yaml B-0123456789 --state accepted --owner support-eng \\
        --reason "Refunds are capped at 50 EUR" --expires 2027-01-31
      bastide decide bastide.yaml B-0123456789 --remove
    """
    from bastide.cli.work import side_file, side_text, tidy
    from bastide.threats.decisions_edit import remove_decision, write_decision
    from bastide.threats.model import Decision, FindingState

    side = side_file(tidy(plan))
    if remove:
        if state or owner or reason or expires:
            raise click.UsageError("--remove goes alone")
        with one_at_a_time(side.parent):
            write_file(side, remove_decision(side_text(side), finding, str(side)).encode("utf-8"))
    else:
        for value, flag in ((state, "--state"), (owner, "--owner"), (reason, "--reason")):
            if not value or not value.strip():
                raise click.UsageError(f"{flag} is missing")
        if state == "accepted" and expires is None:
            raise click.UsageError("--expires is missing: an acceptance ends on a day")
        _check_finding(plan, finding, packs)
        until = expires.isoformat() if expires else ""
        decision = Decision(finding, FindingState(state or ""), owner or "", reason or "", until)
        with one_at_a_time(side.parent):
            write_file(side, write_decision(side_text(side), decision, str(side)).encode("utf-8"))
    if not quiet:
        click.echo(f"wrote {printable(str(side))}", err=True)


def _check_finding(plan: Path, finding: str, packs: tuple[Path, ...]) -> None:
    """Raises `UsageError` when the plan has no such finding, open or hanging on a question."""
    from bastide.cli.work import examine

    assessment = examine(plan, packs, None).assessment
    known = {f.id for f in assessment.findings} | {id for q in assessment.questions for id in q.could_open}
    if finding not in known:
        raise UsageError(
            f"{plan} has no finding `{finding[:60]}`; {did_you_mean(finding, known) or 'see `bastide assess`'}"
        )
