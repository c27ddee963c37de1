# SPDX-License-Identifier: Apache-2.0
"""An ONNX model is safe when its operators are ONNX Runtime's own and its tensors are in it or beside it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats.onnx import OnnxReader
from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import field, judged


def node(kind: str, domain: str = "", *attributes: bytes) -> bytes:
    parts = field(1, "x") + field(2, "y") + field(4, kind) + b"".join(field(5, attribute) for attribute in attributes)
    return parts + (field(7, domain) if domain else b"")


def tensor(dims: list[int], data: bytes = b"", kind: int = 1, **external: str) -> bytes:
    out = b"".join(field(1, extent) for extent in dims) + field(2, kind) + field(8, "W")
    if external:
        entries = [field(1, key) + field(2, value) for key, value in external.items()]
        return out + b"".join(field(13, entry) for entry in entries) + field(14, 1)
    return out + field(9, data)


def graph(nodes: list[bytes], tensors: list[bytes] | None = None) -> bytes:
    return b"".join(field(1, n) for n in nodes) + field(2, "g") + b"".join(field(5, t) for t in tensors or [])


def model(*parts: bytes) -> bytes:
    return field(1, 8) + field(2, "test") + field(8, field(1, "") + field(2, 17)) + b"".join(parts)


def checked(data: bytes, name: str = "m.onnx") -> tuple[Verdict, set[str]]:
    verdict, found = judged(data, name)
    return verdict, {id.removeprefix("onnx/") for id in found}


GOOD = model(field(7, graph([node("MatMul"), node("Relu")], [tensor([2, 3], bytes(24))])))


def test_standard_operators_are_safe() -> None:
    """With tensors inside, in branches, in functions of the model's own, or in a file beside it."""
    assert (Verdict.SAFE, set()) == checked(GOOD)
    branch = field(1, "then") + field(6, graph([node("Constant", "", field(5, tensor([1], bytes(4))))]))
    assert (Verdict.SAFE, set()) == checked(model(field(7, graph([node("If", "", branch)]))))
    function = field(1, "Twice") + field(7, node("Add")) + field(10, "mine")
    assert (Verdict.SAFE, set()) == checked(model(field(7, graph([node("Twice", "mine")])), field(25, function)))
    beside = tensor([2], location="m.data", offset="0", length="8")
    assert (Verdict.SAFE, set()) == checked(model(field(7, graph([], [beside]))))


@pytest.mark.parametrize("name", ["m.onnx.data", "model.onnx_data", "model.onnx_data_1", "x/M.ONNX.DATA"])
def test_weights_beside_a_model_are_numbers(name: str) -> None:
    """Nobody loads them as anything else, unless they are a pickle."""
    assert (Verdict.SAFE, set()) == judged(bytes(range(256)) * 9, name)
    assert Verdict.UNSAFE is judged(b"cos\nsystem\n(S'x'\ntR.", name)[0]
    assert Verdict.UNKNOWN is judged(bytes(range(256)) * 9, "m.data")[0]


def test_content_tells_the_format() -> None:
    """Under another name it is still a model."""
    assert "onnx" in scan_bytes(GOOD, "weights").format


LOCATIONS = ["/etc/passwd", "../x", "a/../../x", "..\\x", "C:\\x", "file:///x", "~/x", "a\0b"]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("place", ["initializer", "attribute", "sparse", "function", "training", "nested"])
def test_tensors_outside_of_the_folder_are_unsafe(location: str, place: str) -> None:
    """Wherever the tensor is: the loader reads the file."""
    bad = tensor([2], location=location)
    constant = node("Constant", "", field(1, "value") + field(5, bad))
    data = {
        "initializer": model(field(7, graph([], [bad]))),
        "attribute": model(field(7, graph([constant]))),
        "sparse": model(field(7, graph([]) + field(15, field(1, bad)))),
        "function": model(field(7, graph([])), field(25, field(1, "f") + field(7, constant) + field(10, "d"))),
        "training": model(field(7, graph([])), field(20, field(2, graph([], [bad])))),
        "nested": model(field(7, graph([node("If", "", field(6, graph([constant])))]))),
    }[place]
    assert (Verdict.UNSAFE, {"path"}) == checked(data)


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (model(field(7, graph([node("PyOp", "ai.onnx.contrib")]))), "python-operator"),
        (model(field(7, graph([node("PythonOp", "com.microsoft")]))), "python-operator"),
        (model(field(7, graph([], [tensor([2], location="*/_ORT_MEM_ADDR_/*", offset="4096")]))), "memory-address"),
        (model(field(7, graph([node("EPContext", "com.microsoft", field(1, "ep_cache_context") + field(4, "../x.bin"))]))), "path"),
    ],
)  # fmt: skip
def test_operators_that_reach_further_are_unsafe(data: bytes, id: str) -> None:
    """Python functions, memory, files."""
    verdict, found = checked(data)
    assert Verdict.UNSAFE is verdict
    assert id in found


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (model(field(7, graph([node("Mine", "my.domain")]))), "custom-operator"),
        (model(field(7, graph([node("Tokenizer", "ai.onnx.contrib")]))), "custom-operator"),
        (model(field(7, graph([node("EPContext", "com.microsoft")]))), "compiled"),
        (model(), "no-graph"),
        (model(field(7, graph([])), field(7, graph([]))), "graphs"),
        (model(field(7, graph([], [tensor([1 << 30, 1 << 30])]))), "size"),
        (model(field(7, graph([], [tensor([2], bytes(7))]))), "size"),
        (model(field(7, graph([], [tensor([2], offset="0")]))), "external"),
        (model(field(7, graph([], [tensor([2], location="a", offset="-1")]))), "external"),
        (GOOD[:-1], "broken"),
        (b"\xff" * 30, "broken"),
        (b"\x0b" * 300, "broken"),
    ],
)
def test_what_nobody_can_judge_is_unknown(data: bytes, id: str) -> None:
    """Other libraries' operators, and what loaders refuse."""
    verdict, found = checked(data)
    assert Verdict.UNKNOWN is verdict
    assert id in found


def test_graphs_nested_without_end_are_unknown() -> None:
    """Deeper than any model: the reader stops, and says so."""
    inner = graph([node("Relu")])
    for _ in range(100):
        inner = graph([node("If", "", field(6, inner))])
    assert (Verdict.UNKNOWN, {"broken"}) == checked(model(field(7, inner)))


def test_a_model_with_a_custom_name_for_a_standard_function_is_found() -> None:
    """A function of the model itself covers its own domain and name only."""
    function = field(1, "Twice") + field(7, node("Add")) + field(10, "mine")
    data = model(field(7, graph([node("Other", "mine")])), field(25, function))
    assert (Verdict.UNKNOWN, {"custom-operator"}) == checked(data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_content_makes_the_reader_fail(draw: st.DataObject) -> None:
    """Whatever the bytes, the reader ends without an exception."""
    data = bytearray(model(field(7, graph([node("If", "", field(6, graph([node("Relu")])))], [tensor([2], bytes(8))]))))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    OnnxReader().read(Source("m.onnx", bytes(data)), Scan(Limits(), lambda source, scan: ""))
