# SPDX-License-Identifier: Apache-2.0
"""Signals of abuse over many requests: copying a model out of its answers, and campaigns. A signal says what was counted; it blocks nothing.

Sources: MITRE ATLAS AML.T0024.002 (extract model), F. Tramer et al., "Stealing Machine Learning Models via Prediction APIs" (USENIX Security
2016); OWASP LLM10:2025. Memory is bounded: of the least recently seen callers and fingerprints nothing is kept.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, TypeVar

from msgspec import Struct

from bastide.guard.model import Caller
from bastide.guard.settings import Abuse

SUBJECTS = 10_000
"""Callers, and fingerprints, that are remembered."""
REMEMBERED = 500
"""Prompts of one caller that are remembered."""
_WORDS = 400

V = TypeVar("V")


class Signal(Struct, frozen=True):
    """Something that many requests together show."""

    name: str
    """`extraction/volume`, `extraction/template`, `campaign/spread` or `campaign/persistence`."""
    subject: str
    """The caller, or the fingerprint of the detection."""
    why: str
    """With the numbers."""


def subject_of(caller: Caller) -> str:
    """Who is counted as one: the user of a tenant through an agent; without a user the credential."""
    return "/".join((caller.tenant, caller.agent, caller.user or f"key:{caller.key}"))


class _Recent(Generic[V]):
    """Values by key; the least recently used are dropped."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._kept: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: str) -> V:
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._make()
            if len(self._kept) > SUBJECTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


class _Prompts:
    """The different prompts of one caller in the window: the whole of each, its beginning and its end, by their digests."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, tuple[bytes, bytes, bytes], bool]] = deque()
        self._known: Counter[bytes] = Counter()
        self.similar = 0
        self.told = float("-inf")

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, now: float, window: float, prompt: tuple[bytes, bytes, bytes]) -> bool:
        """Whether it is new."""
        while self._seen and (self._seen[0][0] <= now - window or len(self._seen) >= REMEMBERED):
            self._drop()
        if prompt[0] in self._known:
            return False
        varies = prompt[1] in self._known or prompt[2] in self._known
        self._seen.append((now, prompt, varies))
        self._known.update(prompt)
        self.similar += varies
        return True

    def _drop(self) -> None:
        _, digests, varied = self._seen.popleft()
        self.similar -= varied
        for digest in digests:
            self._known[digest] -= 1
            if not self._known[digest]:
                del self._known[digest]


class _Volume:
    """Tokens answered in the running window, and the average of the windows before it."""

    def __init__(self) -> None:
        self.window = -1
        self.tokens = 0
        self.usual: float | None = None
        self.told = -1


class _Hits:
    """Moments, and who or what was seen at them."""

    def __init__(self) -> None:
        self.seen: deque[tuple[float, str]] = deque(maxlen=200)
        self.told = float("-inf")

    def add(self, now: float, window: float, what: str) -> int:
        """How many different ones were seen in the window, this one included."""
        self.seen.append((now, what))
        while self.seen[0][0] <= now - window:
            self.seen.popleft()
        return len({one for _, one in self.seen})


class Signals:
    """Counts over all callers of one guard. Each signal is given once in a window."""

    def __init__(self, settings: Abuse | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings or Abuse()
        """May be replaced at any time."""
        self._clock = clock
        self._prompts = _Recent(_Prompts)
        self._volumes = _Recent(_Volume)
        self._by_caller = _Recent(_Hits)
        self._by_fingerprint = _Recent(_Hits)

    def prompted(self, caller: Caller, prompt: str) -> Signal | None:
        """A caller's prompt, without the system's. A signal when nearly all of many vary one slot of a template."""
        now, subject, limits = self._clock(), subject_of(caller), self.settings
        of = self._prompts.of(subject)
        if not of.add(now, limits.window, _skeleton(prompt)):
            return None
        count, similar = len(of), of.similar
        if count < limits.prompts or similar < limits.similar * count or now - of.told < limits.window:
            return None
        of.told = now
        why = f"{similar} of {count} different prompts within {limits.window / 60:g} min vary another one in one place"
        return Signal("extraction/template", subject, why)

    def answered(self, caller: Caller, tokens: int) -> Signal | None:
        """Tokens of an answer to a caller. A signal when they are many, and many times what this caller usually gets."""
        subject, limits = subject_of(caller), self.settings
        window = int(self._clock() // limits.window)
        of = self._volumes.of(subject)
        if window != of.window:
            if of.window >= 0:
                # An exponential average, so that last month weighs little; a burst counts only as far as it is not the signal itself.
                last = min(of.tokens, limits.times * of.usual) if of.usual else of.tokens
                of.usual = last if of.usual is None else 0.8 * of.usual + 0.2 * last
            of.window, of.tokens = window, 0
        of.tokens += tokens
        if of.usual is None or of.tokens < limits.tokens or of.tokens < limits.times * of.usual or of.told == window:
            return None
        of.told = window
        why = f"{of.tokens} tokens answered within {limits.window / 60:g} min; usually {of.usual:.0f}"
        return Signal("extraction/volume", subject, why)

    def detected(self, caller: Caller, fingerprint: str) -> Signal | None:
        """An attack that was detected. A signal when many callers send the same, or one sends many.

        fingerprint: what is the same about the same attack, such as the detector and the digest of the normalised text.
        """
        now, subject, limits = self._clock(), subject_of(caller), self.settings
        spread, of = self._by_fingerprint.of(fingerprint[:200]), self._by_caller.of(subject)
        callers = spread.add(now, limits.window, subject)
        of.add(now, limits.window, fingerprint[:200])
        minutes = f"within {limits.window / 60:g} min"
        if callers >= limits.callers and now - spread.told >= limits.window:
            spread.told = now
            return Signal("campaign/spread", fingerprint[:200], f"{callers} callers sent the same attack {minutes}")
        if len(of.seen) >= limits.attacks and now - of.told >= limits.window:
            of.told = now
            return Signal("campaign/persistence", subject, f"{len(of.seen)} attacks by one caller {minutes}")
        return None


def _skeleton(prompt: str) -> tuple[bytes, bytes, bytes]:
    """Digests of the whole prompt, and of the two fifths of its words at either end: a slot at one end leaves the other the same.

    Short prompts (under ten words) have no ends of their own, so that two different short questions are no template.
    """
    words = prompt[: _WORDS * 20].casefold().split()[:_WORDS]
    whole = _hash("=", words)
    if len(words) < 10:
        return whole, whole, whole
    part = 5 * len(words) // 12 // 4 * 4 or 4
    return whole, _hash("<", words[:part]), _hash(">", words[-part:])


def _hash(kind: str, words: list[str]) -> bytes:
    return blake2b((kind + "\0".join(words)).encode("utf-8", "surrogatepass"), digest_size=12).digest()
