# SPDX-License-Identifier: Apache-2.0
"""Lays out one box of the picture (a trust zone, or the whole): columns, ways of flows through it, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bastide.report.placing import PITCH, TRACK, Slot, Wire, arrange, join, tracks

Point = tuple[float, float]
CARD_HEIGHT = 56.0
_TITLE, _PAD, _BORDER_CHANNEL, _CHANNEL = 34.0, 16.0, 16.0, 36.0
_LABEL_PAD, _ARROW_ROOM = 8.0, 12.0


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide the texts are that the boxes have to hold."""

    card: float = 156.0
    """Of every component."""
    title: float | None = None
    """Of the title of the box that is laid out; None: no title and no border."""


@dataclass(frozen=True, slots=True)
class Link:
    """The part of a flow within one box; an end of None is the box's border on that side.

    A hook joins two items of one column on their east sides.
    """

    flow: int
    left: int | None
    right: int | None
    hook: bool = False
    label: float = 0.0
    """Width of the label to draw here; 0 for none."""

    def ends(self) -> list[tuple[int, str]]:
        """The items at its ends, each with the side that it meets."""
        sides = ((self.left, "e"), (self.right, "e" if self.hook else "w"))
        return [(item, side) for item, side in sides if item is not None]


@dataclass(slots=True)
class Room:
    """A box that is laid out; positions count from its own upper left corner."""

    width: float = 0.0
    height: float = 0.0
    at: dict[int, Point] = field(default_factory=dict)
    sizes: dict[int, Point] = field(default_factory=dict)
    pieces: dict[int, list[Point]] = field(default_factory=dict)
    """The way of each flow, from left to right."""
    labels: dict[int, Point] = field(default_factory=dict)
    ports: dict[tuple[int, str], float] = field(default_factory=dict)
    """Where each flow crosses the border, from the top."""


def lay_out(columns: Sequence[Sequence[int]], links: Sequence[Link], inner: Mapping[int, Room], widths: Widths) -> Room:
    """Places the items of the columns and routes the links.

    inner: the items that are boxes themselves.
    """
    crowd: dict[tuple[int, str], int] = {}
    for link in links:
        for end in link.ends():
            crowd[end] = crowd.get(end, 0) + 1
    slots = {i: _slot(i, inner.get(i), crowd, widths.card) for c in columns for i in c}
    where = {i: n for n, c in enumerate(columns, 1) for i in c}
    grid: list[list[Slot]] = [[], *([slots[i] for i in c] for c in columns), []]
    laid = [(link, _wires(link, slots, where, grid)) for link in links]
    arrange(grid)
    return _measure(grid, laid, widths)


def _slot(item: int, room: Room | None, crowd: Mapping[tuple[int, str], int], width: float) -> Slot:
    if room is not None:
        return Slot(room.height, room.width, item, room.ports)
    busiest = max(crowd.get((item, "w"), 0), crowd.get((item, "e"), 0))
    return Slot(max(CARD_HEIGHT, PITCH * busiest + 12), width, item)


def _wires(link: Link, slots: Mapping[int, Slot], where: Mapping[int, int], grid: list[list[Slot]]) -> list[Wire]:
    """The wires of one link, with passages through the columns in between."""
    if link.hook and link.left is not None and link.right is not None:
        return [join(link.flow, slots[link.left], slots[link.right], hook=True)]
    first = 0 if link.left is None else where[link.left]
    last = len(grid) - 1 if link.right is None else where[link.right]
    row: list[Slot] = []
    for n in range(first, last + 1):
        end = link.left if n == first else link.right if n == last else None
        row.append(Slot(PITCH) if end is None else slots[end])
        if end is None:
            grid[n].append(row[-1])
    return [join(link.flow, a, b) for a, b in pairwise(row)]


@dataclass(slots=True)
class _Rulers:
    """Left edge and width of each column, and where the vertical tracks right of it begin."""

    x: list[float]
    width: list[float]
    channel: list[float]
    column: dict[int, int]
    """Of each slot, by its identity."""


