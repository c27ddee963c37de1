# SPDX-License-Identifier: Apache-2.0
"""Model files from a program: `bastide.artifacts.scan("model.pt").verdict`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier, Verdict
from bastide.verify.artifacts.scan import scan_file

__all__ = ["FileReport", "Finding", "Severity", "Tier", "Verdict", "scan"]


def scan(path: str | PathLike[str]) -> FileReport:
    """What loading a file would do; nothing in it is loaded or run.

    The file is read in this process, without bounds on time: `bastide scan` and `bastide.verify.artifacts.pool.scan_files` read in
    processes of their own with bounds. Never raises for anything in the file; one that can't be read is unknown.
    """
    return scan_file(Path(path))
