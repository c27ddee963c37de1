# SPDX-License-Identifier: Apache-2.0
"""What a plan says about a model that it uses: data it learnt from, what it works with, owner, purpose, controls."""

from __future__ import annotations

from collections.abc import Iterable

from bastide.errors import Location
from bastide.plan.model import Component, Data, Element, Plan
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.model import Origin, Use

_KINDS = ("ai.model", "ai.embedder", "ai.reranker", "ml.artifact", "ml.adapter")


def model_components(plan: Plan) -> list[Component]:
    """The plan's models."""
    return [
        c for c in plan.components.values() if c.kind in _KINDS or c.kind.startswith(tuple(f"{k}." for k in _KINDS))
    ]


def component_of(plan: Plan, names: Iterable[str], alone: bool) -> Component | None:
    """The component that is a model: by its id or name, or the only model of the plan when the bill has only one."""
    models = model_components(plan)
    wanted = {_plain(name) for name in names if name}
    named = [c for c in models if {_plain(c.id), _plain(c.name)} & wanted]
    if named:
        return named[0]
    return models[0] if alone and len(models) == 1 else None


def _plain(name: str) -> str:
    return name.rpartition("/")[2].lower().replace("_", "-")


def read_plan(draft: Draft, plan: Plan, component: Component) -> None:
    """All that a plan says about one of its models."""
    at = _origin(component.location)
    draft.say("use.intended", plan.purpose, _origin(plan.location, "the system's purpose"))
    draft.say("description", component.description, at)
    draft.say("developer", component.owner, Origin(at.file, at.line, "the owner in the plan"))
    for attribute, field in (("output", "outputs"), ("modalities", "inputs"), ("format", "precision")):
        for value in _texts(component, attribute):
            draft.say(field, value, _fact(component, attribute))
    for value in ", ".join(_texts(component, "trained-on")).split(","):
        if (data := plan.data.get(value.strip())) is not None:
            _data(draft, data, _fact(component, "trained-on"))
        elif value.strip():
            draft.dataset(value.strip(), [Use.TRAINED], _fact(component, "trained-on"))
    for flow in plan.flows.values():
        if component.id in (flow.source, flow.target):
            arrow = "<->" if flow.both_ways else "->"
            carried = f" ({', '.join(flow.data)})" if flow.data else ""
            draft.say("interaction", f"{flow.source} {arrow} {flow.target}{carried}", _origin(flow.location))
    for claim in plan.claims:
        if component.id in claim.on or "system" in claim.on:
            by = f" by {claim.by}" if claim.by else ""
            draft.say("security.measures", f"{claim.control}{by} ({claim.source})", _origin(claim.location))


def _data(draft: Draft, data: Data, origin: Origin) -> None:
    name = data.label
    if draft.dataset(name, [Use.TRAINED], origin) is None:
        return
    draft.describe(name, "description", data.description, _origin(data.location))
    draft.describe(name, "owner", data.owner, _origin(data.location))
    for attribute, field in (
        ("class", "classification"),
        ("contains", "personal"),
        ("residency", "residency"),
        ("retention", "retention"),
    ):
        for value in _texts(data, attribute):
            draft.describe(name, field, value, _fact(data, attribute))
    for value in _texts(data, "licence"):
        draft.data_licence(name, value, _fact(data, "licence"))
    if data.value("deidentified") is True:
        draft.describe(name, "anonymisation", "direct identifiers are removed", _fact(data, "deidentified"))


def _texts(element: Element, attribute: str) -> tuple[str, ...]:
    value = element.value(attribute)
    if value is None or isinstance(value, bool):
        return ()
    return value if isinstance(value, tuple) else (value,)


def _fact(element: Element, attribute: str) -> Origin:
    fact = element.facts.get(attribute)
    location = fact.location if fact and fact.location.file else element.location
    return _origin(location)


def _origin(location: Location, how: str = "") -> Origin:
    return Origin(shown(location.file), location.line, how)
