# SPDX-License-Identifier: Apache-2.0
"""Charts by their values alone: every part that names an image is a container; its service and ingress say how it is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bastide.discover.model import REST, Resource, State, Value

_DEPTH = 6
_SECURITY = ("securityContext", "podSecurityContext", "containerSecurityContext")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    path: str
    values: Value


def by_values(values: Value, name: str, folder: str, version: Value | None) -> Iterator[Resource]:
    """The containers that a chart's values speak of, for charts whose templates give none."""
    for part in _parts(values, name, "", 0):
        yield from _resources(part, folder, version)


def _parts(values: Value, name: str, path: str, depth: int) -> Iterator[_Part]:
    """The mappings with an image, outermost first; one that is switched off isn't there."""
    if not isinstance(values.data, Mapping) or depth > _DEPTH or any(v.data is False for v in values.find("enabled")):
        return
    image = values.data.get("image")
    if image is not None and (isinstance(image.data, str) or image.find("repository")):
        yield _Part(name, path, values)
    for key, inner in values.data.items():
        if key not in ("image", "ingress", "service") and isinstance(inner.data, Mapping):
            yield from _parts(inner, key if not path and not image else f"{name}-{key}", f"{path}.{key}", depth + 1)


def _resources(part: _Part, folder: str, version: Value | None) -> Iterator[Resource]:
    values, scope = part.values, f"helm:{folder}"
    id_ = f"{folder or '.'}: values{part.path}"
    place = values.data["image"].place
    unknown = Value(None, place, State.UNKNOWN)
    body: dict[str, Value] = {"platform": Value("kubernetes", place), "image": _image(values, version), REST: unknown}
    body["env"] = Value({**_environment(values), REST: unknown}, place)
    ports = [
        v
        for p in ("service.port", "service.ports.*.port", "containerPort", "service.targetPort")
        for v in values.find(p)
        if isinstance(v.data, int)
    ]
    body["ports"] = Value(
        tuple(Value({"container": p}, p.place) for p in ports[:20]), ports[0].place if ports else place
    )
    security = [v for key in _SECURITY for v in values.find(key) if isinstance(v.data, Mapping) and v.data]
    if security:
        body["security"] = security[0]
    body["command"] = Value(
        (*(w for key in ("command", "args", "extraArgs") for w in values.find(key)), unknown), place
    )
    yield Resource(
        id_,
        "container",
        part.name,
        Value(body, place),
        place,
        names=(f"host:{part.name}@{scope}",),
        scope=scope,
        part_of="",
    )
    target = Value(id_, place, refs=(id_,))
    for kind in values.find("service.type"):
        spec = Value({"type": kind, REST: unknown}, kind.place)
        yield Resource(
            f"{id_}.service",
            "kubernetes/Service",
            part.name,
            Value({"spec": spec, "targets": target}, kind.place),
            kind.place,
            scope=scope,
        )
    ingress = values.data.get("ingress")
    if ingress is not None and any(v.data is True for v in ingress.find("enabled")):
        names = Value(
            tuple(
                Value({"host": h}, h.place)
                for h in (*ingress.find("host"), *ingress.find("hosts.host"), *ingress.find("hostname"))
            ),
            ingress.place,
        )
        given = {"annotations": ingress.data["annotations"]} if "annotations" in ingress.data else {}
        spec = Value({"rules": names, **({"tls": ingress.data["tls"]} if "tls" in ingress.data else {})}, ingress.place)
        content = {"metadata": Value(given, ingress.place), "spec": spec, "targets": target}
        yield Resource(
            f"{id_}.ingress",
            "kubernetes/Ingress",
            f"{part.name}-ingress",
            Value(content, ingress.place),
            ingress.place,
            scope=scope,
        )


def _image(values: Value, version: Value | None) -> Value:
    image = values.data["image"]
    if isinstance(image.data, str):
        return Value(image.data, image.place)
    said = {
        k: next((str(v.data) for v in image.find(k) if v.data is not None), "")
        for k in ("registry", "repository", "tag", "digest")
    }
    place = next(v.place for v in image.find("repository"))
    name = "/".join(p for p in (said["registry"], said["repository"]) if p)
    if said["digest"]:
        return Value(f"{name}@{said['digest']}", place)
    if said["tag"]:
        return Value(f"{name}:{said['tag']}", place)
    # Charts take the application's version then.
    return (
        Value(f"{name}:{version.data}", place, State.CONDITIONAL)
        if version is not None and version.data
        else Value(name, place)
    )


def _environment(values: Value) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key in ("env", "extraEnv", "extraEnvVars", "environment", "envVars"):
        given = values.data.get(key)
        if given is None:
            continue
        if isinstance(given.data, Mapping):
            found |= {k: v for k, v in given.data.items() if not isinstance(v.data, Mapping)}
        for entry in given.elements() if isinstance(given.data, tuple) else ():
            for name in entry.find("name"):
                value = next(iter(entry.find("value")), None)
                found[str(name.data)] = (
                    value
                    if value is not None
                    else replace(name, data=None, state=State.UNKNOWN, refs=(f"secret:{name.data}",))
                )
    return found
