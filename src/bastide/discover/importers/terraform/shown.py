# SPDX-License-Identifier: Apache-2.0
"""Plans and states: what Terraform itself says of the resources, read from JSON.

Read are what `terraform show -json` prints of a plan or a state (https://developer.hashicorp.com/terraform/internals/json-format) and
state files as Terraform keeps them (version 4). What a plan can't know yet, and what is marked as sensitive, is unknown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from bastide.discover.importers.terraform.module import document_in
from bastide.discover.model import Place, State, Value
from bastide.discover.readers.json_ import read_json

_NUMBER = re.compile(r"\[\d+\]")
_INDEX = re.compile(r"\[(?:\d+|\"(?:[^\"\\]|\\.)*\")\]")
_LAST = re.compile(_INDEX.pattern + r"\Z")
_HOPS = 200
"""References that are followed for one expression."""
_CALL = re.compile(r"(.*?)module\.([\w-]+)(?:" + _INDEX.pattern + r")?\.\Z", re.DOTALL)
_MODULES = re.compile(r"(?:module\.[\w-]+(?:\[(?:\d+|\"(?:[^\"\\]|\\.)*\")\])?\.)*")
_OWN = ("arn", "id", "self_link", "invoke_arn", "qualified_arn", "name")
"""Attributes that say which resource it is, and that others are given to refer to it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A resource in a plan or a state."""

    address: str
    """With the keys of `for_each`, without the numbers of `count`: those instances are alike."""
    type: str
    """With `data.` before it for a data source."""
    name: str
    body: Value
    place: Place

    @property
    def key(self) -> str:
        """`["a"]` of an instance by key, else nothing."""
        found = _LAST.search(self.address)
        return found[0] if found is not None else ""

    @property
    def plain(self) -> str:
        """The address without any key, as the configuration has it."""
        return plain_address(self.address)


@dataclass(frozen=True)
class Showing:
    """What one file says."""

    file: str
    resources: tuple[Shown, ...]
    configuration: Value | None = None
    """Of a plan: the root module as it is written, with what each expression refers to."""
    changes: bool = False
    """Whether it says what isn't known yet; what it leaves out otherwise may be null or unknown."""

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Without keys."""
        return frozenset(r.plain for r in self.resources)

    def linked(self, scope: str) -> Iterator[Shown]:
        """The resources with what they refer to, as ids in a root's scope."""
        links = _Links(self, scope)
        for resource in self.resources:
            body = links.by_value(resource, resource.body)
            yield replace(resource, body=links.by_expression(resource, body))


def read_showing(text: str, file: str) -> Showing | str:
    """The resources that a plan or a state shows; a sentence where it isn't JSON."""
    root, problems = read_json(text, file)
    if root is None:
        return problems[0].message
    if root.find("format_version"):
        configuration = next((v for v in root.find("configuration.root_module") if v.known), None)
        return Showing(file, tuple(_unique(_of_show(root))), configuration, bool(root.find("resource_changes")))
    return Showing(file, tuple(_unique(_of_state(root))))


def _unique(found: Iterator[Shown]) -> Iterator[Shown]:
    """The first of those at one address: the instances of a `count`, a data source read before and planned again."""
    seen: set[str] = set()
    for shown in found:
        if shown.address not in seen:
            seen.add(shown.address)
            yield shown


# --- the two forms ---------------------------------------------------------------------------------------------------
def _of_show(root: Value) -> Iterator[Shown]:
    later = {
        _text(change, "address"): mask
        for change in root.find("resource_changes")
        for mask in change.find("change.after_unknown")
    }
    pending = [
        m for part in ("planned_values", "values", "prior_state.values") for m in root.find(f"{part}.root_module")
    ]
    pending.reverse()
    while pending:
        module = pending.pop()
        pending += module.find("child_modules")
        for entry in module.find("resources"):
            address, kind, name = (_text(entry, part) for part in ("address", "type", "name"))
            if address and kind and name:
                body = _masked(next(iter(entry.find("values")), Value({}, entry.place)), later.get(address))
                body = _masked(body, next(iter(entry.find("sensitive_values")), None))
                yield _shown(entry, _NUMBER.sub("", address), kind, name, body)


def _of_state(root: Value) -> Iterator[Shown]:
    for entry in root.find("resources"):
        kind, name, module = (_text(entry, part) for part in ("type", "name", "module"))
        for instance in entry.find("instances") if kind and name else ():
            key = next((v.data for v in instance.find("index_key")), None)
            if any(v.data for v in instance.find("deposed")):
                continue
            body = next(iter(instance.find("attributes")), Value({}, entry.place))
            for path in _paths(instance):
                body = _without(body, path)
            data = "data." if _text(entry, "mode") == "data" else ""
            address = f"{module + '.' if module else ''}{data}{kind}.{name}"
            key = f'["{key}"]' if isinstance(key, str) else ""
            yield _shown(entry, _NUMBER.sub("", address) + key, kind, name, body)


