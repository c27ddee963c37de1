# SPDX-License-Identifier: Apache-2.0
"""What a person sees before agreeing, and that nothing in it can act."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bastide.errors import Denied, Malformed
from bastide.guard.approvals.book import Approval, State
from bastide.guard.approvals.browser import COOKIE, LASTS, BrowserSessions, form
from bastide.guard.approvals.page import headers, render_list, render_one, render_sign_in
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.approvals.visible import pieces
from tests.guard.approvals.build import ARGUMENTS, ASKER, BOSS, Clock, proposal

NOW = Clock().now
EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"


def asked(arguments: dict[str, Any] | None = None, tool: str = "refund") -> Approval:
    return ApprovalStore(clock=Clock()).request(ASKER, proposal(tool, arguments))


def one(approval: Approval, now: float = NOW + 30) -> str:
    return render_one(approval, viewer="acme/bea", now=now, csrf="token")


def text_of(page: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", page))


def test_everything_that_will_run() -> None:
    """Tool, each argument, the reason, where doubtful values come from, who asks, the time left, and two buttons."""
    text = text_of(page := one(asked({**ARGUMENTS, "lines": [{"n": 1}]})))
    for words in (
        "Run refund?",
        "payments",
        "A-17",
        "80",
        "DE02120300000000202051",
        '"n": 1',
        "comes from inbox",
        "ann",
        "acme",
        "14 min left",
        "f10",
    ):
        assert words in text
    assert page.count('name="answer"') == 2
    assert 'value="token"' in page


def test_an_argument_is_no_fact() -> None:
    """An argument that is called like one of the page's own lines stands among the arguments, and nowhere else."""
    page = one(asked({"tool": "harmless", "of the component": "own-bank", "agent": "nobody"}))
    facts, _, rest = page.partition('<dl class="arguments">')
    arguments, _, who = rest.partition("</dl>")
    for word in ("harmless", "own-bank", "nobody"):
        assert (word in facts, word in arguments, word in who) == (False, True, False)


def test_long_values_are_whole() -> None:
    """Nothing is cut: what stands at the end of a long text runs too."""
    assert "THE END" in one(asked({"body": "x" * 50_000 + "THE END"}))


def test_what_cannot_be_seen_is_shown() -> None:
    """Direction marks, zero-width characters, tag characters and odd spaces appear by their number."""
    page = one(asked({"to": "a\u202eb\u200bc\U000e0041d\u00a0e\u3164f", "k\u2066": 1}))
    for number in ("U+202E", "U+200B", "U+E0041", "U+00A0", "U+3164", "U+2066"):
        assert f">{number}</mark>" in page
    assert not set("\u202e\u200b\U000e0041\u3164\u2066") & set(page)
    assert list(pieces("a\n\tb \u00e9\u4e2d")) == [(False, "a\n\tb \u00e9\u4e2d")]


def test_inside_of_json_too() -> None:
    """Also in a nested argument, where JSON would hide it."""
    assert "U+202E" in one(asked({"o": {"to": ["x\u202ey"]}}))


@pytest.mark.parametrize("place", ["argument", "name", "tool", "reason", "note", "viewer", "message"])
def test_nothing_in_it_acts(place: str) -> None:
    """Markup anywhere is text."""
    approval = asked(
        {EVIL: 1} if place == "name" else {"a": EVIL if place == "argument" else 1},
        EVIL if place == "tool" else "refund",
    )
    if place == "reason":
        approval = replace(approval, reason=EVIL)
    if place == "note":
        approval = replace(approval, state=State.DENIED, note=EVIL, decided_by="bea")
    viewer, message = (EVIL if place == "viewer" else "bea"), (EVIL if place == "message" else "")
    one_page = render_one(approval, viewer=viewer, now=NOW, csrf="t", message=message)
    pages = [one_page, render_list([approval], viewer=viewer, now=NOW)]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
    assert any(
        "<script>alert(1)</script>" in text_of(page).replace("&lt;", "<") or "alert(1)" in page for page in pages
    )


def test_closed_ones_have_no_buttons() -> None:
    """Who comes too late sees what became of it."""
    approval = asked()
    assert 'name="answer"' not in one(approval, now=NOW + 901)
    closed = one(replace(approval, state=State.USED, decided_by="acme/bea", decided_at=NOW))
    assert 'name="answer"' not in closed
    assert "used by acme/bea" in text_of(closed)


def test_the_list() -> None:
    """It says how many wait, and nothing when none does."""
    assert "1 waiting" in text_of(render_list([asked()], viewer="bea", now=NOW))
    assert "Nothing waits for you" in render_list([], viewer="bea", now=NOW)
    assert 'type="password"' in render_sign_in()


def test_the_policy_of_the_page() -> None:
    """No script, no frame, no form to elsewhere, no copy in a cache; the style is the one that the policy names."""
    policy = headers()["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy + "script-src"
    assert headers()["cache-control"] == "no-store"
    assert "style=" not in one(asked())


def test_sessions() -> None:
    """A cookie signs in until it is over; another one nobody; a form's token is good for one approval in one session."""
    now = [0.0]
    sessions = BrowserSessions(lambda: now[0])
    cookie = sessions.start(BOSS, secure=True)
    assert all(mark in cookie for mark in ("HttpOnly", "SameSite=Strict", "Secure"))
    mine, other = {"cookie": cookie.split(";")[0]}, {"cookie": f"{COOKIE}=x"}
    assert sessions.caller(mine) == BOSS
    assert sessions.caller(other) is sessions.caller({}) is None
    token = sessions.csrf(mine, "apr_1")
    sessions.check_csrf(mine, "apr_1", token)
    for headers_, approval, given in (
        (other, "apr_1", token), (mine, "apr_2", token), (mine, "apr_1", ""), (mine, "apr_1", "\u00e9"),
        ({**mine, "sec-fetch-site": "cross-site"}, "apr_1", token),
    ):  # fmt: skip
        with pytest.raises(Denied):
            sessions.check_csrf(headers_, approval, given)
    now[0] = LASTS
    assert sessions.caller(mine) is None
    again = {"cookie": sessions.start(BOSS, secure=False).split(";")[0]}
    sessions.stop(again)
    assert sessions.caller(again) is None
    again = {"cookie": sessions.start(BOSS, secure=False).split(";")[0]}
    sessions.stop_all()
    assert sessions.caller(again) is None


def test_forms() -> None:
    """A form is read strictly."""
    assert form(b"answer=allow&note=a+b") == {"answer": "allow", "note": "a b"}
    for body in (b"a=1&a=2", b"\xff", b"x" * 20_000, b"&".join(b"f%d=1" % n for n in range(20)), b"nothing"):
        with pytest.raises(Malformed):
            form(body)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (375, False)])
def test_in_a_browser(browser: Any, tmp_path: Path, width: int, dark: bool) -> None:
    """On a desk, in the dark and on a phone nothing is cut off at the side."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    pages = {
        "one": one(asked({**ARGUMENTS, "note": "x" * 300})),
        "list": render_list([asked(), asked(None, "t" * 200)], viewer="b", now=NOW),
    }
    try:
        for name, page in pages.items():
            file = tmp_path / f"{name}.html"
            file.write_text(page, encoding="utf-8")
            browser.get(file.as_uri())
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            ink = browser.execute_script("return getComputedStyle(document.body).color")
            assert dark is (int(re.findall(r"\d+", ink)[0]) > 128)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
