# SPDX-License-Identifier: Apache-2.0
"""Deciding on a running guard: by the API, in a browser, and against people who try to have others decide for them."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from bastide.errors import LedgerError
from bastide.guard.approvals.book import Approval, State
from bastide.guard.approvals.canonical import digest
from bastide.guard.model import Caller
from tests.guard.approvals.build import ARGUMENTS, Decision, proposal
from tests.guard.gateway.fake import FakeProvider
from tests.guard.gateway.running import BOSS, KEY, Guard, running
from tests.guard.gateway.talk import Got, ask
from tests.guard.gateway.test_attack_meaning import EVIL as EVIL_MAIL
from tests.guard.gateway.test_attack_meaning import REFUND, calls, make
from tests.guard.gateway.test_models import IBAN, after_mail, completion

PAGES, API = "/guard/approvals", "/guard/api/approvals"
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{7*7}}\u202e"
ANN = Caller("assistant", user="ann", tenant="t1", key="a")
BO = Caller("web", user="bo", tenant="t1", roles=frozenset({"decide-approvals"}))


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    with running(FakeProvider()) as one:
        yield one


def asked(guard: Guard, n: int = 0, tool: str = "refund", **more: Any) -> Approval:
    """A request of the assistant's for Ann."""
    made: Decision = proposal(tool, {**ARGUMENTS, "n": n, **more}, version="v1")
    return guard.runtime.approvals.request(ANN, made)


