# SPDX-License-Identifier: Apache-2.0
"""Tags by which loaders of YAML make objects and call functions: PyYAML's, HyperPyYAML's, and those of other languages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.formats._targets import CONFIGURATION, Call, judge
from bastide.verify.artifacts.formats._yaml import Node
from bastide.verify.artifacts.model import Severity, Tier

CORE = "tag:yaml.org,2002:"
_HYPER = ("!new:", "!name:", "!apply:", "!applyref:", "!module:")
"""HyperPyYAML's (SpeechBrain): it calls what they name while it reads the file."""


class Found(NamedTuple):
    """A finding without its file."""

    id: str
    tier: Tier
    severity: Severity
    message: str
    at: int
    evidence: str


def tag(node: Node) -> Iterator[Found]:
    """What is wrong with a node's tag."""
    name = node.tag
    if not name:
        return
    core = name.removeprefix(CORE)
    bare = core.removeprefix("!")
    if core.startswith("python/"):
        yield from _python(core.removeprefix("python/"), node)
    elif name.startswith(_HYPER):
        yield from _hyper(name, node)
    elif name.startswith("!include:") and leads_out(name.removeprefix("!include:")):
        yield _high("reads-outside", "has HyperPyYAML read a file outside of the folder", node)
    elif effect := next(
        (e for start, e in CONFIGURATION.tags.items() if bare == start or bare.startswith((start + ":", start + " "))),
        "",
    ):
        yield _high("foreign-object", f"a tag at which a loader {effect}. Don't load it", node)
    elif core != name and bare.startswith(tuple(CONFIGURATION.java)):
        yield _high(
            "foreign-object",
            "a tag at which SnakeYAML makes an object of this class of Java, as in known attacks",
            node,
        )
    elif core != name and "." in bare:
        yield _medium(
            "foreign-object",
            "a tag at which some loaders make an object of a class, whose code isn't in the file",
            node,
        )


def _python(what: str, node: Node) -> Iterator[Found]:
    kind, colon, path = what.partition(":")
    if kind == "module" and colon:
        call, effect = judge(path + ".x")
        if call is Call.HARMFUL and path in ("antigravity", "this"):
            yield _high("python-object", f"has `yaml.load` with an unsafe loader import a module that {effect}", node)
        else:
            yield _medium("python-object", "has `yaml.load` with an unsafe loader import a module", node)
    elif kind in ("name", "object", "object/apply", "object/new") and colon:
        yield from _named(kind, path if "." in path else f"builtins.{path}", node)


def _named(kind: str, path: str, node: Node) -> Iterator[Found]:
    call, effect = judge(path)
    how = "take" if kind == "name" else "call"
    if call is Call.HARMFUL:
        severity = Severity.HIGH if kind == "name" else Severity.CRITICAL
        yield Found(
            "python-object", Tier.EXECUTES, severity, f"has `yaml.load` with an unsafe loader {how} what {effect}. Load it with `safe_load`",
            node.at, _short(node),
        )  # fmt: skip
    elif call is Call.KNOWN:
        yield Found(
            "python-object",
            Tier.POLICY,
            Severity.LOW,
            "makes an object of Python, which `safe_load` refuses; it is harmless",
            node.at,
            _short(node),
        )
    elif call is Call.CLASS or kind == "name":
        yield _medium(
            "python-object", f"has `yaml.load` with an unsafe loader {how} something whose code isn't in the file", node
        )
    else:
        yield _high(
            "python-object",
            "has `yaml.load` with an unsafe loader call a function. Load it with `safe_load`, which refuses",
            node,
        )


def _hyper(name: str, node: Node) -> Iterator[Found]:
    kind, _, path = name.partition(":")
    call, effect = judge(path.strip() + (".x" if kind == "!module" else ""))
    if call is Call.HARMFUL and kind == "!module":
        yield _medium("hyperpyyaml", f"has HyperPyYAML import a module that {effect}", node)
    elif call is Call.HARMFUL:
        severity = Severity.HIGH if kind == "!name" else Severity.CRITICAL
        yield Found(
            "hyperpyyaml",
            Tier.EXECUTES,
            severity,
            f"has HyperPyYAML call what {effect}. Don't load it",
            node.at,
            _short(node),
        )
    elif call is not Call.KNOWN:
        yield _medium("hyperpyyaml", "has HyperPyYAML call something whose code isn't in the file", node)


def _high(id: str, message: str, node: Node) -> Found:
    return Found(id, Tier.EXECUTES, Severity.HIGH, message, node.at, _short(node))


def _medium(id: str, message: str, node: Node) -> Found:
    return Found(id, Tier.POLICY, Severity.MEDIUM, message, node.at, _short(node))


def _short(node: Node) -> str:
    """The tag as people write it, with the argument that is a text."""
    name = node.tag.replace(CORE, "!!", 1)
    argument = node.text or next((item.text for item in node.items if item.text), "")
    return f"{name} {argument}".strip()[:200]
