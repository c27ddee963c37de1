# SPDX-License-Identifier: Apache-2.0
"""Parquet, Feather and Arrow files and streams, by pyarrow: a group of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bastide.errors import UsageError
from bastide.verify.datasets.interface import Batch, Column, Limits, Piece, Trouble
from bastide.verify.datasets.readers.flatten import columns, scalar

_ROWS = 2_000
_ROW = 64
"""Bytes that a row counts at least."""
_UNPACKED = 512 << 20
"""Bytes that any piece may unpack to."""


def _arrow() -> Any:
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("Parquet and Arrow files need pyarrow: `pip install 'bastide[datasets]'`") from None
    return pyarrow


class Parquet:
    """Row groups; processes take some each."""

    format = "parquet"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:
        """Ranges of row groups of about the size of a piece."""
        arrow = _arrow()
        from pyarrow import parquet

        try:
            metadata = parquet.read_metadata(path)
            sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        except (OSError, arrow.ArrowException, ValueError, OverflowError):
            return [(0, -1)]
        found, start, size = [], 0, 0
        for index, group in enumerate(sizes):
            size += max(group, 0)
            if size >= limits.piece:
                found.append((start, index + 1))
                start, size = index + 1, 0
        if start < len(sizes) or not found:
            found.append((start, len(sizes)))
        return found

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The rows of the groups."""
        arrow = _arrow()
        from pyarrow import parquet

        row = 1
        try:
            with parquet.ParquetFile(piece.path) as file:
                groups = list(range(piece.start, file.num_row_groups if piece.end < 0 else piece.end))
                done, most = 0, max(_UNPACKED, piece.path.stat().st_size * limits.ratio)
                for batch in file.iter_batches(batch_size=_ROWS, row_groups=groups):
                    # A dictionary makes a gigabyte of a word, and of nothing but nulls come as many rows as anybody likes.
                    done += max(batch.nbytes, batch.num_rows * _ROW)
                    if done > most:
                        trouble.add("what unpacks to many times its size", row)
                        return
                    yield _rows(batch, limits, trouble, row)
                    row += batch.num_rows
        except (OSError, arrow.ArrowException, ValueError, OverflowError, KeyError, TypeError) as problem:
            trouble.add(f"the rest of a damaged Parquet file ({type(problem).__name__})", row)


class Arrow:
    """Arrow's file format (Feather 2) and its stream."""

    format = "arrow"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - one for all formats
        """As a whole."""
        return [(0, -1)]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The rows of the record batches."""
        arrow = _arrow()
        row = 1
        try:
            with arrow.OSFile(str(piece.path), "rb") as source:
                for batch in _batches(arrow, source):
                    for start in range(0, batch.num_rows, _ROWS):
                        part = batch.slice(start, _ROWS)
                        yield _rows(part, limits, trouble, row)
                        row += part.num_rows
        except (OSError, arrow.ArrowException, ValueError, OverflowError, KeyError, TypeError) as problem:
            trouble.add(f"the rest of a damaged Arrow file ({type(problem).__name__})", row)


def _batches(arrow: Any, source: Any) -> Iterator[Any]:
    mark = source.read(6)
    source.seek(0)
    if mark == b"ARROW1":
        reader = arrow.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
    elif mark[:4] == b"FEA1":
        from pyarrow import feather

        yield from feather.read_table(source).to_batches()
    else:
        yield from arrow.ipc.open_stream(source)


def _rows(batch: Any, limits: Limits, trouble: Trouble, first: int) -> Batch:
    """The batch with scalars only; what is nested is flattened like JSON."""
    arrow = _arrow()
    batch.validate(full=True)
    flat: dict[str, Column] = {}
    nested: list[int] = []
    for index, item in enumerate(batch.schema):
        if len(flat) + len(nested) >= limits.fields:
            trouble.add(f"fields beyond the first {limits.fields:,}")
            break
        if arrow.types.is_nested(item.type) or isinstance(item.type, arrow.ExtensionType):
            nested.append(index)
            continue
        values = batch.column(index).to_pylist()
        if not (arrow.types.is_integer(item.type) or arrow.types.is_string(item.type)):
            values = [scalar(v) for v in values]
        flat[_name(item.name, flat)] = Column(range(batch.num_rows), values)
    if nested:
        part = batch.select(nested)
        flat |= columns(part.to_pylist(), limits, trouble, first).columns
    return Batch(batch.num_rows, flat)


def _name(name: str, taken: dict[str, Column]) -> str:
    name = name[:200] or "(no name)"
    return name if name not in taken else f"{name} ({len(taken) + 1})"
