# SPDX-License-Identifier: Apache-2.0
"""Pieces of syntax that bind names: texts of nodes, imports, declarations, patterns, type annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tree_sitter import Node

_ESCAPES: Mapping[str, str] = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\0": "\0", "\\b": "\b"}


def text_of(node: Node | None) -> str:
    """The text of a node."""
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def line_of(node: Node) -> int:
    """The line on which a node begins, from 1."""
    return node.start_point[0] + 1


def constant(node: Node | None) -> str | None:
    """The text of a string without anything put in; None for other expressions."""
    if node is None or node.type not in ("string", "template_string"):
        return None
    if any(c.type == "template_substitution" for c in node.named_children):
        return None
    return "".join(_ESCAPES.get(t := text_of(c), t[1:]) if c.type == "escape_sequence" else text_of(c) for c in node.named_children)  # fmt: skip


def imported(clause: Node) -> Iterator[tuple[str, str]]:
    """Names of an import with the exports that they stand for."""
    for child in clause.named_children:
        if child.type == "identifier":
            yield text_of(child), "default"
        elif child.type == "namespace_import":
            yield text_of(child.named_children[0]), "*"
        for one in child.named_children if child.type == "named_imports" else ():
            name = text_of(one.child_by_field_name("name"))
            yield text_of(one.child_by_field_name("alias")) or name, name


def declared(node: Node) -> Iterator[str]:
    """Names that a declaration declares."""
    named = node.child_by_field_name("name")
    if named is not None:
        yield text_of(named)
        return
    for child in node.named_children:
        left = child.child_by_field_name("name") if child.type == "variable_declarator" else None
        for name, _ in bound_names(left) if left is not None else ():
            yield name


def bound_names(pattern: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names that a pattern binds, with the properties that they stand for: `{ a: { b } }` binds `b` to `a.b`."""
    if pattern.type == "identifier":
        yield text_of(pattern), path
    if pattern.type != "object_pattern" or len(path) > 5:
        return
    for child in pattern.named_children:
        if child.type == "shorthand_property_identifier_pattern":
            yield text_of(child), (*path, text_of(child))
        elif child.type == "object_assignment_pattern":
            left = child.child_by_field_name("left")
            if left is not None and left.type == "shorthand_property_identifier_pattern":
                yield text_of(left), (*path, text_of(left))
        elif child.type == "pair_pattern":
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if key is not None and value is not None:
                yield from bound_names(value, (*path, constant(key) or text_of(key)))


def parameters(function: Node) -> Iterator[tuple[str, int]]:
    """The names of a function's parameters, with their lines."""
    given = function.child_by_field_name("parameters")
    for node in (given.named_children if given is not None else [])[:50]:
        yield text_of(node.child_by_field_name("pattern") or node)[:100], line_of(node)


def type_name(annotation: Node | None) -> str:
    """The name in a type annotation, when it is only a name (or one or nothing): `: Server | null`."""
    if annotation is None or not annotation.named_children:
        return ""
    type_ = annotation.named_children[0]
    if type_.type == "union_type":
        named = [c for c in type_.named_children if c.type != "literal_type"]
        type_ = named[0] if len(named) == 1 else type_
    if type_.type == "generic_type":
        type_ = type_.child_by_field_name("name") or type_
    return text_of(type_) if type_.type in ("type_identifier", "nested_type_identifier") else ""
