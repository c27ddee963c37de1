# SPDX-License-Identifier: Apache-2.0
"""What was found as a plan: components, flows, identities and facts with their provenance. Pure.

Files say what there is and what talks to what; who writes which data, they rarely say. So content gets four plain names (`prompt`, `documents`,
`tool-data`, `outside-text`), and what isn't known of it stays a question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.baselines import Baseline
from bastide.discover.identify import slug
from bastide.discover.interpret import Fact as FoundFact
from bastide.discover.model import Place, State
from bastide.discover.result import Discovery, Found, FoundFlow
from bastide.discover.zones import zones_of
from bastide.errors import Location
from bastide.plan.model import Component, ControlClaim, Data, Fact, Flow, Identity, Plan, Source, Value
from bastide.plan.vocabulary import Attribute, Vocabulary

_ANSWERED = frozenset({"calls", "invokes", "retrieves", "reads", "serves"})
_VERBS: Mapping[str, str] = {"invokes": "invoke", "retrieves": "retrieve", "writes": "write", "reads": "retrieve", "logs": "log",
                             "trains": "train", "loads": "deploy", "hands-off": "delegate"}  # fmt: skip
_GUARDED: Mapping[str, str] = {"guardrail": "injection-detection"}
_PUBLIC = ("internet",)


def to_plan(found: Discovery, vocabulary: Vocabulary, name: str, baselines: Iterable[Baseline] = ()) -> Plan:
    """The plan. `name`: of the system; its id is made from it. `baselines`: expectations that show controls where they hold."""
    parts = {c.id: c for c in found.components.values() if c.kind in vocabulary.kinds}
    flows = [f for f in found.flows if f.source in parts and f.target in parts and f.verb not in ("runs-as", "trusts")]
    carried = _carried(parts, flows)
    zone_of, zones = zones_of(parts, found.components)
    used = {d for held in carried.values() for d in held} | {d for c in parts.values() for d in _holds(c)}
    outside = any("outside-text" in held for held in carried.values()) or any(_is_public(c) for c in parts.values())
    return Plan(
        id=slug(name) or "system",
        name=name,
        exposure="public" if any(_is_public(c) for c in parts.values()) else "",
        data={d: _DATA[d] for d in _DATA if d in used},
        zones=zones,
        identities=dict(_identities(found, vocabulary)),
        components={
            c.id: _component(c, vocabulary, _runs_as(c, found), zone_of[c.id], outside) for c in parts.values()
        },
        flows=dict(_flows(flows, carried)),
        claims=(*_claims(parts, vocabulary), *_shown(found, parts, vocabulary, baselines)),
    )


def located(plan: Plan, found: Discovery) -> Plan:
    """The plan with each part at the place in the repository where it was found."""
    components = {
        id_: replace(c, location=_location(found.components[id_].provenance)) if id_ in found.components else c
        for id_, c in plan.components.items()
    }
    flows = {
        id_: replace(
            f,
            location=_location(
                [p for g in found.flows if (g.source, g.target) == (f.source, f.target) for p in g.provenance]
            ),
        )
        for id_, f in plan.flows.items()
    }
    identities = {
        id_: replace(i, location=_location(found.components[id_].provenance)) if id_ in found.components else i
        for id_, i in plan.identities.items()
    }
    return replace(plan, components=components, flows=flows, identities=identities)


def _location(places: Sequence[Place]) -> Location:
    return Location(places[0].file, places[0].line) if places else Location()


# --- data ---------------------------------------------------------------------------------------------------------------
_DATA: Mapping[str, Data] = {
    "prompt": Data(id="prompt", name="What people ask", facts={"written-by": Fact("user", Source.DISCOVERED)}),
    "outside-text": Data(
        id="outside-text", name="Text that anybody can write", facts={"written-by": Fact("public", Source.DISCOVERED)}
    ),
    "documents": Data(id="documents", name="Documents for retrieval"),
    "tool-data": Data(id="tool-data", name="What tools are given and give"),
    "records": Data(id="records", name="Stored records"),
    "weights": Data(
        id="weights", name="Model weights", facts={"contains": Fact(("model-weights",), Source.DISCOVERED)}
    ),
}
_KEPT: Mapping[str, str] = {"data.vector-store": "documents", "ai.retriever": "documents", "ai.ingestor": "documents", "ai.tool": "tool-data",
                            "ai.mcp-server": "tool-data", "data": "records", "ml.artifact": "weights", "ext.model-hub": "weights"}  # fmt: skip


def _carried(parts: Mapping[str, Found], flows: Sequence[FoundFlow]) -> dict[str, tuple[str, ...]]:
    """Flow id -> what it carries: what comes in at a door goes on to all that is called from there, up to stores."""
    onward: dict[str, list[FoundFlow]] = {}
    for flow in flows:
        onward.setdefault(flow.source, []).append(flow)
    carried: dict[str, set[str]] = {f.id: set() for f in flows}
    for flow in flows:
        for end in (flow.source, flow.target):
            if data := _kept(parts[end].kind):
                carried[flow.id].add(data)
        if flow.verb == "loads":
            carried[flow.id].add("weights")
    for component in parts.values():
        content = _origin(component)
        if content:
            _spread(component.id, content, onward, parts, carried)
    return {id_: tuple(d for d in _DATA if d in held) for id_, held in carried.items()}


def _origin(component: Found) -> str:
    if component.kind.startswith("actor"):
        return "prompt"
    fact = component.facts.get("untrusted-trigger")
    return "outside-text" if component.kind == "app.entry" or (fact is not None and fact.value is True) else ""


def _spread(
    start: str,
    content: str,
    onward: Mapping[str, list[FoundFlow]],
    parts: Mapping[str, Found],
    carried: dict[str, set[str]],
) -> None:
    seen, todo = {start}, deque([start])
    while todo:
        for flow in onward.get(todo.popleft(), ()):
            if flow.verb in ("loads", "logs", "trains"):
                continue
            carried[flow.id].add(content)
            if flow.target not in seen and not parts[flow.target].kind.startswith(("data", "ext")):
                seen.add(flow.target)
                todo.append(flow.target)


def _kept(kind: str) -> str:
    return next((data for prefix, data in _KEPT.items() if kind == prefix or kind.startswith(prefix + ".")), "")


def _flows(flows: Sequence[FoundFlow], carried: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Flow]]:
    pairs: dict[tuple[str, str], list[FoundFlow]] = {}
    for flow in flows:
        pairs.setdefault((flow.source, flow.target), []).append(flow)
    for (source, target), alike in pairs.items():
        verb = next((_VERBS[f.verb] for f in alike if f.verb in _VERBS), "")
        both = not verb and any(f.verb in _ANSWERED for f in alike)
        id_ = f"{source}{'<->' if both else '->'}{target}"
        places = [p for f in alike for p in f.provenance]
        evidence = str(places[0]) if places else ""
        facts = {"verb": Fact(verb, Source.DISCOVERED, evidence=evidence)} if verb else {}
        data = tuple(dict.fromkeys(d for f in alike for d in carried[f.id]))
        yield id_, Flow(id=id_, source=source, target=target, both_ways=both, data=data, facts=facts)


# --- components and identities ------------------------------------------------------------------------------------------
def _is_public(component: Found) -> bool:
    fact = component.facts.get("published")
    return fact is not None and fact.value in _PUBLIC


def _component(found: Found, vocabulary: Vocabulary, runs_as: str | None, zone: str, outside: bool) -> Component:
    facts = dict(_facts(found.facts, vocabulary.attributes_of(vocabulary.kinds[found.kind])))
    if found.kind.startswith("actor") and outside:
        facts["trust"] = Fact(
            "public", Source.DISCOVERED, evidence=str(found.provenance[0]) if found.provenance else ""
        )
    if _is_public(found):
        facts.setdefault("internet-facing", _fact(found.facts["published"], True))
    name = found.name if found.name != found.id else ""
    return Component(
        id=found.id, name=name, kind=found.kind, zone=zone, platform=found.platform, runs_as=runs_as, facts=facts,
        holds=_holds(found),
    )  # fmt: skip


def _facts(
    facts: Mapping[str, FoundFact], attributes: Iterator[Attribute] | Sequence[Attribute]
) -> Iterator[tuple[str, Fact]]:
    for attribute in attributes:
        fact = facts.get(attribute.name)
        if fact is None or fact.state is State.UNKNOWN or fact.value is None:
            continue
        value = fitting(attribute, fact.value)
        if value is not None:
            yield attribute.name, _fact(fact, value)


def _holds(found: Found) -> tuple[str, ...]:
    return (_kept(found.kind),) if found.kind.startswith("data") and _kept(found.kind) else ()


def fitting(attribute: Attribute, value: Value) -> Value | None:
    """A value in the words of the plan; None for one that it doesn't have."""
    if attribute.type == "boolean":
        return value if isinstance(value, bool) else None
    if attribute.type == "list":
        values = value if isinstance(value, tuple) else (str(value),)
        known = tuple(v for v in values if v in attribute.values)
        return known or None
    if attribute.type == "choice":
        return value if isinstance(value, str) and value in attribute.values else None
    return str(value)


