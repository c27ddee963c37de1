# SPDX-License-Identifier: Apache-2.0
"""Rich text as a string: coloured for a terminal, plain for pipes and files, in the width that there is."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bastide.cli.text import one_line, printable

WIDTH = 100
STYLES = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "cyan"}


class Screen:
    """Collects what is printed, and gives it as one text."""

    def __init__(self, to_screen: bool = True) -> None:
        terminal = to_screen and sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal or os.environ.get("COLUMNS") else WIDTH
        self._out = io.StringIO()
        self._console = Console(
            file=self._out,
            width=max(40, min(width, 140)),
            force_terminal=terminal,
            color_system="auto" if terminal else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            no_color="NO_COLOR" in os.environ or None,
        )

    def add(self, *things: RenderableType, indent: int = 0) -> None:
        """Adds lines; text wraps and keeps its indentation."""
        for thing in things:
            self._console.print(Padding(thing, (0, 0, 0, indent)) if indent else thing)

    def whole(self, line: Text) -> None:
        """Adds a line that is never broken, such as a command to copy."""
        self._console.print(line, soft_wrap=True)

    def rows(self, rows: Iterable[tuple[str | Text, ...]], indent: int = 0) -> None:
        """Adds rows whose columns line up; the last column wraps."""
        grid = Table.grid(padding=(0, 2))
        for row in rows:
            while len(grid.columns) < len(row):
                grid.add_column(no_wrap=len(grid.columns) + 1 < len(row))
            grid.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
        if grid.row_count:
            self.add(grid, indent=indent)

    def table(self, headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Adds a table with headings."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else text(str(cell)) for cell in row))
        self.add(table)

    def heading(self, words: str) -> None:
        """An empty line and a heading."""
        self.add("", Text(one_line(words), style="bold"))

    def text(self) -> str:
        """Everything, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().split("\n"))


def text(words: str, style: str = "", **options: Any) -> Text:
    """Text in which nothing is markup and nothing controls the terminal."""
    return Text(printable(words), style=style, **options)


def join(*parts: Text | str) -> Text:
    """Pieces of text in one line."""
    return Text.assemble(*(part if isinstance(part, Text) else text(part) for part in parts))
