# SPDX-License-Identifier: Apache-2.0
"""People at a browser: sessions after signing in with a key, and tokens against forged forms.

Sessions live in memory; a restart or reload signs everybody out. A cookie holds nothing but a random id.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from bastide.errors import Denied, Malformed
from bastide.guard.model import Caller

COOKIE = "bastide-approvals"
LASTS = 8 * 3600.0
"""Seconds of a session."""
SESSIONS = 10_000
FORM = 16 * 1024
"""Bytes of a form."""


class BrowserSessions:
    """Who is signed in. Held by hash, so that what is in memory signs nobody in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._open: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def start(self, caller: Caller, secure: bool) -> str:
        """Signs somebody in; the value of the `Set-Cookie` header. `secure`: the page is served over https."""
        id = secrets.token_urlsafe(32)
        self._open[_digest(id)] = (self._clock() + LASTS, caller)
        if len(self._open) > SESSIONS:
            self._open.popitem(last=False)
        marks = "; Secure" if secure else ""
        return f"{COOKIE}={id}; Path=/guard/approvals; Max-Age={int(LASTS)}; HttpOnly; SameSite=Strict{marks}"

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Who is signed in by the cookie of a request, if anybody."""
        found = self._open.get(_digest(_cookie(headers)))
        return found[1] if found is not None and self._clock() < found[0] else None

    def stop(self, headers: Mapping[str, str]) -> None:
        """Signs out."""
        self._open.pop(_digest(_cookie(headers)), None)

    def stop_all(self) -> None:
        """Signs everybody out: keys may have been taken out since."""
        self._open.clear()

    def csrf(self, headers: Mapping[str, str], approval: str) -> str:
        """The token for the form about one approval, good in this session only (of a browser without one: with its credential)."""
        who = _cookie(headers) or headers.get("authorization", "") or headers.get("x-api-key", "")
        return hmac.new(self._secret, f"{_digest(who)} {approval}".encode("utf-8", "replace"), sha256).hexdigest()

    def check_csrf(self, headers: Mapping[str, str], approval: str, token: str) -> None:
        """Raises `Denied` when the form didn't come from this guard's page in this session."""
        if not hmac.compare_digest(self.csrf(headers, approval).encode(), token.encode("utf-8", "replace")):
            raise Denied("this form is not from this session: open the page again", code="csrf")
        check_site(headers)


def check_site(headers: Mapping[str, str]) -> None:
    """Raises `Denied` when a browser says that another site's page sent this."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Denied("this form comes from another site", code="csrf")


def form(body: bytes) -> Mapping[str, str]:
    """The fields of a posted form (`application/x-www-form-urlencoded`). Raises `Malformed`."""
    if len(body) > FORM:
        raise Malformed("the form is too large")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=10)
    except ValueError:
        raise Malformed("the form can't be read") from None
    if len(dict(pairs)) != len(pairs):
        raise Malformed("a field of the form occurs twice")
    return dict(pairs)


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")[:4096]).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
