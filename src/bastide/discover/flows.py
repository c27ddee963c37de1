# SPDX-License-Identifier: Apache-2.0
"""Flows between things, before and after they have ids. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bastide.discover.model import Place
from bastide.discover.result import Found, FoundFlow
from bastide.discover.types import LinkRule

if TYPE_CHECKING:
    from bastide.discover.resolve import Group


def by_those_who_run(
    flows: Sequence[tuple[Group, Group, LinkRule, Place]],
) -> Iterator[tuple[Group, Group, LinkRule, Place]]:
    """What an identity may call, those call that run as it; an identity that nothing runs as keeps its flows."""
    runs = who_run(flows)
    for source, target, rule, place in flows:
        who = runs[id(source)] if source.kind.startswith("identity.") and id(source) in runs else [source]
        yield from ((one, target, rule, place) for one in who)


def who_run(flows: Iterable[tuple[Group, Group, LinkRule, Place]]) -> dict[int, list[Group]]:
    """`id()` of an identity -> what runs as it."""
    runs: dict[int, list[Group]] = defaultdict(list)
    for source, target, rule, _ in flows:
        if rule.verb == "runs-as":
            runs[id(target)].append(source)
    return runs


def merged(flows: Iterable[tuple[Group, Group, LinkRule, Place]], found: Mapping[int, Found]) -> Iterator[FoundFlow]:
    """One flow for each pair and verb, with all places that show it."""
    whole: dict[tuple[str, str, str], FoundFlow] = {}
    for source, target, rule, place in flows:
        one, other = found.get(id(source)), found.get(id(target))
        if one is None or other is None or one is other:
            continue
        key = one.id, other.id, rule.verb
        old = whole.get(key)
        places = tuple(dict.fromkeys((*(old.provenance if old else ()), place)))
        whole[key] = FoundFlow(
            f"{one.id}->{other.id}:{rule.verb}", one.id, other.id, rule.verb, rule.data or (old.data if old else ""),
            places, min(one.confidence, other.confidence),
        )  # fmt: skip
    yield from whole.values()
