# SPDX-License-Identifier: Apache-2.0
"""What isn't known to be harmless reconstruction isn't allowed to be called; what honest libraries write is."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import functools
import inspect
import ipaddress
import itertools
import logging
import math
import operator
import pathlib
import pickle
import random
import re
import statistics
import string
import struct
import types
import uuid
import zoneinfo
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
    "a call that is kept for later": b"\x80\x04" + _import("collections", "defaultdict") + _import("os", "getcwd") + b"\x85R.",
    "a sentence for somebody's class": _call("some.module", "Runner", TOUCH),
    "somebody's function without arguments": _call("some.module", "run"),
    "a path for a class of a known library": _call("lightgbm.basic", "Booster", b"N", b"N", _text("/etc/passwd")),
    "a class beside what is known of a library": _call("torch.utils.model_zoo", "Loader", _text("x")),
    "code by a name that no pickler writes": _call("types", "CodeType", b"K\x00", b")", b"("+_text("x")+b"t"),
    "a method of a module by its name": (
        b"\x80\x04" + _import("builtins", "getattr") + _call("cloudpickle.cloudpickle", "subimport", _text("os"))[2:-1] + _text("system")
        + b"\x86R" + TOUCH + b"\x85R."
    ),
    "a module of dill's that is a function": _call("dill._dill", "_import_module", _text("os.system"))[:-1] + TOUCH + b"\x85R.",
    "a text that dill evaluates": _call(
        "dill._dill", "_getattr", _import("builtins", "str"), _text("x"), _text("<method '' or 1/0 or 'x' of 'str' objects>")
    ),
    "state for a logger that everybody uses": _call("logging", "getLogger", _text("x"))[:-1] + b"}" + _text("handlers") + b"]sb.",
    "a module that acts when it is imported": _call("cloudpickle.cloudpickle", "subimport", _text("antigravity")),
    "a module that is a program": _call("cloudpickle.cloudpickle", "subimport", _text("somebody.tool.__main__")),
    "a client of a database": _call("pymongo", "MongoClient", _text("x")),
    "a template": _call("mako.template", "Template", _text("x")),
    "a module that is changed": _call("cloudpickle.cloudpickle", "subimport", _text("torch"))[:-1] + b"}" + _text("load") + b"Nsb.",
    "a module that dill changes": _call(
        "dill._dill", "_setattr", _call("cloudpickle.cloudpickle", "subimport", _text("torch"))[2:-1], _text("load"), b"N"
    ),
    "bytes of something": _call("builtins", "bytes", b"J\x00\x00\x00\x7f"),
    "a method of a known object that is called": (
        b"\x80\x04" + _import("builtins", "getattr") + _import("numpy", "ndarray") + b")\x81" + _text("tofile") + b"\x86R" + TOUCH + b"\x85R."
    ),
    "a method of texts that is called": b"\x80\x04" + _import("builtins", "str.format") + TOUCH + b"\x85R.",
    "an iterator of what is called": b"\x80\x04" + _import("builtins", "iter") + _import("os", "getcwd") + b"N\x86R.",
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
    "an object of a function": b"\x80\x04" + _import("numpy", "frompyfunc") + _import("builtins", "int") + b"K\x01K\x01\x87\x81.",
    "an object of another function": b"\x80\x04" + _import("math", "sqrt") + b")\x81.",
    "an object of a function of a library": b"\x80\x04" + _import("sklearn.metrics", "f1_score") + b")\x81.",
    "no whole pickle": b"\x80\x04N",
    "a function of files that nothing was made for": b"\x80\x04" + _import("os.path", "basename") + b".",
    "a function of something that is no code": _call("cloudpickle.cloudpickle", "_make_function", _text("x"), _text("y")),
    "a member of an enumeration of somebody's": _call("some.module", "Colour", b"K\x01"),
    "a word for an enumeration of somebody's": _call("some.module", "Colour.Shade", _text("dark-red")),
    "a function that uses a module": _call("cloudpickle.cloudpickle", "subimport", _text("subprocess")),
    "as many bytes as a number says": _call("builtins", "bytearray", b"J\xff\xff\xff\x7f"),
    "as many items as a number says": _call("builtins", "list", _call("builtins", "range", b"J\xff\xff\xff\x7f")[2:-1]),
    "items without end": _call("collections", "deque", _call("itertools", "count")[2:-1]),
    "a module that nobody knows": _call("cloudpickle.cloudpickle", "subimport", _text("some_module")),
    "a method of an object that is no model": (
        b"\x80\x04" + _import("builtins", "getattr") + _call("re", "_compile", _text("a"), b"K\x20")[2:-1] + _text("sub") + b"\x86R."
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_depends_on_other_code_is_unknown(data: bytes) -> None:
    report = scan_bytes(data, "model.pkl")
    assert report.verdict is Verdict.UNKNOWN, report


SAFE: list[Any] = [
    {"a": [1, 2.5, None, True, b"x", "y"], "t": (1, (2, 3)), "s": {1, 2}, "f": frozenset([1])},
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(3), decimal.Decimal("1.5"), uuid.UUID(int=5),
    collections.OrderedDict(a=1), collections.defaultdict(int, {1: 2}), collections.Counter("abc"), collections.deque([1], 2),
    b"", operator.itemgetter(1), re.compile("a+", re.I), random.Random(1), array.array("d", [1.0]), str.lower, len, math.sqrt, iter([1]),
    ipaddress.ip_network("10.0.0.0/8"), decimal.Context(), zoneinfo.ZoneInfo("UTC"), collections.ChainMap({1: 2}), types.GenericAlias(list, (int,)),
    ValueError("x"), itertools.count(2), logging.getLogger("x"), statistics.NormalDist(), inspect.signature(lambda a: a), [OSError(2, "no", "x")],
    re.RegexFlag.I, string.Template("$a"),
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


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("pandas._libs.interval", "__pyx_unpickle_IntervalMixin"),
        ("pandas._libs.sparse", "IntIndex"),
        ("pandas._libs.tslibs.offsets", "CustomBusinessDay"),
        ("pandas", "Period"),
        ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"),
        ("pytz", "_p"),
        ("torch._C", "Generator"),
        ("torch.nn.parameter", "UninitializedParameter"),
        ("transformers.trainer_utils", "IntervalStrategy"),
        ("transformers.training_args", "OptimizerNames"),
    ],
)
def test_what_libraries_have_called_is_safe(module: str, name: str) -> None:
    """As pandas, PyTorch and Transformers (`training_args.bin`) write it; they need not be installed."""
    report = scan_bytes(_call(module, name, _text("adamw_torch")), "model.pkl")
    assert report.verdict is Verdict.SAFE, report.findings


@pytest.mark.parametrize(
    ("module", "expected"), [("torch", Verdict.SAFE), ("__main__", Verdict.SAFE), ("some.module", Verdict.UNKNOWN)]
)
def test_a_layout_of_pytorch_is_written_by_way_of_any_module(module: str, expected: Verdict) -> None:
    assert scan_bytes(b"\x80\x04" + _import(module, "torch.channels_last") + b".", "m.pkl").verdict is expected
    assert scan_bytes(b"\x80\x04" + _import(module, "torch.load") + b".", "m.pkl").verdict is Verdict.UNSAFE


def test_a_graph_of_networkx_is_safe() -> None:
    """Made without its set-up, with its dicts as state."""
    made = _import("networkx.classes.graph", "Graph") + b")\x81}" + _text("_adj") + b"}sb."
    assert scan_bytes(b"\x80\x04" + made, "graph.pkl").verdict is Verdict.SAFE
    assert scan_bytes(_call("networkx", "read_gml", _text("x")), "graph.pkl").verdict is Verdict.UNSAFE


@pytest.mark.parametrize(
    ("module", "name", "method"),
    [
        ("scipy.stats._discrete_distns", "binom_gen", "_entropy"),
        ("torch.nn.modules.linear", "LazyLinear", "_lazy_load_hook"),
    ],
)
def test_a_method_of_a_libraries_object_may_be_held(module: str, name: str, method: str) -> None:
    """A frozen distribution of SciPy and a lazy layer of PyTorch hold methods of their own; nothing calls them while they are loaded."""
    made = _import(module, name) + b")\x81"
    report = scan_bytes(b"\x80\x04" + _import("builtins", "getattr") + made + _text(method) + b"\x86R.", "model.pkl")
    assert report.verdict is Verdict.SAFE, report.findings


@pytest.mark.parametrize("name", ["numpy", "pandas.core", "re", "math"])
def test_modules_that_a_function_uses_may_be_imported(name: str) -> None:
    """cloudpickle writes a module that a function names as an import of it; importing a known one does nothing else."""
    report = scan_bytes(_call("cloudpickle.cloudpickle", "subimport", _text(name)), "model.pkl")
    assert report.verdict is Verdict.SAFE, report.findings


@pytest.mark.parametrize(("harmful", "verdict"), [(b"system", Verdict.UNSAFE), (b"lower", Verdict.UNKNOWN)])
def test_a_metaclass_from_the_file_runs(harmful: bytes, verdict: Verdict) -> None:
    """Making a class calls its metaclass, and when that is in the file as code, that code runs."""
    code = _call("dill._dill", "_create_code", b"(" + _text(harmful.decode()) + b"t")[2:-1]
    meta = _call("cloudpickle.cloudpickle", "_make_skeleton_class", _import("builtins", "type"), _text("M"))[2:-1]
    report = scan_bytes(
        b"\x80\x04" + code + b"0" + _call("cloudpickle.cloudpickle", "_make_skeleton_class", meta, _text("C"))[2:],
        "model.pkl",
    )
    assert report.verdict is verdict, report.findings
    assert "pickle/runs-its-own-class" in {f.id for f in report.findings}


def test_a_finding_says_where_and_what() -> None:
    [finding, *_] = scan_bytes(_call("os", "system", TOUCH), "model.pkl").findings
    assert (finding.id, finding.evidence) == ("pickle/runs-a-program", "os.system('touch /tmp/bastide-was-here')")
    assert finding.offset is not None
    assert _call("os", "system", TOUCH)[finding.offset] == ord("R")


def test_a_million_objects_take_little_memory_for_findings() -> None:
    data = b"\x80\x04(" + (_import("some.module", "f") + b")R") * 2000 + b"l."
    assert len(scan_bytes(data, "m.pkl").findings) < 10


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x + C(g) + np.log(z)", Verdict.SAFE),
        ("y ~ open('/x', 'w')", Verdict.UNSAFE), ("y ~ x.__class__", Verdict.UNSAFE), ("", Verdict.UNSAFE),
    ],
)  # fmt: skip
def test_a_formula_that_statsmodels_evaluates_is_judged(formula: str, expected: Verdict) -> None:
    """Its data evaluate the formula of a model again when they get their state."""
    made = _import("statsmodels.base.data", "PandasData") + b")\x81"
    for key in ("restore_design_info", "restore_model_spec"):
        state = b"}(" + _text(key) + b"\x88" + _text("formula") + _text(formula) + b"ub."
        assert scan_bytes(b"\x80\x04" + made + state, "m.pkl").verdict is expected
    assert scan_bytes(b"\x80\x04" + made + b"}" + _text("a") + b"K\x01sb.", "m.pkl").verdict is Verdict.SAFE
    hidden = made + _call("collections", "OrderedDict")[2:-1] + b"b."
    assert scan_bytes(b"\x80\x04" + hidden, "m.pkl").verdict is Verdict.UNSAFE


def test_functions_that_numba_compiles_are_unknown_and_what_is_in_them_is_read() -> None:
    def built(inner: bytes) -> bytes:
        held = _call("numba.core.serialize", "_unpickle__CustomPickled", b"C" + bytes([len(inner)]) + inner)[2:-1]
        return _call("numba.core.serialize", "custom_rebuild", held)

    assert scan_bytes(built(pickle.dumps((1, {}))), "m.pkl").verdict is Verdict.UNKNOWN
    assert scan_bytes(built(UNSAFE["os.system"]), "m.pkl").verdict is Verdict.UNSAFE
    assert scan_bytes(_call("numba.core.serialize", "custom_rebuild", b"N"), "m.pkl").verdict is Verdict.UNSAFE
