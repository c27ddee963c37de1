# SPDX-License-Identifier: Apache-2.0
"""The assessment for a person at a terminal: the numbers, the worst findings with path and fix, questions, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from bastide.cli.discovered import weak_settings
from bastide.cli.screen import STYLES, Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.threats.model import Assessment, ControlState, Finding, FindingState, Hardening, Question, Severity

if TYPE_CHECKING:
    from bastide.cli.work import Work
    from bastide.plan.model import Plan
    from bastide.threats.diff import Changes

FINDINGS, QUESTIONS, CONTROLS, LINES, SETTINGS = 8, 5, 8, 12, 8


def assessment_table(
    work: Work, shown: Assessment, changes: Changes | None, everything: bool, to_screen: bool = True
) -> str:
    """The whole summary. shown: what of the assessment is to be seen. everything: no list is cut."""
    screen = Screen(to_screen)
    plan = work.plan
    size = f"{plural(len(plan.components), 'component')}, {plural(len(plan.flows), 'flow')}, {shown.rules} rules"
    screen.add(join(text(one_line(plan.name or plan.id), "bold"), f"  {plan.location.file}  ({size})"))
    screen.add(_counts(shown))
    if shown.expired:
        gone = f"{plural(len(shown.expired), 'acceptance')} ran out, open again: {', '.join(shown.expired)}"
        screen.add(text(gone, "yellow"))
    if changes is not None:
        changes_table(screen, changes, everything)
    _findings(screen, shown.open, plan, None if everything else FINDINGS)
    if work.found is not None:
        weak_settings(screen, work.found.weaknesses, None if everything else SETTINGS)
    if shown.hardening is not None:
        _hardening(screen, shown.hardening, None if everything else CONTROLS)
    _questions(screen, shown.questions, None if everything else QUESTIONS)
    _next(screen, work, shown)
    return screen.text()


def changes_table(screen: Screen, changes: Changes, everything: bool = False) -> None:
    """What opened, closed and changed."""
    if not (changes.opened or changes.closed or changes.changed):
        screen.heading("Nothing changed: no finding opened or closed")
        return
    screen.heading(f"{len(changes.opened)} opened, {len(changes.closed)} closed, {len(changes.changed)} changed")
    rows = [(text("+ opened", "red"), _severity(f), f.id, f.title) for f in changes.opened]
    rows += [(text("- closed", "green"), _severity(f), f.id, f.title) for f in changes.closed]
    rows += [
        (text("~ changed", "yellow"), _severity(f), f.id, f"{f.title} ({_what(b, f)})") for b, f in changes.changed
    ]
    _cut(screen, rows, None if everything else LINES)


def _what(before: Finding, after: Finding) -> str:
    if before.rating.score != after.rating.score:
        return f"was {before.severity.value} {before.rating.score}, is {after.severity.value} {after.rating.score}"
    return "another path"


def _cut(screen: Screen, rows: Sequence[tuple[str | Text, ...]], limit: int | None) -> None:
    screen.rows(rows[:limit], indent=2)
    if limit is not None and len(rows) > limit:
        screen.add(text(f"... and {len(rows) - limit} more (--all)", "dim"), indent=2)


def _counts(shown: Assessment) -> Text:
    counts = Counter(f.severity for f in shown.open)
    states = Counter(f.state for f in shown.findings)
    parts: list[Text | str] = [text(plural(len(shown.open), "open finding"), "bold")]
    for severity in reversed(Severity):
        if counts[severity]:
            parts += ["  ", text(f" {counts[severity]} {severity.value} ", STYLES[severity.value])]
    rest = [f"{states[s]} {s.value}" for s in FindingState if s is not FindingState.OPEN and states[s]]
    rest.append(plural(len(shown.questions), "open question"))
    return join(*parts, f"   {', '.join(rest)}")


def counts_line(shown: Assessment) -> str:
    """The numbers in plain words."""
    return one_line(_counts(shown).plain)


def _findings(screen: Screen, findings: Sequence[Finding], plan: Plan, limit: int | None) -> None:
    for finding in findings[:limit]:
        rating = finding.rating
        score = f" {rating.score} = {rating.impact} x {rating.likelihood}  "
        screen.add("", join(_severity(finding), score, text(one_line(finding.title), "bold"), f"  {finding.id}"))
        rows: list[tuple[str, str]] = [("", finding.message), ("path", _path(finding, plan))]
        if fixes := _fixes(finding):
            rows.append(("fix", fixes))
        rows.append(("at", f"{finding.location} ({finding.rule})"))
        screen.rows([(text(key, "dim"), one_line(value)) for key, value in rows], indent=2)
    if limit is not None and len(findings) > limit:
        screen.add("", text(f"... and {len(findings) - limit} more open findings (--all)", "dim"))


def _severity(finding: Finding) -> Text:
    return text(finding.severity.value.upper(), STYLES[finding.severity.value])


def _path(finding: Finding, plan: Plan) -> str:
    """The components on the way; a path of one flow shows the flow."""
    stops = [id for id in finding.path if id not in plan.flows] or list(finding.path)
    return " → ".join(stops)


def _fixes(finding: Finding) -> str:
    """What breaks the attack and isn't there: controls, each with the places where it would."""
    places: dict[str, list[str]] = {}
    for control in finding.controls:
        if control.breaks and control.state in (ControlState.REQUIRED, ControlState.UNKNOWN):
            places.setdefault(control.id, []).append(control.element)
    words = [f"{id} on {' or '.join(on[:2])}" for id, on in list(places.items())[:3]]
    return ", or ".join(words) + (f", or {plural(len(places) - 3, 'other control')}" if len(places) > 3 else "")


