# SPDX-License-Identifier: Apache-2.0
"""What isn't known to be harmless reconstruction isn't allowed to be called; what honest libraries write is."""

from __future__ import annotations

import collections
import datetime
import decimal
import functools
import pathlib
import pickle
import struct
import uuid
from typing import Any

import pytest

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _import(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + b"\x93"


def _call(module: str, name: str, *arguments: bytes) -> bytes:
    return b"\x80\x04" + _import(module, name) + b"(" + b"".join(arguments) + b"tR."


TOUCH = _text("touch /tmp/bastide-was-here")
UNSAFE = {
    "os.system": _call("os", "system", TOUCH),
    "posix.system": _call("posix", "system", TOUCH),
    "protocol 0": b"cos\nsystem\n(S'touch x'\ntR.",
    "Python 2's name of builtins": b"c__builtin__\neval\n(S'1'\ntR.",
    "Python 2's module of commands": b"ccommands\ngetoutput\n(S'id'\ntR.",
    "INST": b"(S'touch x'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch x'\no.",
    "Popen by INST": b"(S'x'\nisubprocess\nPopen\n.",
    "an unknown function of a known library": _call("numpy.testing._private.utils", "runstring", TOUCH, b"}"),
    "a function of a known library that isn't reconstruction": _call("numpy", "save", TOUCH, b"N"),
    "something nobody knows": _call("some.module", "run", TOUCH),
    "getattr to a method": b"\x80\x04" + _import("builtins", "getattr") + _import("os", "path") + _text("system") + b"\x86R" + TOUCH + b"\x85R.",
    "a dotted name through a module": _call("random", "_os.system", TOUCH),
    "a dotted name through a known library": _call("torch", "os.system", TOUCH),
    "a class through a known library": _call("sklearn.base", "warnings.sys.modules", TOUCH),
    "a partial that is called": b"\x80\x04" + _import("functools", "partial") + _import("os", "system") + TOUCH + b"\x86R)R.",
    "a name built by a codec": (
        b"\x80\x04" + _import("_codecs", "encode") + _text("bf") + _text("rot13") + b"\x86R" + _text("system") + b"\x93" + TOUCH + b"\x85R."
    ),
    "an extension code": b"\x80\x02\x82\x05)R.",
    "registering an extension code": _call("copyreg", "add_extension", _text("os"), _text("system"), b"K\x05"),
    "BUILD on a class": b"\x80\x04" + _import("collections", "OrderedDict") + b"}" + _text("__init__") + _import("os", "system") + b"sb.",
    "BUILD on a module's function": b"\x80\x04" + _import("builtins", "print") + b"}" + _text("x") + b"K\x01sb.",
    "SETITEM on an import": b"\x80\x04" + _import("os", "environ") + _text("PATH") + _text("/tmp") + b"s.",
    "REDUCE with arguments that are no tuple": b"\x80\x04" + _import("os", "system") + b"]" + TOUCH + b"aR.",
    "a broken tail after the call": _call("os", "system", TOUCH)[:-1] + b"\xff\xff",
    "cut off after the call": _call("os", "system", TOUCH)[:-1],
    "a call whose result is dropped": b"\x80\x04" + _call("os", "system", TOUCH)[2:-1] + b"0N.",
    "a call in a second pickle": pickle.dumps(1) + _call("os", "system", TOUCH),
    "numbers that readers read differently": b"I0x10\n.",
    "an argument across a frame": b"\x80\x04\x95" + struct.pack("<Q", 2) + b"M\x01\x02.",
    "a method of a class that opens files": _call("pathlib", "Path.write_text", _text("x"), _text("y")),
    "the file's own pickle loader": _call("pickle", "loads", b"C\x01."),
    "joblib.load": _call("joblib", "load", _text("x")),
    "torch.load": _call("torch.serialization", "load", _text("x")),
    "tempfile": _call("tempfile", "mktemp"),
    "map over a function": _call("builtins", "map", _import("os", "system"), b"]" + TOUCH + b"a"),
    "a thread": _call("threading", "Thread", b"N", _import("os", "system")),
    "operator.methodcaller": (
        b"\x80\x04" + _import("operator", "methodcaller") + _text("system") + TOUCH + b"\x86R" + _import("os", "path") + b"\x85R."
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", UNSAFE.values(), ids=UNSAFE.keys())
def test_what_does_harm_is_unsafe(data: bytes) -> None:
    report = scan_bytes(data, "model.pkl")
    assert report.verdict is Verdict.UNSAFE, report


@pytest.mark.parametrize("data", [d for d in UNSAFE.values() if b"R" in d or b"i" in d], ids=repr)
def test_the_name_of_the_file_hides_nothing(data: bytes) -> None:
    """A pickle is one under any name as long as it does something; nobody loads a text without calls as one."""
    report = scan_bytes(data, "README")
    assert report.verdict is not Verdict.SAFE, report


class _Mine:
    """Of this test's module, which no file brings along."""


UNKNOWN = {
    "a class that isn't in the file": pickle.dumps(_Mine()),
    "a persistent id": b"\x80\x04" + _text("x") + b"Q.",
    "a class of a known library that is set up": _call("sklearn.pipeline", "Pipeline", b"]"),
    "no whole pickle": b"\x80\x04N",
    "a file name that nothing was made for": b"\x80\x04" + _import("os", "remove") + b".",
}


@pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_depends_on_other_code_is_unknown(data: bytes) -> None:
    report = scan_bytes(data, "model.pkl")
    assert report.verdict is Verdict.UNKNOWN, report


SAFE: list[Any] = [
    {"a": [1, 2.5, None, True, b"x", "y"], "t": (1, (2, 3)), "s": {1, 2}, "f": frozenset([1])},
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(3), decimal.Decimal("1.5"), uuid.UUID(int=5),
    collections.OrderedDict(a=1), collections.defaultdict(int, {1: 2}), collections.Counter("abc"), collections.deque([1], 2),
    range(3), slice(1, 2), 1j, bytearray(b"12"), ..., pathlib.PurePosixPath("/x"), functools.partial(int, base=2), {1, 2},
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", SAFE, ids=lambda v: type(v).__name__)
def test_what_python_writes_is_safe(value: Any, protocol: int) -> None:
    report = scan_bytes(pickle.dumps(value, protocol), "model.pkl")
    assert report.verdict is Verdict.SAFE, report.findings


def test_what_numpy_and_scikit_learn_write_is_safe() -> None:
    np = pytest.importorskip("numpy")
    linear = pytest.importorskip("sklearn.linear_model")
    values = [
        np.eye(3),
        np.float32(1),
        np.array([{"a": 1}, None], object),
        np.random.default_rng(1),
        np.random.RandomState(1),
    ]
    values.append(linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    for value in values:
        for protocol in (2, 4, 5):
            report = scan_bytes(pickle.dumps(value, protocol), "model.pkl")
            assert report.verdict is Verdict.SAFE, report.findings


def test_a_finding_says_where_and_what() -> None:
    [finding, *_] = scan_bytes(_call("os", "system", TOUCH), "model.pkl").findings
    assert (finding.id, finding.evidence) == ("pickle/runs-a-program", "os.system('touch /tmp/bastide-was-here')")
    assert finding.offset is not None
    assert _call("os", "system", TOUCH)[finding.offset] == ord("R")


def test_a_million_objects_take_little_memory_for_findings() -> None:
    data = b"\x80\x04(" + (_import("some.module", "f") + b")R") * 2000 + b"l."
    assert len(scan_bytes(data, "m.pkl").findings) < 10
