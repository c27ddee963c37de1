# SPDX-License-Identifier: Apache-2.0
"""Reads manifests, and finds out which Service, Ingress and policy speaks about which pods."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.importers.charts import TYPE, from_elsewhere
from bastide.discover.importers.kubernetes import kustomize
from bastide.discover.importers.kubernetes.objects import NAMESPACE, Object, objects_of, scope_of, text_of
from bastide.discover.importers.kubernetes.pods import Configuration, Pod, containers, pods, variables
from bastide.discover.interface import Tree
from bastide.discover.model import Problem, Reading, Resource, Value
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.yaml_ import read_yaml

_OBJECT = re.compile(r"^\s*[\"']?kind[\"']?\s*:", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_BACKENDS = (
    "spec.rules.http.paths.backend.service.name",
    "spec.rules.http.paths.backend.serviceName",
    "spec.defaultBackend.service.name",
    "spec.rules.backendRefs.name",
    "spec.http.route.destination.host",
)
_CHARTS = {"HelmRelease": ("spec.chart.spec.chart",), "Application": ("spec.source.chart", "spec.sources.chart")}
_GIVEN = ("spec.values", *(f"spec.{s}.helm.{v}" for s in ("source", "sources") for v in ("valuesObject", "values")))
_DATA = {"ConfigMap": ("data",), "Secret": ("data", "stringData")}
_RUNTIMES = ("ServingRuntime", "ClusterServingRuntime")
_EMBEDDED = ("serveConfigV2", "config.yaml", "config")
"""Fields whose text is YAML itself."""


class Kubernetes:
    """Manifests in YAML and JSON; templates of charts are not manifests."""

    name = "kubernetes"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """YAML and JSON files with `apiVersion` and `kind` near the beginning, and kustomizations; no templates."""
        if posixpath.basename(path) in kustomize.NAMES:
            return True
        if not path.endswith((".yaml", ".yml", ".json")):
            return False
        begin = head()
        return "apiVersion" in begin and bool(_OBJECT.search(begin)) and "{{" not in begin

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The objects of all files, with references between them resolved: in the file first, then in its folder, then anywhere."""
        reader = _Files(tree)
        charts = tuple(posixpath.join(posixpath.dirname(f), "templates", "") for f in tree.named("Chart.yaml"))
        folders = {posixpath.dirname(f): f for f in files if posixpath.basename(f) in kustomize.NAMES}
        world = kustomize.World(reader.documents, tree.read, objects_of, folders, tree.sizes)
        built = list(kustomize.build(world))
        # What a kustomization takes in isn't deployed as it stands.
        plain = [f for f in files if f not in world.used and not f.startswith(charts)]
        objects = [o for file in plain for d in reader.documents(file) for o in objects_of(d, file)]
        resources = list(resources_of(objects))
        resources += _variants([(folder, list(resources_of(group))) for folder, group in built])
        problems = dict.fromkeys((*reader.problems, *world.problems))
        return Reading(tuple(resources), tuple(problems), frozenset(files) | world.used)


