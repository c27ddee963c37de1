# SPDX-License-Identifier: Apache-2.0
"""JSON: a record on each line (JSONL, NDJSON), or one array; both are read in a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bastide.verify.datasets.interface import Batch, Limits, Piece, Trouble
from bastide.verify.datasets.readers.flatten import MOST, columns
from bastide.verify.datasets.readers.source import BLOCK, blocks, opened, packing

_decode = msgspec.json.Decoder().decode
_BATCH = 2 << 20
"""Bytes of lines in a batch."""
_NO = object()
_HALVES = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TOO_LONG = "lines of more than {} MiB"
_MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
"""A string, a bracket or a comma; a lone quotation mark opens a string that has no end yet."""


class Jsonl:
    """A JSON value on each line; empty lines are none."""

    format = "jsonl"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:
        """Ranges of bytes; each process reads the lines that start in its range."""
        if packing(path):
            return [(0, -1)]
        size = path.stat().st_size
        starts = range(0, max(size, 1), limits.piece)
        return [(start, min(start + limits.piece, size)) for start in starts]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The records of the lines."""
        waiting: list[Any] = []
        size, row = 0, 0
        for line in _lines(piece, limits, trouble):
            row += 1
            record = _record(line)
            if record is _NO:
                trouble.add("lines that are no JSON", row)
                record = line.decode("utf-8", "replace")
            waiting.append(record)
            size += len(line)
            if size >= _BATCH or len(waiting) >= MOST:
                yield columns(waiting, limits, trouble, row - len(waiting) + 1)
                waiting, size = [], 0
        if waiting:
            yield columns(waiting, limits, trouble, row - len(waiting) + 1)


def _record(line: bytes) -> Any:
    try:
        return _decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError):
        pass
    try:
        # NaN and Infinity, and halves of surrogate pairs, which Python and pandas write; the halves are no characters.
        return json.loads(_HALVES.sub(rb"\\ufffd", line).decode("utf-8"))
    except (ValueError, RecursionError):
        return _NO


