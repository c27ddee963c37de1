# SPDX-License-Identifier: Apache-2.0
"""Looks at pieces of a data set once, batch by batch; nothing of a batch is kept but counts, fingerprints and a bounded sample."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bastide.verify.datasets import fingerprint, hidden, sensitive
from bastide.verify.datasets.interface import Batch, Column, Limits, Piece, Trouble
from bastide.verify.datasets.knowledge import CLASSES
from bastide.verify.datasets.partial import EXAMPLES, FileTally, Partial, Sampled, Tally, count
from bastide.verify.datasets.readers.choose import READERS
from bastide.verify.datasets.roles import PARTS, Roles
from bastide.verify.datasets.splits import AGAINST, code_of

PEEK = 1_000
"""Rows by which fields are told apart."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a process needs to know."""

    roles: Roles
    limits: Limits
    splits: tuple[str, ...] = ()
    """The split of each file, by its number; '' where the file's name says none."""
    presidio: str = ""
    """The spaCy package for Presidio; '' without it."""


def peek(pieces: Sequence[Piece], limits: Limits) -> Partial:
    """The fields of the first rows of each piece."""
    partial = Partial()
    for piece in pieces:
        rows = 0
        for batch in READERS[piece.format].batches(piece, limits, Trouble({})):
            for name, column in batch.columns.items():
                _tally(partial.fields.setdefault(name, Tally()), column)
            rows += batch.size
            if rows >= PEEK:
                break
    return partial


def divide(pieces: Sequence[Piece], limits: Limits) -> Partial:
    """How whole files are divided among processes."""
    partial = Partial()
    for piece in pieces:
        try:
            parts = READERS[piece.format].pieces(piece.path, limits)
        except OSError:
            parts = [(piece.start, piece.end)]
        partial.pieces += [(piece.file, start, end) for start, end in parts]
    return partial


