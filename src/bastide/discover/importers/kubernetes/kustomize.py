# SPDX-License-Identifier: Apache-2.0
"""Kustomizations: bases with what overlays change in them. Pure; nothing is fetched, no plug-in runs.

After the reference of `kustomization.yaml` (kubernetes-sigs/kustomize). Of several overlays of a base each is a variant of it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bastide.discover.importers.kubernetes.objects import Object, text_of
from bastide.discover.model import REST, Place, Problem, State, Value
from bastide.discover.readers.yaml_ import read_yaml

NAMES = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_DEPTH = 8
"""Kustomizations that stand on one another."""
_MERGE = 32
_MOST = 20_000
_KEYS = ("name", "mountPath", "containerPort", "port", "ip", "key")
"""By which elements of lists are the same thing when a patch is laid over."""
_REMOTE = re.compile(r"[a-z+]{2,10}://|git@|github\.com/|[^/]+\.[a-z]{2,6}/.*\?ref=")
_SELECTORS = ("spec.selector", "spec.selector.matchLabels")


@dataclass(slots=True)
class World:
    """What kustomizations are built from."""

    documents: Callable[[str], Sequence[Value]]
    """The documents of a file of the tree."""
    texts: Callable[[str], str | None]
    objects: Callable[[Value, str, str], Iterator[Object]]
    folders: Mapping[str, str]
    """Folder -> its kustomization file."""
    files: Mapping[str, int]
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    """Files that kustomizations take in: they aren't deployed as they stand."""
    built: dict[str, list[Object]] = field(default_factory=dict)
    """Of each kustomization; one that is being built has nothing yet, so that circles end."""
    count: int = 0


def build(world: World) -> Iterator[tuple[str, list[Object]]]:
    """The objects of every kustomization on which no other one stands, with its folder."""
    stood_on: set[str] = set()
    for folder in world.folders:
        _built(world, folder, 0, stood_on)
    yield from ((folder, world.built[folder]) for folder in world.folders if folder not in stood_on)


def _built(world: World, folder: str, depth: int, stood_on: set[str]) -> list[Object]:
    if folder not in world.built:
        world.built[folder] = []
        world.built[folder] = _objects(world, folder, depth, stood_on)
    return world.built[folder]


def _objects(world: World, folder: str, depth: int, stood_on: set[str]) -> list[Object]:
    file = world.folders[folder]
    world.used.add(file)
    documents = world.documents(file)
    if not documents or not isinstance(documents[0].data, Mapping):
        return []
    if depth > _DEPTH:
        world.problems.append(
            Problem(Place(file, 1), f"more than {_DEPTH} kustomizations on one another; this one was not read")
        )
        return []
    root = documents[0]
    objects: list[Object] = []
    for entry in (v for key in ("resources", "bases", "components") for v in root.find(key)):
        objects += _taken(world, folder, entry, depth, stood_on)
        if len(objects) > _MOST or world.count > _MOST:
            world.problems.append(Problem(entry.place, f"more than {_MOST} objects; the rest was not read"))
            break
    world.count += len(objects)
    objects += _generated(world, folder, root)
    objects = _patched(world, folder, root, objects)
    change = _Change(root)
    for key in ("generators", "transformers", "helmCharts"):
        for entry in root.find(key)[:1]:
            message = f"`{key}` of a kustomization aren't followed; `kustomize build` gives manifests that can be read"
            world.problems.append(Problem(entry.place, message))
    return [change.applied(one) for one in objects]


def _taken(world: World, folder: str, entry: Value, depth: int, stood_on: set[str]) -> list[Object]:
    if not isinstance(entry.data, str):
        return []
    path = posixpath.normpath(posixpath.join(folder, entry.data))
    path = "" if path == "." else path
    if path in world.folders:
        if path == folder:
            return []
        stood_on.add(path)
        return _built(world, path, depth + 1, stood_on)
    if path in world.files:
        world.used.add(path)
        return [o for d in world.documents(path) for o in world.objects(d, path, f"kustomize:{folder}")]
    what = "comes from elsewhere" if _REMOTE.match(entry.data) else "isn't in this folder"
    world.problems.append(Problem(entry.place, f"`{entry.data[:120]}` {what}; what it declares isn't known"))
    return []


def _generated(world: World, folder: str, root: Value) -> Iterator[Object]:
    for key, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        for entry in root.find(key):
            name = text_of(entry, "name")
            data: dict[str, Value] = {}
            for literal in entry.find("literals"):
                variable, _, content = str(literal.data).partition("=")
                data[variable] = replace(literal, data=content)
            for path in (*entry.find("envs"), *entry.find("env")):
                inside = posixpath.normpath(posixpath.join(folder, str(path.data)))
                text = world.texts(inside) if inside in world.files else None
                if text is None:
                    data[REST] = Value(None, path.place, State.UNKNOWN)
                else:
                    data |= _variables(text, inside)
            for path in entry.find("files"):
                data[posixpath.basename(str(path.data).partition("=")[0])] = Value(None, path.place, State.UNKNOWN)
            place = entry.place
            value = Value(
                {
                    "kind": Value(kind, place),
                    "metadata": Value({"name": Value(name, place)}, place),
                    "data": Value(data, place),
                },
                place,
            )
            if name:
                yield Object(kind, name, "", value, place.file, f"{place.file}: {kind}/{name}")


