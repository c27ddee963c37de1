# SPDX-License-Identifier: Apache-2.0
"""The cheapest set of controls that breaks every open attack path of a severity, and which single controls break most.

There can be exponentially many paths, so they are not enumerated. It is an implicit hitting set: solve for the known paths, put the chosen
controls in place, look for paths that are still open, add them, and solve again; when none is open the set is optimal for all paths
(Moreno-Centeno and Karp, "The implicit hitting set approach", Operations Research 61(2), 2013). HiGHS solves each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from bastide.catalog.model import Catalog, Threat
from bastide.threats.explain import can_stand, placed_at
from bastide.threats.match import Matcher, Mode, Witness
from bastide.threats.model import Finding, FindingState, Hardening, Recommendation, Severity

Option = tuple[str, str]
"""A control and the element on which it would be placed."""
MAX_ROUNDS = 100
MAX_RANKING = 500
SOLVER_SECONDS = 10.0


@dataclass(slots=True)
class _Paths:
    """The attack paths known so far: per finding, the options that break each path."""

    by_finding: dict[str, list[frozenset[Option]]] = field(default_factory=dict)
    unbreakable: set[str] = field(default_factory=set)

    def add(self, finding: str, options: frozenset[Option]) -> bool:
        """Adds a path; False if it is known already. A path that nothing breaks makes its finding unbreakable."""
        if not options:
            self.unbreakable.add(finding)
            self.by_finding.pop(finding, None)
            return True
        known = self.by_finding.setdefault(finding, [])
        if options in known:
            return False
        known.append(options)
        return True

    def all(self) -> list[frozenset[Option]]:
        """All paths that can be broken."""
        return [path for paths in self.by_finding.values() for path in paths]


def harden_plan(
    catalog: Catalog,
    matcher: Matcher,
    findings: Iterable[Finding],
    witnesses: Mapping[str, Witness],
    severity: Severity,
) -> Hardening:
    """The cheapest control set for the open findings of at least this severity."""
    targets = [
        f for f in findings if f.state is FindingState.OPEN and f.severity.rank >= severity.rank and f.id in witnesses
    ]
    paths = _Paths()
    for finding in targets:
        paths.add(finding.id, options_of(catalog, matcher, catalog.threats[finding.rule], witnesses[finding.id]))
    chosen, proven = _solve_all(catalog, matcher, targets, witnesses, paths)
    return _report(catalog, severity, paths, chosen, proven)


def options_of(catalog: Catalog, matcher: Matcher, threat: Threat, witness: Witness) -> frozenset[Option]:
    """The controls, with the elements to place them on, that break this witness."""
    found: set[Option] = set()
    for control, places in threat.breaks.items():
        known = catalog.controls.get(control)
        for id in dict.fromkeys(placed_at(threat, witness, places)):
            element = matcher.index.parts.get(id)
            if known is not None and element is not None and can_stand(known, element, matcher.index):
                found.add((control, id))
    return frozenset(found)


def _solve_all(
    catalog: Catalog, matcher: Matcher, targets: list[Finding], witnesses: Mapping[str, Witness], paths: _Paths
) -> tuple[frozenset[Option], bool]:
    costs = {id: control.cost for id, control in catalog.controls.items()}
    proven = True
    for _ in range(MAX_ROUNDS):
        chosen, optimal = _solve(paths.all(), costs)
        proven = proven and optimal
        if not _still_open(catalog, matcher, targets, witnesses, paths, chosen):
            return chosen, proven
    return chosen, False


def _still_open(
    catalog: Catalog,
    matcher: Matcher,
    targets: list[Finding],
    witnesses: Mapping[str, Witness],
    paths: _Paths,
    chosen: frozenset[Option],
) -> bool:
    """Looks for paths that the chosen controls leave open and adds them; whether there were any."""
    wanted: dict[str, dict[str, str]] = {}
    for finding in targets:
        if finding.id not in paths.unbreakable:
            wanted.setdefault(finding.rule, {})[witnesses[finding.id].sink] = finding.id
    fresh = False
    for rule, sinks in wanted.items():
        threat = catalog.threats[rule]
        placed = frozenset(o for o in chosen if o[0] in threat.breaks)
        if all(len(w.path) <= 1 for w in (witnesses[id] for id in sinks.values())) and not threat.legs:
            continue  # a rule without legs has one witness for each sink, and that one is broken
        for sink, witness in matcher.match(threat, Mode.CERTAIN, placed).items():
            if sink in sinks and paths.add(sinks[sink], options_of(catalog, matcher, threat, witness) - placed):
                fresh = True
    return fresh


def _solve(paths: list[frozenset[Option]], costs: Mapping[str, int]) -> tuple[frozenset[Option], bool]:
    """The cheapest set of options that hits every path, and whether it is proven cheapest."""
    if not paths:
        return frozenset(), True
    options = sorted({option for path in paths for option in path})
    column = {option: n for n, option in enumerate(options)}
    solver = _solver(
        [float(costs.get(control, 3)) for control, _ in options],
        [[column[o] for o in path] for path in _minimal(paths)],
    )
    solver.run()
    values = solver.getSolution().col_value
    optimal = solver.modelStatusToString(solver.getModelStatus()) == "Optimal"
    chosen = frozenset(option for option in options if len(values) > column[option] and values[column[option]] > 0.5)
    if all(chosen & path for path in paths):
        return chosen, optimal
    # Out of time without a solution: take the cheapest option of each path, and say that nothing is proven.
    return frozenset(min(path, key=lambda o: (costs.get(o[0], 3), o)) for path in paths), False


def _solver(costs: list[float], rows: list[list[int]]) -> Any:
    """A solver for: choose columns of least cost so that every row has one."""
    import highspy

    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(costs), len(rows)
    program.col_cost_ = costs
    program.col_lower_, program.col_upper_ = [0.0] * len(costs), [1.0] * len(costs)
    program.row_lower_, program.row_upper_ = [1.0] * len(rows), [highspy.kHighsInf] * len(rows)
    program.integrality_ = [highspy.HighsVarType.kInteger] * len(costs)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = list(accumulate((len(row) for row in rows), initial=0))
    program.a_matrix_.index_ = [column for row in rows for column in sorted(row)]
    program.a_matrix_.value_ = [1.0] * sum(len(row) for row in rows)
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("time_limit", SOLVER_SECONDS)):
        solver.setOptionValue(name, value)
    solver.passModel(program)
    return solver


def _minimal(paths: Iterable[frozenset[Option]]) -> list[frozenset[Option]]:
    """Without duplicates, in a stable order."""
    return sorted(set(paths), key=sorted)


def _report(catalog: Catalog, severity: Severity, paths: _Paths, chosen: frozenset[Option], proven: bool) -> Hardening:
    every = paths.all()
    count: dict[Option, int] = {}
    alone: dict[Option, list[str]] = {}
    for finding, known in paths.by_finding.items():
        for path in known:
            for option in path:
                count[option] = count.get(option, 0) + 1
        for option in frozenset.intersection(*known):
            alone.setdefault(option, []).append(finding)
    recommendations = [
        Recommendation(
            id=control,
            element=element,
            breaks=number,
            findings=tuple(sorted(alone.get((control, element), ()))),
            cost=catalog.controls[control].cost,
            minimal=(control, element) in chosen,
        )
        for (control, element), number in count.items()
    ]
    ranked = sorted(recommendations, key=lambda r: (-r.breaks, -len(r.findings), r.cost, r.id, r.element))
    return Hardening(
        severity=severity,
        paths=len(every),
        controls=tuple(r for r in ranked if r.minimal),
        ranking=tuple(ranked[:MAX_RANKING]),
        unbreakable=tuple(sorted(paths.unbreakable)),
        proven=proven,
    )