def _shown(entry: Value, address: str, kind: str, name: str, body: Value) -> Shown:
    data = "data." if _text(entry, "mode") == "data" else ""
    if isinstance(body.data, Mapping):
        body = replace(body, data={k: _parsed(k, v) for k, v in body.data.items()})
    return Shown(address, f"{data}{kind}", name, body, entry.place)


def _parsed(name: str, value: Value) -> Value:
    """A document in a text is in one line of the file, whatever its own lines."""
    if not isinstance(value.data, str):
        return value
    found = document_in(name, replace(value, data=value.data.replace("\n", " ")))
    return value if isinstance(found.data, str) else found


def _paths(instance: Value) -> Iterator[list[str | int]]:
    """Where the sensitive values of an instance are: names and numbers."""
    listed = instance.data.get("sensitive_attributes") if isinstance(instance.data, Mapping) else None
    for path in listed.data if listed is not None and isinstance(listed.data, tuple) else ():
        steps = [
            v.data["value"].data if isinstance(v.data, Mapping) and "value" in v.data else v.data
            for v in path.find("value")
        ]
        yield [step for step in steps if isinstance(step, (str, int))]


def _without(value: Value, path: list[str | int]) -> Value:
    if not path:
        return Value(None, value.place, State.UNKNOWN)
    first, rest = path[0], path[1:]
    if isinstance(value.data, Mapping) and first in value.data:
        return replace(value, data={**value.data, first: _without(value.data[first], rest)})
    if isinstance(value.data, tuple) and isinstance(first, int) and 0 <= first < len(value.data):
        return replace(value, data=tuple(_without(v, rest) if i == first else v for i, v in enumerate(value.data)))
    return value


def _masked(value: Value, mask: Value | None) -> Value:
    """The value, unknown where the mask says `true`."""
    if mask is None or mask.data is False:
        return value
    if mask.data is True:
        return Value(None, value.place, State.UNKNOWN)
    if isinstance(mask.data, Mapping) and isinstance(value.data, Mapping):
        nothing = Value(None, value.place)
        masked = {k: _masked(value.data.get(k, nothing), m) for k, m in mask.data.items()}
        return replace(
            value, data={**value.data, **{k: v for k, v in masked.items() if k in value.data or not v.known}}
        )
    if isinstance(mask.data, tuple) and isinstance(value.data, tuple):
        rest = value.data[len(mask.data) :]
        pairs = zip(value.data, mask.data, strict=False)
        return replace(value, data=(*(_masked(v, m) for v, m in pairs), *rest))
    return value


def _text(value: Value, name: str) -> str:
    found = value.data.get(name) if isinstance(value.data, Mapping) else None
    return found.data if found is not None and isinstance(found.data, str) else ""


