# SPDX-License-Identifier: Apache-2.0
"""Core ML models are safe when all their layers are Core ML's own and no path leads out, unknown with classes of an app."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import field, judged


def model(kind: int, content: bytes) -> bytes:
    return field(1, 5) + field(2, field(100, field(1, "about"))) + field(kind, content)


def layer(kind: int, content: bytes = b"") -> bytes:
    return field(1, field(1, "l") + field(2, "x") + field(3, "y") + field(kind, content))


def program(path: str, kind: str = "const", nested: bool = False, argument: bool = False) -> bytes:
    value = field(5, field(1, path) + field(2, 64))
    named = field(1, "val")
    inside = field(2, named + field(2, field(1, field(2, value)))) if argument else field(5, named + field(2, value))
    operation = field(3, field(1, kind) + inside)
    block = field(3, field(1, "cond") + field(4, operation)) if nested else operation
    function = field(
        2, field(1, "main") + field(2, field(2, "CoreML5") + field(3, field(1, "CoreML5") + field(2, block)))
    )
    return model(502, field(1, 1) + function)


NETWORK = model(500, layer(130, b"") + layer(140, field(1, 2)))
WEIGHTS = "@model_path/weights/weight.bin"


def pipeline(inner: bytes) -> bytes:
    return model(202, field(1, inner) + field(2, "a"))


@pytest.mark.parametrize(
    "data",
    [
        NETWORK,
        model(900, b""),
        model(402, field(1, b"")),
        program(WEIGHTS),
        program(WEIGHTS, nested=True),
        pipeline(NETWORK),
        model(200, field(1, field(1, NETWORK))),
    ],
)
def test_models_of_core_ml_itself_are_safe(data: bytes) -> None:
    """Networks, trees, programs, pipelines."""
    report = scan_bytes(data, "a.mlmodel")
    assert (report.verdict, report.format, report.findings) == (Verdict.SAFE, "coreml", ())


@pytest.mark.parametrize(
    ("data", "id", "expected"),
    [
        (model(555, field(10, "Mine")), "custom-model", Verdict.UNKNOWN),
        (model(500, layer(130) + layer(500, field(10, "MyLayer"))), "custom-layer", Verdict.UNKNOWN),
        (model(403, layer(500, field(10, "MyLayer"))), "custom-layer", Verdict.UNKNOWN),
        (pipeline(pipeline(model(555, field(10, "Mine")))), "custom-model", Verdict.UNKNOWN),
        (model(200, field(1, field(1, model(555, b"")))), "custom-model", Verdict.UNKNOWN),
        (program(WEIGHTS, kind="custom_thing"), "custom-layer", Verdict.UNKNOWN),
        (model(3000, field(1, "x")), "serialized", Verdict.UNKNOWN),
        (model(556, field(1, field(1, field(1, "other")))), "linked-model", Verdict.UNKNOWN),
        (model(556, field(1, field(1, field(1, "../other")))), "path", Verdict.UNSAFE),
        (program("@model_path/../../x"), "path", Verdict.UNSAFE),
        (program("/etc/passwd", nested=True), "path", Verdict.UNSAFE),
        (program("/etc/passwd", argument=True), "path", Verdict.UNSAFE),
        (field(1, 5), "broken", Verdict.UNKNOWN),
        (NETWORK[:-1], "broken", Verdict.UNKNOWN),
        (b"<html>", "broken", Verdict.UNKNOWN),
    ],
)
def test_what_is_elsewhere_is_said(data: bytes, id: str, expected: Verdict) -> None:
    """Classes of the app, other models, weights outside."""
    verdict, found = judged(data, "a.mlmodel")
    assert (verdict, f"coreml/{id}" in found) == (expected, True)


def test_pipelines_in_pipelines_are_bounded() -> None:
    """Sixteen deep."""
    data = NETWORK
    for _ in range(40):
        data = pipeline(data)
    assert (Verdict.UNKNOWN, {"scan/not-read"}) == judged(data, "a.mlmodel")


def manifest(path: str, root: str = "A") -> bytes:
    entry = {"author": "com.apple.CoreML", "description": "x", "name": "model.mlmodel", "path": path}
    return json.dumps(
        {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A": entry}, "rootModelIdentifier": root}
    ).encode()


def test_manifests_stay_in_their_package() -> None:
    """And name the model that is loaded."""
    assert (Verdict.SAFE, set()) == judged(manifest("com.apple.CoreML/model.mlmodel"), "a.mlpackage/Manifest.json")
    report = scan_bytes(manifest("../../x"), "a.mlpackage/Manifest.json")
    assert [("coreml/path", manifest("../../x").index(b"../../x"))] == [(f.id, f.offset) for f in report.findings]
    assert {"coreml/broken"} == judged(manifest("a", root="B"), "Manifest.json")[1]
    assert {"coreml/broken"} == judged(manifest("a")[:-1], "Manifest.json")[1]


def weights(size: int = 8, start: int = 128, count: int = 1) -> bytes:
    return (
        struct.pack("<2I", count, 2).ljust(64, b"\0")
        + struct.pack("<2I2Q", 0xDEADBEEF, 1, size, start).ljust(64, b"\0")
        + b"\1" * 64
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (weights(), Verdict.SAFE),
        (weights(size=65), Verdict.UNKNOWN),
        (weights(start=0), Verdict.UNKNOWN),
        (weights(count=2), Verdict.UNKNOWN),
        (weights(count=2**32 - 1), Verdict.UNKNOWN),
        (weights() + b"x" * 65, Verdict.UNKNOWN),
    ],
)
def test_weights_are_read_to_their_end(data: bytes, expected: Verdict) -> None:
    """Each list where the file says."""
    report = scan_bytes(data, "weights/weight.bin")
    assert (report.format, report.verdict) == ("coreml-weights", expected)


@pytest.mark.parametrize("name", ["coremldata.bin", "model.mil", "model.espresso.net", "analytics/coremldata.bin"])
def test_compiled_models_are_not_read(name: str) -> None:
    """Which is said, whatever the bytes look like."""
    for data in (b"program(1.0)\n{}\n", bytes(40)):
        report = scan_bytes(data, f"a.mlmodelc/{name}")
        assert (report.format, report.verdict) == ("coreml", Verdict.UNKNOWN)
        assert {"scan/not-read"} == {f.id for f in report.findings}


@given(
    st.sampled_from([NETWORK, program(WEIGHTS), pipeline(NETWORK)]),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_no_byte_makes_the_reader_fail(data: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever is changed."""
    made = bytearray(data)
    for at, value in changes:
        made[at % len(made)] = value
    assert [f for f in scan_bytes(bytes(made), "a.mlmodel").findings if "defect" in f.message] == []
