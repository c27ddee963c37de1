# SPDX-License-Identifier: Apache-2.0
"""Files in processes with limits of their own."""

from __future__ import annotations

import mmap
import os
import pickle
import time
from pathlib import Path

import pytest

from bastide.verify.artifacts.model import FileReport, Verdict
from bastide.verify.artifacts.pool import Allowance, _Pool, scan_files


def test_what_the_parent_holds_is_not_charged_to_the_file(tmp_path: Path) -> None:
    """A large process that scans (a notebook, a server) must not get `unknown` for every file."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, 2]))
    with mmap.mmap(-1, 4 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)):
        [report] = scan_files([tmp_path / "a.pkl"], allowance=Allowance(memory=256 << 20))
    assert (report.verdict, report.findings) == (Verdict.SAFE, ())


def _pretended(path: str, before: int) -> FileReport:
    """What a file would do to the process that reads it, told by its name."""
    if path.startswith("slow"):
        time.sleep(60)
    if path.startswith("fatal"):
        os._exit(1)
    return FileReport(path, "text", "", ())


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_a_file_that_breaks_its_process_costs_no_other(jobs: int) -> None:
    """Processes are given files ahead: what stood behind the bad one is read by the next process."""
    paths = ["a", "slow", "b", "fatal", "fatal too", "c", "d", "slow too", "e"]
    pool = _Pool(jobs, 0.3, _pretended)
    try:
        reports = list(pool.reports(iter(paths)))
    finally:
        pool.close()
    assert [r.path for r in reports] == paths
    assert [r.path for r in reports if r.verdict is Verdict.UNKNOWN] == ["slow", "fatal", "fatal too", "slow too"]


def test_no_files() -> None:
    assert list(scan_files([])) == []


def test_a_name_that_is_no_utf_8_hides_nothing(tmp_path: Path) -> None:
    """Reports can't hold such a name as it is; the process ended when it sent one."""
    path = os.fsencode(tmp_path) + b"/\xff.pkl"
    try:
        Path(os.fsdecode(path)).write_bytes(b"cos\nsystem\n(Vtouch x\ntR.")
    except OSError:
        pytest.skip("this file system takes no such names")
    [report] = scan_files([Path(os.fsdecode(path))])
    assert (Path(report.path).name, report.verdict) == (r"\xff.pkl", Verdict.UNSAFE)
