# SPDX-License-Identifier: Apache-2.0
"""SentencePiece: the pieces of a tokenizer with their scores (`tokenizer.model`, `spiece.model`). Nothing in it runs.

Layout after `sentencepiece_model.proto`: the message `ModelProto`.
"""

from __future__ import annotations

import re

from bastide.verify.artifacts.formats.protobuf import BYTES, Message, NotProtobuf
from bastide.verify.artifacts.interface import Scan, Source

_PIECE = re.compile(rb"\n[\x08-\x7f]\n([\x01-\x7f])")
"""The first field is a piece, and the first of that its text."""
_SCORE = 0x15
"""The tag of a piece's score, which follows its text."""
PARTS = frozenset({1, 2, 3, 4, 5})
"""Pieces, how it was trained, how texts are made alike, samples, and how that is undone."""
EXTENSIONS = 200
"""From this number on programs may have fields of their own."""


class SentencePieceReader:
    """Reads the models of SentencePiece."""

    format = "sentencepiece"

    def claims(self, source: Source) -> bool:
        """By the first piece: a text and its score."""
        head = source.head(160)
        found = _PIECE.match(head)
        if found is None:
            return False
        behind = found.end() + found[1][0]
        return head[behind : behind + 1] == bytes([_SCORE])

    def read(self, source: Source, scan: Scan) -> None:
        """Whether it is a message of that kind to its end."""
        try:
            for found in Message(source.data).fields():
                if found.wire != BYTES or not (found.number in PARTS or found.number >= EXTENSIONS):
                    scan.malformed(
                        "sentencepiece/field", "has a field that models of SentencePiece don't have", found.offset
                    )
                    return
        except NotProtobuf as problem:
            scan.malformed("sentencepiece/broken", f"can't be read to its end: {problem}", problem.offset)
