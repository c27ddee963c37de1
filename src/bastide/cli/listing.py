# SPDX-License-Identifier: Apache-2.0
"""Lists of the catalogue for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bastide.catalog.coverage import GroupCoverage
from bastide.catalog.model import Catalog
from bastide.cli.screen import Screen, text
from bastide.cli.text import plural


def listing(catalog: Catalog, what: str | None, to_screen: bool = True) -> str:
    """One list, or without a word the number of each."""
    screen = Screen(to_screen)
    lists: dict[str, Callable[[Screen, Catalog], None]] = {
        "rules": _rules, "controls": _controls, "kinds": _kinds, "attributes": _attributes, "frameworks": _frameworks
    }  # fmt: skip
    if what:
        lists[what](screen, catalog)
    else:
        _overview(screen, catalog)
    return screen.text()


def coverage_table(groups: tuple[GroupCoverage, ...], full: bool, catalog: Catalog, to_screen: bool = True) -> str:
    """How much of each framework is covered. full: with every entry that isn't."""
    screen = Screen(to_screen)
    rows = []
    for g in groups:
        share = f"{100 * g.covered // g.total} %" if g.total else ""
        rows.append(
            (
                g.framework,
                g.group,
                f"{g.covered}/{g.total}",
                share,
                len(g.by_rules),
                len(g.by_controls),
                len(g.with_control),
            )
        )
    screen.table(("framework", "group", "covered", "", "by rules", "by controls", "with a control"), rows)
    for g in groups if full else ():
        if g.uncovered:
            screen.heading(
                f"{g.framework} {g.group}: {plural(len(g.uncovered), 'entry')} not covered".replace("entrys", "entries")
            )
            screen.rows([(id, catalog.name_of(g.framework, id)) for id in g.uncovered], indent=2)
    if not full:
        screen.add("", text("--missing lists what is not covered", "dim"))
    return screen.text()


def _overview(screen: Screen, catalog: Catalog) -> None:
    vocabulary = catalog.vocabulary
    families = Counter(t.family for t in catalog.threats.values())
    attributes = sum(len(group) for group in vocabulary.attributes.values())
    rows = [
        ("rules", str(len(catalog.threats)), ", ".join(f"{family} {n}" for family, n in families.items())),
        ("controls", str(len(catalog.controls)), _families(Counter(c.family for c in catalog.controls.values()))),
        ("kinds", str(len(vocabulary.kinds)), _families(Counter(id.split(".")[0] for id in vocabulary.kinds))),
        ("attributes", str(attributes), _families(Counter({e: len(g) for e, g in vocabulary.attributes.items()}))),
        ("frameworks", str(len(catalog.frameworks)), ", ".join(catalog.frameworks)),
    ]
    screen.rows([(text(name, "bold"), count, words) for name, count, words in rows])
    screen.add("", text("bastide catalog list WHAT lists them; bastide catalog show ID explains one", "dim"))


def _families(counts: Counter[str]) -> str:
    return ", ".join(f"{family} {n}" for family, n in counts.items())


def _rules(screen: Screen, catalog: Catalog) -> None:
    screen.rows([(text(t.id, "bold"), t.title) for t in catalog.threats.values()])


def _controls(screen: Screen, catalog: Catalog) -> None:
    screen.rows([(text(c.id, "bold"), c.family, f"cost {c.cost}", c.title) for c in catalog.controls.values()])


def _kinds(screen: Screen, catalog: Catalog) -> None:
    screen.rows([(text(k.id, "bold"), k.title, k.means) for k in catalog.vocabulary.kinds.values()])


def _attributes(screen: Screen, catalog: Catalog) -> None:
    for element, group in catalog.vocabulary.attributes.items():
        screen.heading(element)
        rows = [(text(a.name, "bold"), a.type if a.type != "choice" else "|".join(a.values)) for a in group.values()]
        screen.rows(rows, indent=2)


def _frameworks(screen: Screen, catalog: Catalog) -> None:
    rows = [
        (text(f.id, "bold"), f"{len(f.entries)} entries", f"{f.title} ({f.license})")
        for f in catalog.frameworks.values()
    ]
    screen.rows([(a, b, c) for a, b, c in rows])
