# SPDX-License-Identifier: Apache-2.0
"""Draws the picture of a system as SVG: trust zones as boxes, components as cards, flows with their data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bastide.plan.model import Component, Flow, Plan, Zone
from bastide.plan.vocabulary import Vocabulary
from bastide.report.layout import Box, Layout, Line, layout
from bastide.report.shapes import LOCK, OPEN_LOCK, SHAPES, symbols
from bastide.report.text import clean, escape, fit, listed, width, wrap
from bastide.threats.model import Assessment, Severity

TRUST_NAMES: Mapping[str, str] = {
    "none": "no trust: anybody",
    "third-party": "another organisation",
    "enterprise": "the organisation's network",
    "workload": "this system",
    "restricted": "restricted part of it",
    "unknown": "trust unknown",
}
_MARGIN, _LEGEND = 16.0, 58.0
_NAME, _CAPTION, _LABEL = 13.0, 11.0, 11.0
_BOLD = 1.16
_LABEL_ROOM, _GLYPH = 88.0, 12.0
_TEXT_LEFT = 40.0
_CORNER = 7.0


def draw(plan: Plan, vocabulary: Vocabulary, assessment: Assessment | None = None, *, standalone: bool = True) -> str:
    """The picture of a plan as one `<svg>` element.

    assessment: marks each component with the number and the worst severity of open findings on it.
    standalone: with its own style, light and dark, as a file needs it; a page that has it goes without.

    Every component, flow and zone carries its id in `data-id`.
    """
    names = {d.id: d.label for d in plan.data.values()}
    where = layout(plan, lambda flow: _label_width(flow, names), _title_width, _card_width(plan, vocabulary))
    return "".join(_Drawing(plan, vocabulary, where, names, _marks(assessment)).render(standalone))


@lru_cache(maxsize=1)
def style() -> str:
    """The style of the picture."""
    return (Path(__file__).parent / "static" / "picture.css").read_text(encoding="utf-8")


def shape_of(component: Component, vocabulary: Vocabulary) -> str:
    """The name of the small picture for a component's kind."""
    kind = vocabulary.kinds.get(component.kind)
    return kind.draw if kind and kind.draw in SHAPES else "box"


def _card_width(plan: Plan, vocabulary: Vocabulary) -> float:
    """As wide as the titles of kinds and the words of names need, within bounds."""
    need = 0.0
    for component in plan.components.values():
        words = clean(component.label[:200]).split()
        kind = vocabulary.kinds.get(component.kind)
        need = max(need, width(kind.title, _CAPTION) if kind else 0.0)
        need = max([need, *(width(word, _NAME * _BOLD) for word in words)])
    return min(max(need + _TEXT_LEFT + 10, 124.0), 176.0)


def sealing(flow: Flow) -> str:
    """`encrypted`, `not encrypted`, or '' where it isn't known."""
    encrypted = flow.value("encrypted")
    return "" if encrypted is None else "encrypted" if encrypted is True else "not encrypted"


@dataclass(frozen=True, slots=True)
class Mark:
    """The open findings at a component."""

    count: int
    severity: Severity


def _marks(assessment: Assessment | None) -> dict[str, Mark]:
    """Counted at the end of each finding's path, where the harm is done."""
    found: dict[str, Mark] = {}
    for finding in assessment.open if assessment else ():
        if not finding.path:
            continue
        old = found.get(finding.path[-1])
        worst = max(old.severity, finding.severity, key=lambda s: s.rank) if old else finding.severity
        found[finding.path[-1]] = Mark((old.count if old else 0) + 1, worst)
    return found


def _label_width(flow: Flow, names: Mapping[str, str]) -> float:
    text = _label_text(flow, names)
    return (width(text, _LABEL) if text else 0.0) + (_GLYPH if sealing(flow) else 0.0)


def _label_text(flow: Flow, names: Mapping[str, str]) -> str:
    if flow.data:
        return listed([names.get(d, d) for d in flow.data], _LABEL_ROOM, _LABEL)
    verb = flow.value("verb")
    return fit(flow.name or (str(verb) if verb and verb != "send" else ""), _LABEL_ROOM, _LABEL)


def _n(number: float) -> str:
    """A coordinate, short."""
    return f"{number:.1f}".removesuffix(".0")


