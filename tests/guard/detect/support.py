# SPDX-License-Identifier: Apache-2.0
"""What the tests of the detector share."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def sentences(name: str) -> list[str]:
    """Sentences that were written for the tests and never trained on, one a line."""
    return (HERE / name).read_text("utf-8").splitlines()


class Fixed:
    """A second model that always gives the same answer."""

    def __init__(self, answer: float | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def logit(self, text: str) -> float | None:
        """The answer."""
        self.asked.append(text)
        return self.answer
