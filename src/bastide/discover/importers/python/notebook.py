# SPDX-License-Identifier: Apache-2.0
"""Notebooks as Python: their code cells as one module, each line with the line of the file on which it stands. Outputs are passed over."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bastide.discover.model import Place, Problem, Value
from bastide.discover.readers.json_ import read_json

_PYTHON_MAGIC = re.compile(r"%%(?:time|timeit|capture|prun|memit|mprun|python3?|py|pyspark|info)\b")
"""Magics of a cell whose rest is Python of the notebook."""
_MAGIC = re.compile(r"(\s*)(?:[%!?].*|[\w.]+\?{1,2}\s*)\Z")
_ASSIGNED = re.compile(r"(\s*[\w, ]+=)\s*[%!].*\Z")


@dataclass(frozen=True, slots=True)
class Code:
    """The Python of a notebook."""

    cells: tuple[str, ...]
    lines: tuple[int, ...]
    """Of each line of all cells, the line of the file."""

    @property
    def text(self) -> str:
        """All cells as one module."""
        return "\n".join(self.cells)


def notebook(text: str, file: str) -> tuple[Code | None, list[Problem]]:
    """The code of a notebook; None for other languages, and with a problem for what is no notebook."""
    root, problems = read_json(text, file)
    if root is None:
        return None, problems
    spoken = [
        v.data for path in ("metadata.language_info.name", "metadata.kernelspec.language") for v in root.find(path)
    ]
    if any(
        isinstance(language, str) and language.lower() not in ("python", "ipython", "pyspark") for language in spoken
    ):
        return None, []
    cells: list[str] = []
    lines: list[int] = []
    for cell in [*root.find("cells"), *root.find("worksheets.cells")]:
        if isinstance(cell.data, Mapping) and "cell_type" in cell.data and cell.data["cell_type"].data == "code":
            source = list(_source(cell))
            cells.append("\n".join(_plain([line for line, _ in source])))
            lines += [number for _, number in source] or [cell.place.line]
    return Code(tuple(cells), tuple(lines)), []


def _source(cell: Value) -> Iterator[tuple[str, int]]:
    """The lines of a cell with those of the file. A line that begins in one piece and ends in another stands where it begins."""
    line, start = "", 0
    for piece in [*cell.find("source"), *(cell.find("input") if "source" not in cell.data else ())]:
        for part in str(piece.data or "").splitlines(keepends=True):
            start = start if line else piece.place.line
            line += part
            if part.endswith(("\n", "\r")):
                yield line.rstrip("\r\n"), start
                line = ""
    if line:
        yield line, start


def _plain(lines: list[str]) -> list[str]:
    """The same number of lines, without what only IPython understands."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not _PYTHON_MAGIC.match(first):
        return [""] * len(lines)
    return [_line(line) for line in lines]


def _line(line: str) -> str:
    if assigned := _ASSIGNED.match(line):
        return f"{assigned[1]} ..."
    if magic := _MAGIC.match(line):
        return f"{magic[1]}pass"
    return line


def parse_cells(code: Code, file: str) -> tuple[ast.Module, list[Problem]]:
    """The syntax tree, with lines of the file. A cell that isn't Python is left out and is a problem."""
    problems: list[Problem] = []
    body: list[ast.stmt] = []
    start = 0
    for cell in code.cells:
        height = cell.count("\n") + 1
        lines = code.lines[start : start + height]
        start += height
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(cell)
        except SyntaxError as error:
            problems.append(Problem(Place(file, _at(lines, error.lineno or 1)), f"a cell is not Python 3: {error.msg}"))
            continue
        except (ValueError, RecursionError, MemoryError) as error:
            problems.append(Problem(Place(file, _at(lines, 1)), f"a cell can't be parsed: {type(error).__name__}"))
            continue
        node: Any
        for node in ast.walk(tree):
            if hasattr(node, "lineno"):
                node.lineno = _at(lines, node.lineno)
                node.end_lineno = _at(lines, getattr(node, "end_lineno", None) or 1)
        body += tree.body
    return ast.Module(body, []), problems


def _at(lines: tuple[int, ...], line: int) -> int:
    return lines[min(max(line, 1), len(lines)) - 1] if lines else 0
