# SPDX-License-Identifier: Apache-2.0
"""Data sets in a folder, and the check of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bastide.verify.datasets.check import Settings, check
from bastide.verify.datasets.describe import Description
from bastide.verify.datasets.interface import Limits
from bastide.verify.datasets.model import Report

Write = Callable[[str, Iterable[object]], Path]
Check = Callable[..., Report]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes records as lines of JSON into the data set's folder."""

    def written(name: str, records: Iterable[object]) -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
        return path

    return written


@pytest.fixture
def checked(tmp_path: Path) -> Check:
    """Checks the data set's folder."""

    def run(
        *paths: Path, limits: Limits | None = None, against: tuple[Path, ...] = (), jobs: int = 1, **stated: object
    ) -> Report:
        description = Description(**stated)  # type: ignore[arg-type]
        settings = Settings(description, against, jobs, limits=limits or Limits())
        return check(paths or (tmp_path / "set",), settings)

    return run


def ids(report: Report) -> set[str]:
    """The rules that found something, without the first part."""
    return {f.id.removeprefix("dataset/") for f in report.findings}
