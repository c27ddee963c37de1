# SPDX-License-Identifier: Apache-2.0
"""Reports are kept for one content under one name and one engine, where nobody else can write."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from bastide.errors import UsageError
from bastide.verify.artifacts import cache as module
from bastide.verify.artifacts.cache import Cache, key_of, open_cache
from bastide.verify.artifacts.interface import Limits
from bastide.verify.artifacts.model import FileReport, Verdict
from bastide.verify.artifacts.scan import scan_file

EVIL = b"cos\nsystem\n(S'touch x'\ntR."


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path / "cache")


def test_the_same_content_is_not_read_twice(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(EVIL)
    first = scan_file(tmp_path / "a.pkl", cache=cache)
    [kept] = [path for path in cache.folder.rglob("*") if path.is_file()]
    marked = FileReport("", "from the cache", first.sha256, first.findings)
    cache.put(kept.parent.name + kept.name, marked)
    assert scan_file(tmp_path / "a.pkl", cache=cache) == replace(marked, path=first.path)


def test_another_content_name_limit_or_engine_is_another_report(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of("aa", "x/model.pkl", Limits())
    assert key == key_of("aa", "y/model.pkl", Limits())
    others = [
        key_of("ab", "model.pkl", Limits()),
        key_of("aa", "config.json", Limits()),
        key_of("aa", "model.pkl", Limits(depth=1)),
    ]
    monkeypatch.setattr(module, "engine", lambda: "newer")
    others.append(key_of("aa", "model.pkl", Limits()))
    assert key not in others


def test_changed_content_is_read(cache: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps([1]))
    assert scan_file(file, cache=cache).verdict is Verdict.SAFE
    file.write_bytes(EVIL)
    assert scan_file(file, cache=cache).verdict is Verdict.UNSAFE


def test_a_damaged_report_is_made_again(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(EVIL)
    first = scan_file(tmp_path / "a.pkl", cache=cache)
    for path in cache.folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x85damaged")
    assert first == scan_file(tmp_path / "a.pkl", cache=cache)


def test_a_folder_that_others_can_write_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(UsageError, match="others may write"):
        open_cache(tmp_path / "shared")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--cache"):
        open_cache(tmp_path / "file")


def test_what_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(EVIL)
    assert scan_file(tmp_path / "a.pkl", cache=Cache(tmp_path / "gone")).verdict is Verdict.UNSAFE
