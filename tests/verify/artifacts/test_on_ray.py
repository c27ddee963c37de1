# SPDX-License-Identifier: Apache-2.0
"""The same reports from a Ray cluster as from this machine."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest

from bastide.errors import UsageError
from bastide.verify.artifacts.batch import Batch, read_batch, scan_batch
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.on_ray import TOGETHER, scan_on_ray
from bastide.verify.artifacts.pool import Allowance, scan_files

EVIL = b"cos\nsystem\n(S'touch x'\ntR."


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for number in range(TOGETHER + 3):
        (tmp_path / f"{number:03}.pkl").write_bytes(EVIL if number % 5 == 0 else pickle.dumps([number]))
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_a_batch_in_a_fresh_process(files: list[str]) -> None:
    batch = msgspec.msgpack.encode(Batch(tuple(file.encode() for file in files[:3]), Allowance(), ""))
    assert list(scan_files(files[:3])) == read_batch(batch)
    assert msgspec.msgpack.decode(scan_batch(batch))[0]["path"] == files[0]
    with pytest.raises(RuntimeError):
        scan_batch(b"no batch")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_says_the_same(files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    here = list(scan_files([*files, "missing.pkl"], cache=None))
    there = list(scan_on_ray([*files, "missing.pkl"], "local", cache=tmp_path / "cache"))
    assert [(r.path, r.verdict, r.sha256, r.findings) for r in here] == [
        (r.path, r.verdict, r.sha256, r.findings) for r in there
    ]
    assert any(r.verdict is Verdict.UNSAFE for r in there)
    assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_no_cluster_is_an_error_that_says_so() -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.raises(UsageError, match="no Ray cluster at"):
        list(scan_on_ray([], "auto"))
