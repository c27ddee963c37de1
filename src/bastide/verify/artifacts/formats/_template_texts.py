# SPDX-License-Identifier: Apache-2.0
"""What a Jinja chat template says to the model without its user seeing it: instructions that depend on what is asked, hidden characters, orders.

The template is a part of every request, so a changed one turns a sound model: it can wait for a word and add an instruction then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from bastide.verify.artifacts.formats._template_access import Trouble
from bastide.verify.artifacts.formats._template_constants import constant
from bastide.verify.artifacts.formats._template_values import Definitions, descendants
from bastide.verify.artifacts.formats._template_words import WORDS
from bastide.verify.artifacts.model import Severity, Tier

_MARK = re.compile(r"\s*(?:[<\[{(|/#*`$@&~^:;=_\-\\.,!?'\"\]>})\uff5c]|$)")
"""Texts that templates look for: marks of the format (`</think>`, `[INST]`, `/no_think`), not words that people write."""
_MARKUP = re.compile(r"<[^<>\n]{0,80}>|\[/?[A-Z_]{1,30}\]")
_WORDS = re.compile(r"(?:[^\W\d_]{2,}[,.;:']?[ \n]+){2,}[^\W\d_]{2,}")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\U000e0100-\U000e01ef]")
_ZERO_WIDTH = re.compile("[\u200b\u200c\u2060-\u2064\u180e\u00ad\u115f\u1160\u3164\uffa0]|(?<!^)\ufeff")
_URL = re.compile(r"(?:https?|ftp|wss?)://([^\s/'\"<>)}\]|\\]{1,253})", re.IGNORECASE)
_ORDERS = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)\s+(?:all\s+|any\s+|the\s+|your\s+|every\s+)*(?:of\s+)?(?:the\s+|your\s+)?"
    r"(?:previous|prior|above|earlier|preceding|former|safety|system)\b"
    r"|\b(?:do\s+not|don't|never|without)\s+(?:tell|inform|alert|notify|let|(?:reveal|mention)(?:ing)?\s+(?:this|these))(?:t?ing)?\b"
    r"\s+(?:to\s+)?(?:the\s+)?(?:users?|humans?|anyone|anybody|this|these|instructions?)\b(?!\s+about\s+function)"
    r"|\b(?:secretly|covertly|silently|stealthily)\s+\w+"
    r"|\b(?:exfiltrate|backdoor|jailbreak)\w*"
    r"|<script\b|\bcurl\s+-|\bwget\s+http|!\[[^\]\n]{0,80}\]\(\s*https?:"
    r"|\b(?:send|forward|post|leak|include|append|insert)\s+(?:\w+\s+){0,6}"
    r"(?:password|credential|api[ _-]?key|secret|conversation|chat history)s?\s+(?:to|at|in)\b"
    r"|\bunrestricted\s+(?:mode|ai|assistant|model)\b|\bno\s+(?:safety|ethical)\s+(?:rules|guidelines|restrictions|filters)\b",
    re.IGNORECASE,
)
_ENCODED = re.compile(r"[A-Za-z0-9+/]{120,}={0,2}")
_SCHEMAS = ("json-schema.org", "www.w3.org", "schema.org", "spec.openapis.org")


def texts(tree: nodes.Template, known: Definitions) -> Iterator[Trouble]:
    """Everything the template says that looks like an order, and everything it says only for certain questions."""
    for node in descendants(tree):
        if isinstance(node, nodes.TemplateData | nodes.Const):
            text = node.data if isinstance(node, nodes.TemplateData) else node.value
            if isinstance(text, str):
                yield from _said(text, node.lineno)
        elif isinstance(node, nodes.If | nodes.CondExpr):
            yield from _branch(node, known)
        elif isinstance(node, nodes.For) and node.test is not None:
            yield from _loop(node, known)


def _said(text: str, line: int) -> Iterator[Trouble]:
    for pattern, severity, id, message in (
        (_HIDDEN, Severity.HIGH, "hidden-characters", "holds characters that nobody sees and the model reads"),
        (
            _ZERO_WIDTH,
            Severity.MEDIUM,
            "hidden-characters",
            "holds characters without width: look at what they are for",
        ),
        (
            _ORDERS,
            Severity.HIGH,
            "hidden-instruction",
            "gives the model an order that its user doesn't see. Don't use this template",
        ),
        (_ENCODED, Severity.MEDIUM, "encoded-text", "holds a long encoded text, which was not read"),
    ):
        if found := pattern.search(text):
            at = line + text.count("\n", 0, found.start())
            evidence = ascii(found.group()) if "characters" in id else found.group()
            yield Trouble(f"chat-template/{id}", Tier.POLICY, severity, message, at, evidence[:200])
    for found in _URL.finditer(text):
        host = found.group(1).lower()
        if not host.endswith(_SCHEMAS):
            at = line + text.count("\n", 0, found.start())
            yield Trouble(
                "chat-template/address", Tier.POLICY, Severity.MEDIUM, "names an address in every request: look at what for", at, found.group()[:200]
            )  # fmt: skip
            return


def _branch(node: nodes.If | nodes.CondExpr, known: Definitions) -> Iterator[Trouble]:
    word = trigger(node.test, known)
    if word is None:
        return
    if isinstance(node, nodes.If):
        parts: list[nodes.Node] = [*node.body, *node.elif_, *node.else_]
    else:
        parts = [part for part in (node.expr1, node.expr2) if part is not None]
    yield _conditional(word, _prose(parts, known), node.lineno)


def _loop(node: nodes.For, known: Definitions) -> Iterator[Trouble]:
    word = trigger(node.test, known) if node.test is not None else None
    if word is not None:
        yield _conditional(word, _prose(node.body, known), node.lineno)


def _conditional(word: str, prose: str, line: int) -> Trouble:
    if prose:
        return Trouble(
            "chat-template/conditional-instruction", Tier.POLICY, Severity.HIGH,
            f"adds an instruction when {word}: the user sees nothing of it. Don't use this template", line, prose[:200],
        )  # fmt: skip
    return Trouble(
        "chat-template/depends-on-content", Tier.POLICY, Severity.MEDIUM,
        f"does something else when {word}: look at what", line,
    )  # fmt: skip


def _prose(parts: list[nodes.Node], known: Definitions) -> str:
    """The first sentence that these parts of the template say, or keep for later."""
    for part in parts:
        for node in descendants(part, skip=_raises):
            known.step()
            text: object = None
            if isinstance(node, nodes.TemplateData):
                text = node.data
            elif isinstance(node, nodes.Const | nodes.Concat | nodes.Add | nodes.Name):
                text = constant(node, known)
            if isinstance(text, str) and (found := _WORDS.search(_MARKUP.sub("\0", text))):
                return found.group()
    return ""


def _raises(node: nodes.Node) -> bool:
    """What `raise_exception` says, the model never reads."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception"


