# SPDX-License-Identifier: Apache-2.0
"""MONAI's bundles: in a configuration with `_target_`, a text that begins with `$` is Python, which the loader evaluates."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bastide.verify.artifacts.formats._targets import CONFIGURATION, Call, judge

MAX_TEXT = 10_000
_REFERENCE = re.compile(r"@[\w#:]+")
PLACE = "_configured_"
"""Stands for what another part of the configuration makes."""
PLAIN = frozenset({
    "abs", "all", "any", "bool", "dict", "enumerate", "filter", "float", "int", "isinstance", "len", "list", "map", "max", "min", "print", "range",
    "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
})  # fmt: skip
STARTS = (
    "monai",
    "torch",
    "numpy",
    "np",
    "ignite",
    "json",
    "glob",
    "os",
    "math",
    "nibabel",
    "skimage",
    "itertools",
    "pathlib",
    "re",
    "random",
    "time",
)
"""Modules whose parts are judged by name; what harms is known of them."""


class Expression(NamedTuple):
    """What an expression calls that isn't known to be harmless."""

    text: str
    name: str
    effect: str
    """What it does; '' when that isn't known."""


def is_bundle(texts: Iterable[str]) -> bool:
    """Whether texts are those of a bundle though it makes nothing by `_target_`: it imports for what it evaluates."""
    return any(text.startswith(("$import ", "$from ")) for text in texts)


def expressions(texts: Iterable[str]) -> Iterator[Expression]:
    """Judges the texts of one configuration that begin with `$`; imports among them count for all."""
    parsed = [(text, _parsed(text)) for text in texts]
    names: dict[str, str] = {}
    for _, tree in parsed:
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Import):
                names |= {
                    a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                    for a in node.names
                }
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for text, tree in parsed:
        found = next(_calls(tree, names), None) if tree else ("", "")
        if found is not None:
            yield Expression(text, *found)


def _parsed(text: str) -> ast.AST | None:
    if len(text) > MAX_TEXT:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(_REFERENCE.sub(PLACE, text.removeprefix("$")).strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _calls(tree: ast.AST, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(name, effect) of what isn't harmless, what is known to harm first."""
    found = [judged for node in ast.walk(tree) if (judged := _judged(node, names)) is not None]
    yield from sorted(found, key=lambda pair: not pair[1])


def _judged(node: ast.AST, names: dict[str, str]) -> tuple[str, str] | None:
    if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
        return node.attr, ""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id.startswith("__"):
        return node.id, "runs Python code"
    if isinstance(node, ast.Call) and _path(node.func) in ("getattr", "setattr") and node.args:
        return _attribute(_path(node.func), _resolved(_path(node.args[0]), names))
    if isinstance(node, ast.Call):
        return _call(_path(node.func), names)
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        # A function that is handed on is called by somebody.
        call, effect = judge(_resolved(_path(node), names))
        return (_path(node), effect) if call is Call.HARMFUL and "." in _resolved(_path(node), names) else None
    return None


def _attribute(function: str, of: str) -> tuple[str, str] | None:
    """An attribute that is taken or set by its name."""
    if of.partition(".")[0] in CONFIGURATION.through:
        return function, "takes a part of a module by which programs run"
    return None if of.startswith(("torch.backends", PLACE)) and function == "setattr" else (function, "")


def _call(path: str, names: dict[str, str]) -> tuple[str, str] | None:
    root = path.partition(".")[0]
    if not path or root == PLACE or (path in PLAIN and path not in names):
        # Among them methods of what the configuration made, and of what another call gave.
        return None
    if path == "open":
        # Honest bundles read their own lists of data so.
        return path, ""
    resolved = _resolved(path, names)
    call, effect = judge(resolved if "." in resolved else f"builtins.{resolved}")
    if call is Call.HARMFUL:
        return path, effect
    known = resolved not in CONFIGURATION.reading and (call is Call.KNOWN or resolved.partition(".")[0] in STARTS)
    return None if known else (path, "")


def _resolved(path: str, names: dict[str, str]) -> str:
    root, dot, rest = path.partition(".")
    return names.get(root, root) + dot + rest


def _path(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
