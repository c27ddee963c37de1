# SPDX-License-Identifier: Apache-2.0
"""The models of SentencePiece lie beside most language models, and are numbers and texts."""

from __future__ import annotations

import struct

import pytest

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _piece(text: str, kind: int = 1) -> bytes:
    return _field(1, _field(1, text.encode()) + b"\x15" + struct.pack("<f", -1.5) + b"\x18" + bytes([kind]))


MODEL = (
    _piece("<unk>", 2)
    + _piece("▁the")
    + _piece("s")
    + _field(2, _field(1, b"corpus.txt"))
    + _field(3, _field(1, b"nmt_nfkc"))
)


@pytest.mark.parametrize("name", ["tokenizer.model", "spiece.model", "m"])
def test_what_sentencepiece_writes_is_safe(name: str) -> None:
    report = scan_bytes(MODEL, name)
    assert (report.verdict, report.format) == (Verdict.SAFE, "sentencepiece"), report.findings


@pytest.mark.parametrize("data", [MODEL[:-3], MODEL + b"\x30\x01", MODEL + _field(9, b"x"), MODEL + b"cos\nsystem\n"])
def test_what_it_does_not_write_is_unknown(data: bytes) -> None:
    """Cut off, or with something that isn't its own behind it."""
    assert scan_bytes(data, "tokenizer.model").verdict is Verdict.UNKNOWN


def test_a_graph_of_tensorflow_is_none() -> None:
    """It begins with a text in a message, too."""
    graph = _field(1, _field(1, b"a") + _field(2, b"WriteFile"))
    assert scan_bytes(graph, "frozen.pb").format != "sentencepiece"


@pytest.mark.parametrize(("name", "notes"), [("empty.pt", ["scan/empty"]), ("__init__.py", []), (".gitkeep", [])])
def test_that_a_model_file_holds_nothing_is_said(name: str, notes: list[str]) -> None:
    """Loading it runs nothing, but it is no model either; other files are often empty."""
    report = scan_bytes(b"", name)
    assert (report.verdict, [f.id for f in report.findings]) == (Verdict.SAFE, notes)