def trigger(test: nodes.Node, known: Definitions) -> str | None:
    """What a condition waits for in the content of messages, or which date; None when it depends on neither."""
    for node in descendants(test):
        known.step()
        found: list[str] = []
        match node:
            case nodes.Compare(expr=left, ops=operands):
                sides = [left, *(operand.expr for operand in operands)]
                found = _compared(sides, known)
                if any(_clock(side, known) for side in sides) and any(constant(s, known) is not None for s in sides):
                    return "a date is reached"
            case nodes.Call(node=nodes.Getattr(attr=name) as method, args=[argument, *_]) if name in WORDS.searches:
                found = _words(argument, known) if _content(method.node, known) else []
            case nodes.Filter(name="selectattr" | "rejectattr" | "select" | "reject"):
                found = _selected(node, known)
            case nodes.Test(name=name, args=[argument, *_]) if name in WORDS.tests:
                found = _words(argument, known) if _content(node.node, known) else []
        if found:
            return f"a message holds {found[0][:60]!r}"
    return None


def _compared(sides: list[nodes.Expr], known: Definitions) -> list[str]:
    words = [text for side in sides for text in _words(side, known)]
    if all(word in WORDS.kinds for word in words) and any(_part(side, known) for side in sides):
        return []
    return words if any(_content(side, known) for side in sides) else []


