# SPDX-License-Identifier: Apache-2.0
"""A TensorFlow model is safe when all its operators compute: whatever it is saved as."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import code_of, field, judged


def node(kind: str, attributes: bytes = b"") -> bytes:
    return field(1, f"n/{kind}") + field(2, kind) + attributes


def graph(*kinds: str, function: tuple[str, list[str]] | None = None) -> bytes:
    out = b"".join(field(1, node(kind)) for kind in kinds)
    if function:
        name, inner = function
        body = field(1, field(1, name)) + b"".join(field(3, node(kind)) for kind in inner)
        out += field(2, field(1, body))
    return out + field(4, field(1, 1000))


def saved(graph_def: bytes, rest: bytes = b"") -> bytes:
    return field(1, 1) + field(2, field(1, field(5, "serve")) + field(2, graph_def) + rest)


def checked(data: bytes, name: str = "model/saved_model.pb") -> tuple[Verdict, set[str]]:
    verdict, found = judged(data, name)
    return verdict, {id.partition("/")[2] for id in found}


HONEST = graph(
    "Placeholder",
    "MatMul",
    "StatefulPartitionedCall",
    "SaveV2",
    function=("__inference_call_3", ["ReadVariableOp", "BiasAdd"]),
)


def test_computing_is_safe() -> None:
    """In a SavedModel and in a frozen graph."""
    assert (Verdict.SAFE, set()) == checked(saved(HONEST))
    assert (Verdict.SAFE, set()) == checked(HONEST, "frozen.pb")
    calls = graph("mine", function=("mine", ["Relu"]))
    assert (Verdict.SAFE, set()) == checked(saved(calls))


@pytest.mark.parametrize(
    "kind",
    [
        "ReadFile",
        "WriteFile",
        "PyFunc",
        "EagerPyFunc",
        "MatchingFiles",
        "RpcCall",
        "DebugIdentityV2",
        "TFRecordDataset",
    ],
)
def test_operators_that_do_more_are_unsafe(kind: str) -> None:
    """In the graph, and in its functions; also when a function of the model has its name."""
    assert (Verdict.UNSAFE, {"operator"}) == checked(saved(graph(kind)))
    assert (Verdict.UNSAFE, {"operator"}) == checked(saved(graph("Relu", function=("f", [kind]))))
    assert (Verdict.UNSAFE, {"operator"}) == checked(saved(graph(kind, function=(kind, ["Relu"]))))
    assert (Verdict.UNSAFE, {"operator"}) == checked(graph(kind), "frozen.pb")


def test_printing_to_a_file_is_unsafe() -> None:
    """PrintV2 writes where its attribute says."""

    def printing(to: str) -> bytes:
        return field(1, node("PrintV2", field(5, field(1, "output_stream") + field(2, field(2, to)))))

    assert (Verdict.UNSAFE, {"operator"}) == checked(saved(printing("file:///tmp/x")))
    assert (Verdict.SAFE, set()) == checked(saved(printing("stderr")))


def test_files_elsewhere_are_unsafe() -> None:
    """An asset is read by its name."""
    assert (Verdict.UNSAFE, {"path"}) == checked(saved(HONEST, field(6, field(2, "../../etc/passwd"))))
    assert (Verdict.SAFE, set()) == checked(saved(HONEST, field(6, field(2, "vocab.txt"))))


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (saved(graph("SentencepieceOp")), "custom-operator"),
        (saved(graph("Relu", function=("serve", ["SaveV2"]))), "checkpoint"),
        (saved(HONEST)[:-3], "broken"),
        (field(1, 1), "no-graph"),
    ],
)
def test_what_nobody_can_judge_is_unknown(data: bytes, id: str) -> None:
    """Other libraries' operators, checkpoints written while the model is called, files cut off."""
    assert (Verdict.UNKNOWN, {id}) == checked(data)


def test_layers_with_code_are_not_safe() -> None:
    """Keras describes its layers in the model, and in older versions beside it."""
    layer = json.dumps({"class_name": "Lambda", "config": {"name": "l", "function": [code_of("x * 2"), None, None]}})
    inside = saved(HONEST, field(7, field(1, field(4, field(1, "_tf_keras_layer") + field(3, layer)))))
    assert "holds-code" in checked(inside)[1]
    assert (
        "holds-code"
        in checked(field(1, field(2, 1) + field(4, "_tf_keras_layer") + field(5, layer)), "m/keras_metadata.pb")[1]
    )


