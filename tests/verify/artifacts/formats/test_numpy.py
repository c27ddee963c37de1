# SPDX-License-Identifier: Apache-2.0
"""NumPy's files are judged by what `numpy.load` does with them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.archives.zips import TOUCHES, M, ids, zipped

RUNS = "pickle/runs-a-program"


def npy(header: bytes, data: bytes = b"", version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<L", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def described(descr: Any, shape: tuple[int, ...] = (1,)) -> bytes:
    return repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"


ARRAYS: list[Any] = [
    np.arange(6.0).reshape(2, 3), np.zeros(0), np.array(3), np.array(["ab", "c"]), np.array([b"abc"]), np.array(["2020-01-01"], "M8[D]"),
    np.array([1], "m8[ns]"), np.zeros(3, [("a", "i4"), ("b", "f8", (2, 2))]), np.zeros(2, [("ä", "i2"), ("n", [("x", "U3"), ("y", "?")])]),
    np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)), np.ones(3, "longdouble"), np.ones(2, ">c8"), np.zeros(3, "V7"),
    np.zeros((2, 0, 3)), np.asfortranarray(np.ones((2, 3))), np.ones(3, np.float16), np.zeros(2, "25m8[s]" if False else "m8[25s]"),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), None])
def test_arrays_of_numbers_are_safe(array: Any, version: tuple[int, int] | None) -> None:
    if not array.dtype.names or version is None or all(n.isascii() for n in array.dtype.names) or version == (3, 0):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, version=version)
        report = scan_bytes(buffer.getvalue(), "x.npy")
        assert (report.format, report.verdict, report.findings) == ("numpy", Verdict.SAFE, ())


def test_arrays_in_a_row_and_in_an_archive_are_safe() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    np.save(buffer, np.ones(2, bool))
    assert scan_bytes(buffer.getvalue(), "x.npy").verdict is Verdict.SAFE
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, a=np.ones(3), b=np.array([{"a": 1}, None], object))
        report = scan_bytes(buffer.getvalue(), "x.npz")
        assert (report.format, report.verdict) == ("npz", Verdict.SAFE)


@pytest.mark.parametrize(
    "descr",
    [
        "|O",
        "O",
        "<O8",
        [("a", "<i4"), ("b", "|O")],
        [("a", [("b", "|O")])],
        [("a", "|O", (2,))],
        ("|O", (2,)),
        "object",
        "i4,O",
        "O8",
    ],
)
def test_the_pickle_behind_a_header_of_objects_is_judged(descr: Any) -> None:
    assert RUNS in ids(npy(described(descr), TOUCHES), "x.npy")
    assert RUNS in ids(zipped(M(b"a.npy", npy(described(descr), TOUCHES), 8)), "x.npz")


def test_without_the_magic_it_is_a_pickle() -> None:
    assert RUNS in ids(TOUCHES, "x.npy")
    assert RUNS in ids(zipped(M(b"a.npy", TOUCHES)), "x.npz")


def test_the_bytes_of_numbers_are_no_pickle() -> None:
    data = npy(described("|u1", (len(TOUCHES),)), TOUCHES)
    assert scan_bytes(data, "x.npy").verdict is Verdict.SAFE


def test_a_pickle_behind_an_array_is_judged() -> None:
    """A program that calls `numpy.load` again for the next array reads it."""
    assert {RUNS, "numpy/data-behind"} <= ids(npy(described("|u1")) + b"\x01" + TOUCHES, "x.npy")


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{", b"{}\n", b"[1]\n", b"__import__('os')\n", b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}\n",
        b"{'descr': 5, 'fortran_order': False, 'shape': (1,)}\n", b"{'descr': '<f8', 'fortran_order': False, 'shape': 1}\n", b"(" * 1000,
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n", b"-" * 30_000 + b"1", b"{'descr': ('<f8',), 'fortran_order': 0, 'shape': ()}",
        b"{'descr': [['a']], 'fortran_order': False, 'shape': (1,)}\n", b"\xff\xfe{}", b"{'descr': '<f8\\d', 'fortran_order': 0, 'shape': (1,)}",
    ],
    ids=lambda h: repr(h[:20]),
)  # fmt: skip
@pytest.mark.parametrize("version", [1, 2, 3])
def test_what_numpy_refuses_is_unknown(header: bytes, version: int) -> None:
    assert scan_bytes(npy(header, bytes(8), version), "x.npy").verdict is Verdict.UNKNOWN


def test_a_version_that_there_is_not_and_an_array_that_is_cut_off_are_unknown() -> None:
    assert "numpy/header" in ids(b"\x93NUMPY\x04\x00" + bytes(10))
    assert "numpy/cut-off" in ids(npy(described("<f8", (10**9, 10**9)), bytes(8)))


def test_headers_of_python_2_are_read() -> None:
    assert (
        scan_bytes(npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1L,), }\n", bytes(8)), "x.npy").verdict
        is Verdict.SAFE
    )


SEED = npy(described([("a", "<i4"), ("b", "|O")], (2,)), TOUCHES) + npy(described("<f8", (2,)), bytes(16))


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=6), st.integers(6, len(SEED)))
@settings(max_examples=300, deadline=None)
def test_no_change_of_bytes_makes_the_reader_raise(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SEED)
    for at, value in changes:
        data[at] = value
    scan_bytes(bytes(data[:cut]), "x.npy")
    scan_bytes(bytes(data), "x.npy")
