# SPDX-License-Identifier: Apache-2.0
"""YAML with positions, and without what makes YAML dangerous."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import PlanError
from bastide.plan import yamlfile
from bastide.plan.yamlfile import MAX_DEPTH, Node, key_text, parse, parse_documents, plain_scalar, read_text
from tests.plan.strategies import _json, json_values, text


def problems(document: str) -> list[str]:
    return [f"{p.location}: {p.message}" for p in parse(document, "f").document.problems]


def refused(document: str) -> str:
    with pytest.raises(PlanError) as caught:
        parse(document, "f")
    return str(caught.value)


def test_every_node_and_key_knows_its_place() -> None:
    root = parse("a: 1\nb:\n  - x\n  - {c: d}\n", "f")
    places = {key: (k.line, k.column, v.line, v.column) for key, k, v in root.items()}
    assert places == {"a": (1, 1, 1, 4), "b": (2, 1, 3, 3)}
    inner = root.value["b"].value[1]
    assert [(key, k.line, k.column, v.column, v.length) for key, k, v in inner.items()] == [("c", 4, 6, 9, 1)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1), ("-7", -7), ("+5", 5), ("007", 7), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("1.", 1.0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("nan", "nan"), (".inf", ".inf"), ("0x1f", "0x1f"),
        ("1_000", "1_000"), ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("1e999", "1e999"), ("-", "-"), ("1.2.3", "1.2.3"),
        ("tRue", "tRue"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(written: str, value: Any) -> None:
    found = plain_scalar(written)
    assert (found, type(found)) == (value, type(value))
    if written and written != "-":
        quoted = parse(f'"{written}"', "f")
        assert (quoted.value, quoted.plain) == (written, False)


@pytest.mark.parametrize("written", ["1.10", "007", "+5", "1e3", "abc"])
def test_numbers_that_are_meant_as_text_stay_as_written(written: str) -> None:
    assert key_text(parse(written, "f")) == written


@settings(max_examples=150)
@given(value=json_values)
def test_json_is_read_as_json(value: Any) -> None:
    assert parse(_json(value), "f").plain_data() == value


@settings(max_examples=150)
@given(texts=st.lists(text, max_size=4), flow=st.booleans())
def test_texts_that_pyyaml_writes_are_read_the_same(texts: list[str], flow: bool) -> None:
    written = yaml.safe_dump(texts, default_style='"', default_flow_style=flow, allow_unicode=True)
    assert parse(written, "f").plain_data() == texts


def test_duplicate_keys_are_reported_each() -> None:
    assert problems("a: 1\nb: 2\na: 3\n'a': 4\n") == ["f:3:1: duplicate key `a`", "f:4:1: duplicate key `a`"]
    assert parse("a: 1\na: 3\n", "f").plain_data() == {"a": 1}


def test_tags_are_reported() -> None:
    found = problems("a: !!python/object/apply:os.system [id]\nb: !x y\nc: !!str 1\nd: !!set {}\n")
    assert [f.split(": ", 1)[0] for f in found] == ["f:1:4", "f:2:4", "f:4:4"]
    assert all("is not allowed" in f for f in found)


def test_keys_must_be_words() -> None:
    assert problems("? [a]\n: 1\n") == ["f:1:3: a key must be a plain word"]
    assert parse("1: a\ntrue: b\nnull: c\n", "f").plain_data() == {"1": "a", "true": "b", "": "c"}


def test_aliases_repeat_what_was_anchored() -> None:
    assert parse("a: &x {k: [1]}\nb: *x\n", "f").plain_data() == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_aliases_that_point_nowhere_or_into_themselves() -> None:
    assert problems("a: &x [*x]\n") == ["f:1:8: alias `*x` contains itself"]
    # libyaml has no opinion on aliases without an anchor; the reader has
    assert problems("a: *x\nb: &x 1\n") == ["f:1:4: alias `*x` has no anchor before it"]


def test_anchors_end_with_their_document() -> None:
    first, second = parse_documents("a: &x 1\n---\nb: *x\n", "f")
    assert first.plain_data() == {"a": 1}
    assert [p.message for p in second.document.problems] == ["alias `*x` has no anchor before it"]


def test_merge_keys() -> None:
    document = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: {<<: *b}\ne: {'<<': 1}\n"
    assert parse(document, "f").plain_data() == {
        "a": {"x": 1, "y": 1},
        "b": {"y": 2, "z": 2},
        "c": {"x": 0, "y": 1, "z": 2},
        "d": {"y": 2, "z": 2},
        "e": {"<<": 1},
    }
    assert problems("a: {<<: 1}\n") == ["f:1:9: `<<` needs a mapping (or a list of mappings) to merge"]


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 1500000 values when its aliases are expanded" in refused("\n".join(lines))


def test_a_bomb_of_merge_keys_stays_small() -> None:
    lines = ["a0: &a0 {k0: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 12)]
    assert "when its aliases are expanded" in refused("\n".join(lines))


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_depth_is_bounded(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert parse(opening * MAX_DEPTH + closing * MAX_DEPTH, "f")
    assert refused(opening * 100_000) == f"f: is nested deeper than {MAX_DEPTH} levels"


def test_depth_is_bounded_in_blocks() -> None:
    assert "nested deeper" in refused("\n".join(" " * n + "a:" for n in range(200)))


def test_count_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MAX_NODES", 50)
    assert parse("[" + "1," * 40 + "]", "f")
    assert "more than 50 values" in refused("[" + "1," * 60 + "]")


def test_tabs_are_explained() -> None:
    found = refused("a:\n\tb: 1\n")
    assert found.startswith("f:2:1: not YAML:")
    assert found.endswith("= indent with spaces; YAML doesn't allow tabs")


def test_windows_line_ends_move_no_position() -> None:
    root = parse("a: 1\r\nb: [x,\r\n  y]\r\na: 2\r\n", "f")
    assert root.value["b"].plain_data() == ["x", "y"]
    (problem,) = root.document.problems
    assert (str(problem.location), problem.source_line) == ("f:4:1", "a: 2")


def test_one_document_only() -> None:
    assert refused("a: 1\n---\nb: 2\n") == "f:1:1: has more than one YAML document"
    assert refused("") == "f:1:1: is empty"
    assert refused("# nothing\n") == "f:1:1: is empty"


def test_files_are_read_with_care(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(path: Path) -> str:
        with pytest.raises(PlanError) as caught:
            read_text(path)
        return str(caught.value).removeprefix(str(path))

    bom = tmp_path / "bom.yaml"
    bom.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_text(bom) == "a: 1\n"
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\n")
    assert error(binary) == ": is not UTF-8 text (byte 3)\n  = save the file as UTF-8"
    assert error(tmp_path) == ": is a directory"
    assert error(tmp_path / "none") == ": no such file"
    monkeypatch.setattr(yamlfile, "MAX_BYTES", 3)
    assert "is larger than" in error(bom)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_file_names_that_no_system_takes(name: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        read_text(tmp_path / name)


@settings(max_examples=300)
@given(
    document=st.one_of(
        st.text(max_size=60),
        st.lists(st.one_of(text, st.sampled_from(list("[]{}:,-&*!|>%@?#\n "))), max_size=25).map("".join),
    )
)
def test_any_text_is_read_or_refused_with_a_message(document: str) -> None:
    try:
        found: list[Node] = parse_documents(document, "f")
    except PlanError as problem:
        message = str(problem)
    else:
        for root in found:
            root.plain_data()
        return
    assert message.startswith("f")
