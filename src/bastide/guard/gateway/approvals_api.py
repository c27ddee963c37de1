# SPDX-License-Identifier: Apache-2.0
"""Where people decide about calls that need them: a page for browsers and an API for programs, over the same store."""

from __future__ import annotations

import json
import time
from typing import Any, Literal, cast

from bastide.errors import Denied, GuardError, Malformed, NotFound, Unauthenticated
from bastide.guard.approvals.book import Approval, approval_json, who
from bastide.guard.approvals.browser import check_site, form
from bastide.guard.approvals.page import headers, render_list, render_one, render_sign_in
from bastide.guard.approvals.store import DECIDER
from bastide.guard.gateway.asgi import JSON, respond
from bastide.guard.gateway.exchange import Exchange
from bastide.guard.gateway.trace import Trace
from bastide.guard.model import Caller
from bastide.guard.protocol.wire import decode

PAGES, API = "/guard/approvals", "/guard/api/approvals"
SIGN_IN, SIGN_OUT = f"{PAGES}/sign-in", f"{PAGES}/sign-out"
PROTOCOL = "approval"
"""Under which the log has what happens here."""
_ID = 100
"""Characters of an approval's id that are logged, whatever stands in the path."""
Answer = Literal["allow", "deny"]


async def handle(exchange: Exchange) -> None:
    """Answers a request below one of the two paths. Who is refused is in the log, as those who decide are."""
    path = exchange.scope["path"].rstrip("/")
    with exchange.logged(PROTOCOL) as trace:
        if path == API or path.startswith(f"{API}/"):
            await _api(exchange, trace, path.removeprefix(API).lstrip("/"))
        elif path == SIGN_IN and exchange.scope["method"] == "POST":
            await _sign_in(exchange)
        elif path == SIGN_OUT and exchange.scope["method"] == "POST":
            check_site(exchange.headers)
            exchange.runtime.browsers.stop(exchange.headers)
            await _see(exchange, PAGES)
        elif path == PAGES or path.startswith(f"{PAGES}/"):
            await _page(exchange, trace, path.removeprefix(PAGES).lstrip("/"))
        else:
            raise NotFound("there is no such page")


async def _api(exchange: Exchange, trace: Trace, id: str) -> None:
    store, method = exchange.runtime.approvals, exchange.scope["method"]
    trace.approval_id = id[:_ID]
    trace.caller = caller = await exchange.caller()
    if method == "GET" and not id:
        await _json(exchange, {"approvals": [approval_json(a) for a in store.pending(_decider(caller))]})
    elif method == "GET":
        await _json(exchange, approval_json(store.get(id, _decider(caller))))
    elif method == "POST" and id:
        said = decode(await exchange.body())
        if not isinstance(said, dict) or said.get("answer") not in ("allow", "deny"):
            raise Malformed('say {"answer": "allow"} or {"answer": "deny"}, with a "note" if you like')
        await _json(
            exchange, approval_json(await _decide(exchange, caller, id, said["answer"], str(said.get("note", ""))))
        )
    else:
        raise NotFound("approvals are listed and shown with GET and decided with POST")


async def _page(exchange: Exchange, trace: Trace, id: str) -> None:
    runtime, store = exchange.runtime, exchange.runtime.approvals
    caller = runtime.browsers.caller(exchange.headers)
    if caller is None:
        await _html(exchange, render_sign_in(), 401)
        return
    trace.caller, trace.approval_id = caller, id[:_ID]
    message, status = "", 200
    if exchange.scope["method"] == "POST" and id:
        fields = form(await exchange.body())
        runtime.browsers.check_csrf(exchange.headers, id, fields.get("csrf", ""))
        if fields.get("answer") not in ("allow", "deny"):
            raise Malformed("the form says neither allow nor deny")
        try:
            with exchange.logged(PROTOCOL) as refused:
                refused.caller, refused.approval_id = caller, id[:_ID]
                await _decide(exchange, caller, id, cast(Answer, fields["answer"]), fields.get("note", ""))
            # So that loading the page again, or going back, sends no form again.
            await _see(exchange, f"{PAGES}/{id}")
            return
        except GuardError as refusal:
            message, status = str(refusal), refusal.status
    viewer, now = who(caller), time.time()
    if id:
        approval = store.get(id, caller)
        csrf = runtime.browsers.csrf(exchange.headers, id)
        await _html(exchange, render_one(approval, viewer=viewer, now=now, csrf=csrf, message=message), status)
    else:
        await _html(exchange, render_list(store.pending(caller), viewer=viewer, now=now))


async def _sign_in(exchange: Exchange) -> None:
    """A decider's key, once, for a cookie that no script can read."""
    check_site(exchange.headers)
    key = form(await exchange.body()).get("key", "")
    try:
        with exchange.logged(PROTOCOL) as refused:
            presented = {"authorization": f"Bearer {key}"}
            refused.caller = await exchange.runtime.authenticator.authenticate(presented, exchange.peer)
            caller = _decider(refused.caller)
    except (Unauthenticated, Denied) as refusal:
        await _html(exchange, render_sign_in(str(refusal)), 401)
        return
    cookie = exchange.runtime.browsers.start(caller, secure=exchange.scope.get("scheme") == "https")
    await _see(exchange, PAGES, (b"set-cookie", cookie.encode()))


async def _decide(exchange: Exchange, caller: Caller, id: str, answer: Answer, note: str) -> Approval:
    runtime, decider = exchange.runtime, _decider(caller)

    def log(decided: Approval) -> None:
        trace = Trace(exchange.id, PROTOCOL, runtime.engine.version)
        trace.caller = decider
        trace.approval(decided)
        runtime.record(trace.take())

    return runtime.approvals.decide(id, decider, answer, note, log)


def _decider(caller: Caller) -> Caller:
    if DECIDER not in caller.roles:
        raise Denied(f"this needs the role `{DECIDER}`", code="role_missing")
    return caller


async def _see(exchange: Exchange, path: str, *more: tuple[bytes, bytes]) -> None:
    """Sends the browser to a page of these."""
    await respond(exchange.send, 303, b"", [(b"location", path.encode()), (b"cache-control", b"no-store"), *more])


async def _json(exchange: Exchange, document: Any) -> None:
    # Arguments may hold numbers and half characters that stricter encoders refuse; people still have to see them.
    await respond(exchange.send, 200, json.dumps(document).encode(), JSON)


async def _html(exchange: Exchange, page: str, status: int = 200) -> None:
    sent = [(k.encode(), v.encode()) for k, v in headers().items()]
    await respond(exchange.send, status, page.encode("utf-8", "replace"), sent)
