# SPDX-License-Identifier: Apache-2.0
"""Where things stand in one box of the picture: order within columns, heights, and ways between the columns.

A *slot* is a place in a column: an item, or the passage of a flow past the items of that column, or the point
where a flow crosses the border of the box. A *wire* is the piece of a flow between two slots of neighbouring
columns.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

PITCH = 16.0
"""Least distance of two flows that run side by side: a line and its label."""
TRACK = 9.0
"""Distance of vertical lines between two columns."""
_SWEEPS = 8


@dataclass(slots=True, eq=False)
class Slot:
    """A place in a column."""

    height: float
    width: float = 0.0
    item: int | None = None
    ports: dict[tuple[int, str], float] | None = None
    """Where each flow meets the side `w` or `e`, from the top; None: free, on all of the side."""
    west: list[Wire] = field(default_factory=list)
    east: list[Wire] = field(default_factory=list)
    y: float = 0.0
    index: int = 0

    @property
    def passage(self) -> bool:
        """Whether only a flow runs here."""
        return self.item is None


@dataclass(slots=True, eq=False)
class Wire:
    """A piece of flow `flow` from `left` to `right`; the offsets are from the slots' tops.

    A hook leaves and enters on the east side, for two slots of one column.
    """

    flow: int
    left: Slot
    right: Slot
    hook: bool = False
    left_at: float = 0.0
    right_at: float = 0.0
    track: int = 0

    @property
    def y1(self) -> float:
        """Height at the left end."""
        return self.left.y + self.left_at

    @property
    def y2(self) -> float:
        """Height at the right end."""
        return self.right.y + self.right_at


def join(flow: int, left: Slot, right: Slot, *, hook: bool = False) -> Wire:
    """A wire between two slots, known to both."""
    wire = Wire(flow, left, right, hook)
    left.east.append(wire)
    (right.east if hook else right.west).append(wire)
    return wire


def arrange(columns: list[list[Slot]]) -> None:
    """Orders the slots of each column, gives them heights and the wires their ends."""
    _order(columns)
    _ends(columns, evenly=True)
    _heights(columns)
    for _ in range(3):
        _ends(columns, evenly=False)
        _straighten(columns)
    _ends(columns, evenly=False)


def tracks(wires: Iterable[Wire]) -> int:
    """Gives each wire between two columns a track so that none runs over another; returns their count."""
    taken: list[list[tuple[float, float]]] = []
    bent = [w for w in wires if w.hook or abs(w.y1 - w.y2) > 0.5]
    # Of those that go down the lowest turns first, of those that go up the highest: so parallels don't cross.
    down = sorted((w for w in bent if w.y2 >= w.y1), key=lambda w: (-w.y1, -w.y2, w.flow))
    up = sorted((w for w in bent if w.y2 < w.y1), key=lambda w: (w.y1, w.y2, w.flow))
    for wire in (*down, *up):
        low, high = min(wire.y1, wire.y2) - 4, max(wire.y1, wire.y2) + 4
        free = (n for n, spans in enumerate(taken) if all(high < a or low > b for a, b in spans))
        wire.track = next(free, len(taken))
        if wire.track == len(taken):
            taken.append([])
        taken[wire.track].append((low, high))
    return len(taken)


def _order(columns: list[list[Slot]]) -> None:
    """Fewest crossings that a few barycentre sweeps find."""
    _number(columns)
    best, least = [list(c) for c in columns], _crossings(columns)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            keys = {id(slot): _barycentre(slot, forward) for slot in column}
            column.sort(key=lambda slot: (keys[id(slot)], slot.index))
            for n, slot in enumerate(column):
                slot.index = n
        count = _crossings(columns)
        if count < least:
            best, least = [list(c) for c in columns], count
        if not least:
            break
    for column, order in zip(columns, best, strict=True):
        column[:] = order
    _number(columns)


def _number(columns: Iterable[Sequence[Slot]]) -> None:
    for column in columns:
        for n, slot in enumerate(column):
            slot.index = n


def _spot(slot: Slot, wire: Wire, side: str) -> float:
    """The place of a wire's end in the order of its column, ports of one slot included."""
    if slot.ports is None or (wire.flow, side) not in slot.ports:
        return slot.index + 0.5
    return slot.index + slot.ports[wire.flow, side] / max(slot.height, 1.0)


def _barycentre(slot: Slot, forward: bool) -> float:
    if forward:
        spots = [_spot(w.left, w, "e") - _own(slot, w, "w") for w in slot.west]
    else:
        spots = [_spot(w.right, w, "w") - _own(slot, w, "e") for w in slot.east if not w.hook]
    return sum(spots) / len(spots) if spots else float(slot.index)


def _own(slot: Slot, wire: Wire, side: str) -> float:
    """A port low on a large slot wants the slot higher."""
    if slot.ports is None or (wire.flow, side) not in slot.ports:
        return 0.0
    return slot.ports[wire.flow, side] / max(slot.height, 1.0) - 0.5


def _crossings(columns: Iterable[Sequence[Slot]]) -> int:
    total = 0
    for column in columns:
        ends = sorted((_spot(w.left, w, "e"), _spot(w.right, w, "w")) for s in column for w in s.east if not w.hook)
        seen: list[float] = []
        for _, right in ends:
            total += len(seen) - bisect_right(seen, right)
            insort(seen, right)
    return total


