# SPDX-License-Identifier: Apache-2.0
"""Helm charts by their values: no template is rendered, so what templates add is unknown, and the result says that it is incomplete."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bastide.discover.interface import Tree
from bastide.discover.model import REST, Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml

_DEPTH = 6
_SECURITY = ("securityContext", "podSecurityContext", "containerSecurityContext")


class Helm:
    """Every part of a chart's values that names an image is a container; its service and ingress say how it is reached."""

    name = "helm"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """`Chart.yaml`; the values beside it are read with it."""
        return PurePosixPath(path).name == "Chart.yaml"

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The containers of all charts and the charts on which they depend."""
        found: list[Resource] = []
        problems: list[Problem] = []
        read = set(files)
        for file in files:
            folder = posixpath.dirname(file)
            chart = _document(tree, file, problems)
            values = posixpath.join(folder, "values.yaml")
            root = _document(tree, values, problems) if values in tree.sizes else None
            read.add(values)
            if chart is None:
                continue
            name = next((str(v.data) for v in chart.find("name")), posixpath.basename(folder))
            version = next(iter(chart.find("appVersion")), None)
            found += _dependencies(chart, folder)
            if root is not None:
                found += [r for part in _parts(root, name, "", 0) for r in _resources(part, folder, version)]
            if any(f.startswith(posixpath.join(folder, "templates", "")) for f in tree.files):
                message = "is a Helm chart: its values were read, its templates are not rendered; `helm template` gives manifests that can be read"
                problems.append(Problem(Place(file, 1), message))
        return Reading(tuple(found), tuple(problems), frozenset(read))


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    path: str
    values: Value


def _document(tree: Tree, file: str, problems: list[Problem]) -> Value | None:
    text = tree.read(file)
    if text is None:
        return None
    documents, wrong = read_yaml(text, file)
    problems += wrong
    return documents[0] if documents and isinstance(documents[0].data, Mapping) else None


def _dependencies(chart: Value, folder: str) -> Iterator[Resource]:
    for dependency in chart.find("dependencies"):
        name = next((str(v.data) for v in dependency.find("name")), "")
        if name:
            yield Resource(
                f"{folder or '.'}: chart {name}",
                "helm/dependency",
                name,
                dependency,
                dependency.place,
                scope=f"helm:{folder}",
            )


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
