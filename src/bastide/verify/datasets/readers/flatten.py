# SPDX-License-Identifier: Apache-2.0
"""Records as columns: nested objects become `a.b`, lists `a[]`, so that each scalar has a field that can be named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bastide.verify.datasets.interface import Batch, Column, Limits, Trouble

MOST = 2_000
"""Records of a batch."""
WHOLE = "value"
"""The field of a record that is no object."""


def columns(records: Sequence[Any], limits: Limits, trouble: Trouble, first: int = 1) -> Batch:
    """A batch of some records. first: the number of the first one, for messages."""
    if (flat := _flat(records, limits)) is not None:
        return Batch(len(records), flat)
    builder = _Columns(limits, trouble, first)
    for row, record in enumerate(records):
        builder.record(row, record)
    return Batch(len(records), builder.columns)


_PLAIN = frozenset((str, int, float, bool, type(None)))


def _flat(records: Sequence[Any], limits: Limits) -> dict[str, Column] | None:
    """The columns of records that all have the same fields and nothing nested, which most have; None for others."""
    keys = records[0].keys() if records and isinstance(records[0], dict) else ()
    if not keys or len(keys) > min(limits.fields, limits.values) or any(len(k) > 200 or not k for k in keys):
        return None
    if any(type(record) is not dict or record.keys() != keys for record in records):
        return None
    rows = range(len(records))
    found = {key: Column(rows, [record[key] for record in records]) for key in keys}
    return found if all(_PLAIN.issuperset(map(type, c.values)) for c in found.values()) else None


class _Columns:
    def __init__(self, limits: Limits, trouble: Trouble, first: int) -> None:
        self.columns: dict[str, Column] = {}
        self._limits, self._trouble, self._first = limits, trouble, first
        self._left = 0

    def record(self, row: int, record: Any) -> None:
        self._left = self._limits.values
        if not isinstance(record, dict):
            self._value(WHOLE, row, record, 0)
            return
        for key, value in record.items():
            self._value(str(key)[:200] or "(no name)", row, value, 0)

    def _value(self, name: str, row: int, value: Any, depth: int) -> None:
        if isinstance(value, (dict, list, tuple)):
            self._nested(name, row, value, depth)
            return
        if self._left <= 0:
            self._trouble.add(f"values beyond the first {self._limits.values:,} of a record", self._first + row)
            return
        self._left -= 1
        column = self.columns.get(name)
        if column is None:
            if len(self.columns) >= self._limits.fields:
                self._trouble.add(f"fields beyond the first {self._limits.fields:,}", self._first + row)
                return
            column = self.columns[name] = Column([], [])
        column.rows.append(row)  # type: ignore[attr-defined]  # made here, as lists
        column.values.append(scalar(value))  # type: ignore[attr-defined]

    def _nested(self, name: str, row: int, value: Any, depth: int) -> None:
        if depth >= self._limits.depth:
            self._trouble.add(f"values nested deeper than {self._limits.depth}", self._first + row)
            return
        if isinstance(value, dict):
            for key, inner in value.items():
                self._value(f"{name}.{str(key)[:200]}", row, inner, depth + 1)
        else:
            for inner in value:
                if self._left <= 0:
                    self._value(name, row, None, depth)
                    return
                self._value(f"{name}[]", row, inner, depth + 1)


def scalar(value: Any) -> Any:
    """The value as text, number, boolean or None; bytes as the text that they are, where they are one."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return f"({len(raw):,} bytes)"
    return str(value)
