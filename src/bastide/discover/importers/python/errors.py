# SPDX-License-Identifier: Apache-2.0
"""What code does when something in it fails: a check that answers "fine" when it couldn't check is no check."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_BROAD = frozenset({"Exception", "BaseException"})
_FINE = frozenset({"allow", "allowed", "ok", "pass", "passed", "safe", "approved", "clean"})
_REFUSED = frozenset(
    {"block", "blocked", "deny", "denied", "refuse", "refused", "unsafe", "reject", "rejected", "error"}
)
_YES = frozenset({"allowed", "is_safe", "safe", "valid", "passed", "ok", "approved", "allow", "is_valid"})
_NO = frozenset(
    {"tripwire_triggered", "blocked", "flagged", "is_injection", "unsafe", "block", "detected", "is_attack"}
)


@dataclass(frozen=True, slots=True)
class OnError:
    """What happens when a check fails."""

    line: int
    passes: bool | None
    """None: it can't be told."""


def on_error(definition: ast.AST) -> OnError | None:
    """What a function that checks something does when that fails; None when it lets the error out, or refuses."""
    return _worst(list(_handlers(definition)))


def guarded(tree: ast.AST) -> dict[int, ast.Try]:
    """`id(call)` -> the outermost `try` around it, of the calls in a function."""
    found: dict[int, ast.Try] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            for inner in (n for statement in node.body for n in ast.walk(statement)):
                if isinstance(inner, ast.Call):
                    found.setdefault(id(inner), node)
    return found


def around(call: ast.Call, tries: Mapping[int, ast.Try]) -> OnError | None:
    """The same of what stands around a call."""
    outer = tries.get(id(call))
    return _worst([h for h in outer.handlers if _catches(h)]) if outer is not None else None


def _worst(handlers: list[ast.ExceptHandler]) -> OnError | None:
    found = [OnError(h.lineno, passes) for h in handlers if (passes := _passes(h)) is not False]
    return next((f for f in found if f.passes), found[0] if found else None)


def _handlers(definition: ast.AST) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Try):
            yield from (h for h in node.handlers if _catches(h))


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether it catches what nobody thought of: everything, or errors of a library's own kind."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {k.attr if isinstance(k, ast.Attribute) else k.id if isinstance(k, ast.Name) else "" for k in kinds if k}
    return handler.type is None or any(n in _BROAD or n.endswith(("Error", "Exception", "Timeout")) for n in names)


def _passes(handler: ast.ExceptHandler) -> bool | None:
    """Whether everything is let through after an error; None when that can't be told."""
    nodes = [n for statement in handler.body for n in ast.walk(statement)]
    if any(isinstance(n, ast.Raise) for n in nodes):
        return False
    returned = [_is_fine(n.value) for n in nodes if isinstance(n, ast.Return)]
    if not returned:
        return None
    return True if all(one is True for one in returned) else False if all(one is False for one in returned) else None


def _is_fine(value: ast.expr | None) -> bool | None:
    """Whether an answer says that all is well."""
    if isinstance(value, ast.Constant) and isinstance(value.value, (bool, str)):
        word = value.value.lower() if isinstance(value.value, str) else value.value
        return True if word is True or word in _FINE else False if word is False or word in _REFUSED else None
    if isinstance(value, ast.Attribute):
        return True if value.attr.lower() in _FINE else False if value.attr.lower() in _REFUSED else None
    if isinstance(value, ast.Tuple) and value.elts:
        return _is_fine(value.elts[0])
    said = [v.value is (k in _YES) for k, v in _pairs(value) if k in _YES | _NO and isinstance(v, ast.Constant)]
    return None if not said else all(said)


def _pairs(value: ast.expr | None) -> list[tuple[str, ast.expr]]:
    if isinstance(value, ast.Call):
        return [(k.arg or "", k.value) for k in value.keywords]
    if isinstance(value, ast.Dict):
        return [(str(k.value), v) for k, v in zip(value.keys, value.values, strict=True) if isinstance(k, ast.Constant)]
    return []
