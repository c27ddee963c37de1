# SPDX-License-Identifier: Apache-2.0
"""NumPy's `.npy`: a header that is a Python literal, then raw numbers, or a pickle when the items are Python objects.

`numpy.load` reads one array; programs call it again for the next one in the same file. A file without the magic is read as a pickle
(see `formats.pickle`), one that begins like a zip archive as `.npz`.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

from bastide.verify.artifacts.interface import Buffer, Scan, Source
from bastide.verify.artifacts.pickles.reading import read_pickle, report, try_pickle
from bastide.verify.artifacts.pickles.state import End

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1 << 20
"""Bytes; NumPy itself stops at 10,000 unless the caller allows pickles."""
MAX_ARRAYS = 10_000
MAX_DEPTH = 50
_SIMPLE = re.compile(r"[<>=|]?([biufcSaUVmM?])([0-9]{0,10})(?:\[[0-9]{0,9}[A-Za-z]{1,2}(?:/[0-9]{1,9})?\])?\Z")
_PYTHON2 = re.compile(r"(?<=[0-9])L(?=[,)\s])")


class NumpyReader:
    """Reads `.npy`."""

    format = "numpy"

    def claims(self, source: Source) -> bool:
        """By its magic."""
        return source.head(len(MAGIC)) == MAGIC

    def read(self, source: Source, scan: Scan) -> None:
        """All arrays in a row."""
        at = 0
        for _ in range(MAX_ARRAYS):
            after = _read_array(source.data, at, scan)
            if after is None or after >= source.size:
                return
            at = after
            if bytes(source.data[at : at + len(MAGIC)]) != MAGIC:
                _behind(source.data, at, scan)
                return
        scan.unread(f"more than {MAX_ARRAYS} arrays in a row", at)


@dataclass(frozen=True, slots=True)
class _Header:
    objects: bool
    """Whether the items may be Python objects."""
    size: int
    """Bytes of all items."""
    after: int
    """Where they begin."""


class _Refused(Exception):
    """NumPy refuses the header."""


def _read_array(data: Buffer, at: int, scan: Scan) -> int | None:
    """Where the array ends; None when that isn't known."""
    try:
        header = _header(data, at, scan)
    except _Refused as problem:
        scan.malformed("numpy/header", f"its header isn't NumPy's: {problem}", at)
        return None
    if header.objects:
        outcome, _ = read_pickle(data, scan, header.after)
        return outcome.offset if outcome.end is End.STOP else None
    after = header.after + header.size
    if after > len(data):
        scan.malformed(
            "numpy/cut-off", f"has {len(data) - header.after} bytes for items that take {header.size}", header.after
        )
        return None
    return after


def _header(data: Buffer, at: int, scan: Scan) -> _Header:
    version = bytes(data[at + 6 : at + 8])
    if version not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise _Refused(f"there is no version {'.'.join(map(str, version))}")
    width = 2 if version[0] == 1 else 4
    start = at + 8 + width
    size = int.from_bytes(data[at + 8 : start], "little")
    if start + size > len(data) or size > MAX_HEADER:
        raise _Refused(f"it is {size} bytes long")
    text = bytes(data[start : start + size]).decode("utf-8" if version[0] == 3 else "latin-1", "replace")
    fields = _literal(text)
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise _Refused("it hasn't the three fields of one")
    shape = fields["shape"]
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and 0 <= n < 1 << 63 for n in shape):
        raise _Refused("its shape is none")
    items = _items(fields["descr"], scan, at)
    return _Header(items is None, 0 if items is None else items * math.prod(shape), start + size)


def _literal(text: str) -> Any:
    for written in dict.fromkeys((text, _PYTHON2.sub("", text))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.literal_eval(written.strip())
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            continue
    raise _Refused("it is no literal of Python")


def _items(descr: Any, scan: Scan, at: int, depth: int = 0) -> int | None:
    """Bytes of an item; None when items may be Python objects."""
    if depth > MAX_DEPTH:
        raise _Refused("its type is nested too deep")
    match descr:
        case str():
            return _simple(descr, scan, at)
        case (str() | tuple() | list() as base, tuple() as shape) if isinstance(descr, tuple):
            return _times(_items(base, scan, at, depth + 1), shape)
        case [*fields]:
            sizes = [_field(field, scan, at, depth) for field in fields]
            return None if None in sizes else sum(s for s in sizes if s is not None)
    raise _Refused("its type is none")


def _field(field: Any, scan: Scan, at: int, depth: int) -> int | None:
    match field:
        case (_, base):
            return _items(base, scan, at, depth + 1)
        case (_, base, (tuple() | int()) as shape):
            return _times(_items(base, scan, at, depth + 1), shape if isinstance(shape, tuple) else (shape,))
    raise _Refused("a field of its type is none")


def _times(size: int | None, shape: tuple[Any, ...]) -> int | None:
    if not all(isinstance(n, int) and 0 <= n < 1 << 63 for n in shape):
        raise _Refused("the shape of a field is none")
    return None if size is None else size * math.prod(shape)


def _simple(descr: str, scan: Scan, at: int) -> int | None:
    found = _SIMPLE.match(descr)
    if found is None:
        if descr.strip("|<>=") not in ("O", "O4", "O8"):
            scan.malformed(
                "numpy/type", "NumPy never writes such a type; what follows is read as a pickle too", at, descr
            )
        return None
    kind, size = found[1], int(found[2] or (8 if found[1] in "mM" else 1 if found[1] in "?b" else 0))
    return size * 4 if kind == "U" else size


def _behind(data: Buffer, at: int, scan: Scan) -> None:
    """What stands behind the array: `numpy.load` reads it as a pickle when it is called once more."""
    outcome, judge = try_pickle(data, at)
    if judge.calls or outcome.end is End.STOP:
        report(outcome, judge, scan)
    scan.malformed("numpy/data-behind", "bytes stand behind the array, which a loader of arrays doesn't read", at)
