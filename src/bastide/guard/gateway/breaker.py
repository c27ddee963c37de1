# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: stops calling what keeps failing, and tries it again with a single call.

Source: M. Nygard, "Release It!" (2007), chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable


class Breaker:
    """Closed until `threshold` failures in a row; then open for `pause` seconds, doubled each time the trial fails, at most `longest`."""

    def __init__(
        self, clock: Callable[[], float], threshold: int = 5, pause: float = 5.0, longest: float = 120.0
    ) -> None:
        self._clock = clock
        self._threshold = threshold
        self._pause = self._first = pause
        self._longest = longest
        self._failures = 0
        self._open_until = 0.0
        self._trying = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._failures < self._threshold:
            return "closed"
        return "open" if self._clock() < self._open_until or self._trying else "half-open"

    def admit(self) -> bool:
        """Whether a call may be made now; of a half-open breaker only one at a time."""
        state = self.state
        if state == "half-open":
            self._trying = True
        return state != "open"

    def retry_after(self) -> float:
        """Seconds until the next trial."""
        return max(0.0, self._open_until - self._clock())

    def succeeded(self) -> None:
        """The call went well."""
        self._failures, self._pause, self._trying = 0, self._first, False

    def failed(self) -> None:
        """The call failed in a way that is the other side's fault."""
        if self._trying:
            self._pause = min(self._pause * 2, self._longest)
        self._trying = False
        self._failures += 1
        if self._failures >= self._threshold:
            self._open_until = self._clock() + self._pause

    def undecided(self) -> None:
        """The call ended without saying anything about the other side, such as when the client went away."""
        self._trying = False
