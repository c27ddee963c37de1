# SPDX-License-Identifier: Apache-2.0
"""What servers answer, judged by method; and what clients and servers say they can, cut down to what is guarded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bastide.errors import GuardError
from bastide.guard.events import Tool, ToolCall
from bastide.guard.mcp.content import tool_result, written
from bastide.guard.mcp.gate import Incident, TextKind
from bastide.guard.mcp.messages import ASKS, HANDSHAKE, VERSIONS, invalid, unsupported
from bastide.guard.mcp.party import Party
from bastide.guard.mcp.pins import PINNED

REFUSAL_META = "bastide/refusal"
"""Key in `_meta` of a refused call's result: what a program needs to know about it."""
KINDS: Mapping[str, TextKind] = {"roots": "roots", "sampling": "sampling", "elicitation": "elicitation"}
_ANSWER_KINDS: Mapping[str, TextKind] = {
    "resources/read": "resource",
    "prompts/get": "prompt",
    "completion/complete": "completion",
}
_SERVER_CAPABILITIES = frozenset({"tools", "resources", "prompts", "completions", "logging"})
_ASKING_KEYS = frozenset({"resultType", "inputRequests", "requestState", "_meta"})
_PLAIN = frozenset({"nextCursor", "resultType", "ttlMs", "cacheScope", "requestState"})
"""Members of results that are for programs; the names and addresses in listings are judged like every text."""


def refused_call(problem: GuardError) -> dict[str, Any]:
    """The result of a tool call that was refused: a text for the model, and `_meta` for programs.

    An error of the transport would end the agent's run, or be hidden from the model; a result with `isError` is what MCP has for this.
    `structuredContent` stays out: it would have to fit the tool's own schema.
    """
    details: dict[str, Any] = {"code": problem.code, "message": str(problem), **problem.details}
    if problem.retry_after:
        details["retry_after"] = problem.retry_after
    text = f"Refused by the guard: {problem}"
    if approval := problem.details.get("approval"):
        text += f" (approval {approval})"
    # `resultType` is demanded since 2026-07-28, and ignored before.
    return {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "resultType": "complete",
        "_meta": {REFUSAL_META: details},
    }


def client_capabilities(stated: Any, party: Party) -> dict[str, Any]:
    """What the client says it can, without what the server may not ask for; so an honest server doesn't ask."""
    stated = stated if isinstance(stated, dict) else {}
    return {key: value for key, value in stated.items() if key in ASKS.values() and party.allows(key)}


async def initialized(body: dict[str, Any], party: Party) -> dict[str, Any]:
    """The answer to `initialize`."""
    if body.get("protocolVersion") not in HANDSHAKE:
        raise unsupported(body.get("protocolVersion"))
    return await _introduction(body, party)


async def _introduction(body: dict[str, Any], party: Party) -> dict[str, Any]:
    made = dict(body)
    stated = made.pop("capabilities", None)
    text = made.pop("instructions", None) or ""
    made = dict(await party.texts("listing", made))
    made["capabilities"] = {k: v for k, v in _object(stated).items() if k in _SERVER_CAPABILITIES}
    if not isinstance(text, str):
        raise invalid("`instructions` is a text")
    if incident := party.book.instructions(party.server.component, text):
        await party.incident(incident)
    elif text:
        # What people reviewed and pinned needs no judging, and is no untrusted text in the conversation.
        reviewed = party.book.reviewed(party.server.component)
        made["instructions"] = text if reviewed else await party.text("instructions", text)
    return made


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


async def judged(body: dict[str, Any], method: str, call: ToolCall | None, party: Party) -> dict[str, Any]:
    """A result as the client may have it. Raises a `GuardError` when it may not have it."""
    kind = body.get("resultType", "complete")
    if kind == "input_required":
        return await _more_input(body, party)
    if kind != "complete":
        raise await party.refuse(Incident("unscanned", method, "a kind of result that the guard doesn't know"))
    if call is not None:
        before = tool_result(call, body)
        after = await party.gate.result(party.caller, party.conversation, party.server, call, before)
        return written(body, before, after)
    if method == "tools/list":
        return await _tools(body, party)
    if method == "server/discover":
        made = await _introduction(body, party)
        made["supportedVersions"] = [v for v in made.get("supportedVersions", []) if v in VERSIONS]
        return made
    plain = {key: value for key, value in body.items() if key in _PLAIN}
    rest = {key: value for key, value in body.items() if key not in _PLAIN}
    return {**await party.texts(_ANSWER_KINDS.get(method, "listing"), rest), **plain}


async def _more_input(body: dict[str, Any], party: Party) -> dict[str, Any]:
    """The stateless form of a server's question: the client answers it by calling again."""
    if not body.keys() <= _ASKING_KEYS:
        raise invalid("the guard does not know what this result asks for")
    asked = body.get("inputRequests") or {}
    if not isinstance(asked, dict):
        raise invalid("`inputRequests` is an object")
    judged_requests = {}
    for key, request in asked.items():
        method = request.get("method") if isinstance(request, dict) else None
        ask = ASKS.get(method) if isinstance(method, str) else None
        if ask is None or not party.allows(ask):
            why = f"the server asked the client for {ask or 'something unknown'}, which the settings don't allow"
            raise await party.refuse(Incident("unscanned", str(method)[:200], why))
        judged_requests[key] = {**request, "params": await party.texts(KINDS[ask], request.get("params") or {})}
    return {**body, "inputRequests": judged_requests} if asked else body


async def _tools(body: dict[str, Any], party: Party) -> dict[str, Any]:
    listed = body.get("tools")
    if not isinstance(listed, list):
        raise invalid("`tools` is a list")
    allowed, incidents = party.book.judge(party.server.component, party.owner, listed)
    for incident in incidents:
        await party.incident(incident)
    described = [
        Tool(t["name"], str(t.get("description") or ""), t.get("inputSchema"), party.server.component) for t in allowed
    ]
    offered = {tool.name for tool in await party.gate.offer(party.caller, party.conversation, party.server, described)}
    tools = [made for tool in allowed if tool["name"] in offered and (made := await _described(tool, party))]
    return {**{key: value for key, value in body.items() if key in _PLAIN}, "tools": tools}


async def _described(tool: dict[str, Any], party: Party) -> dict[str, Any] | None:
    """The tool without pictures, its texts judged; None when one of them may not pass."""
    shown = {key: value for key, value in tool.items() if key not in ("icons", "_meta")}
    if party.book.reviewed(party.server.component):
        # People read exactly these texts; what their digest doesn't cover stays out.
        return {key: value for key, value in shown.items() if key in PINNED}
    try:
        made: dict[str, Any] = await party.texts("listing", shown)
    except GuardError as problem:
        await party.incident(Incident("hidden", tool["name"], str(problem)))
        return None
    # A name is an address; a changed one would lead nowhere.
    return {**made, "name": tool["name"]}
