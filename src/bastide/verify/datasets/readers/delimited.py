# SPDX-License-Identifier: Apache-2.0
"""CSV and TSV: the first row names the fields."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bastide.verify.datasets.interface import Batch, Column, Limits, Piece, Trouble
from bastide.verify.datasets.readers.flatten import MOST
from bastide.verify.datasets.readers.source import blocks

_TOO_LONG = "lines of more than {} MiB, and all behind them"
NAMELESS = "records that are longer than the heading"
_OPEN = "fields behind a quotation mark that is never closed, taken as one"
_END = "\0 end of the file \0"
"""A line behind the last one: it becomes part of a quoted field that nothing closes."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Delimited:
    """Comma, tab, semicolon or bar; quoted as RFC 4180 says."""

    format = "csv"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - one for all formats
        """As a whole: where a line starts a record can't be told from the middle of a file."""
        return [(0, -1)]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The records below the heading."""
        csv.field_size_limit(limits.line)
        text = _Lines(blocks(piece.path, limits, trouble), limits)
        first = next(text, None)
        if first is None:
            if text.too_long:
                trouble.add(_TOO_LONG.format(limits.line >> 20))
            return
        delimiter = separator(first, piece.path)
        text.push(first)
        reader = csv.reader(text, delimiter=delimiter)
        names = _names(_next(reader, trouble, 0) or [], limits, trouble)
        waiting: list[list[str]] = []
        row = 0
        while (record := _next(reader, trouble, row + 1)) is not None:
            if not record:
                continue
            row += 1
            waiting.append(record)
            if len(waiting) >= MOST:
                yield _batch(names, waiting, trouble, row)
                waiting = []
        if text.too_long:
            trouble.add(_TOO_LONG.format(limits.line >> 20), row + 1)
        if waiting:
            yield _batch(names, waiting, trouble, row)


def separator(line: str, path: Path) -> str:
    """The character between fields, as the heading shows."""
    if any(suffix.lower() in (".tsv", ".tab") for suffix in path.suffixes):
        return "\t"
    return max(",\t;|", key=line.count)


def _next(reader: Any, trouble: Trouble, row: int) -> list[str] | None:
    while True:
        try:
            record: list[str] | None = next(reader, None)
        except csv.Error:
            trouble.add("records with a field that is too long", row)
            continue
        if record and record[-1].endswith(_END):
            if record == [_END]:
                return None
            trouble.add(_OPEN, row)
            record[-1] = record[-1].removesuffix(_END)
        return record


def _names(heading: list[str], limits: Limits, trouble: Trouble) -> list[str]:
    if len(heading) > limits.fields:
        trouble.add(f"fields beyond the first {limits.fields:,}")
        heading = heading[: limits.fields]
    names: list[str] = []
    for number, raw in enumerate(heading, 1):
        name = raw.strip()[:200] or f"column {number}"
        names.append(name if name not in names else f"{name} ({number})")
    return names


def _batch(names: list[str], records: list[list[str]], trouble: Trouble, row: int) -> Batch:
    width = len(names)
    odd = [i for i, record in enumerate(records) if len(record) != width]
    for i in odd:
        record = records[i]
        if len(record) > width:
            # What has no name is read as part of the last field, so that nothing hides behind it.
            trouble.add(NAMELESS, row - len(records) + i + 1)
            records[i] = [*record[: width - 1], " ".join(record[width - 1 :])] if width else []
        else:
            records[i] = record + [""] * (width - len(record))
    rows = range(len(records))
    columns = (list(values) for values in zip(*records, strict=True))
    return Batch(
        len(records), {name: Column(rows, _typed(values)) for name, values in zip(names, columns, strict=False)}
    )


def _typed(values: list[str]) -> list[Any]:
    """Missing values as None; a column of numbers as numbers, unless one has zeros in front (a telephone number, a postcode)."""
    filled = [v for v in values if v]
    if not filled or not all(_NUMBER.fullmatch(v) for v in filled[:50]):
        return [v or None for v in values]
    if any(v[:1] == "0" and v[1:2].isdigit() for v in filled) or not all(_NUMBER.fullmatch(v) for v in filled):
        return [v or None for v in values]
    return [(float(v) if any(c in ".eE" for c in v) or len(v) > 4000 else int(v)) if v else None for v in values]


class _Lines:
    """Lines of text from blocks of bytes; each keeps its line break, which may stand in a quoted field."""

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._lines = self._read(chunks)
        self._limit = limits.line
        self._pushed: list[str] = []
        self.too_long = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        return self._pushed.pop() if self._pushed else next(self._lines)

    def push(self, line: str) -> None:
        """Gives a line back."""
        self._pushed.append(line)

    def _read(self, chunks: Iterator[bytes]) -> Iterator[str]:
        decoder: Any = None
        rest = ""
        for block in chunks:
            if decoder is None:
                decoder = io.IncrementalNewlineDecoder(_decoder(block), translate=False)
            text = rest + decoder.decode(block)
            lines = _split(text)
            rest = lines.pop()
            yield from lines
            if len(rest) > self._limit:
                self.too_long = True
                return
        if decoder is not None:
            rest += decoder.decode(b"", final=True)
        if rest:
            yield rest
        yield _END


def _split(text: str) -> list[str]:
    """Lines that end with a line feed; the last one is what comes behind it."""
    parts = text.split("\n")
    return [*(part + "\n" for part in parts[:-1]), parts[-1]]


def _decoder(block: bytes) -> Any:
    import codecs

    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if block.startswith(mark):
            return codecs.getincrementaldecoder(encoding)("replace")
    return codecs.getincrementaldecoder("utf-8-sig")("replace")
