# SPDX-License-Identifier: Apache-2.0
"""Which column a part of the picture stands in: content flows from left to right as far as cycles allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, sqrt

Edge = tuple[int, int]


def ranks(count: int, edges: Iterable[Edge]) -> list[int]:
    """How far each of the nodes 0 to count-1 is from where content starts: the longest way to it, cycles cut.

    Nodes that nothing flows into stand directly before the first one that they feed.
    """
    after: list[list[int]] = [[] for _ in range(count)]
    fed = [False] * count
    for source, target in edges:
        if source != target:
            after[source].append(target)
            fed[target] = True
    order = _topological([*(n for n in range(count) if not fed[n]), *range(count)], after)
    place = {node: n for n, node in enumerate(order)}
    found = [0] * count
    for node in order:
        for target in after[node]:
            if place[target] > place[node]:
                found[target] = max(found[target], found[node] + 1)
    for node in range(count):
        if not fed[node] and after[node]:
            found[node] = max(0, min(found[target] for target in after[node]) - 1)
    return found


def _topological(starts: Iterable[int], after: Sequence[Sequence[int]]) -> list[int]:
    """Depth-first order of all nodes; every edge that goes against it closes a cycle."""
    finished: list[int] = []
    seen = [False] * len(after)
    for start in starts:
        if seen[start]:
            continue
        seen[start] = True
        stack = [(start, iter(after[start]))]
        while stack:
            node, rest = stack[-1]
            step = next((n for n in rest if not seen[n]), None)
            if step is None:
                finished.append(node)
                stack.pop()
            else:
                seen[step] = True
                stack.append((step, iter(after[step])))
    return finished[::-1]


def columns(items: Sequence[int], edges: Iterable[Edge], rank: Mapping[int, float], limit: int) -> list[list[int]]:
    """The items of one box in columns from left to right, in the order given within a column.

    An edge points from the item with the lower rank to the other, so there are no cycles; each item stands
    right of all that point to it, unless that takes more columns than `limit` (more for a box of many items).
    """
    if not items:
        return []
    order = sorted(items, key=lambda i: (rank[i], i))
    place = {item: n for n, item in enumerate(order)}
    before: dict[int, set[int]] = {item: set() for item in items}
    after: dict[int, set[int]] = {item: set() for item in items}
    for edge in edges:
        low, high = sorted(edge, key=place.__getitem__)
        if low != high:
            after[low].add(high)
            before[high].add(low)
    layer: dict[int, int] = {}
    for item in order:
        layer[item] = max((layer[b] + 1 for b in before[item]), default=0)
    for item in order:
        if not before[item] and after[item]:
            layer[item] = min(layer[a] for a in after[item]) - 1
    _place_loose(order, before, after, layer, rank)
    return _balanced(items, layer, limit)


def _place_loose(
    order: Sequence[int],
    before: Mapping[int, set[int]],
    after: Mapping[int, set[int]],
    layer: dict[int, int],
    rank: Mapping[int, float],
) -> None:
    """Puts items without a neighbour in this box beside those that are about as far along the flow."""
    tied = [i for i in order if before[i] or after[i]]
    if not tied:
        return
    depth = max(layer[i] for i in tied) + 1
    sums = [[0.0, 0.0] for _ in range(depth)]
    for item in tied:
        sums[layer[item]][0] += rank[item]
        sums[layer[item]][1] += 1
    means = [total / number if number else 0.0 for total, number in sums]
    for item in order:
        if not before[item] and not after[item]:
            layer[item] = min(range(depth), key=lambda n: (abs(means[n] - rank[item]), n))


def _balanced(items: Sequence[int], layer: Mapping[int, int], limit: int) -> list[list[int]]:
    """Columns from layers: neither far more columns than rows, nor a column that is a tower."""
    depth = max(layer.values()) + 1
    widest = max(limit, ceil(limit / 6 * sqrt(len(items))))
    tallest = max(6, ceil(1.5 * len(items) / widest))
    if depth > widest:
        layer = {item: n * widest // depth for item, n in layer.items()}
    stacks: dict[int, list[int]] = {}
    for item in items:
        stacks.setdefault(layer[item], []).append(item)
    found = []
    for _, stack in sorted(stacks.items()):
        parts = ceil(len(stack) / tallest)
        height = ceil(len(stack) / parts)
        found += [stack[n : n + height] for n in range(0, len(stack), height)]
    return found