def _measure(grid: list[list[Slot]], laid: Sequence[tuple[Link, list[Wire]]], widths: Widths) -> Room:
    """Turns the arranged slots into positions."""
    framed = widths.title is not None
    everything = [s for c in grid for s in c]
    top = min((s.y for s in everything), default=0.0) - (_TITLE if framed else 0.0)
    bottom = max((s.y + s.height for s in everything), default=0.0) + (_PAD if framed else 0.0)
    for slot in everything:
        slot.y -= top
    rulers = _rulers(grid, laid, framed)
    room = Room(rulers.x[-1], bottom - top)
    if widths.title is not None:
        room.width = max(room.width, widths.title, widths.card + 2 * _BORDER_CHANNEL)
        rulers.x[-1] = room.width
        room.height = max(room.height, _TITLE + _PAD)
    for x, width, column in zip(rulers.x, rulers.width, grid, strict=True):
        for slot in column:
            if slot.item is not None:
                room.at[slot.item] = (x + (width - slot.width) / 2, slot.y)
                room.sizes[slot.item] = (slot.width, slot.height)
    for link, wires in laid:
        _trace(link, wires, room, rulers)
    return room


def _rulers(grid: list[list[Slot]], laid: Sequence[tuple[Link, list[Wire]]], framed: bool) -> _Rulers:
    widths = [max((s.width for s in c), default=0.0) for c in grid]
    column = {id(s): n for n, c in enumerate(grid) for s in c}
    labels = [0.0] * len(grid)
    for link, wires in laid:
        if not link.label:
            continue
        if _has_passage(wires):
            n = column[id(wires[0].right)]
            widths[n] = max(widths[n], link.label)
        else:
            n = column[id(wires[0].left)]
            labels[n] = max(labels[n], link.label + _LABEL_PAD)
    x, xs, channels = 0.0, [0.0], []
    for n, slots in enumerate(grid[:-1]):
        wires = [w for s in slots for w in s.east if w.left is s]
        least = _CHANNEL if 0 < n < len(grid) - 2 else _BORDER_CHANNEL if framed else 0.0
        count = tracks(wires)
        channels.append(x + widths[n] + labels[n] + _LABEL_PAD)
        needed = labels[n] + _LABEL_PAD + count * TRACK + _ARROW_ROOM if count or labels[n] else least
        x += widths[n] + max(least, needed)
        xs.append(x)
    return _Rulers(xs, widths, channels, column)


def _has_passage(wires: Sequence[Wire]) -> bool:
    return len(wires) > 1


def _trace(link: Link, wires: list[Wire], room: Room, rulers: _Rulers) -> None:
    """Notes the points of a link, its ports and where its label begins."""
    x, y = rulers.x[0], wires[0].y1
    if link.left is not None:
        x = room.at[link.left][0] + room.sizes[link.left][0]
    points = [(x, y)]
    for wire in wires:
        if wire.hook or wire.y1 != wire.y2:
            turn = rulers.channel[rulers.column[id(wire.left)]] + wire.track * TRACK
            points += [(turn, wire.y1), (turn, wire.y2)]
    x, y = rulers.x[-1], wires[-1].y2
    if link.right is not None:
        x = room.at[link.right][0] + (room.sizes[link.right][0] if link.hook else 0.0)
    points.append((x, y))
    room.pieces[link.flow] = points
    if link.left is None:
        room.ports[link.flow, "w"] = wires[0].y1
    if link.right is None:
        room.ports[link.flow, "e"] = y
    if link.label and _has_passage(wires):
        n = rulers.column[id(wires[0].right)]
        room.labels[link.flow] = (rulers.x[n] + (rulers.width[n] - link.label) / 2, wires[0].y2)
    elif link.label:
        n = rulers.column[id(wires[0].left)]
        room.labels[link.flow] = (rulers.x[n] + rulers.width[n] + 6, wires[0].y1)