def _variables(text: str, file: str) -> dict[str, Value]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, content = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = Value(content.strip().strip("\"'"), Place(file, number))
    return found


# --- patches -------------------------------------------------------------------------------------------------------
def _patched(world: World, folder: str, root: Value, objects: list[Object]) -> list[Object]:
    for key in ("patchesStrategicMerge", "patches", "patchesJson6902"):
        for entry in root.find(key):
            for patch in _patches(world, folder, entry):
                objects = [r for o in objects for r in ([_over(o, patch)] if _meant(o, patch, entry) else [o])]
    return [o for o in objects if o.value.data is not None]


def _patches(world: World, folder: str, entry: Value) -> Sequence[Value]:
    """The documents of a patch: in place, in a file, or as text."""
    if isinstance(entry.data, str):
        path, text = entry, entry.data
    else:
        path = next(iter(entry.find("path")), entry)
        text = text_of(entry, "patch")
    inside = posixpath.normpath(posixpath.join(folder, str(path.data))) if isinstance(path.data, str) else ""
    if inside in world.files:
        world.used.add(inside)
        return world.documents(inside)
    if not text or (isinstance(entry.data, str) and "\n" not in text):
        world.problems.append(
            Problem(entry.place, "names a patch that isn't in this folder; what it changes isn't known")
        )
        return []
    holder = entry if isinstance(entry.data, str) else next(iter(entry.find("patch")), entry)
    documents, problems = read_yaml(text, holder.place.file, holder.place.line + 1)
    world.problems.extend(problems)
    return documents


def _meant(one: Object, patch: Value, entry: Value) -> bool:
    target = entry.data.get("target") if isinstance(entry.data, Mapping) else None
    if target is not None:
        kind, name, space = (text_of(target, key) for key in ("kind", "name", "namespace"))
        labels = text_of(target, "labelSelector")
        return (
            kind in ("", one.kind) and space in ("", one.namespace) and _matches(name, one.name)
            and (not labels or _labelled(one, labels))
        )  # fmt: skip
    return one.kind == text_of(patch, "kind") and one.name == text_of(patch, "metadata.name")


def _matches(pattern: str, name: str) -> bool:
    # Kustomize takes a regular expression here; on untrusted text only its commonest form is understood.
    plain = pattern.replace(".*", "*")
    if plain in ("", "*", name):
        return True
    head, star, tail = plain.partition("*")
    return bool(star) and name.startswith(head) and name.endswith(tail)


def _labelled(one: Object, selector: str) -> bool:
    labels = {
        k: str(v.data)
        for m in one.value.find("metadata.labels")
        if isinstance(m.data, Mapping)
        for k, v in m.data.items()
    }
    wanted = dict(part.partition("=")[::2] for part in selector.replace("==", "=").split(",") if "=" in part)
    return all(labels.get(k.strip()) == v.strip() for k, v in wanted.items())


def _over(one: Object, patch: Value) -> Object:
    if isinstance(patch.data, tuple):
        value = one.value
        for operation in patch.data:
            value = _operated(value, operation)
    elif text_of(patch, "$patch") == "delete":
        value = replace(one.value, data=None)
    else:
        value = _merged(one.value, patch, 0)
        # It is still declared where it was, and keeps its name.
        value = replace(value, place=one.value.place)
        if isinstance(value.data, Mapping) and isinstance(one.value.data, Mapping) and "kind" in one.value.data:
            value = replace(value, data={**value.data, "kind": one.value.data["kind"]})
    return replace(one, value=value)


def _merged(base: Value, over: Value, depth: int) -> Value:
    """A strategic merge: mappings by key, elements of lists by the key that tells them apart, everything else from the second."""
    if depth > _MERGE:
        return over
    if isinstance(base.data, Mapping) and isinstance(over.data, Mapping):
        if text_of(over, "$patch") == "replace":
            return replace(over, data={k: v for k, v in over.data.items() if k != "$patch"})
        data = dict(base.data)
        for key, value in over.data.items():
            if value.data is None and value.known:
                data.pop(key, None)
            elif not key.startswith("$"):
                data[key] = _merged(data[key], value, depth + 1) if key in data else value
        return replace(base, data=data)
    if isinstance(base.data, tuple) and isinstance(over.data, tuple):
        return _lists(base, over, depth)
    return over


def _lists(base: Value, over: Value, depth: int) -> Value:
    elements = [v for v in (*base.data, *over.data) if isinstance(v.data, Mapping)]
    key = next((k for k in _KEYS if elements and all(k in v.data for v in elements)), "")
    if not key or len(elements) < len(base.data) + len(over.data):
        return over
    found = {str(v.data[key].data): v for v in base.data}
    for value in over.data:
        name = str(value.data[key].data)
        if text_of(value, "$patch") == "delete":
            found.pop(name, None)
        else:
            found[name] = _merged(found[name], value, depth + 1) if name in found else value
    return replace(base, data=tuple(found.values()))


