# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, drawn once.

::

    BastideError                       exit code 2: the input or the call is wrong
    ├── InputError                     something that was read is wrong; carries diagnostics with positions
    │   ├── PlanError                  a plan (bastide.yaml, OTM import)
    │   ├── KnowledgeError             a threat, control, kind, attribute or framework file
    │   └── StateError                 the side file with decisions about findings, or a baseline
    ├── UsageError                     the call makes no sense (an option's value, a missing file)
    ├── LimitError                     a bound on size, depth or count was reached
    ├── LedgerError                    the ledger can't be written, or isn't what was written
    │   └── LedgerHeld                 another process writes it
    ├── StoreError                     a registry of models can't be read or written, or isn't one
    └── GuardError                     the guard refuses a call; carries an HTTP status and a code that clients can rely on
        ├── Malformed          400     the request isn't what its protocol says
        ├── Unauthenticated    401     no valid credential
        ├── Denied             403     the policy says no, or a check failed
        ├── NotFound           404     no such route, model, session or approval
        ├── TooLarge           413     a bound on size or depth was reached
        ├── OverLimit          429     a budget or rate is used up, or a caller is in quarantine
        ├── UpstreamError      502     the model or tool failed, hung or sent nonsense
        └── Unavailable        503     the guard itself can't do its work now (draining, overloaded, log not writable)

Exit codes 1 (findings at or over the threshold) and 3 (something had to be known and is not) are verdicts, not errors.

A diagnostic says what happened, where, and what to do next; `str(error)` is what a person should read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

_MANY, _LONG = 500, 200


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file: `line` and `column` count from 1; 0 means unknown."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """`file:line:column`, leaving out what is unknown."""
        parts = [self.file or "<input>"]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with an input, as a compiler would report it."""

    message: str
    """What is wrong."""
    location: Location = Location()
    """Where."""
    source_line: str = ""
    """The line itself, without its line break."""
    hint: str = ""
    """What was probably meant, or what to do next."""
    length: int = 1
    """How many characters to underline."""

    def render(self) -> str:
        """The message with its position, the line, a marker under the spot, and the hint."""
        lines = [f"{self.location}: {self.message}"]
        if self.source_line:
            lines += self._excerpt()
        if self.hint:
            lines.append(f"  = {self.hint}")
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        gutter = str(self.location.line)
        text = self.source_line.replace("\t", " ")
        start = max(self.location.column - 1, 0)
        # Very long lines are cut around the spot so that the message stays readable.
        offset = max(0, start - 60)
        shown = text[offset : offset + 120]
        marker = " " * (start - offset) + "^" * max(1, min(self.length, len(shown) - (start - offset)))
        return [f"  {gutter} | {shown}", f"  {' ' * len(gutter)} | {marker}"]


class BastideError(Exception):
    """Base of all errors that are meant for the person at the terminal."""

    exit_code = 2


class InputError(BastideError):
    """An input is wrong; all that was found wrong with it is in `diagnostics`."""

    def __init__(self, diagnostics: Sequence[Diagnostic] | Diagnostic | str) -> None:
        if isinstance(diagnostics, str):
            diagnostics = Diagnostic(diagnostics)
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(self.render())

    def render(self, limit: int = 100) -> str:
        """All diagnostics in the order of their positions, at most `limit` of them in full."""
        shown = [d.render() for d in self.diagnostics[:limit]]
        if (more := len(self.diagnostics) - limit) > 0:
            shown.append(f"... and {more} more")
        return "\n".join(shown)


class PlanError(InputError):
    """A plan can't be used as it stands."""


class KnowledgeError(InputError):
    """A knowledge file (threat, control, kind, attribute, framework) is wrong."""


class StateError(InputError):
    """A file with decisions about findings, or a baseline, is wrong."""


class SettingsError(InputError):
    """The guard's settings, or a policy of the user's own, are wrong."""


class UsageError(BastideError):
    """The call makes no sense."""

    def __init__(self, what: str | Diagnostic) -> None:
        super().__init__(what.render() if isinstance(what, Diagnostic) else what)


class LimitError(BastideError):
    """A bound on size, depth or count was reached, so the input was not read to its end."""


class LedgerError(BastideError):
    """The ledger can't be written, or isn't what was written."""


class LedgerHeld(LedgerError):
    """Another process writes the ledger."""


class StoreError(BastideError):
    """What Bastide keeps (a registry of models) can't be read or written, or isn't what it should be."""


class GuardError(BastideError):
    """The guard refuses a call. `str(error)` goes to the caller, so it names no secret and nothing of another caller."""

    status = 500
    code = "guard_error"

    def __init__(
        self, message: str, *, code: str = "", retry_after: float = 0.0, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.retry_after = retry_after
        """Seconds after which it makes sense to try again; 0: not stated."""
        self.details: Mapping[str, Any] = details or {}
        """For machines: policy, flow, approval id, detections."""


class Malformed(GuardError):
    """The request isn't what its protocol says."""

    status, code = 400, "malformed_request"


class Unauthenticated(GuardError):
    """No valid credential."""

    status, code = 401, "unauthenticated"


class Denied(GuardError):
    """The policy says no, or a check failed."""

    status, code = 403, "denied_by_policy"


class NotFound(GuardError):
    """No such route, model, session or approval."""

    status, code = 404, "not_found"


class TooLarge(GuardError):
    """A bound on size or depth was reached."""

    status, code = 413, "too_large"


class OverLimit(GuardError):
    """A budget or rate is used up, or the caller is in quarantine."""

    status, code = 429, "over_limit"


class UpstreamError(GuardError):
    """The model or tool behind the guard failed, hung or sent nonsense."""

    status, code = 502, "upstream_failed"


class Unavailable(GuardError):
    """The guard itself can't do its work now."""

    status, code = 503, "unavailable"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint that names the closest of `choices`, or lists them when few and none is close; else ''."""
    options = list(choices)
    if len(options) > _MANY:
        # Comparing with everything would take seconds for each of many wrong words.
        options = [option for option in options if option[:1] == word[:1]][:_MANY]
        word = word[:_LONG]
    close = get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if 0 < len(options) <= 12:
        return "known: " + ", ".join(sorted(options))
    return ""