def _fact(fact: FoundFact, value: Value) -> Fact:
    return Fact(value, Source.DISCOVERED, evidence=str(fact.place))


def _identities(found: Discovery, vocabulary: Vocabulary) -> Iterator[tuple[str, Identity]]:
    kinds = {"identity.workload": "workload", "identity.ci": "ci", "identity.human": "human"}
    attributes = tuple(vocabulary.attributes["identity"].values())
    for component in found.components.values():
        if component.kind in kinds:
            place = component.provenance[0] if component.provenance else None
            facts = dict(_facts(component.facts, attributes))
            facts["kind"] = Fact(kinds[component.kind], Source.DISCOVERED, evidence=str(place or ""))
            privileges = component.facts.get("privileges")
            if privileges is not None and privileges.value in ("wildcard", "broad", "scoped", "admin"):
                facts["privilege"] = _fact(
                    privileges, "broad" if privileges.value == "wildcard" else str(privileges.value)
                )
            if component.platform:
                facts["platform"] = Fact(component.platform, Source.DISCOVERED, evidence=str(place or ""))
            yield (
                component.id,
                Identity(id=component.id, name=component.name if component.name != component.id else "", facts=facts),
            )


def _runs_as(component: Found, found: Discovery) -> str | None:
    flows = (f for f in found.flows if f.verb == "runs-as" and f.source == component.id)
    return next((f.target for f in flows if found.components[f.target].kind.startswith("identity")), None)


