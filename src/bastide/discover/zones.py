# SPDX-License-Identifier: Apache-2.0
"""Trust zones from where things stand: the internet, others' services, clouds' accounts, namespaces, networks. Pure.

A zone of its own is only what something separates: a namespace, an account, a network. Where there is nothing of the kind, all of it is `system`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bastide.discover.identify import slug
from bastide.discover.model import Resource
from bastide.discover.result import Found
from bastide.plan.model import Fact, Source, Zone

_CLOUDS = ("aws", "azure", "gcp")
_PROVIDER_PREFIXES: Mapping[str, str] = {
    "aws_": "aws", "awscc_": "aws", "AWS::": "aws", "azurerm_": "azure", "azapi_": "azure", "Microsoft.": "azure", "google_": "gcp",
}  # fmt: skip
_HOSTED: Mapping[str, str] = {
    "ecs": "aws",
    "app-runner": "aws",
    "container-apps": "azure",
    "container-instances": "azure",
    "cloud-run": "gcp",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a component stands."""

    name: str
    cloud: str = ""


_SYSTEM = _Place("system")


def zones_of(parts: Mapping[str, Found], all_: Mapping[str, Found]) -> tuple[dict[str, str], dict[str, Zone]]:
    """The zone of each component by id, and the zones. `all_`: also what is no component, such as network policies."""
    networks = _networks(parts)
    places = {c.id: _outside(c) or _inside(c, networks) for c in parts.values()}
    others = {p for p in places.values() if p.name not in _FIXED and p != _SYSTEM}
    if len(others) == 1:
        # What is only named (the model that a server loads) stands with who names it.
        [only] = others
        places = {id_: only if p == _SYSTEM and not parts[id_].pieces else p for id_, p in places.items()}
    if len({p.name for p in places.values() if p.name not in _FIXED}) == 1:
        # Nothing is separated from anything.
        places = {id_: p if p.name in _FIXED else _Place("system", p.cloud) for id_, p in places.items()}
    zones: dict[str, Zone] = {}
    for place in places.values():
        if place.name in _FIXED:
            zones[place.name] = _FIXED[place.name]
            continue
        facts = {"trust": Fact("workload", Source.DISCOVERED)}
        if place.cloud:
            facts["cloud"] = Fact(place.cloud, Source.DISCOVERED)
        if place.cloud == "kubernetes":
            facts |= _policies(all_, place.name)
        zones[place.name] = Zone(id=place.name, facts=facts)
    order = [*(z for z in _FIXED if z in zones), *sorted(z for z in zones if z not in _FIXED)]
    return {id_: p.name for id_, p in places.items()}, {name: zones[name] for name in order}


_FIXED: Mapping[str, Zone] = {
    "internet": Zone(id="internet", facts={"trust": Fact("none", Source.DISCOVERED)}),
    "provider": Zone(id="provider", name="Others' services", facts={"trust": Fact("third-party", Source.DISCOVERED)}),
}


def _outside(component: Found) -> _Place | None:
    if component.kind.startswith("actor"):
        return _Place("internet")
    remote = component.facts.get("remote")
    away = component.kind.startswith("ext") or (remote is not None and remote.value is True)
    return _Place("provider") if away or (component.kind == "ai.model.endpoint" and not component.pieces) else None


def _inside(component: Found, networks: Mapping[str, str]) -> _Place:
    for piece in component.pieces:
        if (place := _of(piece.resource)) is not None:
            return place
    if component.id in networks:
        return _Place(f"network-{slug(networks[component.id])}")
    return _SYSTEM


def _of(resource: Resource) -> _Place | None:
    platform = (
        next((str(v.data) for v in resource.find("platform") if v.known), "") if resource.type == "container" else ""
    )
    if resource.type.startswith("kubernetes/") or platform == "kubernetes":
        name = slug(_namespace(resource))
        return _Place(f"namespace-{name}" if name else "cluster", "kubernetes")
    cloud = _HOSTED.get(platform) or next((c for p, c in _PROVIDER_PREFIXES.items() if resource.type.startswith(p)), "")
    return _Place(cloud, cloud) if cloud in _CLOUDS else None


def _namespace(resource: Resource) -> str:
    """Of a Kubernetes object, or of the object that a container belongs to."""
    for value in (*resource.find("metadata.namespace"), *resource.find("namespace")):
        if isinstance(value.data, str):
            return value.data
    return ""


def _networks(parts: Mapping[str, Found]) -> dict[str, str]:
    """Components that stand in one named network of their host alone, where there are several networks."""
    found: dict[str, set[str]] = {}
    for component in parts.values():
        for piece in component.pieces:
            if piece.resource.type == "container":
                names = {k for v in piece.resource.find("network") for k in _names(v.data)}
                if names:
                    found.setdefault(component.id, set()).update(names)
    several = len({name for names in found.values() for name in names}) > 1
    return {id_: next(iter(names)) for id_, names in found.items() if several and len(names) == 1}


def _names(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        yield from (str(key) for key in data)


def _policies(all_: Mapping[str, Found], zone: str) -> dict[str, Fact]:
    """What a policy for all pods of a namespace says: nothing comes in, or goes out, that isn't named."""
    facts: dict[str, Fact] = {}
    for component in all_.values():
        for piece in component.pieces:
            resource = piece.resource
            where = _of(resource)
            if resource.type != "kubernetes/NetworkPolicy" or where is None or zone not in (where.name, _SYSTEM.name):
                continue
            if resource.find("spec.podSelector.*"):
                continue
            ways = {str(v.data) for v in resource.find("spec.policyTypes")}
            place = str(resource.place)
            if "Ingress" in ways or not ways:
                facts["segmented"] = Fact(True, Source.DISCOVERED, evidence=place)
            if "Egress" in ways:
                facts["egress"] = Fact(_egress(resource), Source.DISCOVERED, evidence=place)
    return facts


def _egress(policy: Resource) -> str:
    """A rule that names nobody lets everything out."""
    rules = [r for r in policy.find("spec.egress") if isinstance(r.data, Mapping)]
    if any("to" not in rule.data for rule in rules):
        return "any"
    return "allow-list" if rules else "none"