# --- what refers to what ---------------------------------------------------------------------------------------------
class _Links:
    """References in one plan or state: as the configuration has them, and by values that are another resource's own."""

    def __init__(self, showing: Showing, scope: str) -> None:
        self._scope, self._configuration, self._changes = scope or ".", showing.configuration, showing.changes
        self._at: dict[str, list[str]] = defaultdict(list)
        self._owners: dict[str, list[Shown]] = defaultdict(list)
        self._expressions: dict[str, Mapping[tuple[str, str], tuple[Value, ...]]] = {}
        for shown in showing.resources:
            self._at[shown.plain].append(shown.address)
            for own in {v.data for name in _OWN for v in shown.body.find(name) if isinstance(v.data, str) and v.data}:
                self._owners[own].append(shown)

    # --- by value
    def by_value(self, resource: Shown, body: Value, name: str = "") -> Value:
        """The same with references where a value is what another resource is called."""
        if isinstance(body.data, Mapping):
            return replace(body, data={k: self.by_value(resource, v, k) for k, v in body.data.items()})
        if isinstance(body.data, tuple):
            return replace(body, data=tuple(self.by_value(resource, v, name) for v in body.data))
        if not isinstance(body.data, str) or (not name) or (name in _OWN):
            return body
        owner = self._owner(resource, name, body.data) or self._owner(resource, name, body.data.removesuffix("/*"))
        return replace(body, refs=(f"{self._scope}: {owner.address}",)) if owner is not None else body

    def _owner(self, resource: Shown, name: str, text: str) -> Shown | None:
        owners = [o for o in self._owners.get(text, ()) if o.address != resource.address]
        if not _is_unique(text):
            part = re.sub(r"_(id|name|arn)s?\Z", "", name)
            owners = [o for o in owners if o.type.endswith(f"_{part}")]
        first = min(owners, key=lambda o: len(o.type), default=None)
        # `aws_s3_bucket_policy` has the bucket's id too: the shorter type is the thing itself.
        return first if first is not None and all(o.type.startswith(first.type) for o in owners) else None

    # --- by expression
    def by_expression(self, resource: Shown, body: Value) -> Value:
        """The same with the references that the configuration has; what isn't known yet and is made from them keeps them."""
        module = _module_of(resource.address)
        for expressions in self._written(plain_address(module)).get((resource.type, resource.name), ()):
            body = self._referring(body, expressions, module)
        return body

    def _written(self, module: str) -> Mapping[tuple[str, str], tuple[Value, ...]]:
        """The expressions of a module's resources: type, name -> attributes."""
        if module not in self._expressions:
            self._expressions[module] = {
                (("data." if _text(r, "mode") == "data" else "") + _text(r, "type"), _text(r, "name")): r.find(
                    "expressions"
                )
                for r in self._module(module).find("resources")
            }
        return self._expressions[module]

    def _module(self, path: str) -> Value:
        found = self._configuration
        for name in re.findall(r"module\.([\w-]+)", path):
            found = next(iter(found.find(f"module_calls.{name}.module")), None) if found is not None else None
        return found if found is not None else Value({}, Place(""))

    def _referring(self, value: Value, written: Value, module: str) -> Value:
        if isinstance(written.data, Mapping) and "references" in written.data:
            refs = tuple(dict.fromkeys(self._meant(written, module, set())))
            return replace(value, refs=tuple(dict.fromkeys((*value.refs, *refs))))
        if isinstance(written.data, Mapping) and isinstance(value.data, Mapping):
            inner = {k: self._referring(v, written.data[k], module) for k, v in value.data.items() if k in written.data}
            missing = [] if self._changes else [k for k in written.data if k not in value.data]
            nothing = Value(None, value.place, State.UNKNOWN)
            open_ = {k: self._referring(nothing, written.data[k], module) for k in missing}
            return replace(value, data={**value.data, **inner, **{k: v for k, v in open_.items() if v.refs}})
        if isinstance(value.data, tuple):
            blocks = written.data if isinstance(written.data, tuple) else (written,)
            if len(blocks) == len(value.data):
                pairs = zip(value.data, blocks, strict=True)
                return replace(value, data=tuple(self._referring(v, w, module) for v, w in pairs))
        return value

    def _meant(self, expression: Value, module: str, seen: set[tuple[str, str]]) -> Iterator[str]:
        """Ids of the resources that an expression refers to, through variables and outputs of modules."""
        for reference in expression.find("references"):
            if (module, str(reference.data)) in seen or len(seen) > _HOPS:
                continue
            seen.add((module, str(reference.data)))
            parts = plain_address(str(reference.data)).split(".")
            if parts[0] == "var" and len(parts) > 1 and module:
                outer, name = _caller(module)
                for given in self._module(outer).find(f"module_calls.{name}.expressions.{parts[1]}"):
                    yield from self._meant(given, outer, seen)
            elif parts[0] == "module" and len(parts) > 2:
                inner = f"{module}module.{parts[1]}."
                for output in self._module(inner).find(f"outputs.{parts[2]}.expression"):
                    yield from self._meant(output, inner, seen)
            else:
                address = ".".join(parts[: 3 if parts[0] == "data" else 2])
                yield from self._ids(plain_address(module) + address, module)

    def _ids(self, plain: str, module: str) -> Iterator[str]:
        """Of all instances; in the same instance of a module, those only."""
        there = self._at.get(plain, [])
        near = [address for address in there if address.startswith(module)]
        yield from (f"{self._scope}: {address}" for address in near or there)


def plain_address(address: str) -> str:
    """An address without keys and numbers."""
    return _INDEX.sub("", address)


def _module_of(address: str) -> str:
    """`module.a["x"].module.b.` of an address; nothing in the root."""
    found = _MODULES.match(address)
    return found[0] if found is not None else ""


def _caller(module: str) -> tuple[str, str]:
    """The module around a module, and the name by which it calls it."""
    found = _CALL.match(module)
    return (found[1], found[2]) if found is not None else ("", "")


def _is_unique(text: str) -> bool:
    """Whether a text can hardly be anything but the name that a cloud gave: an ARN, an address, an id with digits."""
    return (
        ":" in text or "/" in text or (len(text) >= 10 and any(map(str.isdigit, text)) and any(map(str.isalpha, text)))
    )
