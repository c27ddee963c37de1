# SPDX-License-Identifier: Apache-2.0
"""Documents: plain text, Markdown, reStructuredText, HTML. Each file is one record; what is found in it is shown with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bastide.verify.datasets.interface import Batch, Column, Limits, Piece, Trouble
from bastide.verify.datasets.readers.source import decoded, whole

FIELD = "document"


class Text:
    """A document."""

    format = "text"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - one for all formats
        """As a whole."""
        return [(0, -1)]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """One row with the text."""
        text = decoded(whole(piece.path, limits, trouble))
        if text.strip():
            yield Batch(1, {FIELD: Column([0], [text])})
