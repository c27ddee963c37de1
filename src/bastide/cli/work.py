# SPDX-License-Identifier: Apache-2.0
"""What commands do before they render: read the plan and its side file, assess, compare with a baseline.

Everything heavy is imported inside the functions, so that `bastide --help` stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bastide.errors import StateError, UsageError

if TYPE_CHECKING:
    from bastide.catalog.model import Catalog
    from bastide.discover.result import Discovery, Weakness
    from bastide.plan.model import Plan
    from bastide.threats.diff import Changes
    from bastide.threats.interface import PlanRule
    from bastide.threats.model import Assessment, Decision, Finding, Question, Severity

MAX_BASELINE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Work:
    """A plan, what is known, and the assessment."""

    plan: Plan
    catalog: Catalog
    decisions: tuple[Decision, ...]
    assessment: Assessment
    today: date
    found: Discovery | None = None
    """What the plan was made from, when nobody had written one."""

    def live(self) -> frozenset[str]:
        """The findings about which somebody decided and the decision still holds."""
        day = self.today.isoformat()
        return frozenset(d.finding for d in self.decisions if not d.expires or d.expires > day)


def read_catalog(packs: Sequence[Path]) -> Catalog:
    """The catalogue with some packs."""
    from bastide.catalog.load import load_catalog

    return load_catalog(tuple(packs))


def examine(path: Path, packs: Sequence[Path], today: date | None, harden: str | None = None) -> Work:
    """Reads and assesses a plan. harden: the lowest severity that the control set must break; None: no control set."""
    from bastide.threats.assess import assess
    from bastide.threats.model import Severity

    catalog = read_catalog(packs)
    path = tidy(path)
    plan, found = _described_or_found(path, catalog, tuple(packs))
    decisions = read_side_file(path / "bastide.yaml" if path.is_dir() else path)
    day = today or date.today()
    level = Severity(harden) if harden else None
    assessment = assess(plan, catalog, decisions=decisions, today=day, harden=level, rules=python_rules())
    return Work(plan, catalog, decisions, assessment, day, found)


def _described_or_found(path: Path, catalog: Catalog, packs: tuple[Path, ...]) -> tuple[Plan, Discovery | None]:
    """A plan; for a folder its `bastide.yaml`, else what is found in it."""
    from bastide.plan.load import load_plan

    if not path.is_dir():
        return load_plan(path, catalog.vocabulary), None
    if exists(path / "bastide.yaml"):
        return load_plan(path / "bastide.yaml", catalog.vocabulary), None
    from bastide.discover.discover import plan_of

    return plan_of(path, catalog, packs)


def side_file(plan: Path) -> Path:
    """Where the decisions about a plan's findings are kept: `bastide.findings.yaml` beside `bastide.yaml`."""
    if not plan.name:
        raise UsageError(f"{plan}: is no file")
    return plan.with_name(f"{plan.stem}.findings.yaml")


def read_side_file(plan: Path) -> tuple[Decision, ...]:
    """The decisions about a plan's findings; none where there is no side file."""
    from bastide.threats.decisions import read_decisions

    side = side_file(plan)
    return read_decisions(side_text(side), str(side)) if exists(side) else ()


