# SPDX-License-Identifier: Apache-2.0
"""Programs of ExecuTorch are safe when all operators and backends are ExecuTorch's own, and the data lie in the file."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import Flat, judged


def program(
    *operators: str,
    delegates: tuple[str, ...] = (),
    segments: list[dict[int, Any]] | None = None,
    extended: bool = False,
    size: int = 0,
) -> bytes:
    plan = {0: "forward", 6: [{0: name, 1: "out"} for name in operators], 7: [{0: name} for name in delegates]}
    made = Flat({1: [plan], **({4: segments} if segments else {})}, b"ET12" + (b"\0" * 32 if extended else b"")).out
    if extended:
        struct.pack_into("<4sIQQ", made, 8, b"eh00", 32, size or len(made), len(made))
        made += b"\7" * 64
    return bytes(made)


@pytest.mark.parametrize(
    "data",
    [
        program("aten::linear", "executorch_prim::et_view", "quantized_decomposed::add"),
        program("aten::linear", delegates=("XnnpackBackend",)),
        program("aten::add", segments=[{0: 0, 1: 64}], extended=True),
    ],
)
def test_its_own_operators_are_safe(data: bytes) -> None:
    """With graphs for devices, which are a note."""
    report = scan_bytes(data, "m.pte")
    assert (report.verdict, report.format) == (Verdict.SAFE, "executorch")


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (program("my_ops::run"), "custom-operator"),
        (program("aten::add", delegates=("MineBackend",)), "delegate"),
        (program(delegates=("CudaBackend",)), "native-code"),
        (program(segments=[{0: 0, 1: 65}], extended=True), "outside"),
        (program(segments=[{0: 2**63, 1: 2**63}], extended=True), "outside"),
        (program(extended=True, size=2**40), "broken"),
        (program("aten::add")[:-40], "broken"),
        (b"ET12", "no-header"),
    ],
)
def test_what_comes_from_elsewhere_is_unknown(data: bytes, id: str) -> None:
    """Operators, backends, data outside."""
    verdict, found = judged(data, "m.pte")
    assert (verdict, f"executorch/{id}" in found) == (Verdict.UNKNOWN, True)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=5), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_no_byte_makes_the_reader_fail(changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever is changed, and wherever it is cut off."""
    data = bytearray(
        program("aten::add", "x::y", delegates=("XnnpackBackend",), segments=[{0: 0, 1: 64}], extended=True)
    )
    for at, value in changes:
        data[at % len(data)] = value
    report = scan_bytes(bytes(data[: len(data) - cut]), "m.pte")
    assert [f for f in report.findings if "defect" in f.message] == []
