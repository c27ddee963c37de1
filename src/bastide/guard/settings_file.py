# SPDX-License-Identifier: Apache-2.0
"""Reads `bastide.guard.yaml` into `Settings`, as strictly and with the same kind of messages as a plan.

The dataclasses of `settings` are the format: a field is a key with `-` for `_`, its type says what may stand there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bastide.catalog.fields import check_keys
from bastide.errors import Diagnostic, Location, PlanError, SettingsError, did_you_mean
from bastide.guard.identity.keys import faults
from bastide.guard.settings import (
    ApiKey,
    Budget,
    ClientCertificates,
    Content,
    Issuer,
    LogSettings,
    McpServer,
    ModelRoute,
    Secret,
    Settings,
    Thresholds,
    ToolMeaning,
)
from bastide.guard.settings_types import Rule, Seconds
from bastide.plan.yamlfile import Node, key_text, parse, read_text

FORMAT = 1
_ENDING = ".guard.yaml"
_KEYS: Mapping[tuple[type, str], str] = {
    (ToolMeaning, "component"): "is",
    (ToolMeaning, "field_trust"): "fields",
}
"""Fields that are called something else in the file than in the code."""
_NAMED: Mapping[type, str] = {ModelRoute: "component", ToolMeaning: "name", McpServer: "component"}
"""Things that are written as a mapping from this field to the rest."""
_UNIQUE: Mapping[type, tuple[str, ...]] = {ApiKey: ("id", "sha256"), Issuer: ("issuer",), ModelRoute: ("names",)}
"""What two of a list can't have both."""
_CALLERS = {"keys": "keys", "issuers": "issuers", "certificates": "certificates"}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)\Z")
_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]*):(\d{1,5})\Z")


def load_settings(path: Path) -> Settings:
    """The settings in a file; relative paths in it are relative to its folder.

    Raises `SettingsError` with everything that is wrong, each with its place.
    """
    return parse_settings(read_text(path, SettingsError), str(path), path.resolve().parent)


def settings_for(plan: Path) -> Settings:
    """The settings of a plan: those in `<plan>.guard.yaml` beside it, or the defaults.

    Raises `SettingsError`, also when those beside it are another plan's.
    """
    beside = settings_beside(plan)
    if beside.is_file():
        read = load_settings(beside)
        if read.plan.resolve() != plan.resolve():
            message = f"these settings are for the plan {read.plan}, not for {plan}"
            raise SettingsError(Diagnostic(message, Location(str(beside)), hint="`plan:` in them says so"))
        return read
    return Settings(plan=plan, log=LogSettings(folder=plan.resolve().parent / LogSettings().folder))


def settings_beside(plan: Path) -> Path:
    """Where the settings of a plan are looked for."""
    return plan.parent / f"{plan.stem}{_ENDING}"


def plan_meant(plan: Path | None, settings: Path | None) -> Path:
    """The plan to use: the one that is named, else the one of the settings that are named, else `bastide.yaml`.

    Raises `SettingsError`.
    """
    return plan or (load_settings(settings).plan if settings else Path("bastide.yaml"))


def parse_settings(text: str, file: str = "<input>", folder: Path | None = None) -> Settings:
    """The settings in a text.

    Raises `SettingsError`.
    """
    root = parse(text, file, SettingsError)
    try:
        settings = _Reader((folder or Path.cwd()).absolute()).settings(root)
    except PlanError as too_many:
        raise SettingsError(too_many.diagnostics) from None
    if root.document.problems:
        found = sorted(root.document.problems, key=lambda p: (p.location.line, p.location.column))
        raise SettingsError(found)
    return settings


