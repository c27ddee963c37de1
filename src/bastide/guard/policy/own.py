# SPDX-License-Identifier: Apache-2.0
"""The user's own Cedar policies: read, checked against the schema, with the place of each.

They can forbid, and they can permit what no flow of the plan does; a ruling that rests on such a permit says so. What the compiled rules
forbid stays forbidden. They may read the call's arguments (`context.arguments.amount`); since Cedar is typed and the plan doesn't know
the arguments' types, each gets the first type with which the policy makes sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import cedarpy

from bastide.errors import Diagnostic, Location, SettingsError
from bastide.guard.policy.cedar import EVERY, CedarPolicy, entity, schema_text
from bastide.plan.yamlfile import read_text

TYPES = ("Long", "String", "decimal", "Bool", "Set<String>")
"""What an argument can be for a policy, in the order in which they are tried."""
ANY = "any"
"""The type of an argument of which policies only ask whether it is there."""
MAX_POLICIES = 10_000
MAX_ARGUMENTS = 3
"""Arguments that one policy may read: all combinations of types are tried."""


@dataclass(slots=True)
class OwnPolicies:
    """What the user's files say."""

    policies: list[CedarPolicy] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    """Argument -> Cedar type."""


def read_own(files: Iterable[Path], system: str) -> OwnPolicies:
    """The policies in some files. Raises `SettingsError` with all that is wrong, each with its file and line."""
    found = OwnPolicies()
    problems: list[Diagnostic] = []
    for file in files:
        for line, text in split(read_text(file, SettingsError)):
            try:
                _add(found, text, Location(str(file), line), system)
            except SettingsError as problem:
                problems += problem.diagnostics
            if len(found.policies) > MAX_POLICIES:
                raise SettingsError(Diagnostic(f"more than {MAX_POLICIES} policies", Location(str(file), line)))
    if problems:
        raise SettingsError(problems)
    return found


def split(text: str) -> Iterator[tuple[int, str]]:
    """The policies in a text, each with the line on which it begins: up to a `;` outside strings and comments."""
    begin, pieces = 0, []
    for token in _TOKEN.finditer(text):
        if token["skip"] is None:
            begin = begin or text.count("\n", 0, token.start()) + 1
            pieces.append(token[0])
        elif pieces:
            pieces.append(token[0])
        if token[0] == ";":
            yield begin, "".join(pieces)
            begin, pieces = 0, []
    if pieces:
        yield begin, "".join(pieces).rstrip()


_TOKEN = re.compile(r'(?P<skip>\s+|//[^\n]*)|"(?:[^"\\]|\\[\s\S])*+(?:"|\\?\Z)|;|[^\s";/]+|/')


def _add(found: OwnPolicies, text: str, where: Location, system: str) -> None:
    tree = _parse(text, where)
    types = _argument_types(text, tree, where, system)
    for name, type_ in types.items():
        known = found.arguments.get(name, ANY)
        if ANY not in (known, type_) and known != type_:
            message = f"`context.arguments.{name}` is a {type_} here and a {known} in an earlier policy"
            raise SettingsError(Diagnostic(message, where, hint="an argument has one type in all policies"))
        found.arguments[name] = known if type_ == ANY else type_
    id = f"own:{tree['annotations'].get('id') or f'{Path(where.file).name}:{where.line}'}"
    if any(p.id == id for p in found.policies):
        raise SettingsError(Diagnostic(f"there is a policy `{id}` already", where, hint="give this one another `@id`"))
    principal, actions, resource = _scope(tree)
    permits = tree["effect"] == "permit"
    found.policies.append(CedarPolicy(id, text, permits, actions, principal, resource, location=where))


def _parse(text: str, where: Location) -> dict[str, Any]:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as problem:
        raise SettingsError(Diagnostic(f"no Cedar policy: {problem}", where)) from None
    if parsed.get("templates"):
        raise SettingsError(Diagnostic("a policy with `?principal` or `?resource` stands for nothing by itself", where))
    (tree,) = parsed["staticPolicies"].values()
    tree.setdefault("annotations", {})
    return dict(tree)


def _scope(tree: Mapping[str, Any]) -> tuple[str, frozenset[str], str]:
    """To which requests a policy can apply, as far as its head says it plainly."""
    principal, action, resource = tree["principal"], tree["action"], tree["resource"]
    named = [action["entity"]] if action["op"] == "==" else action.get("entities")
    actions = frozenset(EVERY if named is None else (e["id"] for e in named))
    who = _entity(principal)
    if principal["op"] == "is" and "in" not in principal:
        who = str(principal["entity_type"])
    return "User" if who.startswith("User::") else who, actions, _entity(resource)


def _entity(constraint: Mapping[str, Any]) -> str:
    return entity(constraint["entity"]["type"], constraint["entity"]["id"]) if constraint["op"] == "==" else ""


def _argument_types(text: str, tree: Mapping[str, Any], where: Location, system: str) -> dict[str, str]:
    """The types of the arguments that a policy reads; checks the policy against the schema."""
    asked = dict(_arguments(tree["conditions"], "has"))
    names = sorted(dict(_arguments(tree["conditions"], ".")))
    if len(names) > MAX_ARGUMENTS:
        message = f"this policy reads {len(names)} arguments; at most {MAX_ARGUMENTS} can be checked"
        raise SettingsError(Diagnostic(message, where, hint="write it as several policies"))
    errors: list[str] = []
    for types in product(TYPES, repeat=len(names)):
        chosen = {**dict.fromkeys(asked, ANY), **dict(zip(names, types, strict=True))}
        checked = cedarpy.validate_policies(text, schema_text(system, chosen))
        if checked.validation_passed:
            return chosen
        errors = errors or list(dict.fromkeys(e.error for e in checked.errors))
    raise SettingsError([Diagnostic(f"{_plain(e)}", where, hint=_hint(e, names)) for e in errors[:5]])


def _plain(error: str) -> str:
    return error.removeprefix("for policy `policy0`, ")


def _hint(error: str, names: Iterable[str]) -> str:
    if "not guaranteed" in error or "optional" in error:
        first = next(iter(names), "amount")
        return f"a call may lack it: `context.arguments has {first} && context.arguments.{first} ...`"
    return "`bastide guard policy --format cedar --schema` shows what a policy may read"


def _arguments(tree: Any, operator: str) -> Iterator[tuple[str, str]]:
    """The arguments that an expression reads (`.`) or asks for (`has`), as pairs with the operator."""
    todo = [tree]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            inner = part.get(operator)
            if isinstance(inner, dict) and inner.get("left") == _ALL_ARGUMENTS:
                yield str(inner["attr"]), operator
            todo += part.values()


_ALL_ARGUMENTS = {".": {"left": {"Var": "context"}, "attr": "arguments"}}