@dataclass(slots=True)
class _Drawing:
    plan: Plan
    vocabulary: Vocabulary
    where: Layout
    names: Mapping[str, str]
    marks: Mapping[str, Mark]
    shapes: dict[str, str] = field(default_factory=dict)

    def render(self, standalone: bool) -> Iterator[str]:
        width = max(self.where.width + 2 * _MARGIN, 640.0)
        height = self.where.height + 2 * _MARGIN + _LEGEND
        self.shapes = {id: shape_of(c, self.vocabulary) for id, c in self.plan.components.items()}
        yield '<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img"'
        yield f' aria-labelledby="picture-title picture-text" width="{_n(width)}" height="{_n(height)}"'
        yield f' viewBox="{_n(-_MARGIN)} {_n(-_MARGIN)} {_n(width)} {_n(height)}">'
        yield f'<title id="picture-title">{escape(self.plan.name or self.plan.id)}</title>'
        yield f'<desc id="picture-text">{escape(self._summary())}</desc>'
        if standalone:
            yield f"<style>{style()}</style>"
            yield _rect("paper", -_MARGIN, -_MARGIN, width, height, 0)
        yield f"<defs>{symbols(set(self.shapes.values()))}</defs>"
        yield '<g id="picture-body" class="picture">'
        for id, zone_box in self.where.zones.items():
            yield self._zone(self.plan.zones[id], zone_box)
        for line in self.where.lines:
            yield self._flow(self.plan.flows[line.flow], line)
        for id, card in self.where.components.items():
            yield self._component(self.plan.components[id], card)
        yield "</g>"
        yield from self._legend(self.where.height + _MARGIN)
        yield "</svg>"

    def _summary(self) -> str:
        plan = self.plan
        size = f"{len(plan.components)} components in {len(plan.zones)} trust zones, {len(plan.flows)} flows"
        return f"{size}. Content moves from left to right where the design allows it."

    def _zone(self, zone: Zone, box: Box) -> str:
        trust, (name, caption) = _trust(zone), _title(zone)
        return (
            f'<g class="zone trust-{trust}" data-id="{escape(zone.id)}">'
            f"<title>{escape(zone.label)}: trust zone, {escape(TRUST_NAMES[trust])}</title>"
            f"{_rect('', box.x, box.y, box.width, box.height, 12)}"
            f'<text class="zone-name" x="{_n(box.x + 14)}" y="{_n(box.y + 20)}">{escape(name)}'
            f'<tspan class="zone-trust" dx="8">{escape(caption)}</tspan></text></g>'
        )

    def _component(self, component: Component, box: Box) -> str:
        kind = self.vocabulary.kinds.get(component.kind)
        title = kind.title if kind else component.kind
        shape = self.shapes[component.id]
        mark = self.marks.get(component.id)
        x, middle, room = box.x + _TEXT_LEFT, box.y + box.height / 2, box.width - _TEXT_LEFT - 8
        lines = wrap(component.label, room, _NAME * _BOLD)
        top = middle - 7.5 * (len(lines) - 1) - 2
        names = "".join(_text("name", x, top + 15 * n, text) for n, text in enumerate(lines))
        says = f"{component.label}: {title}" + (f"; {mark.count} open, worst {mark.severity}" if mark else "")
        return (
            f'<g class="node shape-{shape}" data-id="{escape(component.id)}"><title>{escape(says)}</title>'
            f"{_rect('card', box.x, box.y, box.width, box.height, 16 if shape in ('person', 'cloud') else 9)}"
            f'<use href="#shape-{shape}" x="{_n(box.x + 10)}" y="{_n(middle - 12)}" width="24" height="24"/>'
            f"{names}{_text('kind', x, top + 15 * len(lines) - 1, fit(title, room, _CAPTION))}"
            f"{_badge(mark, box.x - 6, box.y - 8) if mark else ''}</g>"
        )

    def _flow(self, flow: Flow, line: Line) -> str:
        state = {"encrypted": "sealed", "not encrypted": "clear"}.get(sealing(flow), "dashed")
        way = _curve(line) if line.curved else _way(line)
        heads = _head(line.points[-2], line.points[-1])
        if flow.both_ways:
            heads += _head(line.points[1], line.points[0])
        # Something wider than the line to point at; among thousands of curves nobody can aim anyway.
        hit = "" if line.curved else f'<path class="hit" d="{way}"/>'
        ids = f'data-id="{escape(flow.id)}" data-from="{escape(flow.source)}" data-to="{escape(flow.target)}"'
        return (
            f'<g class="edge {state}" {ids}><title>{escape(self._flow_says(flow))}</title>'
            f"{hit}"
            f'<path class="way" d="{way}"/><path class="head" d="{heads}"/>'
            f"{self._flow_label(flow, *line.label) if line.label else ''}</g>"
        )

    def _flow_says(self, flow: Flow) -> str:
        source, target = (self.plan.components[end].label for end in (flow.source, flow.target))
        what = ", ".join(self.names.get(d, d) for d in flow.data[:12]) or "content"
        arrow = "↔" if flow.both_ways else "→"
        return f"{source} {arrow} {target}: {what}; {sealing(flow) or 'encryption unknown'}"

    def _flow_label(self, flow: Flow, x: float, y: float) -> str:
        glyph = ""
        if sealed := sealing(flow):
            glyph = _lock(sealed == "encrypted", x, y - 13)
            x += _GLYPH
        text = _label_text(flow, self.names)
        return glyph + (_text("carries", x, y - 4, text) if text else "")

    def _legend(self, top: float) -> Iterator[str]:
        """What the colours, glyphs and numbers mean, in two lines."""
        yield f'<g class="legend" transform="translate(0 {_n(top)})">'
        x = 0.0
        present = {_trust(z) for z in self.plan.zones.values()}
        for trust in (t for t in TRUST_NAMES if t in present):
            text = TRUST_NAMES[trust] if trust in ("none", "unknown") else f"{trust} ({TRUST_NAMES[trust]})"
            yield f'<g class="zone trust-{trust}">{_rect("", x, 6, 14, 14, 4)}</g>' + _text("", x + 20, 17, text)
            x += width(text, _CAPTION) * 1.1 + 40
        yield _lock(True, 0, 27) + _text("", 14, 37, "encrypted")
        yield _lock(False, 88, 27) + _text("", 102, 37, "not encrypted")
        yield '<g class="edge dashed"><path class="way" d="M198 33h26"/></g>'
        yield _text("", 230, 37, "encryption unknown") + _badge(Mark(3, Severity.HIGH), 354, 24)
        yield _text("", 382, 37, "open findings that end here") + "</g>"


