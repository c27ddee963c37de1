# SPDX-License-Identifier: Apache-2.0
"""Readers: every format gives the same rows, in pieces or whole, and no content makes one crash."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from bastide.errors import InputError
from bastide.verify.datasets.examine import Work, divide, examine, peek
from bastide.verify.datasets.interface import Limits, Piece, Trouble
from bastide.verify.datasets.readers.choose import READERS, survey
from bastide.verify.datasets.roles import assign
from tests.verify.datasets import pictures
from tests.verify.datasets.conftest import Check, Write

ROWS: list[dict[str, Any]] = [
    {"id": i, "text": f'é "{i}", ] }} \\ {"x" * (i % 90)}', "m": [{"role": "user", "content": f"c{i}"}]}
    for i in range(500)
]


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "text"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def stream(path: Path, rows: list[dict[str, Any]]) -> None:
    whole = pyarrow.Table.from_pylist(rows)
    with path.open("wb") as sink, pyarrow.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], object]] = {
    "a.jsonl": lambda p, rows: p.write_text("\n".join(map(json.dumps, rows))),
    "a.jsonl.gz": lambda p, rows: p.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode())),
    "a.jsonl.bz2": lambda p, rows: p.write_bytes(bz2.compress("\n".join(map(json.dumps, rows)).encode())),
    "a.jsonl.xz": lambda p, rows: p.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode())),
    "a.jsonl.zst": lambda p, rows: p.write_bytes(
        pyarrow.compress("\n".join(map(json.dumps, rows)).encode(), "zstd", asbytes=True)
    ),
    "lines.json": lambda p, rows: p.write_text("\n".join(map(json.dumps, rows))),
    "array.json": lambda p, rows: p.write_text(json.dumps(rows, indent=2)),
    "inside.json": lambda p, rows: p.write_text(json.dumps({"version": "1", "data": rows})),
    "a.csv": table,
    "a.parquet": lambda p, rows: parquet.write_table(pyarrow.Table.from_pylist(rows), p, row_group_size=90),
    "a.feather": lambda p, rows: feather.write_feather(pyarrow.Table.from_pylist(rows), p),
    "a.arrow": stream,
}


def read(path: Path, limits: Limits) -> tuple[list[Any], list[Any], Trouble]:
    [file] = survey([path], limits).files
    trouble = Trouble({})
    found: list[Any] = []
    texts: list[Any] = []
    for start, end in READERS[file.format].pieces(path, limits):
        for batch in READERS[file.format].batches(Piece(0, path, file.format, start, end), limits, trouble):
            found += batch.columns["id"].values
            texts += batch.columns["text"].values
    return found, texts, trouble


@pytest.mark.parametrize("piece", [48 << 20, 3_001, 100])
@pytest.mark.parametrize("name", list(WRITERS))
def test_every_format_has_the_same_rows(name: str, piece: int, tmp_path: Path) -> None:
    """Also when several processes read a file, and when it is compressed."""
    path = tmp_path / name
    WRITERS[name](path, ROWS)
    found, texts, trouble = read(path, Limits(piece=piece))
    assert (list(range(500)), [r["text"] for r in ROWS], {}) == (found, texts, trouble.reasons)


def test_tables_with_other_separators_and_marks(tmp_path: Path) -> None:
    """Semicolons, tabs, UTF-16, a byte order mark, quoted line breaks, short and long records."""
    for name, data in {
        "a.csv": 'id;text\n1;"a\nb"\n'.encode("utf-16"),
        "b.csv": b'\xef\xbb\xbfid,text\r\n1,"a\nb"\r\n',
        "c.tsv": b'id\ttext\n1\t"a\nb"',
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert read(path, Limits())[:2] == ([1], ["a\nb"])
    path.write_bytes(b"id\ttext\n1\n2\tb\tc\n")
    assert read(path, Limits())[:2] == ([1, 2], [None, "b c"])


def test_what_is_no_json_is_read_as_text_and_said(write: Write, checked: Check, tmp_path: Path) -> None:
    """Nothing hides in a broken line, and the check isn't complete."""
    path = write("rows.jsonl", [{"text": "all is well"}] * 3)
    with path.open("a") as end:
        end.write('{"text": "write to ann.lee' + '@mail.example.org"\n')
    report = checked(purpose="a test")
    assert [f"{path}:4: lines that are no JSON"] == list(report.unread)
    assert {"personal/email"} <= {f.kind for f in report.findings}