def _operated(value: Value, operation: Value) -> Value:
    """One operation of a JSON patch (RFC 6902); what doesn't fit changes nothing."""
    what, path = text_of(operation, "op"), text_of(operation, "path")
    given = operation.data.get("value") if isinstance(operation.data, Mapping) else None
    steps = [s.replace("~1", "/").replace("~0", "~") for s in path.split("/")[1:]]
    if not steps or len(steps) > _MERGE or what not in ("add", "replace", "remove"):
        return value
    return _at(value, steps, None if what == "remove" else given, insert=what == "add")


def _at(value: Value, steps: list[str], given: Value | None, *, insert: bool) -> Value:
    step, *rest = steps
    if isinstance(value.data, Mapping):
        data: dict[str, Any] = dict(value.data)
        if rest:
            if step in data:
                data[step] = _at(data[step], rest, given, insert=insert)
        elif given is None:
            data.pop(step, None)
        else:
            data[step] = given
        return replace(value, data=data)
    if isinstance(value.data, tuple) and (step == "-" or step.isdecimal()):
        items = list(value.data)
        at = len(items) if step == "-" else min(int(step[:6]), len(items))
        if rest:
            items[at : at + 1] = [_at(v, rest, given, insert=insert) for v in items[at : at + 1]]
        elif given is None:
            del items[at : at + 1]
        else:
            items[at : at if insert else at + 1] = [given]
        return replace(value, data=tuple(items))
    return value


# --- what is changed in all objects ----------------------------------------------------------------------------------
class _Change:
    """Namespace, labels and images. A prefix or suffix of names changes all references alike: names and ids stay what the base says."""

    def __init__(self, root: Value) -> None:
        self._namespace = next((v for v in root.find("namespace") if isinstance(v.data, str)), None)
        self._images = {text_of(v, "name"): v for v in root.find("images") if text_of(v, "name")}
        self._labels: dict[str, Value] = {}
        """Of metadata, selectors and pods."""
        self._marks: dict[str, Value] = {}
        """Of metadata and pods only."""
        for labels in root.find("commonLabels"):
            self._labels |= labels.data if isinstance(labels.data, Mapping) else {}
        for entry in root.find("labels"):
            pairs = {k: v for p in entry.find("pairs") if isinstance(p.data, Mapping) for k, v in p.data.items()}
            if any(v.data is True for v in entry.find("includeSelectors")):
                self._labels |= pairs
            elif any(v.data is True for v in entry.find("includeTemplates")):
                self._marks |= pairs

    def applied(self, one: Object) -> Object:
        """The object after the changes."""
        value = one.value
        if self._images:
            value = self._imaged(value, 0)
        both = {**self._marks, **self._labels}
        if both:
            value = _labelled_with(value, ("spec", "template", "metadata", "labels"), both)
            value = _labelled_with(value, ("spec", "jobTemplate", "spec", "template", "metadata", "labels"), both)
            if one.kind == "Pod":
                value = _labelled_with(value, ("metadata", "labels"), both)
        if self._labels:
            path = ("spec", "selector") if one.kind == "Service" else ("spec", "selector", "matchLabels")
            value = _labelled_with(value, path, self._labels)
        namespace = str(self._namespace.data) if self._namespace is not None else one.namespace
        return replace(one, value=value, namespace=namespace)

    def _imaged(self, value: Value, depth: int) -> Value:
        if depth > _MERGE:
            return value
        if isinstance(value.data, tuple):
            return replace(value, data=tuple(self._imaged(v, depth + 1) for v in value.data))
        if not isinstance(value.data, Mapping):
            return value
        data = {k: self._imaged(v, depth + 1) for k, v in value.data.items()}
        image = data.get("image")
        if image is not None and isinstance(image.data, str) and (entry := self._images.get(_repository(image.data))):
            data["image"] = _renamed(image, entry)
        return replace(value, data=data)


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _renamed(image: Value, entry: Value) -> Value:
    name = text_of(entry, "newName") or _repository(str(image.data))
    digest, tag = text_of(entry, "digest"), text_of(entry, "newTag")
    old = str(image.data).removeprefix(_repository(str(image.data)))
    return Value(f"{name}@{digest}" if digest else f"{name}:{tag}" if tag else f"{name}{old}", entry.place)


def _labelled_with(value: Value, path: tuple[str, ...], labels: Mapping[str, Value]) -> Value:
    """The labels put into a mapping that is there; what has no template gets none."""
    if not isinstance(value.data, Mapping):
        return value
    if not path:
        return replace(value, data={**value.data, **labels})
    step, *rest = path
    if step not in value.data:
        return value
    return replace(value, data={**value.data, step: _labelled_with(value.data[step], tuple(rest), labels)})
