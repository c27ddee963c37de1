# SPDX-License-Identifier: Apache-2.0
"""What a plan's text would have to become to say what is there: additions and changed values only, comments and order stay. Pure.

Nothing is taken out: whether something that is missing should go is a person's decision.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.merge import NOWHERE, Difference, Merge, Standing
from bastide.discover.plan import to_plan
from bastide.discover.result import Discovery
from bastide.errors import InputError
from bastide.plan.load import parse_plan
from bastide.plan.model import Component, Flow, Plan, Value
from bastide.plan.save import dump, scalar
from bastide.plan.vocabulary import Vocabulary
from bastide.plan.yamlfile import Node, parse


def proposal(text: str, file: str, plan: Plan, found: Discovery, merged: Merge, vocabulary: Vocabulary) -> str:
    """A unified diff of the plan's file; '' when there is nothing to write, or it can't be written without touching more than it should.

    The result is read again before it is offered: a proposal that isn't a plan is none.
    """
    proposed = _changed(text, file, plan, found, merged, vocabulary)
    if proposed == text:
        return ""
    try:
        parse_plan(proposed, vocabulary, file)
    except InputError:
        return ""
    lines = difflib.unified_diff(
        text.splitlines(keepends=True), proposed.splitlines(keepends=True), f"a/{file}", f"b/{file}"
    )
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _changed(text: str, file: str, plan: Plan, found: Discovery, merged: Merge, vocabulary: Vocabulary) -> str:
    root = parse(text, file)
    lines = text.split("\n")
    edits = [*_values(root, lines, merged), *_additions(root, plan, found, merged, vocabulary)]
    for row, old, new in sorted(edits, key=lambda e: -e[0]):
        lines[row : row + (1 if old else 0)] = new
    return "\n".join(lines)


Edit = tuple[int, bool, list[str]]
"""Row from 0, whether the row is replaced (else lines go in before it), the new lines."""


# --- changed values -------------------------------------------------------------------------------------------------
def _values(root: Node, lines: Sequence[str], merged: Merge) -> Iterator[Edit]:
    rows: dict[int, str] = {}
    changes = [change for d in merged.of(Standing.CONTRADICTED) for change in _changes(root, d)]
    for node, value in sorted(changes, key=lambda c: (c[0].line, -c[0].column)):
        row, column = node.line - 1, node.column - 1
        line = rows.get(row, lines[row])
        old = node.written if node.plain else f"{line[column]}{node.written}{line[column]}"
        if line[column : column + len(old)] == old and node.written:
            rows[row] = line[:column] + value + line[column + len(old) :]
    for row, line in rows.items():
        yield row, True, [line]


def _changes(root: Node, difference: Difference) -> Iterator[tuple[Node, str]]:
    """Scalars of the plan's text and what they become: the value, and where it was found when the plan said where."""
    components = root.get("components")
    component = components.get(difference.part) if components is not None else None
    node = component.get(difference.attribute) if component is not None and component.is_map else None
    evidence = node.get("evidence") if node is not None and node.is_map else None
    if node is not None and node.is_map:
        node = node.get("value")
    if node is None or node.is_list or not node.plain:
        return
    yield node, _written(difference.found)
    if evidence is not None and difference.place != NOWHERE:
        yield evidence, scalar(str(difference.place))


def _written(value: Value | None) -> str:
    return scalar(value) if isinstance(value, (str, bool)) else f"[{', '.join(map(scalar, value or ()))}]"


# --- additions ------------------------------------------------------------------------------------------------------
def _additions(root: Node, plan: Plan, found: Discovery, merged: Merge, vocabulary: Vocabulary) -> Iterator[Edit]:
    whole = to_plan(found, vocabulary, plan.id)
    names = {f: p for p, f in merged.pairs.items()}
    new = [d.part for d in merged.of(Standing.UNDOCUMENTED) if d.part in whole.components]
    taken = {*plan.components, *plan.data, *plan.zones, *plan.identities}
    names |= {id_: _free(id_, taken) for id_ in new}
    components = {names[id_]: _fitted(whole.components[id_], names[id_], plan) for id_ in new}
    wanted = {d.part for d in merged.of(Standing.UNDOCUMENTED)}
    flows = [_renamed(f, names, plan) for f in whole.flows.values() if f.source in names and f.target in names]
    flows = [
        f for f in flows if f"{f.source}->{f.target}" in wanted or f.source in components or f.target in components
    ]
    text = dump(
        replace(
            plan,
            components=components,
            flows={f.id: f for f in flows},
            data={},
            zones={},
            identities={},
            claims=(),
            extensions={},
        )
    )
    for section in ("components", "flows"):
        if addition := _section(text, section):
            yield _insertion(root, section, addition)


def _free(id_: str, taken: set[str]) -> str:
    name = next(n for n in (id_, *(f"{id_}-{i}" for i in range(2, 1000))) if n not in taken)
    taken.add(name)
    return name


def _fitted(component: Component, id_: str, plan: Plan) -> Component:
    """The component in the zones, identities and data of the written plan."""
    zone = component.zone if component.zone in plan.zones else None
    runs_as = component.runs_as if component.runs_as in plan.identities else None
    return replace(
        component, id=id_, zone=zone, runs_as=runs_as, holds=tuple(d for d in component.holds if d in plan.data)
    )


def _renamed(flow: Flow, names: Mapping[str, str], plan: Plan) -> Flow:
    source, target = names[flow.source], names[flow.target]
    data = tuple(d for d in flow.data if d in plan.data)
    return replace(
        flow, id=f"{source}{'<->' if flow.both_ways else '->'}{target}", source=source, target=target, data=data
    )


def _section(text: str, section: str) -> list[str]:
    lines = text.split("\n")
    if f"{section}:" not in lines:
        return []
    start = lines.index(f"{section}:") + 1
    end = next((n for n in range(start, len(lines)) if lines[n] and not lines[n].startswith(" ")), len(lines))
    return [line for line in lines[start:end] if line.strip()]


def _insertion(root: Node, section: str, addition: list[str]) -> Edit:
    """After the last line of the section; at the end of the file when there is none."""
    lines = root.document.lines
    node = root.get(section)
    if node is None or not (node.is_map or node.is_list) or not node.value:
        return len(lines) if lines[-1] else len(lines) - 1, False, ["", f"{section}:", *addition]
    starts = sorted(key_node.line for _, key_node, _ in root.items() if key_node.line > node.line)
    end = starts[0] - 1 if starts else len(lines)
    while end > 0 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end, False, addition