class Browser(NamedTuple):
    """Signed in, as far as HTTP knows."""

    guard: Guard
    cookie: str

    def get(self, path: str) -> Got:
        """A page."""
        return self._send("GET", path, b"")

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Got:
        """A form."""
        return self._send("POST", path, urlencode(fields).encode(), **headers)

    def _send(self, method: str, path: str, body: bytes, **headers: str) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.guard.port, timeout=20)
        try:
            sent = {"cookie": self.cookie, "content-type": "application/x-www-form-urlencoded"}
            connection.request(method, path, body, sent | {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def sign_in(guard: Guard, key: str = BOSS, **headers: str) -> Got:
    return Browser(guard, "").post(f"{PAGES}/sign-in", {"key": key}, **headers)


def signed_in(guard: Guard) -> Browser:
    return Browser(guard, sign_in(guard).headers["set-cookie"].split(";")[0])


def token(page: Got) -> str:
    found = re.search(rb'name="csrf" value="([0-9a-f]+)"', page.body)
    assert found
    return found[1].decode()


def logged(guard: Guard, id: str) -> list[tuple[str, str]]:
    return [(e["answer"], e["decided_by"]) for e in guard.recorder.of("approval") if e["approval"] == id]


def test_the_log_and_the_decision(guard: Guard) -> None:
    """Who may not decide is not logged as having decided; when the log fails, the approval is not in force until it was written."""
    one = asked(guard, 1)
    assert ask(guard, {"answer": "allow"}, f"{API}/{one.id}", KEY).status == 403
    assert logged(guard, one.id) == []
    guard.recorder.broken = LedgerError("full")
    assert ask(guard, {"answer": "allow"}, f"{API}/{one.id}", BOSS).status == 503
    guard.recorder.broken = None
    assert guard.runtime.approvals.consume(one.binding) is None
    got = ask(guard, {"answer": "allow"}, f"{API}/{one.id}", BOSS)
    assert (got.status, got.code) == (403, "approval_closed")
    assert logged(guard, one.id) == [("allow", "t1/bo")]
    assert guard.runtime.approvals.consume(one.binding) is not None


def test_a_decision_on_the_page(guard: Guard) -> None:
    """A form decides once; afterwards the browser is on a page that shows it and sends nothing again."""
    one, browser = asked(guard, 2), signed_in(guard)
    page = browser.get(f"{PAGES}/{one.id}")
    fields = {"csrf": token(page), "answer": "allow", "note": "checked"}
    first = browser.post(f"{PAGES}/{one.id}", fields)
    assert (first.status, first.headers["location"]) == (303, f"{PAGES}/{one.id}")
    shown = browser.get(first.headers["location"]).body
    assert b"approved by t1/bo" in shown
    assert b'name="answer"' not in shown
    again = browser.post(f"{PAGES}/{one.id}", {**fields, "answer": "deny"})
    assert again.status == 403
    assert b"approved already" in again.body
    assert logged(guard, one.id) == [("allow", "t1/bo")]


@pytest.mark.parametrize("how", ["no token", "another's token", "another site", "no session", "signed out", "reloaded"])
def test_forged_forms(guard: Guard, how: str) -> None:
    """A form that doesn't come from this page, in this session, about this request, decides nothing."""
    one, other, browser = asked(guard, 3), asked(guard, 4), signed_in(guard)
    fields = {"csrf": token(browser.get(f"{PAGES}/{one.id}")), "answer": "allow"}
    headers = {}
    if how == "no token":
        del fields["csrf"]
    elif how == "another's token":
        fields["csrf"] = token(browser.get(f"{PAGES}/{other.id}"))
    elif how == "another site":
        headers = {"sec-fetch-site": "cross-site"}
    elif how == "no session":
        browser = Browser(guard, "")
    elif how == "signed out":
        assert browser.post(f"{PAGES}/sign-out", {}).status == 303
    else:
        assert ask(guard, path="/guard/api/reload", key=BOSS).status == 200
    assert browser.post(f"{PAGES}/{one.id}", fields, **headers).status in (401, 403)
    assert guard.runtime.approvals.get(one.id).state is State.PENDING


def test_signing_in(guard: Guard) -> None:
    """Only with a decider's key, from this guard's own page; the cookie is out of reach of scripts and of other sites."""
    got = sign_in(guard)
    assert all(mark in got.headers["set-cookie"] for mark in ("HttpOnly", "SameSite=Strict", "Path=/guard/approvals"))
    assert sign_in(guard, KEY).status == sign_in(guard, "bst_wrong").status == 401
    assert sign_in(guard, sec_fetch_site="cross-site").status == 403
    assert "set-cookie" not in sign_in(guard, KEY).headers


def test_every_page_forbids_frames(guard: Guard) -> None:
    """Also the ones that refuse: no page can be put under another's buttons."""
    one, browser = asked(guard, 5), signed_in(guard)
    pages = [browser.get(PAGES), browser.get(f"{PAGES}/{one.id}"), Browser(guard, "").get(PAGES), sign_in(guard, KEY)]
    pages.append(browser.post(f"{PAGES}/{one.id}", {"csrf": token(pages[1]), "answer": "deny"}))
    pages.append(browser.post(f"{PAGES}/{one.id}", {"csrf": token(pages[1]), "answer": "deny"}))
    for page in pages:
        if page.status != 303:
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
            assert page.headers["x-frame-options"] == "DENY"


@pytest.mark.browser
def test_in_chromium(guard: Guard, browser: Any, tmp_path: Path) -> None:
    """Signing in, reading what will run, a hostile call, two clicks, going back, a frame, and one that is too late."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def click(css: str) -> None:
        browser.find_element(By.CSS_SELECTOR, css).click()

    def says(words: str) -> bool:
        def there(_: Any) -> bool:
            try:
                return words in browser.find_element(By.TAG_NAME, "body").text
            except WebDriverException:
                return False

        # Between two pages there is none.
        return bool(WebDriverWait(browser, 10, 0.02).until(there, words))

    evil = asked(guard, 6, tool=EVIL, body=EVIL, **{EVIL: EVIL})
    good, late = asked(guard, 7), asked(guard, 8)
    browser.get(guard.url + PAGES)
    browser.find_element(By.NAME, "key").send_keys(BOSS)
    click("button.yes")
    assert says("waiting for a decision")
    assert browser.execute_script("return document.cookie") == "", "out of reach of scripts"
    for page in (PAGES, f"{PAGES}/{evil.id}"):
        browser.get(guard.url + page)
        assert browser.title != "owned"
        assert says("<script>document.title")
        assert browser.execute_script("return document.scripts.length + document.images.length") == 0
    browser.get(f"{guard.url}{PAGES}/{good.id}")
    browser.find_element(By.ID, "note").send_keys("checked")
    # Two clicks in the same moment: one decision.
    browser.execute_script("const b = document.querySelector('button.yes'); b.click(); b.click();")
    assert says("approved by t1/bo")
    assert logged(guard, good.id) == [("allow", "t1/bo")]
    browser.back()
    browser.refresh()
    assert says("approved by t1/bo")
    assert not browser.find_elements(By.NAME, "answer")
    browser.get(f"{guard.url}{PAGES}/{late.id}")
    guard.runtime.approvals.decide(late.id, BO, "deny", "too late")
    click("button.yes")
    assert says("denied already")
    framed(browser, guard, tmp_path)


def framed(browser: Any, guard: Guard, tmp_path: Path) -> None:
    """A page of somebody else's that shows this one in a frame shows nothing."""
    page = tmp_path / "frame.html"
    page.write_text(f'<iframe id="f" src="{guard.url}{PAGES}"></iframe>', encoding="utf-8")
    browser.get(page.as_uri())
    browser.switch_to.frame("f")
    inside = browser.execute_script("return document.documentElement.innerText")
    browser.switch_to.default_content()
    assert "waiting" not in inside
    assert "Sign in" not in inside


def test_who_may_not_see(guard: Guard) -> None:
    """Without the role not even the list; another tenant's is as unknown as one that never was."""
    assert ask(guard, None, API, KEY, "GET").status == 403
    other = guard.runtime.approvals.request(replace(ANN, tenant="t2"), proposal())
    for id in (other.id, "apr_" + "0" * 24):
        got = ask(guard, None, f"{API}/{id}", BOSS, "GET")
        assert (got.status, got.code) == (404, "approval_not_found")
    listed = json.loads(ask(guard, None, API, BOSS, "GET").body)["approvals"]
    assert {one["tenant"] for one in listed} <= {"t1"}


def test_what_is_shown_is_what_will_run() -> None:
    """The model only knows a placeholder; people see, and agree to, the value that would be sent, and exactly it is."""
    guard = make("content: {classifier: 'off', personal: redact}")
    tainted = after_mail(EVIL_MAIL)
    calls(guard, tainted, completion("Let me see."))
    sent = json.loads(guard.upstreams.asked[-1].body)["messages"]
    [placeholder] = set(re.findall(r"<[A-Z_]*IBAN[A-Z_]*\d*>|\[[^\]]*iban[^\]]*\]", str(sent), re.IGNORECASE))
    assert IBAN not in str(sent)
    wish = [("refund", {**REFUND, "iban": placeholder})]
    assert calls(guard, tainted, wish) == []
    [pending] = guard.runtime.approvals.pending()
    assert pending.arguments == REFUND
    assert pending.binding.arguments == digest(REFUND)
    guard.runtime.approvals.decide(pending.id, BO, "allow")
    assert calls(guard, tainted, wish) == [("refund", REFUND)]
    chained = [{k: v for k, v in entry.items() if k != "content"} for entry in guard.recorder.entries]
    assert IBAN not in json.dumps(chained), "what is in the chain can't be erased, so nobody's data are in it"
