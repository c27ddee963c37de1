# SPDX-License-Identifier: Apache-2.0
"""All content checks together: normal form, rules, secrets, personal data, decoded parts, detector, and what follows from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace as altered

from bastide.errors import LimitError
from bastide.guard.content import canary, topics
from bastide.guard.content.redact import PLACEHOLDER, Vault, replace
from bastide.guard.content.stream import Answers, Check, StreamScanner
from bastide.guard.interface import Detector
from bastide.guard.model import Outcome, Verdict
from bastide.guard.settings import Content, Thresholds
from bastide.recognise.encoded import DEPTH, views
from bastide.recognise.model import Detection, Direction, Span
from bastide.recognise.normalise import Normalised, normalise, printable
from bastide.recognise.presidio import Recogniser, recogniser
from bastide.recognise.rules import Finding, Rule, builtin, matcher

_ORDER = {outcome: index for index, outcome in enumerate(Outcome)}
_CACHE, _FEW = 4096, 64
"""Verdicts that are kept, and detections of one that is: others are rare and large."""
_VIEWS, _VIEW_SIZE = 64, 262_144
"""Decoded parts of one text, and their characters together."""
_WHOLE = 8192
"""Step for answers that are there as a whole."""


def noisy_or(detections: Sequence[Detection]) -> float:
    """The probability that at least one of the signals is right, taken as independent (J. Pearl, 1988)."""
    best: dict[str, float] = {}
    for detection in detections:
        if detection.detector.startswith(_ATTACKS):
            best[detection.detector] = max(best.get(detection.detector, 0.0), detection.score)
    clean = 1.0
    for score in best.values():
        clean *= 1.0 - score
    return round(1.0 - clean, 6)


def beside_rules(content: Content) -> Recogniser | None:
    """What looks for personal data beside the rules, by the settings. Raises `UsageError` for what isn't installed."""
    return None if content.personal == "off" else recogniser(content.personal_engine, content.personal_model)


