# SPDX-License-Identifier: Apache-2.0
"""Where every part of the picture stands: trust zones as nested boxes, flows from left to right around them.

Each zone is laid out by itself, innermost first, as columns of components and inner zones; a flow that leaves
a zone crosses its border at a port whose height the zone decides, and the zone around it takes the flow on
from there. So no line runs through a box, no two boxes overlap, and the work grows with the number of flows
and the columns that they pass. Where there are more than `ROUTED_FLOWS`, flows are plain curves behind the
boxes, without labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

from bastide.plan.model import Flow, Plan, Zone
from bastide.report.layering import columns, ranks
from bastide.report.rooms import Link, Point, Room, Widths, lay_out

ROUTED_FLOWS = 600
"""Up to so many flows each has its own way and label."""


ROUTED_BORDERS = 12_000
"""And only where they cross no more borders of zones than this, counted at both ends up to the whole."""
_LIMITS = ((9, 8), (7, 6), (6, 5), (5, 4), (4, 4), (4, 3), (3, 3), (3, 2), (2, 2))
"""Columns of the whole picture and of a zone: the first pair is taken with which it isn't too wide."""


@dataclass(frozen=True, slots=True)
class Box:
    """A component or a zone. `depth` counts the zones around it."""

    id: str
    x: float
    y: float
    width: float
    height: float
    depth: int = 0

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any area."""
        beside = self.x + self.width <= other.x or other.x + other.width <= self.x
        return not (beside or self.y + self.height <= other.y or other.y + other.height <= self.y)

    def holds(self, other: Box) -> bool:
        """Whether the other lies wholly inside."""
        across = self.x <= other.x and other.x + other.width <= self.x + self.width
        return across and self.y <= other.y and other.y + other.height <= self.y + self.height


@dataclass(frozen=True, slots=True)
class Line:
    """The way of a flow, from its source to its target; and where its label begins, above the line."""

    flow: str
    points: tuple[Point, ...]
    label: Point | None = None
    curved: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The picture in numbers; (0, 0) is the upper left corner."""

    width: float
    height: float
    components: Mapping[str, Box]
    zones: Mapping[str, Box]
    """Outer zones before inner ones."""
    lines: tuple[Line, ...]


def layout(
    plan: Plan,
    label_width: Callable[[Flow], float] | None = None,
    title_width: Callable[[Zone], float] | None = None,
    card_width: float = 156.0,
) -> Layout:
    """Lays out a plan. The same plan gives the same picture, whatever the machine.

    label_width, title_width: how wide the label of a flow and the title of a zone will be; without, no room
    is left for these. card_width: of every component.
    """
    titles = [title_width(zone) if title_width else 0.0 for zone in plan.zones.values()]
    return _Picture(plan, label_width, titles, card_width).build()


@dataclass(slots=True)
class _Way:
    """How a flow runs through the nesting: its ends from left to right, and the box in which they part."""

    common: int
    left: int
    right: int
    turned: bool
    """Whether it runs from right to left."""
    hook: bool


