# SPDX-License-Identifier: Apache-2.0
"""Files in processes with limits of their own."""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.pool import Allowance, scan_files


def test_what_the_parent_holds_is_not_charged_to_the_file(tmp_path: Path) -> None:
    """A large process that scans (a notebook, a server) must not get `unknown` for every file."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, 2]))
    with mmap.mmap(-1, 4 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)):
        [report] = scan_files([tmp_path / "a.pkl"], allowance=Allowance(memory=256 << 20))
    assert (report.verdict, report.findings) == (Verdict.SAFE, ())
