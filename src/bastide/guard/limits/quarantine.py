# SPDX-License-Identifier: Apache-2.0
"""Callers whose requests are refused for a time, because too many of them were blocked."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from bastide.errors import OverLimit
from bastide.guard.limits.signals import SUBJECTS, subject_of
from bastide.guard.model import Caller
from bastide.guard.settings import Abuse


class Quarantine:
    """Who is in quarantine. A caller is a user of a tenant through an agent, or a credential without a user."""

    def __init__(self, settings: Abuse | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings or Abuse()
        """May be replaced at any time."""
        self._clock = clock
        self._blocks: OrderedDict[str, deque[float]] = OrderedDict()
        self._held: OrderedDict[str, float] = OrderedDict()

    def blocked(self, caller: Caller) -> bool:
        """A request of the caller's was blocked; whether it is in quarantine from now on."""
        most = self.settings.blocks
        if not most:
            return False
        now, subject = self._clock(), subject_of(caller)
        moments = self._blocks.setdefault(subject, deque())
        self._blocks.move_to_end(subject)
        moments.append(now)
        while moments[0] <= now - self.settings.blocks_within:
            moments.popleft()
        if len(self._blocks) > SUBJECTS:
            self._blocks.popitem(last=False)
        if len(moments) < most:
            return False
        del self._blocks[subject]
        self._held[subject] = now + self.settings.quarantine
        self._held.move_to_end(subject)
        if len(self._held) > SUBJECTS:
            self._held.popitem(last=False)
        return True

    def check(self, caller: Caller) -> None:
        """Raises `OverLimit` (`quarantined`) with the seconds left, when the caller is in quarantine."""
        if not self._held:
            return
        subject = subject_of(caller)
        left = self._held.get(subject, 0.0) - self._clock()
        if left > 0:
            text = "too many requests of this caller were blocked, so no more are taken for a time"
            raise OverLimit(text, code="quarantined", retry_after=left)
        self._held.pop(subject, None)