class _Picture:
    """Nodes are numbers: components first, then zones, then the whole picture."""

    def __init__(
        self, plan: Plan, label_width: Callable[[Flow], float] | None, titles: list[float], card_width: float
    ) -> None:
        self.names = [*plan.components, *plan.zones]
        self.components, self.root = len(plan.components), len(self.names)
        number = {c: n for n, c in enumerate(plan.components)}
        zone_number = {z: n for n, z in enumerate(plan.zones, len(number))}
        inside = [c.zone for c in plan.components.values()] + [z.parent for z in plan.zones.values()]
        self.parent = [zone_number.get(zone, self.root) if zone else self.root for zone in inside] + [-1]
        depth = self._depths()
        self.flows = [f for f in plan.flows.values() if f.source in number and f.target in number]
        self.ends = [(number[f.source], number[f.target]) for f in self.flows]
        borders = sum(depth[source] + depth[target] for source, target in self.ends)
        self.routed = len(self.flows) <= ROUTED_FLOWS and borders <= ROUTED_BORDERS
        self.label_width = label_width if self.routed else None
        self.widths = {n: Widths(card_width, title) for n, title in enumerate(titles, self.components)}
        self.widths[self.root] = Widths(card_width)
        self.children: list[list[int]] = [[] for _ in range(self.root + 1)]
        for node in range(self.root):
            self.children[self.parent[node]].append(node)
        self.boxes = self._inside_out()

    def _depths(self) -> list[int]:
        """How many boxes are around each node. Zones that lie in each other (the reader refuses them) are parted."""
        depth = [-1] * self.root + [0]
        for start in range(self.root):
            way = [start]
            while depth[way[-1]] < 0:
                depth[way[-1]] = 0  # on the way; met again, it closes a cycle
                way.append(self.parent[way[-1]])
            if way[-1] != self.root and way[-1] in way[:-1]:
                self.parent[way[-2]] = way[-1] = self.root
            for node in reversed(way[:-1]):
                depth[node] = depth[self.parent[node]] + 1
        return depth

    def _inside_out(self) -> list[int]:
        """The whole picture and all zones, each after those inside it."""
        order, stack = [], [self.root]
        while stack:
            node = stack.pop()
            order.append(node)
            stack += [c for c in self.children[node] if c >= self.components]
        return order[::-1]

    def build(self) -> Layout:
        """The finished layout."""
        parted = [self._part(source, target) for source, target in self.ends]
        stacks = self._columns(parted)
        ways = self._ways(parted, stacks)
        links: dict[int, list[Link]] = {}
        if self.routed:
            for n, way in enumerate(ways):
                if way is not None:
                    self._link(n, way, links)
        rooms: dict[int, Room] = {}
        for box in self.boxes:
            rooms[box] = lay_out(stacks[box], links.get(box, ()), rooms, self.widths[box])
        return self._absolute(rooms, ways)

    def _part(self, source: int, target: int) -> tuple[int, int, int]:
        """The innermost box around both nodes, and the two items of it that hold them."""
        up, down = self._chain(source), self._chain(target)
        common = self.root
        while len(up) > 1 and len(down) > 1 and up[-1] == down[-1]:
            common = up.pop()
            down.pop()
        return common, up[-1], down[-1]

    def _chain(self, node: int) -> list[int]:
        """The node and what is around it, the whole picture last."""
        chain = [node]
        while chain[-1] != self.root:
            chain.append(self.parent[chain[-1]])
        return chain

    def _columns(self, parted: list[tuple[int, int, int]]) -> dict[int, list[list[int]]]:
        rank: dict[int, float] = dict(enumerate(map(float, ranks(self.components, self.ends))))
        for box in self.boxes:
            members = [rank[c] for c in self.children[box]]
            rank[box] = sum(members) / len(members) if members else 0.0
        between: dict[int, list[tuple[int, int]]] = {}
        for common, a, b in parted:
            if a != b:
                between.setdefault(common, []).append((a, b))
        budget = 5.5 + 0.45 * sqrt(self.components)
        for whole, zone in _LIMITS:
            stacks = {
                box: columns(self.children[box], between.get(box, ()), rank, whole if box == self.root else zone)
                for box in self.boxes
            }
            if self._breadth(stacks) <= budget:
                break
        return stacks

    def _breadth(self, stacks: Mapping[int, list[list[int]]]) -> int:
        """How many components stand side by side at most."""
        breadth: dict[int, int] = {}
        for box in self.boxes:
            breadth[box] = sum(max(breadth.get(i, 1) for i in column) for column in stacks[box]) or 1
        return breadth[self.root]

    def _ways(self, parted: list[tuple[int, int, int]], stacks: Mapping[int, list[list[int]]]) -> list[_Way | None]:
        column = {i: n for stack in stacks.values() for n, c in enumerate(stack) for i in c}
        found: list[_Way | None] = []
        for (source, target), (common, a, b) in zip(self.ends, parted, strict=True):
            if source == target:
                found.append(None)
            elif column[a] <= column[b]:
                found.append(_Way(common, source, target, False, column[a] == column[b]))
            else:
                found.append(_Way(common, target, source, True, False))
        return found

    def _link(self, n: int, way: _Way, links: dict[int, list[Link]]) -> None:
        """Cuts a flow into the parts that lie in one box each."""
        left, right = way.left, way.right
        while self.parent[left] != way.common:
            links.setdefault(self.parent[left], []).append(Link(n, left, None))
            left = self.parent[left]
        while self.parent[right] != way.common:
            link = Link(n, right, None) if way.hook else Link(n, None, right)
            links.setdefault(self.parent[right], []).append(link)
            right = self.parent[right]
        label = self.label_width(self.flows[n]) if self.label_width else 0.0
        links.setdefault(way.common, []).append(Link(n, left, right, way.hook, label))

    def _absolute(self, rooms: Mapping[int, Room], ways: list[_Way | None]) -> Layout:
        corner: dict[int, Point] = {self.root: (0.0, 0.0)}
        whole = rooms[self.root]
        depth, size = {self.root: -1}, {self.root: (whole.width, whole.height)}
        for box in reversed(self.boxes):
            x, y = corner[box]
            for child, (dx, dy) in rooms[box].at.items():
                corner[child], depth[child] = (x + dx, y + dy), depth[box] + 1
            size |= rooms[box].sizes
        boxes = [Box(self.names[n], *corner[n], *size[n], depth[n]) for n in range(self.root)]
        lines = [self._line(n, way, rooms, corner, boxes) for n, way in enumerate(ways)]
        zones = sorted(boxes[self.components :], key=lambda b: b.depth)
        components = {b.id: b for b in boxes[: self.components]}
        return Layout(whole.width, whole.height, components, {b.id: b for b in zones}, tuple(lines))

    def _line(
        self,
        n: int,
        way: _Way | None,
        rooms: Mapping[int, Room],
        corner: Mapping[int, Point],
        boxes: list[Box],
    ) -> Line:
        flow = self.flows[n].id
        if way is None:
            return Line(flow, _loop(boxes[self.ends[n][0]]), curved=True)
        if not self.routed:
            return Line(flow, _curve(boxes[self.ends[n][0]], boxes[self.ends[n][1]]), curved=True)

        def piece(box: int) -> list[Point]:
            x, y = corner[box]
            return [(x + px, y + py) for px, py in rooms[box].pieces[n]]

        points = [p for box in self._around(way.left, way.common) for p in piece(box)]
        points += piece(way.common)
        inward = self._around(way.right, way.common)
        if way.hook:
            points += [p for box in inward for p in piece(box)][::-1]
        else:
            points += [p for box in reversed(inward) for p in piece(box)]
        label = rooms[way.common].labels.get(n)
        x, y = corner[way.common]
        return Line(
            flow,
            _simplified(points[::-1] if way.turned else points),
            (x + label[0], y + label[1]) if label else None,
        )

    def _around(self, node: int, common: int) -> list[int]:
        """The boxes around a node up to, but without, the common one."""
        found = []
        while (node := self.parent[node]) != common:
            found.append(node)
        return found