def test_numbers_and_characters_that_python_writes(tmp_path: Path, checked: Check) -> None:
    """NaN, halves of surrogate pairs and numbers of any length are read, and hide nothing."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"t": "\\ud800 ann.lee' + '@mail.example.org", "n": NaN, "\\udfff": 1}\n{"t": "x", "n": ' + "9" * 400 + "}\n"
    )
    report = checked(path, purpose="a test")
    assert (report.unread, report.rows) == ((), 2)
    assert "personal/email" in {f.kind for f in report.findings}
    path.write_bytes(b'{"t": "\xed\xa0\x80"}\n')
    assert (f"{path}:1: lines that are no JSON",) == checked(path).unread


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(line=100), "lines of more than"),
        (Limits(values=3), "values beyond the first"),
        (Limits(depth=2), "nested deeper"),
        (Limits(fields=3), "fields beyond"),
        (Limits(rows=10), "not compared"),
        (Limits(seconds=0.0), "more than 0 seconds"),
    ],
)
def test_a_bound_that_is_reached_is_said(limits: Limits, why: str, write: Write, checked: Check) -> None:
    """What lies behind it is unknown, never clean."""
    nested: Any = "deep"
    for _ in range(6):
        nested = {"a": nested}
    write("rows.jsonl", [{"a": 1, "b": 2, "c": 3, "d": nested, "text": "x" * 200}] * 20)
    assert any(why in unread for unread in checked(limits=limits).unread)


def test_bombs_are_not_unpacked(tmp_path: Path, checked: Check) -> None:
    """A compressed file that unpacks to many times its size is read only so far."""
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress((b'{"a": "' + b"0" * 1_000_000 + b'"}\n') * 80, 9))
    assert any("many times its size" in why for why in checked(path, limits=Limits(ratio=50)).unread)


def test_links_pipes_and_unknown_formats_are_said(tmp_path: Path, checked: Check, write: Write) -> None:
    """Nothing out of the folder is followed, nothing hangs, nothing is passed over in silence."""
    folder = write("rows.jsonl", [{"a": 1}]).parent
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "odd.bin").write_bytes(b"\x00\x01\x02")
    assert len(checked().unread) == 3


def test_names_that_begin_with_a_dot_are_read(tmp_path: Path, checked: Check, write: Write) -> None:
    """Who loads a folder loads them too; what tools keep beside data isn't data."""
    folder = write("rows.jsonl", [{"a": 1}]).parent
    (folder / ".more.jsonl").write_text('{"a": "AKIAIOSFODNN7EXAMPL2"}\n')
    (folder / ".odd").write_bytes(b"\x00\x01\x02")
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_bytes(b"DIRC\x00")
    found = checked()
    assert [Path(f.path).name for f in found.files] == [".more.jsonl", "rows.jsonl"]
    assert [why for why in found.unread if ".odd" in why]
    assert not [why for why in found.unread if ".git" in why]


SEEDS = {name: writer for name, writer in WRITERS.items() if name not in ("a.jsonl.bz2", "a.jsonl.xz")}
PICTURES = {
    "a.jpg": pictures.jpeg(),
    "a.png": pictures.png(),
    "a.webp": pictures.webp(),
    "a.gif": pictures.gif(),
    "a.tiff": pictures.tiff(),
}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    found = dict(PICTURES)
    for name, writer in SEEDS.items():
        writer(folder / name, ROWS[:40])
        found[name] = (folder / name).read_bytes()
    found["a.md"] = (
        b"# T\n<!-- you must ignore all this -->\n\xe2\x80\x8bx\n<p style='display:none'>a b c d e f g h</p>"
    )
    return found


def survives(path: Path) -> None:
    """Reads and looks at a file as a process does, in this one. Only Arrow's own readers may refuse what they are given, and that is said."""
    limits = Limits(line=1 << 16, document=1 << 16, unpacked=1 << 20, fields=50, values=200)
    for file in survey([path], limits).files:
        whole = [Piece(0, path, file.format)]
        pieces = [Piece(0, path, file.format, start, end) for _, start, end in divide(whole, limits).pieces]
        roles = assign(peek(whole, limits).fields, {})
        assert examine(pieces, Work(roles, limits, ("",))).files


@settings(max_examples=25)
@given(data=st.binary(max_size=400), name=st.sampled_from([*SEEDS, *PICTURES, "a.md", "a", "a.html"]))
def test_any_bytes_can_be_looked_at(data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No content is an exception."""
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(data)
    survives(path)


@pytest.mark.parametrize("name", [*SEEDS, *PICTURES, "a.md"])
def test_damaged_files_can_be_looked_at(name: str, seeds: dict[str, bytes], tmp_path: Path) -> None:
    """Files with some bytes changed, cut or doubled."""
    rng = random.Random(name)
    path = tmp_path / name
    for _ in range(25):
        data = bytearray(seeds[name])
        for _ in range(rng.choice((1, 3, 10))):
            at = rng.randrange(len(data))
            change = rng.randrange(4)
            if change == 0:
                data[at] = rng.randrange(256)
            elif change == 1:
                del data[at : at + rng.randrange(1, 20)]
            elif change == 2:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
            else:
                data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
            data = data or bytearray(b"x")
        path.write_bytes(bytes(data))
        survives(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(rows=st.lists(json_values, max_size=6))
def test_any_json_can_be_looked_at(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records of any shape: numbers as large as they like, names of any letters, nothing at all."""
    folder = tmp_path_factory.mktemp("json")
    out = io.StringIO()
    for row in rows:
        out.write(json.dumps(row) + "\n")
    (folder / "a.jsonl").write_text(out.getvalue())
    (folder / "b.json").write_text(json.dumps(rows))
    for path in folder.iterdir():
        survives(path)


@settings(max_examples=60)
@given(said=json_values)
def test_any_description_can_be_read(said: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A Croissant description is one or an error with a message."""
    from bastide.verify.datasets.croissant import judge_croissant, read_croissant

    path = tmp_path_factory.mktemp("said") / "croissant.json"
    properties = ("distribution", "recordSet", "license", "rai:dataUseCases", "description")
    path.write_text(json.dumps({"@context": {}, "@type": "sc:Dataset"} | dict.fromkeys(properties, said)))
    with contextlib.suppress(InputError):
        list(judge_croissant(read_croissant(path), (), ()))
