# SPDX-License-Identifier: Apache-2.0
"""Whatever the bytes are, a scan ends with a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bastide.artifacts import Verdict, scan
from bastide.verify.artifacts.formats import READERS
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.corpus.malicious import files

SEEDS = [data for number, (_, data) in enumerate(files()) if number % 15 == 0]
HEADS = [
    b"\x80\x04",
    b"PK\x03\x04",
    b"GGUF",
    b"\x93NUMPY",
    b"\x89HDF\r\n\x1a\n",
    b"\x08",
    b"\x08\x07",
    b"{",
    b"\x1f\x8b",
    b"7z",
    b"",
    b"TFL3",
]


@settings(max_examples=200)
@given(
    st.sampled_from(HEADS),
    st.binary(max_size=300),
    st.sampled_from(["model", "m.pkl", "m.onnx", "config.json", "m.h5", "saved_model.pb"]),
)
@example(b"\x08", b"", "x")
def test_any_bytes_have_a_verdict(head: bytes, tail: bytes, name: str) -> None:
    assert scan_bytes(head + tail, name).verdict in Verdict


@settings(max_examples=200)
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_files_have_a_verdict(seed: bytes, draw: st.DataObject) -> None:
    data = bytearray(seed)
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    assert scan_bytes(bytes(data), "m.pkl").verdict in Verdict


def test_a_defect_of_one_reader_hides_nothing_and_is_never_safe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise IndexError

    monkeypatch.undo()
    monkeypatch.setattr(type(READERS[0]), "read", broken)
    file = tmp_path / "m.pkl"
    file.write_bytes(b"\x80\x04N.")
    report = scan(file)
    assert report.verdict is Verdict.UNKNOWN
    assert "defect" in report.findings[0].message
    assert Scan.defect.__doc__


def test_files_that_are_not_there_are_unknown(tmp_path: Path) -> None:
    assert scan(tmp_path / "gone.pt").verdict is Verdict.UNKNOWN
    assert scan(tmp_path).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("name", "text"), [("run", "#!/bin/sh\ntouch x\n"), ("run.sh", "touch x\n"), ("a.ps1", "New-Item x")]
)
def test_programs_are_not_safe(name: str, text: str) -> None:
    """As Python isn't: nobody has read them."""
    report = scan_bytes(text.encode(), name)
    assert (report.format, report.verdict) == ("script", Verdict.UNKNOWN)
    assert {"scan/program"} == {f.id for f in report.findings}
