# SPDX-License-Identifier: Apache-2.0
"""What wasn't read as data is said, whatever it is called and however it is written; and nothing takes longer than it is large."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from bastide.verify.datasets.model import Report, Severity, Verdict
from bastide.verify.datasets.readers import arrow
from tests.verify.datasets import pictures
from tests.verify.datasets.conftest import Check, Write, ids
from tests.verify.datasets.test_croissant import ROWS, describe

PICKLE = b"cbuiltins\nprint\n(S'x'\ntR."


def files(tmp_path: Path, **content: bytes) -> None:
    (tmp_path / "set").mkdir(exist_ok=True)
    for name, data in content.items():
        (tmp_path / "set" / name.replace("__", ".")).write_bytes(data)


def unknown(report: Report, why: str) -> None:
    assert report.verdict(Severity.HIGH) is Verdict.UNKNOWN
    assert any(why in one for one in report.unread), report.unread


@pytest.mark.parametrize("name", ["a__pkl", "a", "a__dat", "LICENSE__pkl", "README"])
def test_a_pickle_that_looks_like_text_is_no_data(name: str, tmp_path: Path, checked: Check) -> None:
    """Also beside data, and when it is called like a licence."""
    files(tmp_path, b__csv=b"a,b\n1,2\n", **{name: PICKLE})
    unknown(checked(), "a pickle")


def test_texts_that_begin_like_pickles_are_data(tmp_path: Path, checked: Check) -> None:
    """Letters are opcodes too; tables without a known ending stay tables."""
    files(tmp_path, iris__data=b"5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n", a=b"A text.\n", LICENSE=b"MIT License\n")
    assert checked().unread == ()


def test_data_that_is_called_like_a_licence_is_data(tmp_path: Path, checked: Check) -> None:
    """`license_plates.csv` is no licence."""
    files(tmp_path, license_plates__csv=b"a,email\n1,alice@example.org\n", LICENSE__txt=b"MIT License\n")
    report = checked()
    assert len(report.files) == 1
    assert "personal-data" in ids(report)


@pytest.mark.parametrize("table", [b'a,b\n1,2\n3,"4\n5,6\n7,8\n', b'a,"b\n1,2\n', b'a,b\n1,"2'])
def test_a_quotation_mark_that_is_never_closed_hides_no_rows(table: bytes, tmp_path: Path, checked: Check) -> None:
    """All rows behind it are one field for a reader of tables."""
    files(tmp_path, a__csv=table)
    unknown(checked(), "never closed")


def test_a_heading_that_is_too_long_is_said(tmp_path: Path, checked: Check) -> None:
    """Also when no line comes at all."""
    files(tmp_path, a__csv__gz=gzip.compress(b"a" * (40 << 20)), b__csv=b"a,b\n1,2\n")
    unknown(checked(), "lines of more than 32 MiB")


@pytest.mark.parametrize("content", [b"", b"\n\n\n"])
def test_files_without_rows_are_no_clean_data_set(content: bytes, tmp_path: Path, checked: Check) -> None:
    """Nothing was looked at, so nothing is known."""
    files(tmp_path, a__jsonl=content)
    report = checked()
    unknown(report, "no row is in the files")
    assert len(report.unread) == 1


def test_folders_that_are_links_are_said(write: Write, tmp_path: Path, checked: Check) -> None:
    """As links to files are."""
    write("a.jsonl", [{"a": 1}])
    (tmp_path / "set" / "more").symlink_to(tmp_path)
    unknown(checked(), "more: a link")


def test_a_table_that_unpacks_without_end_is_cut(
    tmp_path: Path, checked: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dictionary makes a gigabyte of one word; nulls cost nothing at all."""
    monkeypatch.setattr(arrow, "_UNPACKED", 1 << 20)
    (tmp_path / "set").mkdir()
    parquet.write_table(pyarrow.table({"a": pyarrow.nulls(200_000)}), tmp_path / "set" / "a.parquet")
    unknown(checked(), "unpacks to many times its size")


def test_comments_that_never_end_take_no_time(tmp_path: Path, checked: Check) -> None:
    """Each beginning was compared with all that follows."""
    files(tmp_path, a__html=b"<!--" * 300_000)
    started = time.perf_counter()
    assert checked().verdict(Severity.HIGH) is Verdict.PASS
    assert time.perf_counter() - started < 6


@pytest.mark.parametrize("url", ["../../../../../../../../etc/passwd", "/etc/passwd", "x" * 5000, "a\0b"])
def test_a_description_that_leads_out_of_its_folder(url: str, write: Write, checked: Check) -> None:
    """It isn't followed, and it is said that what it names wasn't read."""
    other = {"@type": "cr:FileObject", "@id": "b", "contentUrl": url}
    sets = {"@type": "cr:FileSet", "@id": "c", "includes": "../../../../../../**/*.jsonl"}
    describe(write("rows.jsonl", ROWS), distribution=[other, sets])
    assert "croissant-file-missing" in ids(checked())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a__jpg", pictures.jpeg()[:60]),
        ("a__png", pictures.png()[:-12]),
        ("a__webp", pictures.webp()[:-8]),
        ("a__gif", pictures.gif()[:-6]),
        ("a__tiff", pictures.tiff()[:210]),
        ("b__tiff", b"II*\0\xff\xff\0\0"),
        ("b__png", pictures.png(b"x" * ((4 << 20) + 1))),
    ],
)
def test_pictures_that_break_off_are_not_read(name: str, data: bytes, tmp_path: Path, checked: Check) -> None:
    """What they say about themselves may stand in what is missing."""
    files(tmp_path, **{name: data})
    assert any("cut off or broken" in one for one in checked().unread)
