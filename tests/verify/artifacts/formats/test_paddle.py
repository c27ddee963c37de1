# SPDX-License-Identifier: Apache-2.0
"""Programs of PaddlePaddle are safe when all operators compute, and weights when each lies in the file."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import field, judged


def program(*operators: str) -> bytes:
    return field(1, field(1, 0) + field(2, 1) + b"".join(field(4, field(3, name)) for name in operators)) + field(
        4, field(1, 0)
    )


def pir(*operators: str) -> bytes:
    blocks = [{"#": "block_0", "args": [], "ops": [{"#": name, "A": [], "I": [], "O": []} for name in operators]}]
    return json.dumps(
        {"base_code": {"magic": "pir", "version": 4}, "program": {"regions": [{"#": "region_0", "blocks": blocks}]}}
    ).encode()


def weight(*shape: int, kind: int = 5, data: int | None = None, levels: int = 0) -> bytes:
    described = field(1, kind) + b"".join(field(2, extent) for extent in shape)
    count = 4
    for extent in shape:
        count *= extent
    head = struct.pack("<IQ", 0, levels) + b"".join(struct.pack("<Q", 8) + bytes(8) for _ in range(levels))
    return head + struct.pack("<Ii", 0, len(described)) + described + bytes(count if data is None else data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (program("feed", "matmul_v2", "elementwise_add", "softmax", "fetch"), "m.pdmodel"),
        (program("softmax_grad", "while"), "m.pdmodel"),
        (pir("1.matmul", "1.batch_norm_", "p", "2.if"), "inference.json"),
        (weight(3) + weight(4, 2, levels=1) + weight(2, kind=5), "m.pdiparams"),
    ],
)
def test_what_computes_is_safe(data: bytes, name: str) -> None:
    """Programs in both forms, and weights."""
    report = scan_bytes(data, name)
    assert (report.verdict, report.format, report.findings) == (Verdict.SAFE, "paddle", ())


@pytest.mark.parametrize(
    ("data", "name", "id", "expected"),
    [
        (program("py_func"), "m.pdmodel", "operator", Verdict.UNSAFE),
        (program("relu", "load_combine"), "m.pdmodel", "operator", Verdict.UNSAFE),
        (pir("1.save_combine"), "a.json", "operator", Verdict.UNSAFE),
        (program("my_own"), "m.pdmodel", "custom-operator", Verdict.UNKNOWN),
        (pir("3.my_own"), "a.json", "custom-operator", Verdict.UNKNOWN),
        (program("relu")[:-3], "m.pdmodel", "broken", Verdict.UNKNOWN),
        (b"x", "m.pdmodel", "broken", Verdict.UNKNOWN),
        (pir("1.relu")[:-1], "a.json", "broken", Verdict.UNKNOWN),
        (weight(3, data=11), "m.pdiparams", "broken", Verdict.UNKNOWN),
        (weight(3, kind=99), "m.pdiparams", "broken", Verdict.UNKNOWN),
        (weight(1 << 40, 1 << 40, data=4), "m.pdiparams", "broken", Verdict.UNKNOWN),
        (weight(3) + b"x", "m.pdiparams", "broken", Verdict.UNKNOWN),
    ],
)
def test_what_does_more_is_said(data: bytes, name: str, id: str, expected: Verdict) -> None:
    """Files, Python, operators of others, what is cut off."""
    verdict, found = judged(data, name)
    assert (verdict, found) == (expected, {f"paddle/{id}"})


SEEDS = [
    ("m.pdmodel", program("feed", "relu")),
    ("a.json", pir("1.relu")),
    ("m.pdiparams", weight(3) + weight(2, levels=1)),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=5),
    st.integers(0, 20),
)
@settings(max_examples=300, deadline=None)
def test_no_byte_makes_the_reader_fail(seed: tuple[str, bytes], changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever is changed, and wherever it is cut off."""
    name, data = seed[0], bytearray(seed[1])
    for at, value in changes:
        data[at % len(data)] = value
    report = scan_bytes(bytes(data[: len(data) - cut]), name)
    assert [f for f in report.findings if "defect" in f.message] == []
