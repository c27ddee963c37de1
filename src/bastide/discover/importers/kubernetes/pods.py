# SPDX-License-Identifier: Apache-2.0
"""Pod templates, wherever they stand in an object, and their containers in the common shape."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bastide.discover.importers.kubernetes.objects import Object, scope_of, text_of
from bastide.discover.model import TEXT, Resource, State, Value

Configuration = Mapping[str, Mapping[str, Mapping[str, Value]]]
"""`ConfigMap` and `Secret`: name -> key -> value."""
_ONCE = ("Job", "CronJob", "PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob")
_VARIABLE = re.compile(r"(?<!\$)\$\(([A-Za-z_][\w.-]{0,127})\)")
_LONGEST = 4096
"""Characters of a text into which variables are put."""
_APART = ("transformer", "explainer")
"""Parts of a KServe service that run beside its predictor."""
_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template."""

    spec: Value
    labels: Mapping[str, str]
    group: str
    """Name of the group in the object, where it has several: `head`, `gpu-group`."""
    annotations: Value | None = None


_Level = tuple[Value, Mapping[str, str], Value | None, str, int]
"""A value with the labels, the annotations and the name of the group around it, and its depth."""


def pods(root: Value) -> Iterator[Pod]:
    """Every mapping with a list of containers, with the labels beside it and the name of the group around it."""
    stack: list[_Level] = [(root, {}, None, "", 0)]
    while stack:
        value, labels, marks, group, depth = stack.pop()
        if isinstance(value.data, tuple):
            stack += [(v, labels, marks, group, depth + 1) for v in reversed(value.data) if depth < _DEPTH]
            continue
        if not isinstance(value.data, Mapping):
            continue
        metadata = value.data.get("metadata")
        if metadata is not None:
            own = {k: v for m in metadata.find("labels") if isinstance(m.data, Mapping) for k, v in m.data.items()}
            labels = {k: str(v.data) for k, v in own.items()} or labels
            marks = metadata.data.get("annotations", marks) if isinstance(metadata.data, Mapping) else marks
        group = text_of(value, "groupName") or group
        if _has_containers(value):
            yield Pod(value, labels, group, marks)
        for key, child in reversed(list(value.data.items())):
            if key not in ("containers", "initContainers", "metadata", "status") and depth < _DEPTH:
                name = key.removesuffix("GroupSpec") if key.endswith("GroupSpec") else key if key in _APART else group
                stack.append((child, labels, marks, name, depth + 1))


def _has_containers(value: Value) -> bool:
    found = value.data.get("containers")
    return (
        found is not None
        and isinstance(found.data, tuple)
        and any(isinstance(c.data, Mapping) and {"image", "name"} & set(c.data) for c in found.data)
    )


def containers(one: Object, pod: Pod, configuration: Configuration) -> Iterator[Resource]:
    """The containers of a pod: the main one first, called like the object; sidecars and what runs before it are part of it."""
    several = f"/{pod.group}" if pod.group else ""
    prefix, main = f"{one.id}{several}", ""
    listed = [(c, False) for c in pod.spec.data["containers"].elements()]
    before = pod.spec.data.get("initContainers")
    listed += [(c, True) for c in before.elements()] if before is not None else []
    for number, (container, early) in enumerate(listed):
        if not isinstance(container.data, Mapping):
            continue
        inner = text_of(container, "name") or str(number)
        name = _main(one, pod) if number == 0 else f"{one.name}-{inner}"
        id_ = f"{prefix}/{inner}"
        main = main or id_
        place = container.data["name"].place if "name" in container.data else container.place
        # A template's values come from elsewhere; the container stands in the template.
        place = place if place.file == container.place.file else container.place
        yield Resource(
            id_, "container", name, Value(_body(container, pod, one, early, configuration), place), replace(place, end=container.place.end),
            names=(f"host:{one.name}@{scope_of(one)}",) if number == 0 and not several else (), scope=scope_of(one),
            part_of=main if id_ != main else one.id,
        )  # fmt: skip


def _main(one: Object, pod: Pod) -> str:
    return f"{one.name}-{pod.group}" if pod.group in _APART else pod.group or one.name


def _body(container: Value, pod: Pod, one: Object, early: bool, configuration: Configuration) -> dict[str, Value]:
    place = container.place
    body: dict[str, Value] = {"platform": Value("kubernetes", place), "workload": Value(one.kind, one.value.place)}
    if one.namespace:
        body["namespace"] = Value(one.namespace, one.value.place)
    body |= {k: container.data[k] for k in ("image", "resources") if k in container.data}
    words = [w for key in ("command", "args") if key in container.data for w in container.data[key].elements()]
    env = dict(_environment(container, configuration))
    env = {name: _put_in(value, env) for name, value in env.items()}
    body["command"] = Value(tuple(_put_in(word, env) for word in words), words[0].place if words else place)
    body["env"] = Value(env, container.data["env"].place if "env" in container.data else place)
    if committed := dict(_committed(container, configuration)):
        body["committed"] = Value(committed, place)
    body["ports"] = Value(
        tuple(_ports(container)), container.data["ports"].place if "ports" in container.data else place
    )
    body["mounts"] = Value(tuple(_mounts(container, pod)), place)
    if (security := _security(container, pod)) is not None:
        body["security"] = security
        if privileged := security.find("privileged"):
            body["privileged"] = privileged[0]
    for key, name in (("serviceAccountName", "service-account"), ("automountServiceAccountToken", "automount-token"), ("hostNetwork", "host-network"),
                      ("nodeSelector", "node-selector"), ("tolerations", "tolerations"), ("runtimeClassName", "runtime-class")):  # fmt: skip
        if key in pod.spec.data:
            body[name] = pod.spec.data[key]
    if early or one.kind in _ONCE:
        body["job"] = Value(True, place)
    body["labels"] = Value({k: Value(v, place) for k, v in pod.labels.items()}, place)
    if pod.annotations is not None:
        body["annotations"] = pod.annotations
    return body