def _hardening(screen: Screen, hardening: Hardening, limit: int | None) -> None:
    if not hardening.paths:
        return
    least = hardening.severity.value
    size = plural(len(hardening.controls), "control")
    what = "The cheapest set" if hardening.proven else "A cheap set"
    paths = plural(hardening.paths, "path")
    screen.heading(f"{what} of controls that breaks every path of {least} findings and worse ({paths}): {size}")
    rows: list[tuple[str | Text, ...]] = [
        (text(r.id, "green"), f"on {r.element}", f"breaks {r.breaks} of {hardening.paths}") for r in hardening.controls
    ]
    _cut(screen, rows, limit)
    if hardening.unbreakable:
        left = plural(len(hardening.unbreakable), "finding")
        screen.add(text(f"{left} can't be broken by a control, only by a change of design", "yellow"), indent=2)


def _questions(screen: Screen, questions: Sequence[Question], limit: int | None) -> None:
    if not questions:
        return
    screen.heading(f"{plural(len(questions), 'open question')}; those that matter most")
    rows: list[tuple[str | Text, ...]] = [
        (
            text(q.severity.value, STYLES[q.severity.value]),
            f"{q.element}: {q.attribute}",
            one_line(f"{q.ask} ({q.why})"),
        )
        for q in questions
    ]
    _cut(screen, rows, limit)


def _next(screen: Screen, work: Work, shown: Assessment) -> None:
    file = work.plan.location.file
    screen.heading("Next")
    steps = [(f"bastide assess {file} -o report.html", "the whole report with the picture")]
    if shown.open:
        worst = shown.open[0]
        steps.append((f"bastide catalog show {worst.rule}", "how the worst attack goes"))
        until = f"{work.today.year + 1}-01-31"
        decide = f"bastide decide {file} {worst.id} --state accepted --owner TEAM --reason WHY --expires {until}"
        steps.append((decide, "accept it for a time"))
    elif shown.questions:
        first = shown.questions[0]
        steps.append((f"bastide catalog show {first.attribute}", f"how to answer for {first.element}"))
    for command, why in steps:
        screen.add(text(f"# {why}", "dim"), indent=2)
        screen.whole(join("  ", text(command, "cyan")))