class _Reader:
    """Turns nodes into values of a type; notes problems at the nodes and goes on with defaults."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def settings(self, root: Node) -> Settings:
        if not root.is_map:
            raise SettingsError(Diagnostic("the settings are a mapping", Location(root.document.file, 1, 1)))
        version = root.get("bastide-guard")
        if version is None or version.value != FORMAT:
            (version or root).problem(f"`bastide-guard: {FORMAT}` is missing", "write it as the first line")
        values: dict[str, Any] = {"location": root.location, "file": Path(root.document.file)}
        own = {key: node for key, _, node in root.items() if key not in ("bastide-guard", "listen", "callers")}
        own.update(self._callers(root.get("callers")))
        values.update(self._listen(root.get("listen")))
        hidden = ("file", "location", "host", "port", *_CALLERS)
        known = [_key(Settings, f.name) for f in dataclasses.fields(Settings) if f.name not in hidden]
        check_keys(root, ("bastide-guard", "listen", "callers", *known), "guard's settings")
        values.update(self._fields(Settings, own))
        values.setdefault("plan", self._folder / _plan_of(root.document.file))
        log = values.get("log", LogSettings())
        values["log"] = dataclasses.replace(log, folder=self._folder / log.folder)
        _stand_ins(root.get("models"))
        return Settings(**values)

    def _callers(self, node: Node | None) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not node.is_map:
            node.problem(f"`callers` is a mapping, found {node.describe()}", "such as `callers: {keys: [...]}`")
            return {}
        check_keys(node, _CALLERS, "mapping of callers")
        return {_CALLERS[key]: value for key, _, value in node.items() if key in _CALLERS}

    def _listen(self, node: Node | None) -> dict[str, Any]:
        if node is None:
            return {}
        match = _LISTEN.match(key_text(node)) if not (node.is_map or node.is_list) else None
        if match is None or int(match[2]) > 65535:
            node.problem("`listen` is an address and a port", "such as `127.0.0.1:8088`")
            return {}
        return {"host": match[1].strip("[]") or "0.0.0.0", "port": int(match[2])}

    def _fields(self, type_: type, nodes: Mapping[str, Node]) -> dict[str, Any]:
        """The values of the fields of a dataclass that are written."""
        values = {}
        for field in dataclasses.fields(type_):
            node = nodes.get(_key(type_, field.name))
            if node is not None and node.value is not None:
                read = self.value(node, _hints(type_)[field.name])
                if read is not _NOTHING:
                    values[field.name] = read
        return values

    def object(self, node: Node, type_: type, preset: Mapping[str, Any] | None = None) -> Any:
        """A dataclass from a mapping."""
        if not node.is_map:
            hint = "a credential is `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM]}`" if type_ is Secret else ""
            node.problem(f"expected a mapping, found {node.describe()}", hint)
            return _NOTHING
        preset = dict(preset or {})
        names = [f.name for f in dataclasses.fields(type_) if f.name not in preset and f.name != "location"]
        check_keys(node, [_key(type_, n) for n in names], _title(type_))
        values = {**self._fields(type_, {k: v for k, _, v in node.items()}), **preset}
        missing = [
            f.name
            for f in dataclasses.fields(type_)
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING and f.name not in values
        ]
        for name in missing:
            # What is there and wrong was reported where it stands.
            written = node.get(_key(type_, name))
            if written is None or written.value is None:
                node.problem(f"`{_key(type_, name)}` is missing in this {_title(type_)}")
        if missing:
            return _NOTHING
        if "location" in _hints(type_):
            values["location"] = node.location
        made = type_(**values)
        _check(node, made)
        return made

    def value(self, node: Node, hint: Any) -> Any:
        """A value of a type, or `_NOTHING` after a problem was noted."""
        origin, args = get_origin(hint), get_args(hint)
        if hint is Seconds:
            return self._seconds(node, args[1])
        if origin is Annotated:
            return self._ruled(node, args[0], args[1])
        if origin in (Union, UnionType):
            return self.value(node, next(a for a in args if a is not type(None)))
        if origin is Literal:
            return self._choice(node, args)
        if origin in (tuple, frozenset):
            return self._several(node, args[0], origin)
        if origin is not None:
            return self._mapping(node, *args)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.object(node, hint)
        return self._scalar(node, hint)

    def _ruled(self, node: Node, hint: Any, rule: Rule) -> Any:
        value = self._scalar(node, hint, rule.wanted)
        if value is _NOTHING or rule.holds(value):
            return value
        return self._wrong(node, rule.wanted, did_you_mean(str(value), rule.words))

    def _scalar(self, node: Node, hint: Any, wanted: str = "") -> Any:
        value = _NOTHING if node.is_map or node.is_list else self._plain(node, hint)
        return self._wrong(node, wanted or _WORDS[hint]) if value is _NOTHING else value

    def _plain(self, node: Node, hint: Any) -> Any:
        if hint is str:
            return key_text(node)
        if hint is Path:
            return self._path(key_text(node))
        if hint is bool:
            return node.value if isinstance(node.value, bool) else _NOTHING
        fits = isinstance(node.value, int if hint is int else (int, float)) and not isinstance(node.value, bool)
        return node.value if fits and node.value >= 0 else _NOTHING

    def _path(self, text: str) -> Any:
        if not text or not text.isprintable():
            return _NOTHING
        try:
            return self._folder / Path(text).expanduser()
        except RuntimeError:
            # A user whom this machine doesn't have.
            return _NOTHING

    def _seconds(self, node: Node, rule: Rule) -> Any:
        match = None if node.is_map or node.is_list else _DURATION.match(key_text(node))
        value = float(match[1]) * _UNITS[match[2]] if match else node.value
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and rule.holds(value):
            return float(value)
        return self._wrong(node, rule.wanted, "such as `30s`, `15m`, `1h` or `90d`")

    def _choice(self, node: Node, options: tuple[str, ...]) -> Any:
        word = "" if node.is_map or node.is_list else key_text(node)
        if word not in options:
            node.problem(f"{node.describe()} is none of the choices", did_you_mean(word, options))
            return _NOTHING
        return word

    def _several(self, node: Node, item: Any, container: Any) -> Any:
        named = _NAMED.get(item)
        if named and node.is_map:
            read = [(v, self.object(v, item, {named: key_text(k)})) for _, k, v in node.items()]
        elif named:
            return self._wrong(node, f"a mapping from {named} to a {_title(item)}")
        else:
            nodes = node.value if node.is_list else [node]
            read = [(n, self.value(n, item)) for n in nodes]
        good = [(n, v) for n, v in read if v is not _NOTHING]
        for field in _UNIQUE.get(item, ()):
            _unique(good, field)
        return container(v for _, v in good)

    def _mapping(self, node: Node, key: Any, item: Any) -> Any:
        if not node.is_map:
            return self._wrong(node, "a mapping")
        read = [(self.value(k, key), self.value(v, item)) for _, k, v in node.items()]
        return {k: v for k, v in read if k is not _NOTHING and v is not _NOTHING}

    @staticmethod
    def _wrong(node: Node, wanted: str, hint: str = "") -> Any:
        node.problem(f"expected {wanted}, found {node.describe()}", hint)
        return _NOTHING


def _plan_of(file: str) -> str:
    """The plan beside which settings of this name are looked for."""
    name = Path(file).name
    return f"{name.removesuffix(_ENDING)}.yaml" if name.endswith(_ENDING) else "bastide.yaml"


_NOTHING: Any = object()
_WORDS: Mapping[Any, str] = {
    str: "a text", Path: "a file name", bool: "true or false", int: "a whole number, 0 or more", float: "a number, 0 or more",
}  # fmt: skip


@cache
def _hints(type_: type) -> dict[str, Any]:
    return get_type_hints(type_, include_extras=True)


def _key(type_: type, name: str) -> str:
    return _KEYS.get((type_, name), name.replace("_", "-"))


def _title(type_: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type_.__name__).lower()


def _unique(made: list[tuple[Node, Any]], field: str) -> None:
    """Reports values that several have."""
    seen: dict[str, int] = {}
    for node, one in made:
        value = getattr(one, field)
        for word in dict.fromkeys((value,) if isinstance(value, str) else value):
            at = node.get(field) or node
            if word in seen:
                at.problem(f"the {field} `{word[:80]}` occurs twice", f"it stands already in line {seen[word]}")
            seen.setdefault(word, at.line)


def _stand_ins(models: Node | None) -> None:
    """Reports models that are to stand in for others and aren't there."""
    served = dict(models.value) if models is not None and models.is_map else {}
    for model in served.values():
        named = model.get("failover")
        for one in () if named is None else named.value if named.is_list else (named,):
            word = "" if one.is_map or one.is_list else key_text(one)
            if word and word not in served:
                one.problem(f"the model `{word[:80]}` has no route in `models`", did_you_mean(word, served))


