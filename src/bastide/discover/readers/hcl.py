# SPDX-License-Identifier: Apache-2.0
"""HCL as blocks and attributes with their lines. Expressions stay syntax trees; `importers.terraform` evaluates them.

Syntax errors are local (tree-sitter): what stands around them is read, and each is a problem with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, pairwise

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from bastide.discover.model import Place, Problem

_ERRORS = 20
_CHUNKS = 500
"""Blocks of a file with errors that are read one by one."""
_BLOCK = re.compile(
    r"^(?:resource|data|module|variable|locals|output|provider|terraform|moved|import|check)\b", re.MULTILINE
)


@dataclass(slots=True)
class Body:
    """What stands between braces."""

    attributes: dict[str, tuple[Node, Place]] = field(default_factory=dict)
    """Name -> its expression and its line."""
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Block:
    """`resource "aws_x" "y" { ... }`: type, labels, body."""

    type: str
    labels: tuple[str, ...]
    body: Body
    place: Place


def read_hcl(text: str, file: str) -> tuple[Body, list[Problem]]:
    """The blocks and attributes of a file."""
    root = _parser().parse(text.encode("utf-8", "surrogatepass")).root_node
    if not root.has_error:
        return _whole(root, file), []
    found, problems = Body(), []
    for chunk in islice(_chunks(text), _CHUNKS):
        part = _parser().parse(chunk.encode("utf-8", "surrogatepass")).root_node
        message = "is not HCL here; the block around it is not understood"
        problems += [Problem(Place(file, line), message) for line in _errors(part)[:1]]
        body = _whole(part, file)
        found.attributes |= body.attributes
        found.blocks += body.blocks
    return found, problems


def _whole(root: Node, file: str) -> Body:
    body = next((c for c in root.children if c.type == "body"), None)
    return _body(body, file) if body is not None else Body()


def _chunks(text: str) -> Iterator[str]:
    """A text with an error by blocks that begin in the first column, so that an error hides one block; each at its lines."""
    starts = [0, *(m.start() for m in _BLOCK.finditer(text)), len(text)]
    for start, end in pairwise(starts):
        if text[start:end].strip():
            yield "\n" * text.count("\n", 0, start) + text[start:end]


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_hcl.language()))


def _errors(root: Node) -> list[int]:
    """Lines with syntax errors, the first twenty."""
    found: list[int] = []
    stack = [root]
    while stack and len(found) < _ERRORS:
        node = stack.pop()
        if node.is_error or node.is_missing:
            found.append(line_of(node))
        elif node.has_error:
            stack += reversed(node.children)
    return found


def _body(node: Node, file: str) -> Body:
    found = Body()
    stack = [(node, found)]
    while stack:
        current, body = stack.pop()
        for child in current.children:
            if child.type == "attribute" and child.child_count >= 3:
                name, value = child.children[0], child.children[-1]
                body.attributes[text_of(name)] = value, Place(file, line_of(child), child.end_point[0] + 1)
            elif child.type == "block":
                inner = Body()
                labels = [text_of(c).strip('"') for c in child.children if c.type in ("identifier", "string_lit")]
                place = Place(file, line_of(child), child.end_point[0] + 1)
                body.blocks.append(Block(labels[0] if labels else "", tuple(labels[1:]), inner, place))
                stack += [(c, inner) for c in child.children if c.type == "body"]
    return found


def line_of(node: Node) -> int:
    """The line of a node, from 1."""
    return int(node.start_point[0]) + 1


def text_of(node: Node) -> str:
    """The text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def blocks(body: Body, type_: str) -> Iterator[Block]:
    """The blocks of a type."""
    return (b for b in body.blocks if b.type == type_)
