# SPDX-License-Identifier: Apache-2.0
"""Reads `bastide.guard.yaml` into `Settings`, as strictly and with the same kind of messages as a plan.

The dataclasses of `settings` are the format: a field is a key with `-` for `_`, its type says what may stand there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bastide.catalog.fields import check_keys
from bastide.errors import Diagnostic, Location, SettingsError, did_you_mean
from bastide.guard.settings import ApiKey, Budget, McpServer, ModelRoute, Seconds, Settings, ToolMeaning
from bastide.plan.yamlfile import Node, key_text, parse, read_text

FORMAT = 1
_KEYS: Mapping[tuple[type, str], str] = {
    (ToolMeaning, "component"): "is",
    (ToolMeaning, "field_trust"): "fields",
}
"""Fields that are called something else in the file than in the code."""
_NAMED: Mapping[type, str] = {ModelRoute: "component", ToolMeaning: "name", McpServer: "component"}
"""Things that are written as a mapping from this field to the rest."""
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
    """The settings of a plan: those in `<plan>.guard.yaml` beside it, or the defaults."""
    beside = plan.with_name(f"{plan.stem}.guard.yaml")
    return load_settings(beside) if beside.is_file() else Settings(plan=plan)


def parse_settings(text: str, file: str = "<input>", folder: Path | None = None) -> Settings:
    """The settings in a text.

    Raises `SettingsError`.
    """
    root = parse(text, file, SettingsError)
    settings = _Reader(folder or Path.cwd()).settings(root)
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
        values.setdefault("plan", self._folder / "bastide.yaml")
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
            node.problem(f"expected a mapping, found {node.describe()}")
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
            return self._seconds(node)
        if origin is Annotated:
            return self.value(node, args[0])
        if origin in (Union, UnionType):
            return self.value(node, next(a for a in args if a is not type(None)))
        if origin is Literal:
            return self._choice(node, args)
        if origin in (tuple, frozenset):
            return self._several(node, args[0], origin)
        if origin is not None:
            return self._mapping(node, args[1])
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.object(node, hint)
        return self._scalar(node, hint)

    def _scalar(self, node: Node, hint: Any) -> Any:
        if node.is_map or node.is_list:
            return self._wrong(node, _WORDS[hint])
        if hint is str:
            return key_text(node)
        if hint is Path:
            return self._folder / Path(key_text(node)).expanduser()
        if hint is bool:
            return node.value if isinstance(node.value, bool) else self._wrong(node, _WORDS[bool])
        fits = isinstance(node.value, int if hint is int else (int, float)) and not isinstance(node.value, bool)
        if not fits or node.value < 0:
            return self._wrong(node, _WORDS[hint])
        return node.value

    def _seconds(self, node: Node) -> Any:
        match = None if node.is_map or node.is_list else _DURATION.match(key_text(node))
        if match:
            return float(match[1]) * _UNITS[match[2]]
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) and 0 <= node.value < 1e9:
            return float(node.value)
        return self._wrong(node, "a time", "such as `30s`, `15m`, `1h` or `90d`")

    def _choice(self, node: Node, options: tuple[str, ...]) -> Any:
        word = "" if node.is_map or node.is_list else key_text(node)
        if word not in options:
            node.problem(f"{node.describe()} is none of the choices", did_you_mean(word, options))
            return _NOTHING
        return word

    def _several(self, node: Node, item: Any, container: Any) -> Any:
        named = _NAMED.get(item)
        if named and node.is_map:
            read = [self.object(v, item, {named: key_text(k)}) for _, k, v in node.items()]
        elif named:
            return self._wrong(node, f"a mapping from {named} to a {_title(item)}")
        else:
            nodes = node.value if node.is_list else [node]
            read = [self.value(n, item) for n in nodes]
        return container(v for v in read if v is not _NOTHING)

    def _mapping(self, node: Node, item: Any) -> Any:
        if not node.is_map:
            return self._wrong(node, "a mapping")
        read = {key: self.value(value, item) for key, _, value in node.items()}
        return {key: value for key, value in read.items() if value is not _NOTHING}

    @staticmethod
    def _wrong(node: Node, wanted: str, hint: str = "") -> Any:
        node.problem(f"expected {wanted}, found {node.describe()}", hint)
        return _NOTHING


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


def _check(node: Node, made: Any) -> None:
    """What the types can't say."""
    if isinstance(made, ApiKey) and not re.fullmatch(r"[0-9a-f]{64}", made.sha256):
        (node.get("sha256") or node).problem(
            "`sha256` is 64 hexadecimal digits in lower case", "`bastide guard key new` makes a key and this line"
        )
    if isinstance(made, Budget) and not (made.requests or made.tokens or made.cost):
        node.problem("this budget limits nothing", "add `requests`, `tokens` or `cost`")
    if isinstance(made, Budget) and made.window <= 0:
        node.problem("the window of a budget is longer than nothing", "such as `window: 1m`")
    if isinstance(made, McpServer) and bool(made.url) == bool(made.command):
        node.problem("an MCP server has either a `url` or a `command`")
    if isinstance(made, ModelRoute) and not (made.names and made.providers):
        node.problem("a model has at least one name and one provider")