class ContentScanner:
    """Implements `interface.Scanner`. Texts that come again (a conversation is sent whole each time) are answered from a cache."""

    def __init__(
        self,
        settings: Content | None = None,
        detector: Detector | None = None,
        *,
        canaries: Sequence[str] = (),
        personal: Recogniser | None = None,
    ) -> None:
        """`canaries`: the values of `settings.canaries`. `personal`: looks for personal data beside the rules.

        Raises:
            ValueError: a canary or a denied phrase can't be looked for.
        """
        self._settings = settings or Content()
        self._sink = self._settings.output or "markdown"
        self._detector = detector if self._settings.classifier != "off" else None
        self._personal = personal if self._settings.personal != "off" else None
        extra = topics.rules(self._settings.topics_denied) + canary.rules(canaries)
        self._matchers = {
            direction: matcher(self._rules(direction, extra))
            for direction in ("user", "retrieved", "tool", "system", "assistant")
        }
        self._answers = Answers(
            self._matchers["assistant"],
            lru_cache(maxsize=1024)(self._answer_outcome),
            self._settings.hold_back,
            self._sink == "markdown",
        )
        self._cache: OrderedDict[tuple[str, bytes], Verdict] = OrderedDict()

    def _rules(self, direction: str, extra: Sequence[Rule]) -> tuple[Rule, ...]:
        return tuple(rule for rule in (*builtin(), *extra) if direction in rule.directions and self._wanted(rule.id))

    def _wanted(self, name: str) -> bool:
        settings = self._settings
        family, _, rest = name.partition("/")
        if family == "secret":
            return settings.secrets != "off"
        if family == "personal":
            return settings.personal != "off" and (not settings.personal_types or rest in settings.personal_types)
        if family == "output":
            return rest.startswith(f"{self._sink}/")
        return True

    def scan(self, text: str, direction: Direction, vault: Vault | Any = None) -> Verdict:
        """The verdict about a text. A text that is too long or too dense isn't read, and says so (`scanned=False`).

        What a vault holds is put back by `answer` and `stream`, not here.
        """
        if direction == "assistant":
            return self._once(direction, text, self._answer)
        kind = direction if vault is None else f"{direction}, reversibly"
        return self._once(kind, text, lambda text: self._input(text, direction, vault))

    def argument(self, text: str) -> Verdict:
        """The verdict about what a proposed call sends to a tool: secrets, canaries, denied topics, hidden text, also encoded."""
        return self._once("argument", text, lambda text: self._input(text, "assistant", None))

    def _once(self, kind: str, text: str, look: Callable[[str], Verdict]) -> Verdict:
        if len(text) > self._settings.max_text:
            return self._unscanned(f"{len(text)} characters; {self._settings.max_text} are read")
        key = (kind, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        known = self._cache.get(key)
        if known is not None:
            with suppress(KeyError):  # another thread may just have dropped it
                self._cache.move_to_end(key)
            return known
        try:
            verdict = look(text)
        except LimitError as error:
            return self._unscanned(str(error))
        # What could not be scanned now may be scanned the next time; a text with redactions is the session's own.
        if verdict.scanned and verdict.text is None and len(verdict.detections) <= _FEW:
            self._cache[key] = verdict
            if len(self._cache) > _CACHE:
                self._cache.popitem(last=False)
        return verdict

    def stream(self, vault: Vault | None = None, checks: Sequence[Check] = ()) -> StreamScanner:
        """A scanner for one answer that streams. `checks`: exfiltration by links, leakage of the system prompt."""
        return StreamScanner(self._answers, vault, checks)

    def _answer(self, text: str) -> Verdict:
        scanner = StreamScanner(self._answers, step=_WHOLE)
        released = scanner.push(text) + scanner.finish()
        verdict = scanner.verdict
        if verdict.outcome is Outcome.BLOCK or released == text:
            return verdict
        return altered(verdict, text=released)

    def _unscanned(self, why: str) -> Verdict:
        outcome = Outcome.BLOCK if self._settings.unscanned == "deny" else Outcome.ALLOW
        cause = Detection("content/unscanned", 0.0, (), why)
        return Verdict(outcome, 0.0, (cause,), None, False, cause)

    def _input(self, text: str, direction: Direction, vault: Vault | None) -> Verdict:
        view = normalise(text)
        found = self._matchers[direction].find(view)
        detections = [_detection(view, finding) for _, finding in found if finding.valid] if found else []
        detections += view.hidden
        detections += self._decoded(view, direction, 1, [_VIEWS, _VIEW_SIZE])
        if self._personal is not None and direction != "assistant":
            detections += [d for d in self._personal(text) if self._wanted(d.detector)]
        if self._detector is not None and direction not in _OURS and self._due(direction, detections):
            detections += self._detector.detect(view.text, direction)
        if vault is not None and "<" in text:
            detections += [
                Detection("redaction/forged-placeholder", 0.0, (Span(*match.span()),), "looks like a placeholder")
                for match in PLACEHOLDER.finditer(text)
            ]
        if not detections:
            return _CLEAN
        return self._verdict(text, direction, detections, vault)

    def _due(self, direction: Direction, detections: Sequence[Detection]) -> bool:
        """Whether the detector could still change what happens: not when the rules are sure already."""
        return not detections or self._attack(noisy_or(detections), direction) is not Outcome.BLOCK

    def _decoded(self, view: Normalised, direction: Direction, depth: int, left: list[int]) -> list[Detection]:
        """What stands in encoded parts, at the place of the outermost encoding. `left`: views and characters that may still be read."""
        result: list[Detection] = []
        for part in views(view):
            left[0] -= 1
            left[1] -= len(part.text)
            if min(left) < 0:
                raise LimitError("more encoded parts than are read")
            inner = normalise(part.text)
            why = f"in {part.how} that reads `{printable(part.text)}`"
            for _, finding in self._matchers[direction].find(inner):
                if not finding.rule.id.startswith(("personal/", "secret/assignment")):
                    hushed = finding.rule.id.startswith(("secret/", "canary/"))
                    shown = finding.rule.why if hushed else f"{finding.rule.why} {why}"
                    result.append(Detection(finding.rule.id, finding.rule.weight, (part.span,), shown))
            if depth < DEPTH:
                for detection in self._decoded(inner, direction, depth + 1, left):
                    result.append(Detection(detection.detector, detection.score, (part.span,), detection.why))
        return result

    def _verdict(self, text: str, direction: Direction, detections: list[Detection], vault: Vault | None) -> Verdict:
        score = noisy_or(detections)
        outcome, scanned = self._attack(score, direction), True
        attacks = (d for d in detections if d.detector.startswith(_ATTACKS))
        cause = None if outcome is Outcome.ALLOW else max(attacks, key=lambda d: d.score)
        for detection in detections:
            other = self._outcome(detection, direction)
            if detection.detector in _INCOMPLETE:
                scanned = False
                other = _INCOMPLETE[detection.detector] if self._settings.unscanned == "deny" else Outcome.ALLOW
            if _ORDER[other] > _ORDER[outcome]:
                outcome, cause = other, detection
        redacted = None
        if outcome is Outcome.REDACT:
            redacted = self._redacted(text, direction, detections, vault)
        return Verdict(outcome, score, tuple(detections), redacted, scanned, cause)

    def _attack(self, score: float, direction: Direction) -> Outcome:
        if direction == "system":
            return Outcome.ALLOW
        limits: Thresholds = self._settings.injection.get(direction, _DEFAULTS)
        if score >= limits.block:
            return Outcome.BLOCK
        return Outcome.FLAG if score >= limits.flag else Outcome.ALLOW

    def _outcome(self, detection: Detection, direction: str) -> Outcome:
        family = detection.detector.partition("/")[0]
        if family == "secret":
            return _SETTING[self._settings.secrets]
        if family == "personal":
            return _SETTING[self._settings.personal] if direction != "assistant" else Outcome.ALLOW
        return _FIXED.get(family, Outcome.ALLOW)

    def _answer_outcome(self, name: str, score: float) -> Outcome:
        if name.startswith("output/"):
            return Outcome.BLOCK if score >= _DEFAULTS.block else Outcome.FLAG
        if name.startswith("hidden/"):
            return Outcome.REDACT if score >= _DEFAULTS.block else Outcome.ALLOW
        return self._outcome(Detection(name, score), "assistant")

    def _redacted(self, text: str, direction: str, detections: Sequence[Detection], vault: Vault | None) -> str:
        pieces: list[tuple[int, int, str]] = []
        for detection in detections:
            if self._outcome(detection, direction) is Outcome.REDACT:
                pieces += [
                    (span.start, span.end, self._instead(text, detection, span, vault)) for span in detection.spans
                ]
        return replace(text, pieces)

    def _instead(self, text: str, detection: Detection, span: Span, vault: Vault | None) -> str:
        name = detection.detector
        if vault is not None and name == "redaction/forged-placeholder":
            return vault.hide("LITERAL", text[span.start : span.end])
        if vault is not None and name.startswith("personal/"):
            return vault.hide(_labels().get(name) or _label(name), text[span.start : span.end])
        return f"[redacted: {name}]"


_CLEAN = Verdict(Outcome.ALLOW)
_ATTACKS = ("injection/", "hidden/")
_OURS = frozenset({"system", "assistant"})
"""What the system and the model wrote: no detector is asked about it."""
_DEFAULTS = Thresholds()
_SETTING: Mapping[str, Outcome] = {
    "off": Outcome.ALLOW, "flag": Outcome.FLAG, "redact": Outcome.REDACT, "block": Outcome.BLOCK
}  # fmt: skip
_INCOMPLETE: Mapping[str, Outcome] = {"injection/overload": Outcome.FLAG, "injection/unscanned": Outcome.BLOCK}
"""With `unscanned: deny`: the transformer's overload degrades to rules and the fast model, flagged; a text that none has read is refused."""
_FIXED: Mapping[str, Outcome] = {
    "canary": Outcome.BLOCK,
    "topic": Outcome.BLOCK,
    "leakage": Outcome.BLOCK,
    "exfiltration": Outcome.REDACT,
    "redaction": Outcome.REDACT,
}


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    return {rule.id: rule.label for rule in builtin() if rule.label}


def _label(name: str) -> str:
    letters = "".join(c for c in name.rpartition("/")[2].upper() if c.isascii() and c.isalnum())
    return ("P" + letters)[:16] if not letters[:1].isalpha() else letters[:16].ljust(2, "X")


def _detection(view: Normalised, finding: Finding) -> Detection:
    return Detection(finding.rule.id, finding.rule.weight, (view.span(finding.start, finding.end),), finding.rule.why)
