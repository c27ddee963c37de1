# SPDX-License-Identifier: Apache-2.0
"""For all tests of what is read."""

from __future__ import annotations

import pytest

from bastide.verify.artifacts.interface import Scan


@pytest.fixture(autouse=True)
def defects_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sees as a note is a failed test here."""

    def raised(_: Scan, problem: Exception) -> None:
        raise problem

    monkeypatch.setattr(Scan, "defect", raised)
