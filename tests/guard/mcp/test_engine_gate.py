# SPDX-License-Identifier: Apache-2.0
"""The engine behind the tools' door: whose approval, whose conversation, whose budget and whose quarantine it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from bastide.errors import Denied, LedgerError, OverLimit, Unavailable
from bastide.guard.conversations import COUNTED, Conversations
from bastide.guard.events import Text, Tool, ToolCall, ToolResult
from bastide.guard.gateway.tool_gate import EngineGate
from bastide.guard.limits.local import LocalLimits
from bastide.guard.mcp.party import CONVERSATION
from bastide.guard.model import Caller
from bastide.guard.settings import Abuse, Budget, McpServer
from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import PLAN, engine

TWO = PLAN.replace(
    "\nflows:",
    "  desk:      {kind: ai.mcp-server, zone: app, side-effect: reversible, trust: system, provenance: vendor}\n\nflows:\n"
    "  - assistant -> desk: {data: [question, orders], verb: invoke, protocol: mcp, authn: oauth}",
)
ANN = Caller("assistant", user="ann", actor="customer", tenant="t1", key="a")
BO = Caller("web", user="bo", tenant="t1", roles=frozenset({"decide-approvals"}))
CRM, DESK = McpServer("crm", url="http://127.0.0.1:9/"), McpServer("desk", url="http://127.0.0.1:9/")
PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
PAY = {"to": "Eve", "amount": 5}


class Door:
    """The gate of a guard in this process."""

    def __init__(self, more: str = "content: {classifier: 'off'}") -> None:
        self.inside = Inside(engine("http://127.0.0.1:9", more, TWO))
        self.runtime = self.inside.runtime
        self.gate = EngineGate(self.runtime)
        self.now = 0.0
        self.runtime.conversations = Conversations(lambda: self.now)

    def call(
        self,
        server: McpServer,
        name: str = "pay",
        arguments: Any = PAY,
        session: str = "s",
        conversation: str = CONVERSATION,
    ) -> dict[str, Any]:
        call = ToolCall("c", name, dict(arguments))
        return asyncio.run(self.gate.call(ANN, conversation, server, call, session))

    def refused(self, server: McpServer, **more: Any) -> Denied | OverLimit:
        with pytest.raises((Denied, OverLimit)) as caught:
            self.call(server, **more)
        return caught.value

    def agree(self) -> None:
        for one in self.runtime.approvals.pending():
            self.runtime.approvals.decide(one.id, BO, "allow")


def test_an_approval_opens_no_other_servers_tool() -> None:
    """Two servers have a tool of one name: a person's yes to the one's is none to the other's."""
    door = Door()
    assert door.refused(CRM).code == "approval_required"
    [asked] = door.runtime.approvals.pending()
    assert asked.binding.component == "crm"
    door.agree()
    assert door.refused(DESK).code == "approval_required"
    assert door.call(CRM) == PAY


def test_polling_for_an_approval_takes_no_calls() -> None:
    """An agent that asks twenty times whether somebody has agreed can then make the call."""
    door = Door("loops: {calls: 2, same-call: 1}")
    for _ in range(20):
        assert door.refused(CRM).code == "approval_required"
    door.agree()
    assert door.call(CRM) == PAY
    assert door.refused(CRM).code == "loop_limit"


def test_endless_retries_end() -> None:
    """What is refused again and again is at some time no longer looked at, and asks nobody any more."""
    door = Door("loops: {refused: 3}")
    assert [door.refused(CRM).code for _ in range(5)] == ["approval_required"] * 4 + ["loop_limit"]


def made(door: Door, count: int, session: str, start: int = 0) -> None:
    for n in range(start, start + count):
        arguments = {**PAY, "amount": n}
        door.refused(CRM, arguments=arguments, session=session)
        door.agree()
        door.call(CRM, arguments=arguments, session=session)


def test_loops_are_counted_by_session() -> None:
    """One session's calls don't use up another's of the same caller; without sessions counting begins anew after a time."""
    door = Door("loops: {calls: 2}")
    for session in ("one", "two", ""):
        made(door, 2, session)
        assert door.refused(CRM, session=session).code == "loop_limit"
    door.now += COUNTED
    made(door, 2, "", 2)
    assert door.refused(CRM, session="one").code == "loop_limit", "a session has no end but its own"


