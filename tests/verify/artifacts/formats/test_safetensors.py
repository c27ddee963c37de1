# SPDX-License-Identifier: Apache-2.0
"""A safetensors file is safe when each rule of the reference reader holds, and only then."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats.safetensors import SafetensorsReader
from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import ids, judged, safetensors, tensor

GOOD = {"__metadata__": {"format": "pt"}, "a": tensor(0, 8, "F32", [2]), "b": tensor(8, 10)}


def test_a_file_by_the_rules_is_safe() -> None:
    """Two tensors one after the other, and texts as metadata."""
    assert (Verdict.SAFE, set()) == judged(safetensors(GOOD, bytes(10)), "m.safetensors")
    padded = json.dumps(GOOD).encode() + b"   "
    assert (Verdict.SAFE, set()) == judged(safetensors(padded, bytes(10)), "m.safetensors")


def test_content_tells_the_format_not_the_name() -> None:
    """Under any name the file is read as what it is."""
    assert "safetensors" in scan_bytes(safetensors(GOOD, bytes(10)), "weights").format


def test_no_tensors_and_scalars_are_allowed() -> None:
    """An empty header, an empty tensor and one without dimensions are in the format."""
    assert Verdict.SAFE is judged(safetensors({}), "m.safetensors")[0]
    header = {"s": tensor(0, 4, "F32", []), "e": tensor(4, 4, "F32", [0, 3])}
    assert Verdict.SAFE is judged(safetensors(header, bytes(4)), "m.safetensors")[0]


def test_a_repeated_key_is_unsafe() -> None:
    """Loaders keep different ones of two tensors of one name, so they see different weights."""
    first, second = json.dumps(tensor(0, 4)), json.dumps(tensor(4, 8))
    header = f'{{"a":{first},"b":{first},"a":{second}}}'.encode()
    report = scan_bytes(safetensors(header, bytes(8)), "m.safetensors")
    assert Verdict.UNSAFE is report.verdict
    found = next(f for f in report.findings if f.id == "safetensors/repeated-key")
    assert (8 + header.rfind(b'"a"'), "a") == (found.offset, found.evidence)


@pytest.mark.parametrize(
    ("header", "data", "id"),
    [
        ({"a": tensor(0, 4), "b": tensor(5, 8)}, 8, "hole"),
        ({"a": tensor(0, 4), "b": tensor(3, 8)}, 8, "overlap"),
        ({"a": tensor(1, 4)}, 4, "hole"),
        ({"a": tensor(0, 4)}, 3, "truncated"),
        ({"a": tensor(0, 4)}, 5, "trailing-data"),
        ({"a": tensor(0, 4, "F32", [2])}, 4, "size"),
        ({"a": tensor(0, 4, "F7", [4])}, 4, "dtype"),
        ({"a": tensor(4, 0, "U8", [0])}, 0, "size"),
        ({"a": {"dtype": "U8", "shape": [4]}}, 4, "tensor"),
        ({"a": tensor(0, 4) | {"offset": 3}}, 4, "tensor"),
        ({"a": {"dtype": "U8", "shape": [-4], "data_offsets": [0, 4]}}, 4, "tensor"),
        ({"a": {"dtype": "U8", "shape": [4.0], "data_offsets": [0, 4]}}, 4, "tensor"),
        ({"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}}, 1, "tensor"),
        ({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 2, 4]}}, 4, "tensor"),
        ({"__metadata__": {"a": 3}}, 0, "metadata"),
        ({"__metadata__": {"a": {"b": "c"}}}, 0, "metadata"),
        ({"__metadata__": ["a"]}, 0, "metadata"),
        ({"a": tensor(0, 4), "b": 3}, 4, "tensor"),
        (b' {"a":3}', 0, "not-an-object"),
        (b"[1]", 0, "not-an-object"),
        (b'{"a":NaN}', 0, "not-an-object"),
        (b"{", 0, "no-header"),
        (b'{"a":\xff}', 0, "no-header"),
        (b'{"a":' + b"9" * 5000 + b"}", 0, "no-header"),
        (b"[" * 200_000, 0, "no-header"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_not_safe(header: Any, data: int, id: str) -> None:
    """What the reference reader refuses misleads others, so it is reported by the rule that it breaks."""
    verdict, found = judged(safetensors(header, bytes(data)), "m.safetensors")
    assert Verdict.UNKNOWN is verdict
    assert f"safetensors/{id}" in found


@pytest.mark.parametrize("length", [0, 3, 1 << 40, (1 << 64) - 1, 100_000_001])
def test_a_length_that_cannot_be_is_not_safe(length: int) -> None:
    """A header of no bytes, or of more than there are."""
    assert Verdict.UNKNOWN is judged(safetensors(GOOD, bytes(10), length), "m.safetensors")[0]


def test_short_files_are_not_safe() -> None:
    """A file that ends before its header is nothing that was read."""
    assert "safetensors/no-header" in ids(scan_bytes(b"abc", "m.safetensors"))


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_no_content_makes_the_reader_fail(noise: bytes, at: int) -> None:
    """Whatever the bytes, the reader ends without an exception."""
    data = safetensors(GOOD, bytes(10))
    changed = data[:at] + noise + data[at + len(noise) :]
    scan = Scan(Limits(), lambda source, scan: "")
    SafetensorsReader().read(Source("m.safetensors", changed), scan)
