# SPDX-License-Identifier: Apache-2.0
"""Completeness: unknown is missing, each missing thing says where to write it, and the knowledge fits together."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.knowledge import field_named, fields, licence_named, licence_of_text, points
from bastide.verify.bom.score import score


def test_every_point_names_fields_that_are_there() -> None:
    known = {one.id for one in fields()}
    assert [(p.id, id) for p in points() for id in p.of if id not in known] == []
    assert len(known) == len(fields())
    assert [p.id for p in points() if p.id in ("1(a)", "2(h)", "9")] == ["1(a)", "2(h)", "9"]


def test_no_name_means_two_fields() -> None:
    names = [name for one in fields() for name in one.names]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert all(field_named(name) is one for one in fields() for name in one.names)


def test_every_field_says_where_to_write_it(model: Path) -> None:
    missing = score(collect([model]).models[0]).missing
    assert all(one.where for one in missing)
    assert (
        next(one.where for one in missing if one.id == "use.out-of-scope")
        == "README.md, heading or key “out of scope use”"
    )
    assert next(one.where for one in missing if one.id == "security.signature") == "bastide sign"


def test_an_empty_folder_knows_nothing(tmp_path: Path) -> None:
    found = score(collect([tmp_path]).models[0])
    assert (found.card, found.annex) == (0, 0)


def test_saying_more_never_lowers_the_score(model: Path, tmp_path: Path) -> None:
    """Each field that is added lifts the score or leaves it, up to everything."""
    card, before, lines = tmp_path / "card.yaml", -1, list[str]()
    for one in fields():
        if one.names:
            lines.append(f"{one.id}: something about it\n")
        card.write_text("".join(lines) or "{}")
        found = score(collect([model], Sources(card=card)).models[0])
        assert found.card >= before
        before = found.card
    left = {one.id for one in found.missing}
    assert left <= {"security.scan", "security.signature"}, left


@pytest.mark.parametrize("word", ["[More Information Needed]", "TODO", "n/a", "Unknown", "-", "null", "..."])
def test_placeholders_are_missing(tmp_path: Path, word: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nversion: '{word}'\n---\n# Limitations\n{word}\n")
    assert (
        score(collect([tmp_path]).models[0]).card * 0,
        collect([tmp_path]).models[0].fields.get("limits", ()),
    ) == (0, ())
    assert "version" not in collect([tmp_path]).models[0].fields


@pytest.mark.parametrize(
    ("text", "id"),
    [("Apache-2.0", "Apache-2.0"), ("apache license, version 2.0", "Apache-2.0"), ("https://spdx.org/licenses/MIT.html", "MIT"),
     ("llama3.1", "LicenseRef-llama-3.1"), ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"), ("our own", ""),
     ("MIT OR apache-2.0", "MIT OR Apache-2.0"), ("MIT OR ours", ""), ("openrail++", "LicenseRef-openrail++")],
)  # fmt: skip
def test_licences_by_name(text: str, id: str) -> None:
    assert id == licence_named(text)


def test_licences_by_text(repo: Path) -> None:
    assert licence_of_text((repo / "LICENSE").read_text()) == "Apache-2.0"
    assert licence_of_text("# SPDX-License-Identifier: MIT\n") == "MIT"
    assert licence_of_text("All rights reserved.") == ""
