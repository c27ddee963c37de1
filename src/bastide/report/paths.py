# SPDX-License-Identifier: Apache-2.0
"""An attack path in words: one hop for each component, with how the attack gets there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bastide.plan.model import Component, Element, Flow, Identity, Plan, Zone
from bastide.plan.vocabulary import Vocabulary
from bastide.report.svg import sealing, shape_of

_VERBS: Mapping[str, str] = {
    "send": "sends",
    "invoke": "makes a call with",
    "query": "makes a query with",
    "retrieve": "hands over",
    "write": "writes",
    "train": "gives for training",
    "deploy": "deploys",
    "publish": "publishes",
    "log": "logs",
    "render": "shows",
    "delegate": "hands over a task with",
}


@dataclass(frozen=True, slots=True)
class Hop:
    """A stop on the path. `via` says how the attack comes here from the stop before; '' at the start."""

    id: str
    name: str
    kind: str
    shape: str
    zone: str
    via: str
    flow: str
    crossing: bool
    """Whether it enters another trust zone."""


def hops(path: Sequence[str], parts: Mapping[str, Element], plan: Plan, vocabulary: Vocabulary) -> Iterator[Hop]:
    """The stops of a path. A flow belongs to the component that it leads to."""
    before: Component | None = None
    flow: Flow | None = None
    for id in path:
        element = parts.get(id)
        if isinstance(element, Flow):
            flow = element
            continue
        via = _via(flow, before, plan) if flow else ""
        if isinstance(element, Component):
            zone = plan.zones[element.zone].label if element.zone and element.zone in plan.zones else ""
            known = vocabulary.kinds.get(element.kind)
            title = known.title if known else element.kind
            crossing = before is not None and before.zone != element.zone
            yield Hop(
                id,
                element.label,
                title,
                shape_of(element, vocabulary),
                zone,
                via,
                flow.id if flow else "",
                crossing,
            )
            before = element
        else:
            yield Hop(
                id,
                element.label if element else id,
                _type(element),
                "",
                "",
                via,
                flow.id if flow else "",
                False,
            )
        flow = None
    if flow is not None:
        yield Hop(flow.id, _ends(flow, plan), "Flow", "", "", "", flow.id, False)


def _type(element: Element | None) -> str:
    if isinstance(element, Identity):
        return "Identity"
    return "Trust zone" if isinstance(element, Zone) else "Data"


def _ends(flow: Flow, plan: Plan) -> str:
    ends = [plan.components[end].label if end in plan.components else end for end in (flow.source, flow.target)]
    return flow.name or f"{ends[0]} {'↔' if flow.both_ways else '→'} {ends[1]}"


def _via(flow: Flow, before: Component | None, plan: Plan) -> str:
    """How content takes this flow, seen from where it comes."""
    verb = str(flow.value("verb") or "send")
    back = before is not None and before.id == flow.target and flow.target != flow.source
    names = [plan.data[d].label if d in plan.data else d for d in flow.data]
    what = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    if back:
        return (f"answers with {what}" if what else "answers") + _how(flow)
    return f"{_VERBS.get(verb, 'sends')} {what or 'content'}{_how(flow)}"


def _how(flow: Flow) -> str:
    protocol = flow.value("protocol")
    parts = [f"over {protocol}" if isinstance(protocol, str) else "", sealing(flow)]
    approval = flow.value("approval")
    if flow.value("verb") == "invoke" and approval == "human":
        parts.append("after a person approves")
    said = [p for p in parts if p]
    return f" ({', '.join(said)})" if said else ""
