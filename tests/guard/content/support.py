# SPDX-License-Identifier: Apache-2.0
"""What the tests of the content checks share."""

from __future__ import annotations

from collections.abc import Sequence

from bastide.guard.content.scanner import ContentScanner
from bastide.guard.content.stream import StreamScanner
from bastide.guard.model import Outcome
from bastide.guard.settings import Content
from bastide.recognise.model import Detection, Span

# Written in parts, so that no file of the repository holds what looks like a credential.
AWS = "AKIA" + "Q3EG7RTXLM2PWN5V"
CANARY = "ref-" + "5f0c9d1e7ab2"


def scanner(**settings: object) -> ContentScanner:
    return ContentScanner(Content(**settings), canaries=(CANARY,))  # type: ignore[arg-type]


def feed(stream: StreamScanner, chunks: Sequence[str]) -> str:
    """What a client would get of an answer that arrives in these chunks."""
    return "".join([*(stream.push(chunk) for chunk in chunks), stream.finish()])


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    """The text in chunks of these sizes, again and again."""
    chunks, at, turn = [], 0, 0
    while at < len(text):
        size = max(1, sizes[turn % len(sizes)]) if sizes else len(text)
        chunks.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return chunks


class Fake:
    """A detector that has made up its mind."""

    def __init__(self, score: float) -> None:
        self.score = score
        self.seen: list[str] = []

    def detect(self, text: str, direction: str) -> Sequence[Detection]:
        self.seen.append(text)
        return (Detection("injection/model", self.score, (Span(0, len(text)),), "made up"),)


ORDER = list(Outcome)