def _simplified(points: list[Point]) -> tuple[Point, ...]:
    """Without repeats and without points in the middle of a straight piece."""
    found: list[Point] = []
    for point in points:
        if found and abs(found[-1][0] - point[0]) < 0.01 and abs(found[-1][1] - point[1]) < 0.01:
            continue
        if len(found) > 1 and abs(found[-2][1] - found[-1][1]) < 0.01 and abs(found[-1][1] - point[1]) < 0.01:
            found.pop()
        found.append(point)
    return tuple(found)


def _loop(box: Box) -> tuple[Point, ...]:
    """Control points of a flow from a component to itself."""
    x, y = box.x + box.width, box.y + box.height / 2
    return (x, y - 10), (x + 30, y - 24), (x + 30, y + 24), (x, y + 10)


def _curve(source: Box, target: Box) -> tuple[Point, ...]:
    """Control points of a curve between the facing sides of two boxes."""
    left, right = (source, target) if source.x <= target.x else (target, source)
    y1, y2 = left.y + left.height / 2, right.y + right.height / 2
    beside = left.x + left.width <= right.x
    x1, x2 = left.x + left.width, right.x if beside else right.x + right.width
    reach = max(30.0, abs(x2 - x1) / 2)
    points = ((x1, y1), (x1 + reach, y1), (x2 - reach if beside else x2 + reach, y2), (x2, y2))
    return points if left is source else points[::-1]
