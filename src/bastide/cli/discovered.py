# SPDX-License-Identifier: Apache-2.0
"""What discovery found, for a person at a terminal: the components by kind, what talks to what, what is weak, what wasn't read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bastide.cli.screen import STYLES, Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.discover.inventory import GROUPS, Inventory
from bastide.discover.merge import Merge, Standing
from bastide.discover.model import Problem
from bastide.discover.result import Discovery, Found, FoundFlow, Weakness, by_expectation, failing

_NOTHING = "Nothing of an AI system was found: is this the folder with its code or deployment files?"
SHOWN = 12
"""Lines of flows and of problems."""


def discovery_table(found: Discovery, to_screen: bool = True) -> str:
    """All components, the weaknesses worst first, the first flows and problems."""
    screen = Screen(to_screen)
    counts = [plural(len(found.components), "component"), plural(len(found.flows), "flow")]
    counts.append(f"{plural(len(found.files), 'file')} read")
    screen.add(text(", ".join(counts) + ("" if found.complete else "; incomplete"), "bold"))
    if not found.components:
        screen.add(text(_NOTHING, "dim"))
    _components(screen, list(found.components.values()))
    weak_settings(screen, found.weaknesses)
    _flows(screen, found.flows)
    _problems(screen, found.problems)
    return screen.text()


def _components(screen: Screen, components: Sequence[Found]) -> None:
    if components:
        screen.heading("Components")
    width = max((len(c.kind) for c in components), default=0)
    for component in sorted(components, key=lambda c: (c.kind, c.id)):
        platform = f" ({component.platform})" if component.platform else ""
        place = component.provenance[0] if component.provenance else ""
        screen.add(f"{component.kind:<{width}}  " + one_line(f"{component.id}{platform}  {place}"), indent=2)


def weak_settings(screen: Screen, weaknesses: Sequence[Weakness], limit: int | None = None) -> None:
    """What doesn't hold, the worst first, each expectation once, and how much can't be told. limit: of expectations; None: all."""
    groups = by_expectation(failing(weaknesses))
    if groups:
        screen.heading("Weak settings")
    for group in groups[:limit]:
        first = group[0]
        head = join(text(first.severity, STYLES.get(first.severity, "")), f"  {one_line(first.expected)}: not so for")
        screen.add(head, indent=2)
        shown = group if limit is None else group[:SHOWN]
        for weakness in shown:
            screen.add(text(one_line(f"{weakness.element}  {_where(weakness)}")), indent=6)
        if len(group) > len(shown):
            screen.add(text(f"and {len(group) - len(shown)} more (--all)", "dim"), indent=6)
        screen.add(f"{one_line(first.fix)}  [{first.expectation}]", indent=6)
    if limit is not None and len(groups) > limit:
        screen.add(text(f"  ... and {plural(len(groups) - limit, 'expectation')} more (--all)", "dim"))
    unknown = sum(w.state == "unknown" for w in weaknesses)
    if unknown:
        screen.add(text(f"  {plural(unknown, 'expectation')} can't be told from these files (--format json)", "dim"))


def _where(weakness: Weakness) -> str:
    """The place, and who else says it."""
    _, says, who = weakness.verdict.partition(", says ")
    return f"{weakness.place}{says}{who}"


def _flows(screen: Screen, flows: Sequence[FoundFlow]) -> None:
    if flows:
        screen.heading("Flows")
    for flow in flows[:SHOWN]:
        place = flow.provenance[0] if flow.provenance else ""
        screen.add("  " + one_line(f"{flow.source} -> {flow.target}  {flow.verb}  {place}"))
    if len(flows) > SHOWN:
        screen.add(text(f"  and {len(flows) - SHOWN} more (--format json)", "dim"))


def _problems(screen: Screen, problems: Sequence[Problem]) -> None:
    if problems:
        screen.heading("Not read or not understood")
    for problem in problems[:SHOWN]:
        screen.add("  " + one_line(f"{problem.place}: {problem.message}"))
    if len(problems) > SHOWN:
        screen.add(text(f"  and {len(problems) - SHOWN} more (--format json)", "dim"))


_STANDINGS = {
    Standing.CONTRADICTED: ("Contradicted", "bold red"),
    Standing.UNDOCUMENTED: ("Undocumented", "bold yellow"),
    Standing.MISSING: ("Missing", "bold yellow"),
    Standing.UNVERIFIABLE: ("Not verifiable from these files", "dim"),
}


def drift_table(merged: Merge, found: Discovery, to_screen: bool = True) -> str:
    """What differs between a design and what is there, worst first."""
    screen = Screen(to_screen)
    counts = [f"{len(merged.of(s))} {s.value}" for s in Standing]
    screen.add(text(", ".join(counts) + ("" if found.complete else "; incomplete"), "bold"))
    for standing, (title, style) in _STANDINGS.items():
        differences = merged.of(standing)
        if differences:
            screen.heading(title)
        for difference in differences:
            place = f"  {one_line(str(difference.place))}" if difference.place.file else ""
            line = f"  plan line {difference.location.line}" if difference.location.line else ""
            screen.add(join("  ", text(one_line(difference.message), style), place + line))
    _problems(screen, found.problems)
    return screen.text()


def inventory_table(found: Inventory, to_screen: bool = True) -> str:
    """The items by repository and group, each with where it stands."""
    screen = Screen(to_screen)
    counts, order = Counter(i.group for i in found.items), list(GROUPS)
    said = (
        ", ".join(f"{counts[g]} {g.removesuffix('s') if counts[g] == 1 else g}" for g in GROUPS if counts[g])
        or "no AI found"
    )
    screen.add(text(f"{plural(len(found.repositories), 'folder')}: {said}", "bold"))
    for repository in found.repositories:
        items = sorted((i for i in found.items if i.repository == repository), key=lambda i: order.index(i.group))
        needed = [library for name, library in found.libraries if name == repository]
        if items or needed or repository in found.incomplete:
            screen.heading(
                one_line(repository) + (" (not all of it could be read)" if repository in found.incomplete else "")
            )
        for item in items:
            place = item.component.provenance[0] if item.component.provenance else ""
            screen.add(
                f"{item.group:<13}" + one_line(f"{item.component.name} ({item.component.kind})  {place}"), indent=2
            )
        for library in needed:
            version = library.version or library.requirement or "any version"
            said = f"{library.name} {version} ({library.ecosystem}, {library.group})  {library.places[0]}"
            screen.add(f"{'library':<13}" + one_line(said), indent=2)
    return screen.text()
