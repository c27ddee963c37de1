# SPDX-License-Identifier: Apache-2.0
"""An answer is checked while it streams, with the same result however it was cut, and the same as if it had come whole.

Text goes on only when nothing that begins in it can still become a finding: the last `hold_back` characters stay here. Work is done at
fixed distances from the beginning, on a window, so it is linear in the length of the answer and doesn't depend on where it was cut.
Nothing that is blocked or replaced is ever released in part: a finding is decided when it begins, with all of it in view.
Placeholders of redactions are restored first, so that what is checked is what its reader will see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from bastide.errors import LimitError
from bastide.guard.content.code import Fences, inline
from bastide.guard.content.redact import Vault, unfinished
from bastide.guard.model import Outcome, Verdict
from bastide.recognise.model import Detection, Span
from bastide.recognise.normalise import Normalised, normalise
from bastide.recognise.rules import LONGEST, Matcher


class Check(Struct, frozen=True):
    """Another look at answers: exfiltration by links, leakage of the system prompt."""

    find: Callable[[str], Sequence[Detection]]
    """Sees a window of the text at a time; spans are ranges of it."""
    settled: Callable[[str], int] = len
    """How much of a window can be judged already; what begins behind may go on (a link without its end)."""
    instead: Callable[[Detection, str], str] | None = None
    """What stands in the place of a part that is taken out; None: a note that names the detector."""


_CONTEXT = 256
"""Characters before what is searched that are kept for context."""
_PENDING = 16_384
"""Characters that may wait for the end of a finding (a key block, a long address); more is stopped as unscanned."""
_MOST = 10_000
"""Findings of one answer."""
_ORDER = {outcome: index for index, outcome in enumerate(Outcome)}


class Answers(Struct, frozen=True):
    """What answers are checked for; made once from the settings."""

    matcher: Matcher
    outcome: Callable[[str, float], Outcome]
    """Detector id and score -> what happens."""
    hold_back: int = 512
    markdown: bool = True
    """Whether code that is shown as code doesn't count as unsafe output."""


class _Item(Struct, frozen=True, gc=False):
    """Something found, with positions in the original window."""

    start: int
    end: int
    detection: Detection
    outcome: Outcome
    instead: str


