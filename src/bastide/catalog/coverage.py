# SPDX-License-Identifier: Apache-2.0
"""How much of each external framework the rules and controls speak about, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bastide.catalog.model import Catalog, Entry, Refs


@dataclass(frozen=True, slots=True)
class GroupCoverage:
    """One group of entries of a framework, such as ATLAS's techniques. An entry counts only if it is named itself."""

    framework: str
    group: str
    total: int
    by_rules: tuple[str, ...]
    """Entries that a rule names. Every rule has a control, so each of these has one."""
    by_controls: tuple[str, ...]
    """Entries that a control names."""
    by_kinds: tuple[str, ...]
    """Entries that a kind of component stands for."""
    uncovered: tuple[str, ...]
    """Entries that nothing names."""
    with_control: tuple[str, ...]
    """Entries for which there is a control: one that names the entry, or one that bears on a rule that names it."""

    @property
    def covered(self) -> int:
        """How many entries a rule, a control or a kind names."""
        return self.total - len(self.uncovered)


def coverage(catalog: Catalog) -> tuple[GroupCoverage, ...]:
    """The coverage of every group of every framework, in the order of the frameworks' files."""
    by_rules = _named(t.refs for t in catalog.threats.values())
    answered = _named(t.refs for t in catalog.threats.values() if {*t.breaks, *t.reduces} & catalog.controls.keys())
    by_controls = _named(c.refs for c in catalog.controls.values())
    kinds = {kind.cosai for kind in catalog.vocabulary.kinds.values()}
    found = []
    for framework in catalog.frameworks.values():
        groups: dict[str, list[Entry]] = {}
        for entry in framework.entries.values():
            groups.setdefault(entry.group, []).append(entry)
        for group, entries in groups.items():
            ids = [entry.id for entry in entries]
            rules, controls = by_rules.get(framework.id, set()), by_controls.get(framework.id, set())
            named_kinds = kinds if framework.id.startswith("cosai:") else set()
            with_control = answered.get(framework.id, set()) | controls
            found.append(
                GroupCoverage(
                    framework=framework.id,
                    group=group,
                    total=len(ids),
                    by_rules=tuple(id for id in ids if id in rules),
                    by_controls=tuple(id for id in ids if id in controls),
                    by_kinds=tuple(id for id in ids if id in named_kinds),
                    uncovered=tuple(id for id in ids if id not in rules | controls | named_kinds),
                    with_control=tuple(id for id in ids if id in with_control),
                )
            )
    return tuple(found)


def _named(all_refs: Iterable[Refs]) -> Mapping[str, set[str]]:
    """Framework -> the entries that are named."""
    found: dict[str, set[str]] = {}
    for refs in all_refs:
        for framework, ids in refs.items():
            found.setdefault(framework, set()).update(ids)
    return found
