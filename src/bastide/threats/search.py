# SPDX-License-Identifier: Apache-2.0
"""Breadth-first search over the content graph, from many starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """What a search from some nodes found: distance and predecessor of each node that content can pass."""

    cost: Mapping[int, int]
    previous: Mapping[int, int]


def both(one: bytes, other: bytes) -> bytes:
    """Byte-wise and, at the speed of long numbers."""
    return (int.from_bytes(one, "big") & int.from_bytes(other, "big")).to_bytes(len(one), "big")


def search(starts: Mapping[int, int], neighbours: list[list[int]], mask: bytearray) -> Reach:
    """The cheapest way from any start (each with a cost to begin with) to every node, over nodes that the mask lets pass."""
    cost = dict(starts)
    previous: dict[int, int] = {}
    waiting: dict[int, list[int]] = {}
    for node, begin in starts.items():
        waiting.setdefault(begin, []).append(node)
    level = min(waiting, default=0)
    while waiting:
        for node in waiting.pop(level, ()):
            if cost[node] != level:
                continue
            for other in neighbours[node]:
                if mask[other] and cost.get(other, level + 2) > level + 1:
                    cost[other] = level + 1
                    previous[other] = node
                    waiting.setdefault(level + 1, []).append(other)
        level = level + 1 if level + 1 in waiting else min(waiting, default=0)
    return Reach(cost, previous)