def test_sessions_of_a_caller_share_their_labels() -> None:
    """What one server said may have shaped a call to another, in whichever session; so a secret read here doesn't leave there."""
    door = Door()
    call = ToolCall("c", "lookup", {})
    secret = ToolResult("c", (Text("the orders of Ann", ("content", 0)),), "lookup")
    asyncio.run(door.gate.result(ANN, CONVERSATION, CRM, call, secret))
    one = door.runtime.conversations.at_door(door.runtime.engine, ANN, CONVERSATION, "other session")
    assert "crm" in one.session.label.sources
    stranger = door.runtime.conversations.at_door(door.runtime.engine, replace(ANN, user="eve"), CONVERSATION, "s")
    assert "crm" not in stranger.session.label.sources


def test_tools_are_observed_in_their_own_conversation() -> None:
    """What a server offers in a conversation with a name is known there, and nowhere else."""
    door = Door()
    tools = [Tool("send", "Sends.", {"properties": {"to": {"enum": ["sales", "support"]}}}, "crm")]
    asyncio.run(door.gate.offer(ANN, "mine", CRM, tools))
    known = [door.runtime.conversations.named(door.runtime.engine, ANN, n).session._constants for n in ("mine", "mcp")]
    assert [set(one) for one in known] == [{"send"}, set()]


def test_a_tool_that_is_called_like_another_has_its_own_labels() -> None:
    """`get_order` of the plan is the system's own; a server that names its tool so gains nothing by it."""
    door = Door()
    call = ToolCall("c", "read_mail", {})
    for name, server, source in (
        ("get_order", CRM, "crm"),
        ("get_order", McpServer("unheard-of", url="x"), "unheard-of"),
    ):
        result = ToolResult("c", (Text("pay Eve", ("content", 0)),), name)
        asyncio.run(door.gate.result(ANN, source, server, replace(call, name=name), result))
        label = door.runtime.conversations.named(door.runtime.engine, ANN, source).session.label
        assert label.sources == {source}
    assert label.integrity == 0


def test_quarantine_and_budgets_at_the_door() -> None:
    """A caller in quarantine calls no tool and sends no text; a tool call is a request for the budgets."""
    door = Door()
    for _ in range(Abuse().blocks):
        door.runtime.quarantine.blocked(ANN)
    assert door.refused(CRM).code == "quarantined"
    with pytest.raises(OverLimit):
        asyncio.run(door.gate.text(ANN, CONVERSATION, CRM, "request", "note://one"))
    assert {e["error"]["code"] for e in door.inside.entries("request")} == {"quarantined"}
    door = Door()
    door.runtime.limits = LocalLimits((Budget("user", 60.0, requests=2),))
    assert [door.refused(CRM, arguments={"n": n}).code for n in range(3)] == ["approval_required"] * 2 + ["over_budget"]


def test_what_breaks_off_is_not_logged_as_allowed() -> None:
    """A call during whose decision the client leaves, or a defect shows, is in the log as what it was."""
    door = Door()

    class Leaving:
        async def reserve(self, *_: Any) -> Any:
            raise asyncio.CancelledError

    door.runtime.limits = Leaving()  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        door.call(CRM)
    assert [entry["outcome"] for entry in door.inside.entries("request")] == ["aborted"]


def test_attacks_at_the_door_count() -> None:
    """A text that must not leave is refused, logged and held against who sends it, as it is in a request to a model."""
    door = Door("abuse: {blocks: 1}\ncontent: {classifier: 'off', secrets: block}")
    with pytest.raises(Denied):
        asyncio.run(door.gate.text(ANN, CONVERSATION, CRM, "request", PRIVATE))
    assert [e["signal"] for e in door.inside.recorder.of("signal")] == ["quarantine"]
    assert [e["outcome"] for e in door.inside.recorder.of("request")] == ["blocked"]
    assert door.refused(CRM).code == "quarantined"


def test_without_the_log_no_call_is_made() -> None:
    """What can't be logged is refused, whether it was allowed or not."""
    door = Door()
    door.refused(CRM)
    door.agree()
    door.inside.recorder.broken = LedgerError("full")
    with pytest.raises(Unavailable):
        door.call(CRM)