def _check(node: Node, made: Any) -> None:
    """What the types can't say."""
    for type_, check in _CHECKS.items():
        if isinstance(made, type_):
            for field, message, hint in check(made):
                (node.get(_key(type_, field)) or node).problem(message, hint)


Faults = Iterator[tuple[str, str, str]]
"""The field that is wrong ('' the whole), what is wrong with it, and what to do."""


def _check_key(key: ApiKey) -> Faults:
    return ((field, why, "") for field, why in faults(key))


def _check_issuer(issuer: Issuer) -> Faults:
    if not issuer.agents:
        yield "", "no agent has tokens of this issuer, so all are refused", "add `agents: {CLAIM: COMPONENT}`"


def _check_certificates(certificates: ClientCertificates) -> Faults:
    for field in ("proxies", "subjects"):
        if not getattr(certificates, field):
            yield field, f"`{field}` is empty, so all certificates are refused", ""


def _check_secret(secret: Secret) -> Faults:
    if bool(secret.env) + bool(secret.file) + bool(secret.command) != 1:
        yield "", "a credential is in one place", "`{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM]}`"


def _check_budget(budget: Budget) -> Faults:
    if not (budget.requests or budget.tokens or budget.cost):
        yield "", "this budget limits nothing", "add `requests`, `tokens` or `cost`"


def _check_server(server: McpServer) -> Faults:
    if bool(server.url) == bool(server.command):
        yield "", "an MCP server has either a `url` or a `command`", ""


def _check_route(route: ModelRoute) -> Faults:
    if not (route.names and route.providers):
        yield "", "a model has at least one name and one provider", ""


def _check_thresholds(thresholds: Thresholds) -> Faults:
    if thresholds.flag > thresholds.block:
        words = f"`flag` ({thresholds.flag:g}) is over `block` ({thresholds.block:g})"
        yield "flag", words, "what is blocked is at least as sure as what is flagged"


def _check_content(content: Content) -> Faults:
    if content.personal_types:
        from bastide.recognise.presidio import types

        for word in content.personal_types:
            if word not in types():
                yield "personal_types", f"`{word[:60]}` is no type of personal data", did_you_mean(word, types())


_CHECKS: Mapping[type, Callable[[Any], Faults]] = {
    ApiKey: _check_key,
    Issuer: _check_issuer,
    ClientCertificates: _check_certificates,
    Secret: _check_secret,
    Budget: _check_budget,
    McpServer: _check_server,
    ModelRoute: _check_route,
    Thresholds: _check_thresholds,
    Content: _check_content,
}