class _Files:
    """The documents of files, each file read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: dict[str, list[Value]] = {}
        self.problems: list[Problem] = []

    def documents(self, file: str) -> list[Value]:
        if file not in self._read:
            text = self._tree.read(file)
            self._read[file], wrong = _documents(text, file) if text is not None else ([], [])
            self.problems += wrong
        return self._read[file]


def _variants(groups: Sequence[tuple[str, Sequence[Resource]]]) -> Iterator[Resource]:
    """What several overlays make of one base are variants of it."""
    seen: set[str] = set()
    for folder, resources in groups:
        for resource in resources:
            if resource.id in seen:
                yield replace(resource, id=f"{resource.id} ({folder})", variant=folder)
            else:
                yield resource
        seen |= {r.id for r in resources}


def resources_of(objects: Sequence[Object]) -> Iterator[Resource]:
    """The objects and their containers, with the references between them."""
    return _Resolver(objects).resources()


def _documents(text: str, file: str) -> tuple[list[Value], list[Problem]]:
    if file.endswith(".json"):
        root, problems = read_json(text, file)
        return [root] if root is not None else [], problems
    return read_yaml(text, file)


class _Resolver:
    """References between objects: selectors, service names, configuration."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._objects = objects
        self._by_kind: dict[str, list[Object]] = defaultdict(list)
        for one in objects:
            self._by_kind[one.kind].append(one)
        self._workloads: list[tuple[Object, Mapping[str, str], str]] = []
        """Object, labels of its pods, id of the main container."""

    def resources(self) -> Iterator[Resource]:
        found: list[Resource] = []
        for one in self._objects:
            for pod in self._pods(one):
                own = list(containers(one, pod, self._configuration(one)))
                if own and one.kind == "InferenceService" and not pod.group:
                    own[0] = _hosted(own[0], one)
                found += own
                if own:
                    self._workloads.append((one, pod.labels, own[0].id))
        hosts = self._hosts()
        for resource in found:
            extra = tuple(hosts.get(resource.id, ()))
            yield replace(resource, names=(*resource.names, *extra)) if extra else resource
        for one in self._objects:
            yield self._object(one)
            yield from _charts(one)

    def _pods(self, one: Object) -> Iterator[Pod]:
        """Of a KServe service those of the runtime that it names too; a runtime by itself runs nothing."""
        if one.kind in _RUNTIMES:
            return
        yield from pods(one.value)
        if one.kind == "InferenceService":
            named = {text_of(one.value, "spec.predictor.model.runtime")}
            for kind in _RUNTIMES:
                for runtime in self._nearest(one, [r for r in self._by_kind[kind] if r.name in named])[:1]:
                    yield from pods(runtime.value)

    # --- objects -------------------------------------------------------------------------------------------------
    def _object(self, one: Object) -> Resource:
        value = one.value
        body = {k: v for k, v in value.data.items() if k not in ("apiVersion", "kind", "status")}
        if "apiVersion" in value.data:
            # Groups tell kinds of one name apart: `Model`, `Agent`, `Cluster`.
            body["api"] = replace(value.data["apiVersion"], data=text_of(value, "apiVersion").partition("/")[0])
        spec = value.data.get("spec")
        if spec is not None and isinstance(spec.data, Mapping):
            body["spec"] = replace(spec, data={k: _embedded(k, v) for k, v in spec.data.items()})
        if one.kind == "InferenceService":
            body["env"] = Value(dict(variables(one.value.find("spec.predictor.*.env"))), value.place)
        targets = tuple(dict.fromkeys(self._targets(one)))
        body["targets"] = Value(tuple(Value(t, value.place, refs=(t,)) for t in targets), value.place)
        place = value.data["kind"].place if "kind" in value.data else value.place
        return Resource(
            one.id, f"kubernetes/{one.kind}", one.name, Value(body, value.place), replace(place, end=value.place.end),
            scope=scope_of(one), names=(f"k8s:{one.kind}/{one.name}@{scope_of(one)}",),
        )  # fmt: skip

    def _targets(self, one: Object) -> Iterator[str]:
        """The workloads about which an object says something."""
        if one.kind == "Service":
            yield from self._selected(one, "spec.selector")
        elif one.kind in ("NetworkPolicy", "PodDisruptionBudget", "AuthorizationPolicy", "PeerAuthentication"):
            if text_of(one.value, "spec.podSelector") == "" and not one.value.find("spec.podSelector.matchLabels"):
                yield from (w for o, _, w in self._workloads if self._near(one, o) and o.namespace == one.namespace)
            yield from self._selected(one, "spec.podSelector.matchLabels")
            yield from self._selected(one, "spec.selector.matchLabels")
        elif one.kind == "InferenceGraph":
            named = {str(v.data) for v in one.value.find("spec.nodes.*.steps.serviceName")}
            yield from (o.id for o in self._nearest(one, self._by_kind["InferenceService"]) if o.name in named)
        elif one.kind in ("RoleBinding", "ClusterRoleBinding"):
            for name in one.value.find("subjects.name"):
                yield from (
                    w
                    for o, _, w in self._workloads
                    if text_of(o.value, "spec.template.spec.serviceAccountName") == name.data
                )
        else:
            for path in _BACKENDS:
                for name in one.value.find(path):
                    yield from self._behind(one, str(name.data).partition(".")[0])

    def _behind(self, one: Object, service: str) -> Iterator[str]:
        for other in self._nearest(one, [s for s in self._by_kind["Service"] if s.name == service]):
            yield from self._selected(other, "spec.selector")

    def _selected(self, one: Object, path: str) -> Iterator[str]:
        selector = {k: v.data for s in one.value.find(path) if isinstance(s.data, Mapping) for k, v in s.data.items()}
        if not selector:
            return
        fits = [
            (o, w)
            for o, labels, w in self._workloads
            if selector.items() <= labels.items() and self._same_namespace(one, o)
        ]
        nearest = {o.file for o in self._nearest(one, [o for o, _ in fits])}
        yield from (w for o, w in fits if o.file in nearest)

    def _same_namespace(self, one: Object, other: Object) -> bool:
        return one.namespace == other.namespace or not one.namespace or not other.namespace

    def _near(self, one: Object, other: Object) -> bool:
        return scope_of(one) == scope_of(other)

    def _nearest(self, one: Object, others: Sequence[Object]) -> list[Object]:
        same_file = [o for o in others if o.file == one.file]
        same_folder = [o for o in others if self._near(one, o)]
        return same_file or same_folder or list(others)

    def _hosts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for service in self._by_kind["Service"]:
            for workload in self._selected(service, "spec.selector"):
                name, space = service.name, service.namespace or (NAMESPACE if service.scope else "")
                found[workload].append(f"host:{name}@{scope_of(service)}")
                for suffix in (f".{space}", f".{space}.svc", f".{space}.svc.cluster.local") if space else (".svc",):
                    found[workload].append(f"host:{name}{suffix}@{scope_of(service)}")
        return found

    def _configuration(self, one: Object) -> Configuration:
        """The data of the ConfigMaps and the keys of the Secrets that pods of an object may name."""
        found: dict[str, dict[str, dict[str, Value]]] = {"ConfigMap": {}, "Secret": {}}
        for kind, named in found.items():
            for other in self._nearest_first(one, kind):
                data = [d.data for key in _DATA[kind] for d in other.value.find(key) if isinstance(d.data, Mapping)]
                named.setdefault(other.name, {k: v for d in data for k, v in d.items()})
        return found

    def _nearest_first(self, one: Object, kind: str) -> list[Object]:
        return sorted(self._by_kind[kind], key=lambda o: (o.file != one.file, not self._near(one, o)))


