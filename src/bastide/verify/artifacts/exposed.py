# SPDX-License-Identifier: Apache-2.0
"""Secrets and personal data in artefacts and next to them: whoever gets the file gets them.

The recognisers are those of the guard and of data sets (`knowledge/content/secret`, `knowledge/content/personal`); they need RE2, without
which nothing is looked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, Any

from bastide.errors import LimitError
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Finding, Severity, Tier
from bastide.verify.artifacts.ranges import Ranges

if TYPE_CHECKING:
    from bastide.recognise.rules import Matcher

LOOKED = 4 << 20
"""Bytes of a file or member that are looked at: texts, headers and metadata stand in front."""
FETCHED = 1 << 20
"""Bytes of a file elsewhere of which only parts are fetched."""
IN_ALL = 64 << 20
"""Bytes of a file with all that is in it."""
ADDRESSES = 20
"""E-mail addresses from which on a file holds people's data and not its authors'."""
_RUN = re.compile(rb"[\x20-\x7e\t\r\n]{16,}")
_LONG_WORD = "|".join(rf"[A-Za-z_-]{{{n}}}[0-9][A-Za-z0-9_-]{{{15 - n}}}" for n in range(16))
_SIGNS = (
    rf"{_LONG_WORD}|(?:hf|api_org)_[A-Za-z]{{34}}|PRIVATE KEY|PuTTY-User|AccountKey=|SharedAccessKey=|[78]Q~"
    r"|://[^\s/]{0,80}:[^\s/]{3,128}@|hooks\.slack\.com|(?i:secret|token|key)[^\n]{0,40}[:=]|[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}|@[\w-]{1,60}\.[a-z]{2}"
)
"""A word of sixteen with a digit in it, or another mark that what is looked for has: half of the files have none, and nothing more is done."""
_VAGUE = frozenset({"secret/assignment", "secret/password-assignment"})
"""They know a secret only by the name before it; models are full of tokens and keys that are none."""
_PERSONAL = ("personal/iban", "personal/email")


def look(source: Source, scan: Scan) -> None:
    """Reports what is found, never the secret itself."""
    most = FETCHED if isinstance(source.data, Ranges) else LOOKED
    size = min(source.size, most, IN_ALL - scan.spent.looked)
    signs = _signs()
    if size < 16 or signs is None:
        return
    scan.spent.looked += size
    data = bytes(source.data[:size])
    if signs.search(data):
        scan.take(_found([(match.start(), match.group()) for match in _RUN.finditer(data)]))


def _found(runs: list[tuple[int, bytes]]) -> list[Finding]:
    from bastide.recognise.normalise import normalise

    text = b"\n".join(run for _, run in runs).decode("ascii")
    try:
        hits = [finding for _, finding in _matcher().find(normalise(text))]
    except LimitError:
        return []
    places = _places(runs)
    found: dict[str, Finding] = {}
    addresses = {text[hit.start : hit.end].casefold() for hit in hits if hit.rule.id == "personal/email"}
    for hit in hits:
        offset = _offset(places, hit.start)
        if hit.rule.id.startswith("secret/"):
            found.setdefault(text[hit.start : hit.end], _secret(hit.rule.id, text[hit.start : hit.end], offset))
        elif hit.rule.id == "personal/iban" or len(addresses) >= ADDRESSES:
            found.setdefault(hit.rule.id, _personal(hit.rule.id, len(addresses), offset))
    return list(found.values())


def _secret(id: str, value: str, offset: int) -> Finding:
    name = id.partition("/")[2].replace("-", " ")
    message = f"holds what looks like a secret ({name}): whoever gets the file gets it. Revoke it, and write the file without it"
    return Finding(id, Tier.POLICY, Severity.MEDIUM, message, offset, f"{value[:4]}... ({len(value)} characters)")


def _personal(id: str, addresses: int, offset: int) -> Finding:
    what = f"{addresses} e-mail addresses" if id == "personal/email" else "an account number (IBAN)"
    return Finding(
        id, Tier.POLICY, Severity.LOW, f"holds {what}: is everybody who gets the file allowed to have them?", offset
    )


def _places(runs: list[tuple[int, bytes]]) -> tuple[list[int], list[int]]:
    """Where each run begins in the joined text, and in the file."""
    starts, at = [], 0
    for _, run in runs:
        starts.append(at)
        at += len(run) + 1
    return starts, [offset for offset, _ in runs]


def _offset(places: tuple[list[int], list[int]], position: int) -> int:
    starts, offsets = places
    index = bisect_right(starts, position) - 1
    return offsets[index] + position - starts[index]


@cache
def _signs() -> Any:
    """None without RE2."""
    try:
        import re2  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return re2.compile(_SIGNS.encode(), options)


@cache
def _matcher() -> Matcher:
    from bastide.recognise.rules import builtin, matcher

    return matcher(tuple(rule for rule in builtin("secret/**/*", *_PERSONAL) if rule.id not in _VAGUE))
