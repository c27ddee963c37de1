# SPDX-License-Identifier: Apache-2.0
"""What a Bicep file declares, by kind and name. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cache

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from bastide.discover.model import Place, Problem
from bastide.discover.readers.hcl import line_of, text_of

_DECLARED = {"parameter_declaration": "param", "variable_declaration": "var", "resource_declaration": "resource", "module_declaration": "module",
             "output_declaration": "output"}  # fmt: skip
_TYPES = frozenset({"type", "parameterized_type", "array_type"})
_REGISTRY = ("br:", "br/", "ts:", "ts/")
_GIVEN = re.compile(r"^param(\s+\w+\s*=)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A parameter, variable, resource, module or output."""

    kind: str
    name: str
    type: str
    """Of a resource or module: the text after its name."""
    value: Node | None
    place: Place
    existing: bool = False
    above: str = ""
    """The resource in which it is declared."""


Declarations = dict[str, Declaration]
"""`kind:name` -> what is declared."""


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bicep.language()))


def declarations(text: str, file: str, problems: list[Problem]) -> Declarations:
    """Of a template."""
    root = _parser().parse(text.encode("utf-8", "surrogatepass")).root_node
    found: Declarations = {}
    stack: list[tuple[Node, str]] = [(root, "")]
    errors = 0
    while stack:
        node, above = stack.pop()
        if node.is_error or node.is_missing:
            errors += 1
            if errors <= 5:
                problems.append(
                    Problem(Place(file, line_of(node)), "is not Bicep here; what stands around it may be missing")
                )
        kind = _DECLARED.get(node.type)
        inside = above
        if kind is not None:
            declared = _declared(node, kind, file, above)
            found.setdefault(f"{kind}:{declared.name}", declared)
            inside = declared.name if kind == "resource" else above
        stack += [(c, inside) for c in reversed(node.children)]
    return found


def given(text: str, file: str) -> Declarations:
    """The values of a `.bicepparam` file, as variables: `param x = 1` there is what `var x = 1` is in a template."""
    return declarations(_GIVEN.sub(r"var\1", text), file, [])


def _declared(node: Node, kind: str, file: str, above: str) -> Declaration:
    named = [c for c in node.children if c.is_named and c.type not in ("decorators", "comment")]
    name = text_of(named[0]) if named else ""
    typed = kind in ("resource", "module")
    type_ = text_of(named[1]).strip("'") if typed and len(named) > 1 else ""
    rest = named[2:] if typed else [c for c in named[1:] if c.type not in _TYPES]
    existing = any(not c.is_named and c.type == "existing" for c in node.children)
    place = Place(file, line_of(node), node.end_point[0] + 1)
    return Declaration(kind, name, type_, rest[-1] if rest else None, place, existing, above)


def module_path(file: str, source: str) -> str:
    """The file of a module in the tree; '' for registries and what lies outside."""
    if source.startswith(_REGISTRY):
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), source))
    return "" if path.startswith("..") else path


def registry_type(source: str) -> str:
    """What a module of a registry is called, without the registry's alias and the version: `module/avm/res/search/search-service`."""
    if not source.startswith(_REGISTRY):
        return "module"
    name = source.partition(":")[2].rpartition(":")[0] or source.partition(":")[2]
    start = name.find("avm/")
    return f"module/{name[start:] if start >= 0 else name}"