def _lines(piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[bytes]:
    """The lines that start in the piece, without empty ones."""
    chunks = blocks(piece.path, limits, trouble) if piece.end < 0 else _range(piece)
    rest: list[bytes] = []
    length = 0
    skip = False
    for block in chunks:
        *full, last = block.split(b"\n")
        if full:
            full[0] = b"".join([*rest, full[0]])
            rest, length = [], 0
            if skip:
                full, skip = full[1:], False
            yield from _bounded(full, limits, trouble)
        rest.append(last)
        length += len(last)
        if length > limits.line:
            trouble.add(_TOO_LONG.format(limits.line >> 20))
            rest, length, skip = [], 0, True
    if not skip:
        yield from _bounded([b"".join(rest)], limits, trouble)


def _bounded(lines: Sequence[bytes], limits: Limits, trouble: Trouble) -> Iterator[bytes]:
    for line in lines:
        if len(line) > limits.line:
            trouble.add(_TOO_LONG.format(limits.line >> 20))
        elif line and not line.isspace():
            yield line


def _range(piece: Piece) -> Iterator[bytes]:
    """The bytes from the first line that starts in the range to the end of the last one."""
    with opened(piece.path) as stream:
        left = piece.end - piece.start
        if piece.start:
            stream.seek(piece.start - 1)
            # The line under way belongs to the piece before.
            skipped = _skip(stream)
            left -= skipped - 1
        elif stream.read(3) != b"\xef\xbb\xbf":
            stream.seek(0)
        while left > 0:
            block = stream.read(min(BLOCK, left))
            if not block:
                return
            left -= len(block)
            yield block
        if left == 0 and (stream.tell() == 0 or block_end(stream)):
            return
        if left < 0:
            return
        while block := stream.read(1 << 16):
            head, found, _ = block.partition(b"\n")
            yield head + found
            if found:
                return


def block_end(stream: Any) -> bool:
    """Whether the last byte that was read ended a line."""
    stream.seek(-1, 1)
    return bool(stream.read(1) == b"\n")


def _skip(stream: Any) -> int:
    """Reads to behind the next line break; how many bytes that were."""
    done = 0
    while block := stream.read(1 << 16):
        at = block.find(b"\n")
        if at >= 0:
            stream.seek(at + 1 - len(block), 1)
            return int(done + at + 1)
        done += len(block)
    return done


class JsonArray:
    """One JSON document: an array of records, an object that holds one, or a record."""

    format = "json"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - one for all formats
        """As a whole."""
        return [(0, -1)]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The elements of the array."""
        waiting: list[Any] = []
        size = 0
        splitter = _Splitter(limits)
        elements = _elements(splitter, blocks(piece.path, limits, trouble), limits, trouble)
        for row, raw in enumerate(elements, 1):
            record = _record(raw)
            if record is _NO:
                trouble.add("records that are no JSON", row)
                record = raw.decode("utf-8", "replace")
            rows = None if splitter.array else _inner(record)
            waiting += rows if rows is not None else [record]
            size += len(raw)
            while len(waiting) >= MOST or (size >= _BATCH and waiting):
                yield columns(waiting[:MOST], limits, trouble)
                waiting, size = waiting[MOST:], 0
        while waiting:
            yield columns(waiting[:MOST], limits, trouble)
            waiting = waiting[MOST:]


def _inner(record: Any) -> list[Any] | None:
    """The records of an object whose only list of objects they are (`{"data": [...]}`)."""
    if not isinstance(record, dict):
        return None
    lists = [v for v in record.values() if isinstance(v, list) and v and all(isinstance(x, dict) for x in v)]
    return lists[0] if len(lists) == 1 else None


def _elements(splitter: _Splitter, chunks: Iterator[bytes], limits: Limits, trouble: Trouble) -> Iterator[bytes]:
    """The raw elements of the outermost array, or the document itself when it is none.

    Only strings, brackets and commas matter for where an element ends; whether it is JSON the decoder says.
    """
    for block in chunks:
        yield from splitter.feed(block)
        if splitter.too_long:
            trouble.add(f"records of more than {limits.line >> 20} MiB, and all behind them")
            return
    yield from splitter.end()


class _Splitter:
    def __init__(self, limits: Limits) -> None:
        self._limit = limits.line
        self._buffer = b""
        self._at = 0
        """Where to go on looking."""
        self._depth = 0
        self.array: bool | None = None
        """Whether the document is an array; None while nothing of it was seen."""
        self.too_long = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The elements that end in this block."""
        self._buffer += block
        if self.array is None:
            head = self._buffer.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not head:
                return
            self.array = head[:1] == b"["
            self._buffer = head[1:] if self.array else head
        data, start = self._buffer, 0
        if self.array:
            for end in self._ends(data):
                yield from _filled(data[start:end])
                start = end + 1
        self._buffer = data[start:]
        self._at = max(0, self._at - start)
        self.too_long = len(self._buffer) > self._limit

    def end(self) -> Iterator[bytes]:
        """The last element."""
        tail = self._buffer.strip()
        yield from _filled(tail.removesuffix(b"]") if self.array and self._depth == 0 else tail)

    def _ends(self, data: bytes) -> Iterator[int]:
        """Positions of the commas between elements, and of the closing bracket."""
        for match in _MARKS.finditer(data, self._at):
            mark = data[match.start()]
            if mark in b"[{":
                self._depth += 1
            elif mark in b"]}":
                self._depth -= 1
            elif mark == 0x22:
                if match.end() - match.start() == 1:
                    # A string that ends in a later block.
                    self._at = match.start()
                    return
                continue
            if (mark == 0x2C and self._depth == 0) or self._depth < 0:
                self._depth = max(0, self._depth)
                yield match.start()
        self._at = len(data)


def _filled(raw: bytes) -> Iterator[bytes]:
    if raw := raw.strip():
        yield raw
