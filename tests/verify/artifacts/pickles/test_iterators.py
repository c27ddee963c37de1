# SPDX-License-Identifier: Apache-2.0
"""Iterators over data only hand them on; what they are given to call is judged."""

from __future__ import annotations

import collections
import http
import json
import operator
import pickle
import typing
from typing import Any

import pytest

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _import(path: str) -> bytes:
    module, _, name = path.rpartition(".")
    return _text(module) + _text(name) + b"\x93"


def _call(path: str, *arguments: bytes) -> bytes:
    return _import(path) + b"(" + b"".join(arguments) + b"tR"


def _verdict(body: bytes) -> Verdict:
    return scan_bytes(b"\x80\x04" + body + b".", "model.pkl").verdict


ITER = _call("builtins.iter", b"]K\x01a")
PAIR = b"K\x01K\x02\x86"
SYSTEM = _import("os.system")


@pytest.mark.parametrize(
    "body",
    [
        _call("builtins.zip", ITER, ITER),
        _call("builtins.enumerate", ITER, b"K\x00"),
        _call("builtins.reversed", b"]"),
        _call("builtins.map", _import("builtins.str"), ITER),
        _call("builtins.filter", b"N", ITER),
        _call("builtins.iter", _call("builtins.range", b"K\x00", b"K\x03", b"K\x01")),
        _call("itertools.accumulate", ITER, b"N"),
        _call("itertools.chain") + ITER + b"\x85b",
        _call("itertools.cycle", ITER) + b"]K\x00\x86b",
        _call("itertools.islice", ITER, b"K\x00", b"K\x02"),
        _call("itertools.permutations", PAIR, b"K\x02"),
        _call("itertools.product", PAIR, PAIR),
        _call("itertools.repeat", b"K\x01", b"K\x02"),
        _call("functools.reduce", _import("_operator.or_"), _import("builtins.int") + _call("builtins.type", b"N") + b"\x86"),
    ],
)  # fmt: skip
def test_iterators_over_data_are_safe(body: bytes) -> None:
    assert _verdict(body) is Verdict.SAFE


@pytest.mark.parametrize(
    "value",
    [
        operator.attrgetter("a.b", "c"), operator.methodcaller("strip", "x"), [1].append, "abc".upper, dict.fromkeys, type(None), http.HTTPStatus.OK,
        typing.Optional[int], typing.Callable[[int], str], json.loads, collections.abc.Mapping, pickle.dumps([1]),  # noqa: UP045
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_what_does_nothing_until_it_is_called_is_safe(value: Any) -> None:
    for protocol in range(6):
        report = scan_bytes(pickle.dumps(value, protocol), "model.pkl")
        assert report.verdict is Verdict.SAFE, report.findings


@pytest.mark.parametrize(
    "body",
    [
        _call("builtins.map", SYSTEM, ITER),
        _call("builtins.map", _import("builtins.bytearray"), ITER),
        _call("builtins.filter", _import("some.module.run"), ITER),
        _call("itertools.accumulate", ITER, _import("some.module.run")),
        _call("itertools.starmap", SYSTEM, ITER),
        _call("builtins.zip", _import("some.module.things")),
        _call("builtins.iter", _call("functools.partial", _import("some.module.run")), b"N"),
        _call("operator.attrgetter", _text("__class__.__init__")),
        _call("operator.attrgetter", _text("path.system")),
        _call("operator.methodcaller", _text("popen"), _text("id")),
        _call("functools.reduce", _import("some.module.run"), PAIR),
        _call("operator.getitem", _import("builtins.__dict__"), _text("eval")),
        _call("builtins.type", _text("X"), b")", b"}"),
        b"0".join([_call("operator.methodcaller", _text("strip"))]) + _text("a") + b"\x85R",
        _call("builtins.getattr", _text("{0.x}"), _text("format")) + _text("a") + b"\x85R",
        _call("green.subprocess.Popen", _text("id")),
        _call("some.module.Runner", b"K\x01", _text("id")),
    ],
)  # fmt: skip
def test_what_would_call_something_is_unsafe(body: bytes) -> None:
    assert _verdict(body) is Verdict.UNSAFE


@pytest.mark.parametrize(
    "body",
    [
        _call("builtins.list", _call("itertools.cycle", ITER)),
        _call("itertools.product", _call("builtins.range", b"J\xff\xff\xff\x7f")),
        _call("some.module.Frequencies", b"}"),
        _call("some.module.Output", _call("numpy.dtype", _text("f4")), b"N", b"K\x01"),
    ],
)
def test_what_fills_the_memory_or_depends_on_other_code_is_unknown(body: bytes) -> None:
    assert _verdict(body) is Verdict.UNKNOWN
