# SPDX-License-Identifier: Apache-2.0
"""A short report for pull requests: what is open, what changed, what to do; details fold away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bastide.discover.result import Weakness, by_expectation, failing
from bastide.plan.diff import PlanChanges
from bastide.plan.model import Plan
from bastide.report.text import clean
from bastide.threats.diff import Changes
from bastide.threats.model import Assessment, ControlState, Finding, FindingState, Question, Severity

MAX_CHARACTERS = 60_000
"""A comment on GitHub holds 65,536."""
_MARKUP = re.compile(r"([\\`*_\[\]|~!])")
_LINKS = re.compile(r"(?i)(?<=\w):(?=//)|(?<=\bwww)\.|@(?=\w)|(?<!&)#(?=\w)|\bGH-(?=\d)")
_ICONS = {Severity.CRITICAL: "🟥", Severity.HIGH: "🟧", Severity.MEDIUM: "🟨", Severity.LOW: "🟦"}


def render_markdown(
    plan: Plan, assessment: Assessment, *, changes: Changes | None = None, weaknesses: Sequence[Weakness] = ()
) -> str:
    """The report of one assessment.

    weaknesses: settings that don't hold in the files that the plan was made from.

    changes: what differs from an earlier assessment; shown first, because that is what a reviewer asks.
    """
    page = _Page()
    page.add(f"## Threat model of {escape(plan.name or plan.id)}", "", counts(assessment), "")
    if changes is not None:
        _changes(page, changes)
    opened = {f.id for f in changes.opened} if changes else set()
    findings = sorted(assessment.open, key=lambda f: f.id not in opened)
    page.several((_finding(f, f.id in opened) for f in findings), len(findings), "open findings")
    _settings(page, failing(weaknesses))
    _hardening(page, assessment)
    _questions(page, assessment.questions)
    page.add(f"<sub>Plan `{code(assessment.plan_digest[:19])}`, {assessment.rules} rules.</sub>")
    return page.text()


def render_diff(new: Plan, plan_changes: PlanChanges, changes: Changes) -> str:
    """The report of what a change to the plan `new` does."""
    page = _Page()
    page.add(f"## What changes in the threat model of {escape(new.name or new.id)}", "")
    _changes(page, changes)
    page.several((_finding(f, True) for f in changes.opened), len(changes.opened), "opened findings")
    lines = list(plan_lines(plan_changes))
    page.add("<details><summary>What changes in the plan</summary>", "")
    page.several(([f"- {escape(line)}"] for line in lines or ["nothing"]), len(lines), "changes")
    page.add("", "</details>")
    return page.text()


def _settings(page: _Page, weaknesses: Sequence[Weakness]) -> None:
    if weaknesses:
        page.add(f"### {_several(len(weaknesses), 'setting')} that don't hold", "")
        groups = by_expectation(weaknesses)
        page.several((_expected(group) for group in groups), len(groups), "expectations")
        page.add("")


def _expected(group: Sequence[Weakness]) -> list[str]:
    first = group[0]
    lines = [f"- **{first.severity}** {escape(first.expected)}. {escape(first.fix)} (`{code(first.expectation)}`)"]
    return [*lines, *(f"  - {escape(w.verdict)} (`{code(str(w.place))}`)" for w in group)]


def counts(assessment: Assessment) -> str:
    """The numbers in one line."""
    by_severity = Counter(f.severity for f in assessment.open)
    by_state = Counter(f.state for f in assessment.findings)
    worst = ", ".join(f"{_ICONS[s]} {by_severity[s]} {s.value}" for s in reversed(Severity) if by_severity[s])
    rest = [f"{by_state[s]} {s.value}" for s in FindingState if s is not FindingState.OPEN and by_state[s]]
    rest.append(_several(len(assessment.questions), "open question"))
    return f"**{_several(len(assessment.open), 'open finding')}**{f' ({worst})' if worst else ''}; {', '.join(rest)}."


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def plan_lines(changes: PlanChanges) -> Iterator[str]:
    """What changed in a plan, a line for each part."""
    yield from changes.system
    yield from (f"new {p.type} `{p.id}`" for p in changes.added)
    yield from (f"{p.type} `{p.id}` is gone" for p in changes.removed)
    yield from (f"{c.type} `{c.id}`: {'; '.join(c.differences)}" for c in changes.changed)
    yield from (f"new claim {words}" for words in changes.claims_added)
    yield from (f"claim {words} is gone" for words in changes.claims_removed)


def escape(text: str) -> str:
    """Text that is shown as it is: no markup, no HTML, no links, nobody mentioned."""
    return _MARKUP.sub(r"\\\1", _html(text))


def _html(text: str) -> str:
    """The same for inside an HTML element, where Markdown isn't read."""
    text = " ".join(clean(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width space: the text stays readable, but is no address and no mention.
    return _LINKS.sub(lambda m: m.group(0) + "\u200b", text)


def code(text: str) -> str:
    """Text for between backticks."""
    return " ".join(clean(text).replace("`", "'").split())


class _Page:
    """Collects lines up to the limit."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0

    def add(self, *lines: str) -> None:
        self._lines += lines
        self._size += sum(len(line) + 1 for line in lines)

    def several(self, blocks: Iterable[Sequence[str]], total: int, what: str) -> None:
        """As many blocks as there is room for, and how many were left out."""
        for n, block in enumerate(blocks):
            if self._size + sum(len(line) + 1 for line in block) > MAX_CHARACTERS:
                self.add("", f"... and {total - n} more {what}: see the full report.", "")
                return
            self.add(*block)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _changes(page: _Page, changes: Changes) -> None:
    if not (changes.opened or changes.closed or changes.changed):
        page.add("**Nothing changed**: no finding opened or closed.", "")
        return
    page.add(f"**{len(changes.opened)} opened, {len(changes.closed)} closed, {len(changes.changed)} changed.**", "")
    page.several((_line(f, "closed") for f in changes.closed), len(changes.closed), "closed findings")
    page.several((_changed(*pair) for pair in changes.changed), len(changes.changed), "changed findings")
    page.add("")


def _line(finding: Finding, word: str) -> list[str]:
    return [f"- {word}: {finding.severity.value} {escape(finding.title)} (`{code(finding.id)}`)"]


def _changed(before: Finding, after: Finding) -> list[str]:
    if before.rating.score != after.rating.score:
        what = f"{before.severity.value} {before.rating.score} → {after.severity.value} {after.rating.score}"
    else:
        what = "another path"
    return [f"- changed: {escape(after.title)} (`{code(after.id)}`): {what}"]


def _finding(finding: Finding, new: bool) -> list[str]:
    rating = finding.rating
    mark = " <b>new</b>" if new else ""
    title = f"{_ICONS[finding.severity]} {finding.severity.value}{mark} {_html(finding.title)}"
    lines = [f"<details><summary>{title}</summary>", "", f"{escape(finding.message)}.", ""]
    lines.append(f"- rated {rating.score} of 25: impact {rating.impact} x likelihood {rating.likelihood}")
    lines.append(f"- path: {' → '.join(f'`{code(id)}`' for id in finding.path[:40])}")
    fixes = list(dict.fromkeys(
        f"`{code(c.id)}` on `{code(c.element)}`" for c in finding.controls
        if c.breaks and c.state in (ControlState.REQUIRED, ControlState.UNKNOWN)
    ))  # fmt: skip
    if fixes:
        lines.append(f"- fix: {', or '.join(fixes[:4])}")
    refs = [f"{framework}/{id}" for framework, ids in finding.refs.items() for id in ids]
    if refs:
        lines.append(f"- references: {escape(', '.join(refs[:12]))}")
    place = f"{finding.location.file}:{finding.location.line}" if finding.location.line else finding.location.file
    return [*lines, f"- `{code(finding.rule)}`, `{code(finding.id)}`, `{code(place)}`", "", "</details>", ""]


def _hardening(page: _Page, assessment: Assessment) -> None:
    hardening = assessment.hardening
    if hardening is None or not hardening.controls:
        return
    what = "The cheapest set" if hardening.proven else "A cheap set"
    paths = _several(hardening.paths, "path")
    head = f"{what} of controls that breaks every path of {hardening.severity.value} findings and worse ({paths})"
    page.add(f"<details><summary>{head}</summary>", "")
    lines = ([f"- `{code(r.id)}` on `{code(r.element)}`: breaks {r.breaks}"] for r in hardening.controls)
    page.several(lines, len(hardening.controls), "controls")
    if hardening.unbreakable:
        page.add("", f"No control breaks {len(hardening.unbreakable)} of them: only a change of design helps.")
    page.add("", "</details>", "")


def _questions(page: _Page, questions: Sequence[Question]) -> None:
    if not questions:
        return
    page.add(f"<details><summary>{_several(len(questions), 'open question')}, the heaviest first</summary>", "")
    lines = ([f"- {escape(q.ask)} (`{code(q.element)}: {code(q.attribute)}`): {escape(q.why)}"] for q in questions[:20])
    page.several(lines, min(len(questions), 20), "questions")
    if len(questions) > 20:
        page.add(f"- ... and {len(questions) - 20} more")
    page.add("", "</details>", "")