def _put_in(value: Value, env: Mapping[str, Value]) -> Value:
    """A text with `$(NAME)` as Kubernetes fills it in: unknown where a variable is; a name that isn't there stays as it is."""
    if not isinstance(value.data, str) or "$(" not in value.data:
        return value
    given = [env[name] for name in _VARIABLE.findall(value.data) if name in env]
    if any(not isinstance(v.data, (str, int)) for v in given):
        refs = tuple(dict.fromkeys(r for v in given for r in v.refs))
        return Value(None, value.place, State.UNKNOWN, refs, value.data[:TEXT])
    known = {name: str(env[name].data) for name in _VARIABLE.findall(value.data) if name in env}
    return replace(value, data=_VARIABLE.sub(lambda m: known.get(m[1], m[0])[:_LONGEST], value.data)[:_LONGEST])


def _security(container: Value, pod: Pod) -> Value | None:
    """The pod's security context with the container's over it; unknown where one is put in elsewhere."""
    given = [
        s
        for holder in (pod.spec, container)
        if (s := holder.data.get("securityContext")) is not None and s.data is not None
    ]
    if not given:
        return None
    if not all(isinstance(s.data, Mapping) for s in given):
        return Value(None, given[0].place, State.UNKNOWN)
    return Value({k: v for s in given for k, v in s.data.items()}, given[0].place)


def _ports(container: Value) -> Iterator[Value]:
    for port in container.find("ports"):
        parts = {"containerPort": "container", "hostPort": "host", "name": "name"}
        given = port.data if isinstance(port.data, Mapping) else {}
        body = {to: given[key] for key, to in parts.items() if key in given}
        if "host" in body:
            body["interface"] = Value("0.0.0.0", port.place)
        if body:
            yield Value(body, port.place)


def _mounts(container: Value, pod: Pod) -> Iterator[Value]:
    volumes = {text_of(v, "name"): v for v in pod.spec.find("volumes")}
    for mount in container.find("volumeMounts"):
        volume = volumes.get(text_of(mount, "name"))
        kind = next(
            (
                k
                for k in (volume.data if volume is not None and isinstance(volume.data, Mapping) else {})
                if k != "name"
            ),
            "volume",
        )
        read_only = any(v.data is True for v in mount.find("readOnly"))
        named: dict[str, Any] = {"hostPath": "host", "configMap": "config", "secret": "secret"}
        source = next(iter(volume.find("hostPath.path")), mount) if volume is not None else mount
        what = named.get(kind, "volume") + ("-read-only" if read_only else "")
        yield Value(
            {"source": source, "target": next(iter(mount.find("mountPath")), mount), "type": Value(what, mount.place)},
            mount.place,
        )


def _environment(container: Value, configuration: Configuration) -> Iterator[tuple[str, Value]]:
    for source in container.find("envFrom"):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            named = text_of(source, f"{key}.name")
            for variable, given in configuration[kind].get(named, {}).items():
                yield variable, _secret(given, f"{named}/{variable}") if kind == "Secret" else given
    yield from variables(container.find("env"), configuration)


def variables(entries: Sequence[Value], configuration: Configuration | None = None) -> Iterator[tuple[str, Value]]:
    """Variables as a container lists them."""
    for entry in entries:
        name = text_of(entry, "name")
        if name and isinstance(entry.data, Mapping):
            value: Value | None = entry.data.get("value")
            yield (
                name,
                value if value is not None else _from(entry, name, configuration or {"ConfigMap": {}, "Secret": {}}),
            )


def _from(entry: Value, name: str, configuration: Configuration) -> Value:
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        for reference in entry.find(f"valueFrom.{key}"):
            source, item = text_of(reference, "name"), text_of(reference, "key")
            if kind == "Secret":
                return _secret(entry, f"{source}/{item}")
            given = configuration[kind].get(source, {}).get(item)
            if given is not None:
                return given
    return Value(None, entry.place, State.UNKNOWN, (f"env:{name}",))


_SENSITIVE = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
_NAMES_ONE = re.compile(r"(?:_ID|_NAME|_USER|_PATH|_FILE)\Z", re.IGNORECASE)


def _committed(container: Value, configuration: Configuration) -> Iterator[tuple[str, Value]]:
    """The values of secrets whose manifests are in the tree, by variable; those of a `Secret`'s `data` decoded."""
    named: list[tuple[str, str, str]] = []
    for source in container.find("envFrom"):
        secret = text_of(source, "secretRef.name")
        named += [(item, secret, item) for item in configuration["Secret"].get(secret, {})]
    for entry in container.find("env"):
        for reference in entry.find("valueFrom.secretKeyRef"):
            named.append((text_of(entry, "name"), text_of(reference, "name"), text_of(reference, "key")))
    for variable, secret, item in named:
        given = configuration["Secret"].get(secret, {}).get(item)
        tells = _SENSITIVE.search(variable) and not _NAMES_ONE.search(variable)
        if tells and given is not None and given.known and isinstance(given.data, str):
            yield variable, replace(given, data=_plain(given.data))


def _plain(text: str) -> str:
    """What a base64 text means; anything else as it stands."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("utf-8") if len(text) % 4 == 0 else text
    except (binascii.Error, UnicodeDecodeError):
        return text
    return decoded if decoded.isprintable() else text


def _secret(value: Value, name: str) -> Value:
    return Value(None, value.place, State.UNKNOWN, (f"secret:{name}",))