def digests(pieces: Sequence[Piece]) -> Partial:
    """The SHA-256 of files."""
    partial = Partial()
    for piece in pieces:
        with contextlib.suppress(OSError), piece.path.open("rb") as stream:
            partial.digests[piece.file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return partial


def examine(pieces: Sequence[Piece], work: Work) -> Partial:
    """Everything about some pieces."""
    partial = Partial()
    keeper = _Sample(work.limits)
    compared: list[tuple[Any, Any, Any]] = []
    for piece in pieces:
        trouble = Trouble({})
        tally = partial.files.setdefault(piece.file, FileTally())
        reader = READERS[piece.format]
        try:
            for batch in reader.batches(piece, work.limits, trouble):
                _batch(batch, partial, _Context(work, piece, tally.rows + 1), keeper, compared)
                tally.rows += batch.size
        except OSError as problem:
            trouble.add(problem.strerror or "it can't be opened")
        for why, (times, row) in trouble.reasons.items():
            tally.troubles[why] = (times, row)
    partial.samples = keeper.rows()
    if compared:
        partial.hashes, partial.signatures, partial.owners = (
            np.concatenate(part).tobytes() for part in zip(*compared, strict=True)
        )
    return partial


@dataclass(frozen=True, slots=True)
class _Context:
    work: Work
    piece: Piece
    first: int
    """Number of the batch's first row in the piece."""


def _batch(
    batch: Batch, partial: Partial, context: _Context, keeper: _Sample, compared: list[tuple[Any, Any, Any]]
) -> None:
    roles, piece = context.work.roles, context.piece
    if context.work.splits[piece.file] == AGAINST:
        # Not of the data set: it is only compared.
        compared.append(_fingerprints(_content(batch, roles.content), _per_row(batch, roles.label), batch, context))
        return
    documents = piece.format == "text"
    further = _presidio(context.work.presidio)
    classes = _per_row(batch, roles.classification) if roles.classification in batch.columns else []
    for name, column in batch.columns.items():
        tally = partial.fields.setdefault(name, Tally())
        _tally(tally, column)
        seen = sensitive.look(name, column, tally, sensitive.At(piece.file, context.first, documents), further)
        if classes:
            _classified(partial, name, seen, classes, context)
        if name in roles.texts or documents or piece.format == "image":
            texts = [(r, v) for r, v in zip(column.rows, column.values, strict=True) if isinstance(v, str) and v]
            hidden.look(partial, name, piece.file, context.first, texts, documents)
    _roles(batch, partial, context)
    labels = _per_row(batch, roles.label)
    content = _content(batch, roles.content)
    keeper.take(content, labels, piece.file, context.first, piece.start)
    if not documents or any(content):
        compared.append(_fingerprints(content, labels, batch, context))


def _tally(tally: Tally, column: Column) -> None:
    for kind, times in Counter(map(type, column.values)).items():
        name = _KINDS.get(kind, "string")
        tally.types[name] = tally.types.get(name, 0) + times
    lengths = [len(v) for v in column.values if isinstance(v, str)]
    if lengths:
        tally.characters += sum(lengths)
        tally.longest = max(tally.longest, *lengths)
    if len(tally.examples) < EXAMPLES:
        room = EXAMPLES - len(tally.examples)
        tally.examples += [v[:400] if isinstance(v, str) else v for v in column.values[:1_000] if _plain(v)][:room]


def _classified(
    partial: Partial, name: str, seen: set[tuple[str, int]], classes: Sequence[str], context: _Context
) -> None:
    """Counts what was found by how its row is classified."""
    for rule, row in sorted(seen):
        level = classes[row].strip().lower()
        if level in CLASSES:
            key = f"{level}\t{rule}\t{name}"
            partial.classified[key] = partial.classified.get(key, 0) + 1
            partial.places.setdefault(key, (context.piece.file, context.first + row))


_KINDS = {type(None): "null", str: "string", int: "integer", float: "number", bool: "boolean"}


def _plain(value: object) -> bool:
    return value is not None and not (isinstance(value, int) and abs(value) >= 1 << 63)


_PLACED = ("licence", "consent", "source")
_PLACES = 5_000


def _roles(batch: Batch, partial: Partial, context: _Context) -> None:
    """Counts the values of the fields that say where a row is from, and what may be done with it."""
    roles = context.work.roles
    if context.piece.format in ("text", "image"):
        return
    for role in PARTS:
        if name := getattr(roles, role):
            counts = partial.counts.setdefault(role, {})
            for index, raw in enumerate(_per_row(batch, name)):
                value = _site(raw) if role == "source" else raw
                count(counts, value)
                key = f"{role}:{value}"
                if role in _PLACED and key not in partial.places and len(partial.places) < _PLACES:
                    partial.places[key] = (context.piece.file, context.first + index)


def _site(value: str) -> str:
    """Of an address its host; anything else as it is."""
    if "://" in value:
        return value.split("://", 1)[1].split("/", 1)[0].rsplit("@", maxsplit=1)[-1][:100]
    return value[:100]


def _per_row(batch: Batch, name: str) -> list[str]:
    """The field's value in each row, as text; '' where it has none. Of several the first."""
    column = batch.columns.get(name) if name else None
    if column is None:
        return [""] * batch.size
    if isinstance(column.rows, range):
        return [_word(value) for value in column.values]
    found = [""] * batch.size
    for row, value in zip(reversed(column.rows), reversed(column.values), strict=True):
        found[row] = _word(value)
    return found


def _word(value: object) -> str:
    if isinstance(value, str):
        return value[:200]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if not isinstance(value, int) or abs(value) < 10**100 else "(a large number)"


def _content(batch: Batch, names: Sequence[str]) -> list[str]:
    """What is compared of each row."""
    columns = [batch.columns[n] for n in names if n in batch.columns]
    if not columns:
        # A batch of another kind than the first rows: all of it.
        columns = list(batch.columns.values())
    if len(columns) == 1 and len(columns[0].values) == batch.size:
        return [v if isinstance(v, str) else _word(v) for v in columns[0].values]
    parts: list[list[str]] = [[] for _ in range(batch.size)]
    for column in columns:
        for row, value in zip(column.rows, column.values, strict=True):
            parts[row].append(value if isinstance(value, str) else _word(value))
    return ["\n".join(part) for part in parts]


def _fingerprints(
    content: Sequence[str], labels: Sequence[str], batch: Batch, context: _Context
) -> tuple[Any, Any, Any]:
    rows = [i for i, text in enumerate(content) if text and not text.isspace()]
    texts = [content[i] for i in rows]
    split = context.work.splits[context.piece.file]
    splits = [split] * batch.size if split else _per_row(batch, context.work.roles.split)
    owners = np.zeros((len(rows), 4), dtype="<u4")
    owners[:, 0] = context.piece.file
    owners[:, 1] = context.first + np.array(rows, dtype=np.uint32)
    owners[:, 2] = [code_of(splits[i]) for i in rows]
    owners[:, 3] = [_label_code(labels[i]) for i in rows]
    return fingerprint.exact(texts), fingerprint.signatures(texts), owners


def _label_code(label: str) -> int:
    return (
        int.from_bytes(hashlib.blake2b(label.encode("utf-8", "replace"), digest_size=4).digest(), "little") | 1
        if label
        else 0
    )


def _presidio(model: str) -> Callable[[str], Any] | None:
    if not model:
        return None
    from bastide.recognise.presidio import presidio

    return presidio(model)


class _Sample:
    """The rows whose places hash to the smallest keys: the same sample however the data set is divided."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._heap: list[tuple[int, int, Sampled]] = []
        self._size = 0

    def take(self, texts: Sequence[str], labels: Sequence[str], file: int, first: int, start: int) -> None:
        """Takes the rows of a batch whose keys are small enough."""
        for index, key in enumerate(_keys(len(texts), file, first, start)):
            if self._full() and key >= -self._heap[0][0]:
                continue
            text = texts[index]
            if not text:
                continue
            half = self._limits.text // 2
            short = text if len(text) <= 2 * half else f"{text[:half]}\n{text[-half:]}"
            row = Sampled(key, file, first + index, labels[index], short)
            heapq.heappush(self._heap, (-key, len(self._heap), row))
            self._size += len(short)
            while self._size > self._limits.sample or len(self._heap) > self._limits.sampled_rows:
                self._size -= len(heapq.heappop(self._heap)[2].text)

    def _full(self) -> bool:
        return self._size * 10 >= self._limits.sample * 9 or len(self._heap) >= self._limits.sampled_rows

    def rows(self) -> list[Sampled]:
        """The sample, by key."""
        return [row for _, _, row in sorted(self._heap, key=lambda item: -item[0])]


def _keys(count: int, file: int, first: int, start: int) -> list[int]:
    places = np.arange(first, first + count, dtype=np.uint64) + np.uint64(
        (file * 0x9E3779B97F4A7C15 + start * 0xD6E8FEB86659FD93) & (1 << 64) - 1
    )
    mixed = (places ^ (places >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return [int(k) for k in (mixed >> np.uint64(2)).tolist()]
