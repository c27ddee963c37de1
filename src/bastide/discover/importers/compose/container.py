# SPDX-License-Identifier: Apache-2.0
"""A Compose service in the shape that all containers have, wherever they run."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Place, Resource, State, Value

_FILES = (
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".conf",
    ".cfg",
    ".ini",
    ".xml",
    ".env",
    ".sql",
    ".sh",
    ".py",
    ".js",
    ".pem",
    ".crt",
)
EVERYWHERE = "0.0.0.0"
"""Interface of a port that is published on all of them."""


def container(name: str, service: Value, folder: str, root: Value | None, all_: Mapping[str, Value]) -> Resource:
    """The resource of a service. `root`: the file; `all_`: the services of the project."""
    place = service.place
    scope = f"compose:{folder}"
    body: dict[str, Value] = {"platform": Value("compose", place)}
    body |= {
        k: v for k in ("image", "user", "privileged", "cap_add", "devices", "restart") if (v := service.data.get(k))
    }
    for key in ("networks", "network_mode"):
        if key in service.data:
            body["network"] = service.data[key]
    body["command"] = Value(tuple(_command(service)), _first(service, "command", "entrypoint"))
    body["env"] = Value(_environment(service), _first(service, "environment", "env_file"))
    body["ports"] = Value(tuple(_ports(service)), _first(service, "ports"))
    body["mounts"] = Value(tuple(_mounts(service, root)), _first(service, "volumes"))
    if (build := _build(service, folder)) is not None:
        body["build"] = build
        if "image" in body:
            # What is built here is called like that; its tag pins nothing and moves nothing.
            body["built-as"] = body["image"]
    if "depends_on" in service.data:
        body["needs"] = Value(tuple(_needed(service)), service.data["depends_on"].place)
    if _is_routed(service):
        body["routed"] = Value(True, place)
    if _is_job(name, all_):
        body["job"] = Value(True, place)
    profiles = sorted(str(v.data) for v in service.find("profiles"))
    said = next((str(v.data) for v in service.find("container_name") if isinstance(v.data, str)), name)
    hosts = dict.fromkeys([name, said, *(str(v.data) for v in service.find("hostname")), *_aliases(service)])
    return Resource(
        f"{folder or '.'}: services.{name}",
        "container",
        said,
        Value(body, place),
        place,
        names=tuple(f"host:{h}@{scope}" for h in hosts),
        scope=scope,
        variant=",".join(profiles),
    )


def _first(service: Value, *keys: str) -> Place:
    return next((service.data[k].place for k in keys if k in service.data), service.place)


def _command(service: Value) -> Iterator[Value]:
    for key in ("entrypoint", "command"):
        value = service.data.get(key)
        if value is None:
            continue
        if isinstance(value.data, str):
            yield from (replace(value, data=word) for word in _words(value.data))
        else:
            yield from value.find("*") if isinstance(value.data, Mapping) else value.elements()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=False)
    except ValueError:
        return text.split()


def _environment(service: Value) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if (given := service.data.get("x-env-file")) is not None:
        found |= given.data
    outside: Mapping[str, Value] = service.data["x-project-env"].data
    environment = service.data.get("environment")
    if environment is None:
        return found
    if isinstance(environment.data, Mapping):
        return found | {k: _given(k, v, outside) for k, v in environment.data.items()}
    for entry in environment.elements():
        if not isinstance(entry.data, str):
            name = entry.text.partition("=")[0]
            if name and "$" not in name:
                found[name] = replace(entry, text=entry.text.partition("=")[2])
            continue
        name, equals, text = entry.data.partition("=")
        found[name] = replace(entry, data=text) if equals else _given(name, replace(entry, data=None), outside)
    return found


def _given(name: str, value: Value, files: Mapping[str, Value]) -> Value:
    """A variable without a value is taken from the environment in which Compose runs."""
    if value.data is None and value.state is State.KNOWN:
        return files.get(name) or Value(None, value.place, State.UNKNOWN, (f"env:{name}",))
    return value


def _ports(service: Value) -> Iterator[Value]:
    for port in service.data["ports"].elements() if "ports" in service.data else ():
        if isinstance(port.data, Mapping):
            parts = {"container": "target", "host": "published", "interface": "host_ip"}
            body = {name: port.data[key] for name, key in parts.items() if key in port.data}
        else:
            body = _port(port)
        if "host" in body and "interface" not in body:
            body["interface"] = Value(EVERYWHERE, port.place)
        if body:
            yield Value(body, port.place)
    for port in service.data["expose"].elements() if "expose" in service.data else ():
        yield Value({"container": port}, port.place)


def _port(port: Value) -> dict[str, Value]:
    if port.data is None:
        return {"container": port, "host": port}
    text = str(port.data).partition("/")[0]
    rest, _, inner = text.rpartition(":")
    interface, _, host = rest.rpartition(":")
    body = {"container": replace(port, data=_number(inner))}
    if rest or ":" in text:
        body["host"] = replace(port, data=_number(host))
    else:
        # Only the container's port: Docker publishes it on a free one.
        body["host"] = replace(port, data="any")
    if interface:
        body["interface"] = replace(port, data=interface.strip("[]"))
    return body


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 6 else text


def _mounts(service: Value, root: Value | None) -> Iterator[Value]:
    named = {k for v in (root.find("volumes") if root else ()) if isinstance(v.data, Mapping) for k in v.data}
    for mount in service.data["volumes"].elements() if "volumes" in service.data else ():
        if isinstance(mount.data, Mapping):
            yield mount
            continue
        if not isinstance(mount.data, str):
            # Known only where it is deployed.
            yield Value({"source": mount, "type": mount}, mount.place)
            continue
        source, _, rest = mount.data.partition(":")
        target, _, mode = rest.partition(":")
        kind = "host" if target and source not in named and source.startswith((".", "/", "~")) else "volume"
        if kind == "host" and _is_settings(source, target):
            kind = "file"
        yield Value(
            {
                "source": replace(mount, data=source),
                "target": replace(mount, data=target or source),
                "type": replace(mount, data=kind + "-read-only" * ("ro" in mode.split(","))),
                "read-only": replace(mount, data="ro" in mode.split(",")),
            },
            mount.place,
        )


def _is_settings(source: str, target: str) -> bool:
    """Whether one file of the project is handed in, not a folder of the machine."""
    here = source.startswith("./") or (source.startswith(".") and "/" not in source)
    return here and source.endswith(_FILES) and target.endswith(_FILES)


def _build(service: Value, folder: str) -> Value | None:
    build: Value | None = service.data.get("build")
    if build is None:
        return None
    default: Value = replace(build, data=".")
    context: Value = build if isinstance(build.data, str) else next(iter(build.find("context")), default)
    if not isinstance(context.data, str):
        return replace(context, state=State.UNKNOWN, data=None)
    return replace(context, data=posixpath.normpath(posixpath.join(folder, context.data)))


def _needed(service: Value) -> Iterator[Value]:
    """The services that it waits for."""
    given = service.data["depends_on"]
    if isinstance(given.data, Mapping):
        yield from (Value(name, inner.place) for name, inner in given.data.items())
    else:
        yield from given.elements()


def _is_routed(service: Value) -> bool:
    """Whether its labels tell Traefik to send requests to it."""
    labels = (pair for path in ("labels", "deploy.labels") for pairs in _labels(service, path) for pair in pairs)
    return any(name.startswith("traefik.http.routers.") and name.endswith(".rule") for name, _ in labels)


def _labels(service: Value, path: str) -> Iterator[list[tuple[str, Value]]]:
    head, _, rest = path.partition(".")
    value = service.data.get(head)
    if rest:
        value = value.data.get(rest) if value is not None and isinstance(value.data, Mapping) else None
    if value is None:
        return
    if isinstance(value.data, Mapping):
        yield list(value.data.items())
    else:
        yield [(str(v.data or v.text).partition("=")[0], v) for v in value.elements()]


def _aliases(service: Value) -> list[str]:
    return [str(v.data) for v in service.find("networks.*.aliases") if isinstance(v.data, str)]


def _is_job(name: str, all_: Mapping[str, Value]) -> bool:
    """Whether others wait for it to end, or it is a shell script that nothing restarts and nobody calls."""
    for service in all_.values():
        for condition in service.find(f"depends_on.{name}.condition") if "." not in name else ():
            if condition.data == "service_completed_successfully":
                return True
    own = all_[name]
    shell = next((str(v.data) for v in own.find("entrypoint")), "").rpartition("/")[2] in ("sh", "bash")
    return shell and "restart" not in own.data and "ports" not in own.data