def test_variables_are_numbers() -> None:
    """The table of a checkpoint by its end, the bytes by their name."""
    assert (Verdict.SAFE, set()) == checked(b"x" * 40 + bytes.fromhex("57fb808b247547db"), "v/variables.index")
    assert (Verdict.SAFE, set()) == checked(b"\xff\xfe\x00" * 9, "v/variables.data-00000-of-00001")


def lite(kind: int, name: str = "", offset: int = 0, graphs: bool = True) -> bytes:
    """A TensorFlow Lite model of one operator code and one buffer; its graph says nothing."""
    text = struct.pack("<I", len(name)) + name.encode() + bytes(4 - len(name) % 4)
    # A table of codes: deprecated code, name, version, code.
    code_fields = struct.pack("<HHHHHH", 12, 16, 4, 8, 0, 12)
    code = struct.pack("<iiIi", 12, min(kind, 127), 8, kind) + text
    buffer_fields = struct.pack("<HHHHH", 10, 20, 0, 4, 12) + bytes(2)
    buffer = struct.pack("<iQQ", 12, offset, 10 if offset else 0)
    model_fields = struct.pack("<HHHHHHH", 14, 24, 4, 8, 16 * graphs, 0, 12) + bytes(2)
    start = 8 + len(model_fields)
    codes_at = start + 24
    code_at = codes_at + 8 + len(code_fields)
    buffers_at = code_at + len(code)
    buffer_at = buffers_at + 8 + len(buffer_fields)
    model = struct.pack("<iIII", start - 8, 3, codes_at - (start + 8), buffers_at - (start + 12))
    model += struct.pack("<I", buffers_at - (start + 16)) + bytes(4)
    out = struct.pack("<I", start) + b"TFL3" + model_fields + model
    out += struct.pack("<II", 1, code_at - codes_at - 4) + code_fields + code
    return out + struct.pack("<II", 1, buffer_at - buffers_at - 4) + buffer_fields + buffer


@pytest.mark.parametrize(
    ("data", "verdict", "id"),
    [
        (lite(9), Verdict.SAFE, ""),
        (lite(32, "TFLite_Detection_PostProcess"), Verdict.SAFE, ""),
        (lite(32, "FlexRelu"), Verdict.SAFE, ""),
        (lite(32, "FlexWriteFile"), Verdict.UNSAFE, "operator"),
        (lite(32, "Mine"), Verdict.UNKNOWN, "custom-operator"),
        (lite(32, "FlexMine"), Verdict.UNKNOWN, "custom-operator"),
        (lite(5000), Verdict.UNKNOWN, "custom-operator"),
        (lite(9, offset=1 << 40), Verdict.UNKNOWN, "outside"),
        (lite(9)[:30], Verdict.UNKNOWN, "broken"),
        (lite(9, graphs=False), Verdict.UNKNOWN, "no-graph"),
        (b"\x1c\0\0\0TFL3" + bytes(100) + b"FlexWriteFile\0", Verdict.UNKNOWN, "no-graph"),
        (b"\xff\xff\xff\x7fTFL3", Verdict.UNKNOWN, "broken"),
        (b"abc", Verdict.UNKNOWN, "no-header"),
    ],
)
def test_tensorflow_lite(data: bytes, verdict: Verdict, id: str) -> None:
    """Built-in operators are safe; TensorFlow's own are judged as there; others are for who loads them."""
    assert (verdict, {id} - {""}) == checked(data, "m.tflite")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_content_makes_the_readers_fail(draw: st.DataObject) -> None:
    """Whatever the bytes, the readers end without an exception."""
    name, good = draw.draw(
        st.sampled_from([("saved_model.pb", saved(HONEST)), ("m.tflite", lite(32, "FlexRelu")), ("a.pb", HONEST)])
    )
    data = bytearray(good)
    for _ in range(draw.draw(st.integers(1, 5))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    scan_bytes(bytes(data), name)
