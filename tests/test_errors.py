# SPDX-License-Identifier: Apache-2.0
"""Errors read as sentences."""

from __future__ import annotations

from bastide.errors import Diagnostic, Location, UsageError


def test_a_wrong_call_reads_like_any_diagnostic() -> None:
    """What happened and where, not how it is kept."""
    assert str(UsageError(Diagnostic("there is no such file", Location("x.pt")))) == "x.pt: there is no such file"
    assert str(UsageError("say which")) == "say which"
