# SPDX-License-Identifier: Apache-2.0
"""Secrets in artefacts are found where they stand and never shown; what only looks like one isn't reported."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from random import Random

import pytest

from bastide.recognise.rules import Rule, builtin, example
from bastide.verify.artifacts import exposed
from bastide.verify.artifacts.model import FileReport, Verdict
from bastide.verify.artifacts.scan import scan_bytes

TOKEN = "ghp_" + "mgMsRcgizeg8Psh4487Q7j58M1cIaH" + "1xZClS"
RULES = [rule for rule in builtin() if rule.id.startswith("secret/") and rule.id not in exposed._VAGUE]


def secrets(report: FileReport) -> list[tuple[str, int | None, str]]:
    return [(f.id, f.offset, f.member) for f in report.findings if f.id.startswith("secret/")]


def packed(content: bytes, name: str = "m/data.pkl") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_in_a_pickle_with_its_place() -> None:
    data = pickle.dumps({"weights": [1.0] * 10, "note": f"pushed with {TOKEN}"})
    report = scan_bytes(data, "model.pkl")
    assert secrets(report) == [("secret/github-token", data.index(TOKEN.encode()), "")]
    assert report.verdict is Verdict.UNKNOWN
    assert TOKEN not in repr(report)


def test_in_metadata_members_and_files_beside() -> None:
    header = json.dumps({"__metadata__": {"author": TOKEN}}).encode()
    assert secrets(scan_bytes(struct.pack("<Q", len(header)) + header, "m.safetensors"))
    assert [where for *_, where in secrets(scan_bytes(packed(pickle.dumps(TOKEN)), "m.pt"))] == ["m/data.pkl"]
    assert [where for *_, where in secrets(scan_bytes(packed(TOKEN.encode(), "notes.txt"), "m.zip"))] == ["notes.txt"]
    assert secrets(scan_bytes(f"HUB_TOKEN={TOKEN}\n".encode(), ".env"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_recogniser_is_asked(rule: Rule) -> None:
    """The quick look first never hides what a recogniser would find."""
    for fires in rule.fires:
        text = f"a line before\n{example(fires)}\nand one behind it"
        if text.isascii():
            assert exposed._signs().search(text.encode()), text


def test_random_bytes_and_vocabularies_hold_none() -> None:
    random = Random(1)
    noise = random.randbytes(1 << 20)
    words = {
        "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789_", k=random.randint(2, 30))): n
        for n in range(20_000)
    }
    vocabulary = json.dumps({"eos_token": "<|endoftext|>", "pad_token_id": 0, "vocab": words}).encode()
    for data, name in ((noise, "w.dat"), (vocabulary, "tokenizer.json")):
        assert secrets(scan_bytes(data, name)) == []


def test_addresses_of_authors_are_no_data_of_people() -> None:
    few = "\n".join(f"person{n}@example-mail.org" for n in range(3)).encode()
    many = "\n".join(f"person{n}@example-mail.org" for n in range(40)).encode()
    assert [f.id for f in scan_bytes(few, "README.md").findings] == []
    report = scan_bytes(many, "users.txt")
    assert ([f.id for f in report.findings], report.verdict) == (["personal/email"], Verdict.SAFE)
