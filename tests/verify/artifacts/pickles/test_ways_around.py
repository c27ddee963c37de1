# SPDX-License-Identifier: Apache-2.0
"""Harmless reconstruction that calls what it is given, or what an object was told to call: nothing of it is a way around."""

from __future__ import annotations

import collections
import pickle
import random

import pytest

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.pickles.places import Places
from bastide.verify.artifacts.scan import scan_bytes


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _import(path: str) -> bytes:
    module, _, name = path.rpartition(".")
    return _text(module) + _text(name) + b"\x93"


def _call(path: str, *arguments: bytes) -> bytes:
    return _import(path) + b"(" + b"".join(arguments) + b"tR"


def _state(key: str, value: bytes) -> bytes:
    return b"}" + _text(key) + value + b"s"


def _verdict(body: bytes) -> Verdict:
    return scan_bytes(b"\x80\x04" + body + b".", "model.pkl").verdict


TOUCH = _text("touch /tmp/bastide-was-here")
LOOKED_UP = _call("numpy._core._ufunc_reconstruct", _text("os"), _text("system"))
READS = _import("numpy.fromfile")
OBJECT = _import("argparse.Namespace") + b")\x81"
BUNCH = _import("sklearn.utils._bunch.Bunch") + b")\x81"


@pytest.mark.parametrize(
    "body",
    [
        LOOKED_UP,
        _call("numpy.random._pickle.__generator_ctor", TOUCH, READS),
        _call("numpy.random._pickle.__randomstate_ctor", TOUCH, _import("some.module.run")),
        _call("numpy.random._pickle.__bit_generator_ctor", _import("some.module.run")),
        _call("copyreg._reconstructor", _import("green.Runner"), _import("green.Runner"), TOUCH),
        _call("copyreg._reconstructor", _import("xgboost.core.Booster"), _import("xgboost.core.Booster"), _text("/etc/passwd")),
        _call("dill._dill._create_type", _import("some.module.Runner"), TOUCH),
        _call("dill._dill._create_type", READS, TOUCH),
        _call("dill._dill._create_namedtuple", _text("X"), _text("a"), _text("antigravity")),
        _call("cloudpickle.cloudpickle._make_skeleton_class", _import("some.module.run"), _text("X"), b")", b"}", b"N", b"N"),
        _call("cloudpickle.cloudpickle._class_setstate", _import("torch.nn.Module"), _state("x", b"N") + b"}\x86"),
        _call("cloudpickle.cloudpickle._function_setstate", _import("json.loads"), b"}" + _state("__globals__", b"}") + b"\x86"),
        _call("torch._tensor._rebuild_from_type_v2", _call("functools.partial", READS), _import("torch.Tensor"), TOUCH + b"\x85", b"}"),
        OBJECT + _state("__setstate__", READS) + b"b" + TOUCH + b"b",
        _call("functools.partial", _import("builtins.int")) + b"(" + READS + TOUCH + b"\x85}Ntb)R",
        _call("cloudpickle.cloudpickle._make_skeleton_enum", _import("some.Runner") + _import("enum.Enum") + b"\x86", _text("E"), _text("E"), b"}"),
        _call("sklearn.svm._classes.LinearSVC.fit", TOUCH),
        _import("pandas.core.frame.DataFrame") + b")\x81" + _call("functools.partial", _import("some.module.run")) + b"K\x01s",
        _import("sktime.registry.craft"),
        _import("torch._utils._import_dotted_name"),
        _call("transformers.modeling_outputs.dataclass", _import("numpy.ndarray")),
        OBJECT + _state("append", READS) + b"b" + TOUCH + b"a",
        OBJECT + _state("extend", READS) + b"b(" + TOUCH + b"e",
        OBJECT + _state("add", READS) + b"b(" + TOUCH + b"\x90",
        BUNCH + _text("append") + READS + b"s" + TOUCH + b"a",
        BUNCH + b"(" + _text("__setstate__") + READS + b"u" + TOUCH + b"b",
    ],
)  # fmt: skip
def test_ways_to_call_something_are_unsafe(body: bytes) -> None:
    assert _verdict(body) is Verdict.UNSAFE


@pytest.mark.parametrize("name", ["numpy.fromfile", "torch.save", "pandas.read_csv", "numpy.ndarray.tofile"])
def test_functions_of_files_are_not_safe_by_name(name: str) -> None:
    """Somebody may call one later, with what stands beside it."""
    assert _verdict(_import(name)) is Verdict.UNKNOWN


class _Own(collections.OrderedDict):  # type: ignore[type-arg]
    """Has items and a state."""


def test_what_picklers_write_is_no_way_around() -> None:
    for body in (
        _call("numpy._core._ufunc_reconstruct", _text("scipy.special"), _text("expit")),
        _call("numpy.random._pickle.__generator_ctor", _text("PCG64"), _import("numpy.random._pickle.__bit_generator_ctor")),
        _call("numpy.random._pickle.__bit_generator_ctor", _import("numpy.random._pcg64.PCG64")),
        _call("copyreg._reconstructor", _import("collections.OrderedDict"), _import("builtins.dict"), b"}"),
        OBJECT + _state("a", b"K\x01") + b"b",
    ):  # fmt: skip
        assert _verdict(body) is Verdict.SAFE
    value = _Own(a=1)
    value.more = [value, collections.deque([value])]  # type: ignore[attr-defined]
    for protocol in range(6):
        assert "pickle/state-after-state" not in {
            f.id for f in scan_bytes(pickle.dumps(value, protocol), "m.pkl").findings
        }


def test_places_are_those_that_were_added() -> None:
    numbers = random.Random(1).sample(range(1 << 40), 2000)
    places = Places()
    assert not any(places.add(number) for number in numbers)
    assert all(number in places and places.add(number) for number in numbers)
    assert not any(number + 1 in places for number in numbers if number + 1 not in numbers)
