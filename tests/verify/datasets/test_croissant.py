# SPDX-License-Identifier: Apache-2.0
"""Croissant descriptions are held against the files beside them, and never resolved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import InputError
from bastide.verify.datasets.croissant import read_croissant
from bastide.verify.datasets.describe import read_description
from tests.verify.datasets.conftest import Check, Write, ids

ROWS = [{"text": f"row {i} came in time", "label": "ab"[i % 2]} for i in range(60)]


def describe(path: Path, **changes: Any) -> Path:
    """A description of one file, with some properties changed; None takes one away."""
    data = path.read_bytes()
    file = {
        "@type": "cr:FileObject", "@id": "rows", "name": "rows", "contentUrl": path.name,
        "sha256": hashlib.sha256(data).hexdigest(), "contentSize": f"{len(data)} B",
    }  # fmt: skip
    fields = [
        {"@type": "cr:Field", "name": f, "source": {"fileObject": {"@id": "rows"}, "extract": {"column": f}}}
        for f in ("text", "label")
    ]
    whole = {
        "@context": {"@vocab": "https://schema.org/", "cr": "http://mlcommons.org/croissant/"}, "@type": "sc:Dataset", "name": "rows",
        "description": "rows for tests", "license": "https://creativecommons.org/licenses/by/4.0/", "url": "https://example.org", "creator": "us",
        "datePublished": "2026-01-01", "distribution": [file | changes.pop("file", {})], "recordSet": [{"@type": "cr:RecordSet", "field": fields}],
    } | changes  # fmt: skip
    said = path.with_name("croissant.json")
    said.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))
    return said


def test_a_description_that_fits_is_quiet(write: Write, checked: Check) -> None:
    """Hashes, sizes, fields and the licence agree."""
    describe(write("rows.jsonl", ROWS))
    report = checked()
    assert set() == ids(report)
    assert dict(report.card.licences) == {"CC-BY-4.0": 0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"file": {"sha256": "0" * 64}}, "croissant-hash-differs"),
        ({"file": {"sha256": None}}, "croissant-hash-missing"),
        ({"file": {"contentSize": "17 B"}}, "croissant-size-differs"),
        ({"file": {"contentUrl": "gone.jsonl"}}, "croissant-file-missing"),
        ({"file": {"contentUrl": "gone.jsonl"}}, "croissant-file-unlisted"),
        ({"recordSet": [{"field": [{"source": {"extract": {"column": "text"}}}]}]}, "field-not-needed"),
        ({"recordSet": [{"field": [{"name": n} for n in ("text", "label", "more")]}]}, "field-missing"),
        ({"license": None}, "licence-missing"),
        ({"license": "our own"}, "licence-unknown"),
        ({"creator": None}, "croissant-incomplete"),
    ],
)
def test_what_does_not_fit_is_found(changes: dict[str, Any], expected: str, write: Write, checked: Check) -> None:
    """Each difference by its own rule."""
    describe(write("rows.jsonl", ROWS), **changes)
    assert expected in ids(checked())


def test_personal_data_that_the_description_does_not_declare(write: Write, checked: Check) -> None:
    """It has a property for it."""
    path = write("rows.jsonl", [*ROWS, {"text": "write to ann.lee" + "@mail.example.org", "label": "a"}])
    describe(path)
    assert "croissant-sensitive-undeclared" in ids(checked())
    describe(path, **{"rai:personalSensitiveInformation": "e-mail addresses"})
    assert "croissant-sensitive-undeclared" not in ids(checked())


def test_a_description_can_lie_elsewhere(write: Write, checked: Check, tmp_path: Path) -> None:
    """Addresses are compared by their last part and never opened."""
    path = write("rows.jsonl", ROWS)
    describe(path, file={"contentUrl": "https://data.example.org/files/rows.jsonl?download=1", "sha256": "1" * 64})
    assert "croissant-hash-differs" in ids(checked())


def test_the_files_of_a_description_are_read(write: Write, checked: Check) -> None:
    """When only it is given; nothing out of its folder is followed."""
    said = describe(write("rows.jsonl", ROWS))
    assert checked(said).rows == 60
    describe(said.with_name("rows.jsonl"), file={"contentUrl": "../../../etc/passwd"})
    report = checked(said)
    assert (report.rows, "passwd" in repr(report.files)) == (0, False)


@pytest.mark.parametrize("content", ["[]", "{", '"x"', "[" * 100_000, ""])
def test_what_is_no_description_is_an_error(content: str, tmp_path: Path) -> None:
    """With a message."""
    path = tmp_path / "croissant.json"
    path.write_text(content)
    with pytest.raises(InputError):
        read_croissant(path)


@pytest.mark.parametrize("content", ["colour: red", "use: fun", "a: &x [1]\nb: *x", "fields: 3", "- x", "{"])
def test_a_wrong_description_of_our_own_is_an_error(content: str, tmp_path: Path) -> None:
    """Unknown keys, wrong words, aliases."""
    path = tmp_path / "dataset.yaml"
    path.write_text(content)
    with pytest.raises(InputError):
        read_description(path)


def test_a_description_of_our_own(write: Write, checked: Check) -> None:
    """Beside the data, in YAML."""
    path = write("rows.jsonl", ROWS)
    path.with_name("dataset.yaml").write_text(
        "purpose: sorts rows\nlicence: MIT\nfields: [text]\nclassification: internal\n"
    )
    report = checked()
    assert {"field-not-needed"} == ids(report)
    assert (report.card.purpose, report.card.classification) == ("sorts rows", "internal")