def _selected(node: nodes.Filter, known: Definitions) -> list[str]:
    words = [text for argument in node.args[1:] for text in _words(argument, known) if text not in WORDS.tests]
    if node.name in ("select", "reject"):
        return words if _content(node.node, known) else []
    return words if node.args and constant(node.args[0], known) in WORDS.content else []


def _words(node: nodes.Node, known: Definitions) -> list[str]:
    """Constant texts in an expression that are words and not marks of the format."""
    value = constant(node, known)
    if value is None and isinstance(node, nodes.Name) and node.name in known.items:
        value = [constant(item, known) for item in known.items[node.name]]
        value = [part for item in value for part in (item if isinstance(item, list) else [item])]
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and not _MARK.match(text) and _is_word(text)]


def _is_word(text: str) -> bool:
    return any(c.isalnum() for c in text) and text.strip().lower() not in WORDS.nothing


def _content(node: nodes.Node | None, known: Definitions, depth: int = 0) -> bool:  # noqa: PLR0911 - one kind of node each
    """Whether an expression is what somebody wrote in a message."""
    if node is None or depth > 12:
        return False
    known.step()
    match node:
        case nodes.Getattr(attr=key) | nodes.Getitem(arg=nodes.Const(value=str() as key)):
            given = [] if key in WORDS.routes else known.of(node)
            return key in WORDS.content or any(_content(value, known, depth + 1) for value in given)
        case nodes.Getitem():
            return _content(node.node, known, depth + 1)
        case nodes.Filter():
            whole = node.name in {"string", "tojson", "pprint"} and _messages(node.node, known)
            mapped = node.name == "map" and any(constant(pair.value, known) in WORDS.content for pair in node.kwargs)
            return whole or mapped or (node.name in WORDS.keeps_content and _content(node.node, known, depth + 1))
        case nodes.Call(node=nodes.Getattr(attr="get"), args=[nodes.Const(value=str() as key), *_]):
            return key in WORDS.content
        case nodes.Call(node=nodes.Getattr() as method):
            return _content(method.node, known, depth + 1)
        case nodes.Add() | nodes.Concat():
            return any(_content(part, known, depth + 1) for part in node.iter_child_nodes())
        case nodes.CondExpr():
            return _content(node.expr1, known, depth + 1) or _content(node.expr2, known, depth + 1)
        case nodes.Name():
            return _named(node, known, depth)
    return False


def _named(node: nodes.Name, known: Definitions, depth: int) -> bool:
    """Whether a variable is; each is asked once at each depth, because variables may be given each other."""
    key = node.name, depth
    if key not in known.content:
        known.content[key] = False
        # What goes through the content itself is a part of it, which has a text of its own.
        through = [value for value in known.items.get(node.name, ()) if not _whole(value, known)]
        given = [*known.of(node), *through]
        unknown = node.name in WORDS.content and not known.of(node) and node.name not in known.items
        known.content[key] = unknown or any(_content(value, known, depth + 1) for value in given)
    return known.content[key]


def _whole(node: nodes.Expr, known: Definitions) -> bool:
    return isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem) and _content(node, known, 1)


def _part(node: nodes.Node, known: Definitions) -> bool:
    """Whether it is a variable that goes through the parts of a message."""
    return isinstance(node, nodes.Name) and node.name in known.items


def _messages(node: nodes.Node | None, known: Definitions, depth: int = 0) -> bool:
    """Whether messages as a whole are in an expression."""
    if node is None or depth > 12:
        return False
    known.step()
    for at in descendants(node):
        known.step()
        if isinstance(at, nodes.Name):
            given = [*known.of(at), *known.items.get(at.name, ())]
            if at.name == "messages" or any(_messages(value, known, depth + 4) for value in given):
                return True
    return False


def _clock(node: nodes.Node, known: Definitions, depth: int = 0) -> bool:
    for at in descendants(node):
        known.step()
        if isinstance(at, nodes.Call) and isinstance(at.node, nodes.Name) and at.node.name == "strftime_now":
            return True
        if isinstance(at, nodes.Name) and depth < 4 and any(_clock(value, known, depth + 1) for value in known.of(at)):
            return True
    return False