def _title(zone: Zone) -> tuple[str, str]:
    """A zone's name and, smaller, its trust and cloud."""
    trust, cloud = _trust(zone), zone.value("cloud")
    says = {"none": "no trust", "unknown": "trust unknown"}.get(trust, trust)
    caption = says + (f" · {cloud}" if isinstance(cloud, str) else "")
    return fit(zone.label, 240, _NAME * _BOLD), fit(caption, 160, _CAPTION)


def _title_width(zone: Zone) -> float:
    name, caption = _title(zone)
    return width(name, _NAME * _BOLD) + width(caption, _CAPTION) + 40


def _trust(zone: Zone) -> str:
    trust = str(zone.value("trust"))
    return trust if trust in TRUST_NAMES else "unknown"


def _rect(name: str, x: float, y: float, width: float, height: float, radius: float) -> str:
    style = f' class="{name}"' if name else ""
    return f'<rect{style} x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}"/>'


def _text(name: str, x: float, y: float, text: str) -> str:
    style = f' class="{name}"' if name else ""
    return f'<text{style} x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _lock(closed: bool, x: float, y: float) -> str:
    return f'<g transform="translate({_n(x)} {_n(y)})">{LOCK if closed else OPEN_LOCK}</g>'


def _badge(mark: Mark, x: float, y: float) -> str:
    """The number of findings: filled for critical and high, outlined for the others."""
    text = str(mark.count)
    wide = max(20.0, width(text, 11) + 12)
    number = _text("", x + wide / 2, y + 12.5, text)
    return f'<g class="badge {mark.severity}">{_rect("", x, y, wide, 17, 8.5)}{number}</g>'


def _way(line: Line) -> str:
    """A path with straight pieces and rounded corners."""
    points = line.points
    out = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        near = min(_CORNER, _distance(before, here) / 2, _distance(here, after) / 2)
        start, end = _towards(here, before, near), _towards(here, after, near)
        out.append(f"L{_n(start[0])} {_n(start[1])}Q{_n(here[0])} {_n(here[1])} {_n(end[0])} {_n(end[1])}")
    out.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return "".join(out)


def _curve(line: Line) -> str:
    (a, b), *rest = line.points
    return f"M{_n(a)} {_n(b)}C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in rest)


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: tuple[float, float], b: tuple[float, float], by: float) -> tuple[float, float]:
    length = _distance(a, b) or 1.0
    return a[0] + (b[0] - a[0]) * by / length, a[1] + (b[1] - a[1]) * by / length


def _head(before: tuple[float, float], tip: tuple[float, float]) -> str:
    """An arrowhead; every flow meets its ends from the left or from the right."""
    back = -7 if tip[0] >= before[0] else 7
    return f"M{_n(tip[0])} {_n(tip[1])}l{back} -3.6v7.2z"