def _ends(columns: list[list[Slot]], *, evenly: bool) -> None:
    """Where the wires meet their slots: spread evenly at first, then as near to the other end as possible."""
    for column in columns:
        for slot in column:
            _side(slot, slot.west, "w", evenly)
            _side(slot, slot.east, "e", evenly)


def _side(slot: Slot, wires: list[Wire], side: str, evenly: bool) -> None:
    if not wires:
        return
    if slot.passage:
        for wire in wires:
            _set_end(slot, wire, slot.height - 4)
        return
    if slot.ports is not None:
        for wire in wires:
            _set_end(slot, wire, slot.ports[wire.flow, side])
        return
    far: Callable[[Wire], float] = (lambda w: float(_far(slot, w).index)) if evenly else (lambda w: _far_y(slot, w))
    wires.sort(key=lambda w: (w.hook, far(w), w.flow))
    span = PITCH * (len(wires) - 1)
    low, high = slot.y + 8, slot.y + slot.height - 6
    middle = slot.y + slot.height / 2 - span / 2
    wanted = [middle + PITCH * n if evenly else _far_y(slot, w) for n, w in enumerate(wires)]
    for wire, y in zip(wires, spread(wanted, [PITCH] * len(wires), low=low, high=max(low, high - span)), strict=True):
        _set_end(slot, wire, y - slot.y)


def _far(slot: Slot, wire: Wire) -> Slot:
    return wire.right if wire.left is slot else wire.left


def _far_y(slot: Slot, wire: Wire) -> float:
    return wire.y2 if wire.left is slot else wire.y1


def _set_end(slot: Slot, wire: Wire, at: float) -> None:
    if wire.left is slot:
        wire.left_at = at
    else:
        wire.right_at = at


def _gap(above: Slot, below: Slot) -> float:
    if above.passage and below.passage:
        return 0.0
    return 10.0 if above.passage or below.passage else 22.0


def _heights(columns: list[list[Slot]]) -> None:
    """Moves slots so that wires run straight where they can, keeping order and distance."""
    steps = [[s.height + _gap(s, t) for s, t in pairwise(c)] for c in columns]
    for column, step in zip(columns, steps, strict=True):
        y = -(sum(step) + (column[-1].height if column else 0)) / 2
        for slot, distance in zip(column, [*step, 0.0], strict=False):
            slot.y = y
            y += distance
    for sweep in range(_SWEEPS):
        numbered = list(zip(columns, steps, strict=True))
        for column, step in numbered if sweep % 2 == 0 else reversed(numbered):
            _settle(column, step, both=sweep >= 2)


def _settle(column: list[Slot], step: list[float], *, both: bool) -> None:
    if not column:
        return
    wanted, weights = [], []
    for slot in column:
        pulls = [(w.y1 - w.right_at, 4.0 if w.left.passage and slot.passage else 1.0) for w in slot.west]
        if both or not pulls:
            pulls += [
                (w.y2 - w.left_at, 4.0 if w.right.passage and slot.passage else 1.0) for w in slot.east if not w.hook
            ]
        weight = sum(p for _, p in pulls)
        wanted.append(sum(y * p for y, p in pulls) / weight if weight else slot.y)
        weights.append(weight or 0.1)
    for slot, y in zip(column, spread(wanted, step, weights=weights), strict=True):
        slot.y = y


def _straighten(columns: list[list[Slot]]) -> None:
    """Moves each slot, where there is room, to where most of its wires run straight."""
    for column in (*columns, *reversed(columns)):
        for n, slot in enumerate(column):
            room = _room(column, n)
            bends = [w.y1 - w.y2 for w in slot.west] + [w.y2 - w.y1 for w in slot.east if not w.hook]
            moves = [b for b in bends if room[0] <= b <= room[1]]
            if moves:
                slot.y += max([0.0, *moves], key=lambda m: (sum(abs(b - m) < 0.5 for b in bends), -abs(m)))


def _room(column: Sequence[Slot], n: int) -> tuple[float, float]:
    """How far a slot can move up and down before it meets its neighbours."""
    slot, up, down = column[n], float("-inf"), float("inf")
    if n > 0:
        above = column[n - 1]
        up = above.y + above.height + _gap(above, slot) - slot.y
    if n + 1 < len(column):
        below = column[n + 1]
        down = below.y - slot.height - _gap(slot, below) - slot.y
    return up, down


def spread(
    wanted: Sequence[float],
    step: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    low: float = float("-inf"),
    high: float = float("inf"),
) -> list[float]:
    """Positions as close to `wanted` as possible (least squares) with at least `step[n]` from n to n+1.

    The first is at least `low`, each at most `high` plus the steps before it. Pools adjacent violators.
    """
    offset, offsets = 0.0, []
    for n in range(len(wanted)):
        offsets.append(offset)
        offset += step[n] if n < len(step) else 0.0
    pools: list[list[float]] = []  # weighted sum, weight, members
    for n, want in enumerate(wanted):
        weight = weights[n] if weights else 1.0
        pools.append([(want - offsets[n]) * weight, weight, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            total, heft, members = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + heft, pools[-1][2] + members]
    found: list[float] = []
    for total, heft, members in pools:
        base = min(max(total / heft, low), high)
        found += [base + offsets[n] for n in range(len(found), len(found) + int(members))]
    return found