class StreamScanner:
    """One answer. `push` what arrives and pass on what it returns; `finish` at the end; stop as soon as `blocked`."""

    def __init__(
        self, answers: Answers, vault: Vault | None = None, checks: Sequence[Check] = (), step: int = 0
    ) -> None:
        """`step`: characters between two looks; 0: an eighth of the hold-back."""
        self._answers = answers
        self._vault = vault
        self._checks = checks
        self._hold = max(answers.hold_back, LONGEST + 1)
        self._step = step or max(self._hold // 8, 32)
        self._begun = ""  # what may become a placeholder
        self._text = ""
        self._base = 0  # absolute position of the first character of `_text`
        self._searched = 0  # absolute: everything that begins before is decided
        self._released = 0  # absolute: everything before has gone on, or was replaced
        self._total = 0
        self._after: dict[int, int] = {}
        self._seen: dict[str, int] = {}  # detector of a check -> absolute end of what it found last
        self._fences = Fences()
        self._detections: list[Detection] = []
        self._outcome = Outcome.ALLOW
        self._cause: Detection | None = None
        self._scanned = True

    @property
    def blocked(self) -> bool:
        """Whether the answer has to end here."""
        return self._outcome is Outcome.BLOCK

    @property
    def verdict(self) -> Verdict:
        """What was found so far; spans are positions in the whole answer."""
        score = max(
            (d.score for d in self._detections if not d.detector.startswith(("secret/", "personal/"))), default=0.0
        )
        return Verdict(self._outcome, score, tuple(self._detections), None, self._scanned, self._cause)

    def push(self, delta: str) -> str:
        """Takes what arrived and returns what may go on."""
        return self._take(self._restored(delta, final=False))

    def _take(self, delta: str) -> str:
        parts, at = [], 0
        while at < len(delta) and not self.blocked:
            take = self._step - self._total % self._step
            piece = delta[at : at + take]
            at += len(piece)
            self._total += len(piece)
            self._text += piece
            if self._total % self._step == 0 and self._total - self._searched > self._hold:
                parts.append(self._advance(final=False))
        return "".join(parts)

    def finish(self) -> str:
        """The rest."""
        rest = self._take(self._restored("", final=True))
        return rest if self.blocked else rest + self._advance(final=True)

    def _advance(self, final: bool) -> str:
        try:
            view = normalise(self._text)
            since = view.position(self._searched - self._base)
            boundary = len(view.text) if final else len(view.text) - self._hold
            if boundary <= since and not final:
                return self._waiting()
            boundary, items = self._look(view, since, boundary, final)
        except LimitError as error:
            return self._stop(str(error))
        if boundary <= since and not final:
            return self._waiting()
        end = self._end(view, boundary)
        released = self._release(items, end)
        self._searched = self._base + end
        self._fences.advance(self._text, self._base, end)
        self._forget()
        return released

    def _waiting(self) -> str:
        return self._stop("a part of the answer is too long to be checked") if len(self._text) > _PENDING else ""

    def _stop(self, why: str) -> str:
        self._cause = Detection("stream/unscanned", 0.0, (), why)
        self._detections.append(self._cause)
        self._outcome, self._scanned = Outcome.BLOCK, False
        return ""

    def _look(self, view: Normalised, since: int, boundary: int, final: bool) -> tuple[int, list[_Item]]:
        """How far everything is decided, and what was found up to there."""
        after = {index: view.position(place - self._base) for index, place in self._after.items()}
        found = self._answers.matcher.find(view, since, after)
        length = len(view.text)
        # Ranges that the boundary may not cut: from where something begins to where it is certain.
        holds = [(f.begin, length if f.rule.open and f.stop >= length else f.start) for _, f in found]
        checked = [(check, d) for check in self._checks for d in check.find(view.text)]
        for check in () if final else self._checks:
            holds += [(check.settled(view.text), length), *_address(view.text)]
        boundary = length if final else _boundary(boundary, holds, since)
        for index, finding in found:
            if finding.begin < boundary and finding.stop > boundary:
                self._after[index] = self._base + view.span(finding.stop - 1, finding.stop).end
        items = [
            self._item(view, (f.rule.id, f.rule.weight, f.rule.why), (f.start, f.end), None)
            for _, f in found
            if f.valid and f.begin < boundary
        ]
        for check, detection in sorted(checked, key=lambda found: _range(found[1], length)):
            start, end = _range(detection, length)
            stop = self._base + view.span(end - 1, end).end if end > since else 0
            if max(start, since) < boundary and stop > self._seen.get(detection.detector, 0):
                self._seen[detection.detector] = stop
                what = (detection.detector, detection.score, detection.why)
                items.append(self._item(view, what, (max(start, since), end), check))
        items += self._hidden(view, self._end(view, boundary))
        return boundary, sorted(filter(self._counts, items), key=lambda item: (item.start, -item.end))

    def _end(self, view: Normalised, boundary: int) -> int:
        """Where the window ends of which everything is decided."""
        return len(self._text) if boundary >= len(view.text) else view.span(boundary, boundary + 1).start

    def _hidden(self, view: Normalised, end: int) -> Iterator[_Item]:
        """Runs of characters that nobody sees: they have no place in the normal form, and lie between two of its characters."""
        for found in view.hidden:
            for span in found.spans:
                if self._searched - self._base <= span.start < end:
                    place = Span(self._base + span.start, self._base + span.end)
                    shown = Detection(found.detector, found.score, (place,), found.why)
                    outcome = self._answers.outcome(found.detector, found.score)
                    yield _Item(span.start, span.end, shown, outcome, "")

    def _item(
        self, view: Normalised, what: tuple[str, float, str], place: tuple[int, int], check: Check | None
    ) -> _Item:
        name, score, why = what
        span = view.span(*place)
        detection = Detection(name, score, (Span(self._base + span.start, self._base + span.end),), why)
        instead = f"[redacted: {name}]"
        if check is not None and check.instead is not None:
            instead = check.instead(detection, self._text[span.start : span.end])
        return _Item(span.start, span.end, detection, self._answers.outcome(name, score), instead)

    def _counts(self, item: _Item) -> bool:
        """Code that markdown shows as code isn't unsafe output."""
        if not (self._answers.markdown and item.detection.detector.startswith("output/")):
            return True
        return not (self._fences.inside(self._text, self._base, item.start) or inline(self._text, item.start, item.end))

    def _release(self, items: Sequence[_Item], end: int) -> str:
        parts: list[str] = []
        done = self._released - self._base
        for item in items:
            self._detections.append(item.detection)
            if _ORDER[item.outcome] > _ORDER[self._outcome]:
                self._outcome, self._cause = item.outcome, item.detection
            if item.outcome is Outcome.BLOCK:
                parts.append(self._text[done : max(item.start, done)])
                return "".join(parts)
            if item.outcome is Outcome.REDACT and item.end > done:
                parts += [self._text[done : max(item.start, done)], item.instead]
                done = item.end
            if len(self._detections) > _MOST:
                return "".join(parts) + self._stop(f"more than {_MOST} findings")
        parts.append(self._text[done:end])
        self._released = self._base + max(done, end)
        return "".join(parts)

    def _restored(self, delta: str, *, final: bool) -> str:
        if not self._vault:
            return delta
        text, self._begun = self._begun + delta, ""
        if not final and (cut := unfinished(text)) < len(text):
            text, self._begun = text[:cut], text[cut:]
        return self._vault.restore(text)

    def _forget(self) -> None:
        cut = self._searched - self._base - _CONTEXT
        if cut > 0:
            self._text = self._text[cut:]
            self._base += cut
        if self._after:
            self._after = {index: place for index, place in self._after.items() if place > self._searched}


def _boundary(boundary: int, holds: Sequence[tuple[int, int]], least: int) -> int:
    """The last position up to `boundary` that cuts none of the ranges."""
    moved = True
    while moved:
        moved = False
        for begin, certain in holds:
            if begin < boundary <= certain:
                boundary, moved = begin, True
    return max(boundary, least)


def _address(text: str) -> list[tuple[int, int]]:
    """The last word, when it is a link that may go on."""
    start = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
    word = text[start:]
    link = "://" in word or ("](" in word and "](data:" not in word)
    return [(start, len(text))] if link else []


def _range(detection: Detection, length: int) -> tuple[int, int]:
    if not detection.spans:
        return 0, length
    return min(span.start for span in detection.spans), max(span.end for span in detection.spans)
