# SPDX-License-Identifier: Apache-2.0
"""How a Jinja template gets at code: names of Python's inside, calls of what no chat template needs, other files.

Loaders render chat templates in Jinja's sandbox, which has been escaped from more than once, and some without one
(CVE-2024-34359: llama-cpp-python until 0.2.71). So an attempt counts, whether a sandbox would stop it or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import nodes

from bastide.verify.artifacts.formats._template_constants import built, constant
from bastide.verify.artifacts.formats._template_values import Definitions, descendants
from bastide.verify.artifacts.formats._template_words import WORDS
from bastide.verify.artifacts.model import Severity, Tier

INSIDE = re.compile(
    r"__[A-Za-z]\w*__|\bfunc_(globals|code|closure)\b|\b(gi|cr|ag)_(frame|code)\b|\b[ft]b?_(globals|builtins|locals|back|frame|code)\b"
)
"""Names under which Python objects show their inside."""
MAX_RANGE = 100_000
"""What Jinja's sandbox allows."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in a template."""

    id: str
    tier: Tier
    severity: Severity
    message: str
    line: int
    evidence: str = ""


def access(tree: nodes.Template, known: Definitions) -> Iterator[Trouble]:
    """Everything by which the template reaches for more than texts, lists and dicts."""
    for node in descendants(tree):
        yield from _node(node, known)


def _node(node: nodes.Node, known: Definitions) -> Iterator[Trouble]:
    match node:
        case nodes.Getattr(attr=name) | nodes.Keyword(key=name):
            yield from _name(name, node.lineno)
        case nodes.Getitem():
            yield from _subscript(node, known)
        case nodes.Filter():
            yield from _filter(node, known)
        case nodes.Call():
            yield from _call(node, known)
        case nodes.Const(value=str() as text) | nodes.Name(name=text) if found := INSIDE.search(text):
            yield _inside(found.group(), node.lineno)
        case nodes.Concat() | nodes.Add() | nodes.Mod() | nodes.Mul():
            yield from _put_together(node, known)
        case nodes.Import() | nodes.FromImport() | nodes.Include() | nodes.Extends():
            yield Trouble(
                "chat-template/reads-template", Tier.EXECUTES, Severity.HIGH, "reads another template file: a chat template has none. Don't load it",
                node.lineno, type(node).__name__.lower(),
            )  # fmt: skip


def _inside(name: str, line: int) -> Trouble:
    return Trouble(
        "chat-template/reaches-inside", Tier.EXECUTES, Severity.CRITICAL,
        "reaches for Python's inside, from where it can run anything when a loader renders it. Don't load it", line, name[:200],
    )  # fmt: skip


def _name(name: str, line: int) -> Iterator[Trouble]:
    if INSIDE.search(name) or name in {"mro", "im_func", "im_self"}:
        yield _inside(name, line)
    elif name.startswith("_"):
        yield Trouble(
            "chat-template/private-attribute", Tier.EXECUTES, Severity.HIGH,
            "reads a private attribute, which Jinja's sandbox forbids", line, name[:200],
        )  # fmt: skip


def _subscript(node: nodes.Getitem, known: Definitions) -> Iterator[Trouble]:
    """A text in brackets reads an attribute as well."""
    key = constant(node.arg, known)
    if isinstance(key, str):
        yield from _name(key, node.lineno)
    elif not isinstance(node.arg, nodes.Slice) and (built(node.arg, known) or _is_function(node.node, known)):
        yield _computed(node.lineno)


def _is_function(node: nodes.Expr, known: Definitions) -> bool:
    """Whether it is a function that Jinja or the loader gives: what is read of one by a key is no part of a message."""
    own = (known.values, known.items, known.macros)
    return any(
        isinstance(one, nodes.Name) and one.name in WORDS.given and not any(one.name in names for names in own)
        for one in (node, *known.of(node))
    )


def _computed(line: int) -> Trouble:
    return Trouble(
        "chat-template/computed-attribute", Tier.EXECUTES, Severity.HIGH,
        "puts the name of an attribute together while it is rendered: what for, but to hide it?", line,
    )  # fmt: skip


def _filter(node: nodes.Filter, known: Definitions) -> Iterator[Trouble]:
    if node.name == "attr":
        key = constant(node.args[0], known) if node.args else None
        yield Trouble(
            "chat-template/attr-filter", Tier.EXECUTES, Severity.HIGH,
            "reads attributes by `|attr`, which passes by items: chat templates have no need of it", node.lineno, str(key)[:200],
        )  # fmt: skip
    by_name = [*node.args, *(pair.value for pair in node.kwargs)] if node.name in WORDS.by_name else []
    for argument in by_name:
        key = constant(argument, known)
        if isinstance(key, str):
            for part in key.split("."):
                yield from _name(part, node.lineno)
        elif built(argument, known):
            yield _computed(node.lineno)
    for part in node.name.split("."):
        yield from _name(part, node.lineno)
    if node.name in {"join", "replace", "format", "reverse", "lower"}:
        yield from _put_together(node, known)


def _put_together(node: nodes.Expr, known: Definitions) -> Iterator[Trouble]:
    text = constant(node, known)
    if isinstance(text, str) and (found := INSIDE.search(text)):
        yield _inside(found.group(), node.lineno)


def _call(node: nodes.Call, known: Definitions) -> Iterator[Trouble]:
    match node.node:
        case nodes.Name(name=name):
            if name == "range":
                yield from _range(node, known)
            if name in WORDS.functions or name in known.macros or _holds_macros(node.node, known):
                return
            yield _unknown_call(name, name in WORDS.harmful or name in WORDS.globals, node.lineno)
        case nodes.Getattr(attr=name):
            if name not in WORDS.methods and name not in known.macros:
                yield _unknown_call(f".{name}", name in WORDS.harmful, node.lineno)
            elif name in {"format", "join", "replace", "lower"}:
                yield from _put_together(node, known)
        case nodes.Getitem(node=nodes.Name() as table) if _holds_macros(table, known):
            return
        case _:
            yield Trouble(
                "chat-template/calls-a-result", Tier.EXECUTES, Severity.HIGH,
                "calls something that it looked up or that a call gave it", node.lineno,
            )  # fmt: skip


def _holds_macros(node: nodes.Name, known: Definitions) -> bool:
    """Whether a variable only ever holds macros of the template, or lists of them."""
    parts = [
        part for value in known.of(node) for part in descendants(value) if not isinstance(part, nodes.List | nodes.Add)
    ]
    return bool(parts) and all(
        isinstance(part, nodes.Name) and part.name in {*known.macros, node.name} for part in parts
    )


def _unknown_call(name: str, harmful: bool, line: int) -> Trouble:
    if harmful:
        return Trouble(
            "chat-template/harmful-call", Tier.EXECUTES, Severity.CRITICAL, "calls what runs code or reads files. Don't load it", line, name[:200]
        )  # fmt: skip
    return Trouble(
        "chat-template/unknown-call", Tier.POLICY, Severity.MEDIUM,
        "calls a function that loaders aren't known to give to templates: look at what yours gives", line, name[:200],
    )  # fmt: skip


def _range(node: nodes.Call, known: Definitions) -> Iterator[Trouble]:
    for argument in node.args:
        value = constant(argument, known)
        if (isinstance(value, int) and abs(value) > MAX_RANGE) or isinstance(argument, nodes.Pow):
            yield Trouble(
                "chat-template/huge-loop", Tier.MALFORMED, Severity.MEDIUM,
                "goes through more numbers than any template needs: it makes the loader slow, or is refused", node.lineno, str(value)[:60],
            )  # fmt: skip