def _claims(parts: Mapping[str, Found], vocabulary: Vocabulary) -> Iterator[ControlClaim]:
    """Controls that a configuration shows: a guardrail that is attached."""
    for component in parts.values():
        for name, control in _GUARDED.items():
            fact = component.facts.get(name)
            if (
                fact
                and fact.state is State.KNOWN
                and fact.value not in (None, False, "none")
                and control in vocabulary.controls
            ):
                yield ControlClaim(
                    control,
                    (component.id,),
                    by=str(fact.value)[:100],
                    source=Source.DISCOVERED,
                    evidence=str(fact.place),
                )


def _shown(
    found: Discovery, parts: Mapping[str, Found], vocabulary: Vocabulary, baselines: Iterable[Baseline]
) -> Iterator[ControlClaim]:
    """Controls that are in place because an expectation holds: with the line that shows it, and what was expected."""
    by_id = {baseline.id: baseline for baseline in baselines if baseline.shows}
    for expectation, element in found.passed:
        baseline = by_id.get(expectation)
        if baseline is None or element not in parts:
            continue
        facts = [f for name in (*baseline.require, *baseline.at) if (f := parts[element].facts.get(name))]
        place = facts[0].place if facts else parts[element].provenance[0]
        for control in baseline.shows:
            if control in vocabulary.controls:
                yield ControlClaim(control, (element,), by=expectation, source=Source.DISCOVERED, evidence=str(place))
