# SPDX-License-Identifier: Apache-2.0
"""skops' files are judged by what their nodes would have trusted and called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.archives.zips import TOUCHES, M, ids, zipped

Node = dict[str, Any]


def node(loader: str, path: str, content: Any = None, **more: Any) -> Node:
    module, _, name = path.rpartition(".")
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": content, **more}


def text(value: str) -> Node:
    return node("JsonNode", "builtins.str", json.dumps(value), is_json=True)


def skops(schema: Node, *members: M) -> bytes:
    return zipped(M(b"schema.json", json.dumps({**schema, "protocol": 2, "_skops_version": "0.16"}).encode()), *members)


HONEST = [
    node("ObjectNode", "sklearn.linear_model._logistic.LogisticRegression", node("DictNode", "builtins.dict", {"C": text("1.0")})),
    node("FunctionNode", "numpy.log1p"), node("FunctionNode", "builtins.function", {"module_path": "numpy", "function": "log1p"}),
    node("TypeNode", "builtins.str"), node("BytesNode", "builtins.bytes", file="1.bin"),
    node("TreeNode", "sklearn.tree._tree.Tree", {}), node("LossNode", "sklearn._loss._loss.CyHalfBinomialLoss", {}),
    node("RandomGeneratorNode", "numpy.random._generator.Generator", {"bit_generator": {"bit_generator": text("PCG64")}}),
    node("OperatorFuncNode", "operator.itemgetter", attrs=node("TupleNode", "builtins.tuple", [text("a")])),
]  # fmt: skip


@pytest.mark.parametrize("schema", HONEST, ids=lambda n: n["__class__"])
def test_what_skops_writes_is_safe(schema: Node) -> None:
    raw = [M(b"1.bin", b"\x80\x04raw")] if schema["__loader__"] == "BytesNode" else []
    report = scan_bytes(skops(schema, *raw), "m.skops")
    assert (report.format, report.verdict, report.findings) == ("skops", Verdict.SAFE, ())


HARMFUL = {
    "a function of the system": node("FunctionNode", "os.system"),
    "as protocol 0 writes a function": node("FunctionNode", "builtins.function", {"module_path": "os", "function": "system"}),
    "as a type": node("TypeNode", "builtins.eval"),
    "as an object": node("ObjectNode", "subprocess.Popen"),
    "as a dictionary": node("DictNode", "os.system", {}),
    "made with arguments": node("ConstructorFromReduceNode", "builtins.exec", node("TupleNode", "builtins.tuple", [text("x")])),
    "a function of a known library": node("ConstructorFromReduceNode", "sklearn.utils.validation.check_array"),
    "as a loss": node("LossNode", "os.system", {}),
    "CVE-2025-54412, an operator that calls": node("OperatorFuncNode", "operator.call", attrs={}),
    "an operator of another module": node("OperatorFuncNode", "builtins.eval", attrs={}),
    "CVE-2025-54413, a method that isn't the object's": node(
        "MethodNode", "sklearn.svm._classes.SVC", {"func": "fit", "obj": node("ObjectNode", "builtins.object")}
    ),
    "a hidden attribute": node("MethodNode", "a.B", {"func": "__globals__", "obj": node("ObjectNode", "a.B")}),
    "no generator of random bits": node(
        "RandomGeneratorNode", "numpy.random._generator.Generator", {"bit_generator": {"bit_generator": text("seed")}}
    ),
    "deep inside": node("ListNode", "builtins.list", [node("PartialNode", "functools.partial", {"func": node("FunctionNode", "os.popen")})]),
}  # fmt: skip


@pytest.mark.parametrize("schema", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_would_call_or_reach_through_is_unsafe(schema: Node) -> None:
    assert scan_bytes(skops(schema), "m.skops").verdict is Verdict.UNSAFE
    assert scan_bytes(skops(schema), "m.zip").verdict is Verdict.UNSAFE


@pytest.mark.parametrize(
    "schema",
    [
        node("ObjectNode", "mine.Own"),
        node("NewNode", "builtins.dict"),
        node("OperatorFuncNode", "operator.methodcaller"),
    ],
)
def test_what_depends_on_trust_is_unknown(schema: Node) -> None:
    assert scan_bytes(skops(schema), "m.skops").verdict is Verdict.UNKNOWN


def test_the_other_members_are_read() -> None:
    assert "pickle/runs-a-program" in ids(skops(HONEST[0], M(b"2.npy", TOUCHES)), "m.skops")


@given(st.recursive(st.none() | st.text(max_size=3), lambda i: st.lists(i, max_size=3) | st.dictionaries(
    st.sampled_from(["__class__", "__module__", "__loader__", "content", "func", "obj", "bit_generator"]),
    i | st.sampled_from(["MethodNode", "RandomGeneratorNode", "OperatorFuncNode", "DictNode"]), max_size=5), max_leaves=20))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_schema_makes_it_raise(schema: Any) -> None:
    scan_bytes(skops({"__loader__": "DictNode", "content": schema}), "m.skops")
