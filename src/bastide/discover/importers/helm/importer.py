# SPDX-License-Identifier: Apache-2.0
"""Charts with the charts that they depend on: each as one release with the values that it ships."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from bastide.discover.importers.charts import TYPE, from_elsewhere
from bastide.discover.importers.helm.parts import by_values
from bastide.discover.importers.helm.render import Renderer
from bastide.discover.importers.helm.syntax import Block, Node, parse
from bastide.discover.importers.kubernetes.importer import resources_of
from bastide.discover.importers.kubernetes.objects import NAMESPACE, Object, objects_of
from bastide.discover.interface import Tree
from bastide.discover.model import REST, Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml

_DEPTH = 6
"""Charts in charts."""
_RELEASES = 300
_MERGED = 32


@dataclass(frozen=True, slots=True)
class Chart:
    """A folder with a `Chart.yaml`."""

    folder: str
    name: str
    about: Value
    values: Value
    templates: Mapping[str, tuple[Node, ...]]
    """Parsed, by file; those that only define are among them."""

    @property
    def is_library(self) -> bool:
        """Whether it only defines templates for others."""
        return any(v.data == "library" for v in self.about.find("type"))


@dataclass(slots=True)
class _World:
    tree: Tree
    charts: dict[str, Chart] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    releases: int = 0


class Helm:
    """Templates are read with the chart's own values; no template engine runs, and what can't be told stays unknown."""

    name = "helm"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """`Chart.yaml`; templates and values beside it are read with it."""
        return PurePosixPath(path).name == "Chart.yaml"

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The objects of every chart that no other chart in the tree brings along."""
        world = _World(tree, read=set(files))
        for file in files:
            if (chart := _load(world, file)) is not None:
                world.charts[chart.folder] = chart
        brought = {c.folder for chart in world.charts.values() for _, c, _ in _below(world, chart)}
        found: list[Resource] = []
        for chart in world.charts.values():
            found += _elsewhere(world, chart)
            if chart.folder not in brought and not chart.is_library:
                found += _release(world, chart)
        return Reading(tuple(found), tuple(world.problems), frozenset(world.read))


def _load(world: _World, file: str) -> Chart | None:
    folder = posixpath.dirname(file)
    about = _document(world, file)
    if about is None:
        return None
    name = next((str(v.data) for v in about.find("name")), posixpath.basename(folder))
    values = _document(world, posixpath.join(folder, "values.yaml"))
    prefix = posixpath.join(folder, "templates", "")
    templates: dict[str, tuple[Node, ...]] = {}
    for template in (f for f in world.tree.files if f.startswith(prefix)):
        if template.endswith((".yaml", ".yml", ".tpl")) and not template.startswith(f"{prefix}tests/"):
            world.read.add(template)
            if (text := world.tree.read(template)) is not None:
                templates[template] = parse(text)
    return Chart(folder, name, about, values or Value({}, Place(file, 1)), templates)


def _document(world: _World, file: str) -> Value | None:
    if file not in world.tree.sizes or (text := world.tree.read(file)) is None:
        return None
    world.read.add(file)
    documents, wrong = read_yaml(text, file)
    world.problems += wrong
    return documents[0] if documents and isinstance(documents[0].data, Mapping) else None


def _below(world: _World, chart: Chart) -> list[tuple[str, Chart, Value | None]]:
    """The charts that a chart brings along and that are in the tree: the name of their values, the chart, its entry."""
    found: list[tuple[str, Chart, Value | None]] = []
    listed: set[str] = set()
    for entry in chart.about.find("dependencies"):
        name, alias, address = (_text(entry, key) for key in ("name", "alias", "repository"))
        places = [posixpath.join(chart.folder, "charts", name)]
        if address.startswith("file://"):
            places.append(posixpath.normpath(posixpath.join(chart.folder, address.removeprefix("file://"))))
        for place in places:
            if place in world.charts:
                found.append((alias or name, world.charts[place], entry))
                listed.add(place)
                break
    vendored = posixpath.join(chart.folder, "charts", "")
    for folder, other in world.charts.items():
        if folder.startswith(vendored) and "/" not in folder.removeprefix(vendored) and folder not in listed:
            found.append((other.name, other, None))
    return found


def _elsewhere(world: _World, chart: Chart) -> Iterator[Resource]:
    """Charts that come from a registry: what they hold isn't in the tree."""
    here = {name for name, _, _ in _below(world, chart)}
    for entry in chart.about.find("dependencies"):
        name = _text(entry, "name")
        if name and (_text(entry, "alias") or name) not in here and not _switched_off(entry, chart.values):
            scope = f"helm:{chart.folder}"
            hosts = [f"host:{host}@{scope}" for host in _hosts(chart, name, _text(entry, "alias") or name)]
            id_ = f"{chart.folder or '.'}: chart {_text(entry, 'alias') or name}"
            given = chart.values.find(_text(entry, "alias") or name)
            found = Resource(id_, TYPE, name, entry, entry.place, names=tuple(hosts), scope=scope)
            yield from_elsewhere(found, given)