def _charts(one: Object) -> Iterator[Resource]:
    """The charts that a release of Flux or an application of Argo CD takes from elsewhere, with the values that it gives them."""
    named = (v for path in _CHARTS.get(one.kind, ()) for v in one.value.find(path) if isinstance(v.data, str))
    for chart in named:
        name = chart.data.rpartition("/")[2]
        hosts = dict.fromkeys((one.name, f"{one.name}-{name}"))
        scope = scope_of(one)
        spaces = ("", f".{one.namespace}", f".{one.namespace}.svc", f".{one.namespace}.svc.cluster.local")
        names = tuple(f"host:{h}{s}@{scope}" for h in hosts for s in (spaces if one.namespace else spaces[:1]))
        found = Resource(f"{one.id}: chart {name}", TYPE, name, one.value, chart.place, names=names, scope=scope)
        yield from_elsewhere(found, _given(one))


def _given(one: Object) -> Iterator[Value]:
    """The values that a release gives its chart, also as a text."""
    for value in (v for path in _GIVEN for v in one.value.find(path)):
        if isinstance(value.data, str):
            yield from read_yaml(value.data, value.place.file, value.place.line + 1)[0][:1]
        else:
            yield value


def _hosted(container: Resource, one: Object) -> Resource:
    """The container of a KServe service is that service."""
    body = {**container.body.data, "host": Value(one.id, container.place, refs=(one.id,))}
    return replace(container, body=replace(container.body, data=body))


def _embedded(key: str, value: Value) -> Value:
    """YAML in a text, read with its own lines."""
    if key not in _EMBEDDED or not isinstance(value.data, str) or ":" not in value.data:
        return value
    documents, problems = read_yaml(_TEMPLATE.sub("", value.data), value.place.file, value.place.line + 1)
    return documents[0] if documents and not problems else value