def side_text(side: Path) -> str:
    """The text of a side file; '' where there is none.

    Raises `StateError` when it can't be read, or is a link out of its folder: nobody named the file behind it.
    """
    from bastide.errors import Diagnostic, Location
    from bastide.plan.yamlfile import read_text

    if not exists(side):
        return ""
    try:
        inside = side.resolve().is_relative_to(side.parent.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise StateError(Diagnostic("is a link that leads out of the plan's folder", Location(str(side))))
    return read_text(side, StateError)


def exists(path: Path) -> bool:
    """Whether there is anything of this name; a link that leads nowhere is something, too."""
    return os.path.lexists(path)


def tidy(path: Path) -> Path:
    """The path as messages and outputs show it: relative where it lies below the working directory."""
    try:
        here = Path.cwd()
    except OSError:
        return path
    if path.is_absolute() and ".." not in path.parts and path.is_relative_to(here):
        return path.relative_to(here)
    return path


def processors() -> int:
    """How many processes work at a time when nobody says: one for each processor, at most 32."""
    return min(32, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def python_rules() -> tuple[PlanRule, ...]:
    """The rules that installed packages offer. Raises `UsageError` when one can't be imported."""
    from importlib.metadata import entry_points

    from bastide.threats.interface import ENTRY_POINTS

    found = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            found.append(point.load())
        except Exception as problem:  # noqa: BLE001 - other people's code, which may fail in any way
            where = f"the rule `{point.name}` of package `{point.dist.name if point.dist else '?'}`"
            raise UsageError(f"{where} can't be loaded: {type(problem).__name__}: {problem}") from None
    return tuple(found)


def at_least(assessment: Assessment, severity: str | None) -> Assessment:
    """The assessment without what is below a severity."""
    from bastide.threats.model import Severity

    if severity is None:
        return assessment
    rank = Severity(severity).rank
    return replace(
        assessment,
        findings=tuple(f for f in assessment.findings if f.severity.rank >= rank),
        questions=tuple(q for q in assessment.questions if q.severity.rank >= rank),
    )


def read_baseline(path: Path) -> tuple[Assessment, Severity]:
    """An earlier assessment, and the severity below which it says nothing. Raises `StateError`."""
    from bastide.errors import Diagnostic, Location
    from bastide.report.baseline import read_assessment

    def fail(what: str) -> StateError:
        return StateError(Diagnostic(what, Location(str(tidy(path)))))

    try:
        if not path.is_file():
            raise fail("is no file" if exists(path) else "no such file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BASELINE + 1)
    except (OSError, ValueError) as problem:
        raise fail(f"can't be read: {getattr(problem, 'strerror', None) or problem}") from None
    if len(raw) > MAX_BASELINE:
        raise fail(f"is larger than {MAX_BASELINE // 2**20} MiB")
    return read_assessment(raw, str(tidy(path)))


def baseline_for_gate(path: Path, threshold: str) -> Assessment:
    """An earlier assessment that says everything from the threshold on. Raises `StateError` when it can't."""
    found, least = read_baseline(path)
    if least.rank > _rank(threshold):
        from bastide.errors import Diagnostic, Location

        message = f"has only findings of severity {least.value} and worse, but the threshold is {threshold}"
        hint = "make it without --severity-min"
        raise StateError(Diagnostic(message, Location(str(tidy(path))), hint=hint))
    return found


def changes_since(baseline: Path, now: Assessment, severity: str | None) -> Changes:
    """What differs from an earlier assessment, from the severity on that both of them report."""
    from bastide.threats.diff import compare

    before, least = read_baseline(baseline)
    floor = max(least.value, severity or "low", key=_rank)
    return compare(at_least(before, floor), at_least(now, floor))


def _rank(severity: str) -> int:
    from bastide.threats.model import Severity

    return Severity(severity).rank


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says, with the findings and questions behind it."""

    code: int
    failing: tuple[Finding, ...]
    unknown: tuple[Question, ...]
    settings: tuple[Weakness, ...] = ()
    """Settings that don't hold in the files that the plan was made from."""

    @property
    def word(self) -> str:
        """`pass`, `fail` or `unknown`."""
        return {0: "pass", 1: "fail"}.get(self.code, "unknown")


def judge(work: Work, threshold: str, *, known: Assessment | None = None, allow_unknown: bool = False) -> Verdict:
    """1 for open findings, or settings that don't hold, at or over the threshold; else 3 for questions that could open a finding; else 0.

    known: an earlier assessment; what was open at or over the threshold, or asked, there doesn't count.
    """
    rank = _rank(threshold)
    failing = [f for f in work.assessment.open if f.severity.rank >= rank]
    # A question counts unless all that it could open was decided, or was open to the same doubt before.
    settled = set(work.live())
    if known is not None:
        before = {f.id for f in known.open if f.severity.rank >= rank}
        failing = [f for f in failing if f.id not in before]
        settled |= before | {id for q in known.questions if q.severity.rank >= rank for id in q.could_open}
    asked: Iterable[Question] = () if allow_unknown else work.assessment.questions
    unknown = [q for q in asked if q.severity.rank >= rank and not settled.issuperset(q.could_open)]
    # A baseline knows nothing of settings, so with one nobody can say which are new.
    weak = work.found.weaknesses if work.found is not None and known is None else ()
    settings = tuple(w for w in weak if w.state == "fail" and _rank(w.severity) >= rank)
    code = 1 if failing or settings else 3 if unknown else 0
    return Verdict(code, tuple(failing), tuple(unknown), settings)