def _hosts(chart: Chart, name: str, values: str) -> Iterator[str]:
    """What charts call the services of a release: the release and the chart, or the name that is given for them."""
    own = chart.values.data.get(values) if isinstance(chart.values.data, Mapping) else None
    full = _text(own, "fullnameOverride") if own is not None else ""
    short = (_text(own, "nameOverride") if own is not None else "") or name
    for host in (full,) if full else (f"{chart.name}-{short}", short):
        # With replicas, charts name the one that takes writes.
        yield from (host, f"{host}-primary", f"{host}-master", f"{host}-headless")


def _release(world: _World, chart: Chart) -> Iterator[Resource]:
    """All that a chart makes with those below it."""
    scope = f"helm:{chart.folder}"
    objects: list[Object] = []
    bare: list[tuple[Chart, Value]] = []
    defines = {}
    for one, _ in _instances(world, chart, chart.values, 0):
        defines.update(
            {name: (file, nodes) for file, found in one.templates.items() for name, nodes in _defines(found)}
        )
    for one, values in _instances(world, chart, chart.values, 0):
        world.releases += 1
        if world.releases > _RELEASES:
            world.problems.append(Problem(Place(one.folder), f"more than {_RELEASES} charts; the rest was not read"))
            break
        made = list(_objects(world, one, values, chart.name, defines, scope))
        objects += made
        if not any("containers" in path for o in made for path, _ in o.value.leaves()):
            bare.append((one, values))
    yield from resources_of(_distinct(objects))
    for one, values in bare:
        version = next(iter(one.about.find("appVersion")), None)
        yield from by_values(values, one.name, one.folder, version)


def _instances(world: _World, chart: Chart, values: Value, depth: int) -> Iterator[tuple[Chart, Value]]:
    """A chart and those below it with the values that they get."""
    if not chart.is_library:
        yield chart, values
    if depth >= _DEPTH:
        return
    for name, other, entry in _below(world, chart):
        if entry is not None and _switched_off(entry, values):
            continue
        given = values.data.get(name) if isinstance(values.data, Mapping) else None
        shared = values.data.get("global") if isinstance(values.data, Mapping) else None
        merged = _merged(other.values, given, 0) if given is not None else other.values
        if shared is not None and isinstance(merged.data, Mapping):
            merged = Value({**merged.data, "global": shared}, merged.place)
        yield from _instances(world, other, merged, depth + 1)


def _switched_off(entry: Value, values: Value) -> bool:
    for path in _text(entry, "condition").split(","):
        for value in values.find(path.strip()) if path.strip() else ():
            return value.data is False
    return False


def _merged(base: Value, over: Value, depth: int) -> Value:
    if isinstance(base.data, Mapping) and isinstance(over.data, Mapping) and depth < _MERGED:
        data = dict(base.data)
        for key, value in over.data.items():
            data[key] = _merged(data[key], value, depth + 1) if key in data else value
        return Value(data, over.place)
    return over


def _objects(
    world: _World,
    chart: Chart,
    values: Value,
    release: str,
    defines: Mapping[str, tuple[str, tuple[Node, ...]]],
    scope: str,
) -> Iterator[Object]:
    renderer = Renderer(_root(chart, values, release), defines)
    for file, nodes in chart.templates.items():
        if posixpath.basename(file).startswith("_") or file.endswith(".tpl"):
            continue
        documents, wrong = renderer.documents(nodes, file)
        world.problems += [_lost(p.place, p.message) for p in wrong]
        for document in documents:
            made = list(objects_of(document, file, scope))
            if not made and any(not v.known for v in (document, *document.find("kind"))):
                world.problems.append(_lost(document.place, "what it makes is decided elsewhere"))
            yield from made
    if renderer.cut:
        world.problems.append(
            Problem(
                Place(posixpath.join(chart.folder, "Chart.yaml"), 1),
                "its templates are larger, or nested deeper, than is read",
            )
        )


def _lost(place: Place, why: str) -> Problem:
    return Problem(place, f"this template can't be followed ({why}); `helm template` gives manifests that can be read")


def _root(chart: Chart, values: Value, release: str) -> dict[str, Value]:
    place = chart.about.place
    unknown = Value({REST: Value(None, place, State.UNKNOWN)}, place)
    about = {key[:1].upper() + key[1:]: value for key, value in chart.about.data.items()}
    facts = {
        "Name": Value(release, place),
        "Namespace": Value(NAMESPACE, place),
        "Service": Value("Helm", place),
        "IsInstall": Value(True, place),
    }
    return {
        "Values": values,
        "Chart": Value(about, place),
        "Release": Value({**facts, REST: Value(None, place, State.UNKNOWN)}, place),
        "Template": Value({"Name": Value(chart.name, place), "BasePath": Value("templates", place)}, place),
        "Capabilities": unknown,
        "Files": unknown,
    }


def _defines(nodes: Sequence[Node]) -> Iterator[tuple[str, tuple[Node, ...]]]:
    for node in nodes:
        if isinstance(node, Block) and node.keyword in ("define", "block"):
            words, inner = node.branches[0]
            if words and words[0].kind == "text":
                yield words[0].text, inner


def _distinct(objects: Sequence[Object]) -> list[Object]:
    """Of objects that a chart makes twice (under two aliases, without a name of their own) the first."""
    return list({o.id: o for o in reversed(objects)}.values())[::-1]


def _text(value: Value, key: str) -> str:
    return next((str(v.data) for v in value.find(key) if isinstance(v.data, str)), "")
