# SPDX-License-Identifier: Apache-2.0
"""Who is refused where approvals are decided is in the log, like who decides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bastide.errors import LedgerError
from bastide.guard.approvals.book import Approval
from bastide.guard.model import Caller
from tests.guard.approvals.build import ARGUMENTS, proposal
from tests.guard.gateway.fake import FakeProvider
from tests.guard.gateway.running import BOSS, KEY, Guard, running
from tests.guard.gateway.talk import ask

API, PAGES = "/guard/api/approvals", "/guard/approvals"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def guard() -> Iterator[Guard]:
    """One with an empty log."""
    with running(FakeProvider()) as one:
        yield one


def asked(guard: Guard) -> Approval:
    """A request for Ann."""
    made = proposal("refund", ARGUMENTS, version="v1")
    return guard.runtime.approvals.request(Caller("assistant", user="ann", tenant="t1", key="a"), made)


def refused(guard: Guard) -> list[tuple[str, str, str, str]]:
    """Who was refused what about which approval, in the log."""
    entries = guard.recorder.of("request")
    assert {(e["outcome"], e["protocol"]) for e in entries} <= {("blocked", "approval")}
    return [
        (e["caller"]["user"], e["error"]["code"], e.get("approval", ""), str(e["error"]["status"])) for e in entries
    ]


def test_refusals_of_the_api_are_logged(guard: Guard) -> None:
    """Nobody, who may not decide, a decision that says nothing, an approval that isn't there, one that is closed."""
    one = asked(guard)
    assert ask(guard, {"answer": "allow"}, f"{API}/{one.id}", "wrong").status == 401
    assert ask(guard, {"answer": "allow"}, f"{API}/{one.id}", KEY).status == 403
    assert ask(guard, {"answer": "perhaps"}, f"{API}/{one.id}", BOSS).status == 400
    assert ask(guard, {"answer": "allow"}, f"{API}/{'x' * 5000}", BOSS).status == 404
    assert ask(guard, path=API, key=KEY, method="GET").status == 403
    assert ask(guard, {"answer": "deny"}, f"{API}/{one.id}", BOSS).status == 200
    assert ask(guard, {"answer": "allow"}, f"{API}/{one.id}", BOSS).status == 403
    assert refused(guard) == [
        ("", "invalid_api_key", one.id, "401"),
        ("ann", "role_missing", one.id, "403"),
        ("bo", "malformed_request", one.id, "400"),
        ("bo", "approval_not_found", "x" * 100, "404"),
        ("ann", "role_missing", "", "403"),
        ("bo", "approval_closed", one.id, "403"),
    ]


def test_refusals_of_the_page_are_logged(guard: Guard) -> None:
    """Keys that are wrong or may not decide, forged forms; a page that asks to sign in refuses nobody."""
    one = asked(guard)
    assert ask(guard, b"key=wrong", f"{PAGES}/sign-in", content_type=FORM).status == 401
    assert ask(guard, f"key={KEY}".encode(), f"{PAGES}/sign-in", content_type=FORM).status == 401
    assert ask(guard, path=PAGES, method="GET").status == 401
    cookie = (
        ask(guard, f"key={BOSS}".encode(), f"{PAGES}/sign-in", content_type=FORM).headers["set-cookie"].split(";")[0]
    )
    assert ask(guard, b"csrf=forged&answer=allow", f"{PAGES}/{one.id}", content_type=FORM, cookie=cookie).status == 403
    assert [row[:3] for row in refused(guard)] == [
        ("", "invalid_api_key", ""),
        ("ann", "role_missing", ""),
        ("bo", "csrf", one.id),
    ]


def test_a_refusal_that_cannot_be_logged_is_none(guard: Guard) -> None:
    """Nothing goes out that isn't in the log."""
    guard.recorder.broken = LedgerError("full")
    got = ask(guard, path=API, key=KEY, method="GET")
    assert (got.status, got.code) == (503, "log_unavailable")
