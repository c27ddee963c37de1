# SPDX-License-Identifier: Apache-2.0
"""The guard around agents of the OpenAI Agents SDK (`openai-agents` 0.24).

::

    guard = Guard.from_plan("bastide.yaml")
    agent = guarded(agent, guard.session(agent="assistant", user="ann", actor="customer"))
    result = await Runner.run(agent, "Refund order 1001")

Function tools are wrapped, since hooks of a run can't prevent a call and guardrails of tools can't change its arguments.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bastide.errors import Denied, GuardError, OverLimit, UsageError
from bastide.guard.events import Role, Tool, ToolCall
from bastide.guard.hooks.server import ServerGuard
from bastide.guard.hooks.transcript import Heard, Transcript
from bastide.guard.library import Session

try:
    from agents import (
        Agent,
        AgentHooks,
        FunctionTool,
        GuardrailFunctionOutput,
        Handoff,
        InputGuardrail,
        OutputGuardrail,
        RunContextWrapper,
        handoff,
    )
    from agents.mcp import MCPServer
    from agents.tool_context import ToolContext
    from mcp import types
except ImportError as problem:
    raise ImportError("this hook needs the OpenAI Agents SDK: pip install 'openai-agents>=0.24'") from problem

_ROLES = {r.value: r for r in (Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT)}
_SILENT = frozenset({"reasoning", "item_reference"})


def guarded(agent: Agent[Any], session: Session | Transcript) -> Agent[Any]:
    """A copy of the agent whose reading, calls, handoffs, MCP servers and answers go through the session.

    An MCP server's `name` is that of its component in the plan, and a handoff's target that of the agent's. Raises `UsageError` for
    tools whose calls can't be prevented from here: those that run at the provider, and agents as tools that aren't guarded themselves.
    """
    transcript = session if isinstance(session, Transcript) else Transcript(session)
    return agent.clone(
        tools=[_tool(transcript, tool) for tool in agent.tools],
        mcp_servers=[GuardedServer(server, transcript) for server in agent.mcp_servers],
        handoffs=[_handoff(transcript, target) for target in agent.handoffs],
        hooks=_Hooks(transcript, agent.hooks),
        input_guardrails=[_input(transcript), *agent.input_guardrails],
        output_guardrails=[*agent.output_guardrails, _output(transcript)],
    )


def released(result: Any) -> str:
    """A run's answer as it may go out: with redactions undone."""
    return next(
        (str(one.output.output_info) for one in result.output_guardrail_results if one.guardrail.name == _NAME),
        str(result.final_output),
    )


_NAME = "bastide"


class _Hooks(AgentHooks[Any]):
    """Reads what goes to the model, before it goes; then does what the agent's own hooks do."""

    def __init__(self, transcript: Transcript, own: AgentHooks[Any] | None) -> None:
        self.transcript = transcript
        self._own = own

    async def on_llm_start(
        self, context: RunContextWrapper[Any], agent: Agent[Any], system_prompt: str | None, input_items: list[Any]
    ) -> None:
        """Raises `Denied` when it is an attack."""
        if system_prompt:
            self.transcript.heard(Heard(Role.SYSTEM, system_prompt))
        _read(self.transcript, input_items)
        if self._own is not None:
            await self._own.on_llm_start(context, agent, system_prompt, input_items)

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__").get("_own")
        if own is not None and name.startswith("on_") and name != "on_llm_start":
            return getattr(own, name)
        return object.__getattribute__(self, name)


class GuardedServer(MCPServer):
    """An MCP server's tools, each call decided before the server hears of it."""

    def __init__(self, server: MCPServer, transcript: Transcript) -> None:
        super().__init__()
        # Whatever the SDK's own settings of the server are, approvals among them.
        self.__dict__.update({k: v for k, v in server.__dict__.items() if k in self.__dict__})
        self._server = server
        self._guard = ServerGuard(transcript, server.name)

    @property
    def name(self) -> str:
        """The server's."""
        return self._server.name

    async def connect(self) -> None:
        """Connects the server."""
        await self._server.connect()  # type: ignore[no-untyped-call]  # untyped in the SDK

    async def cleanup(self) -> None:
        """Ends the server."""
        await self._server.cleanup()  # type: ignore[no-untyped-call]  # untyped in the SDK

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[types.Tool]:
        """Without those that changed, pose as others or give orders. Raises `Denied`."""
        listed = await self._server.list_tools(run_context, agent)
        offered = self._guard.listed([_dumped(tool) for tool in listed])
        return [tool for tool in listed if tool.name in offered]

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> types.CallToolResult:
        """A refused call is a result with the reason. Raises `OverLimit`."""
        call = ToolCall("", tool_name, arguments or {})
        try:
            call = self._guard.decide(tool_name, arguments).call
            result = await self._server.call_tool(tool_name, call.arguments, meta)
            return types.CallToolResult.model_validate(self._guard.result(call, _dumped(result)))
        except OverLimit:
            raise
        except GuardError as problem:
            return types.CallToolResult.model_validate(self._guard.refused(call, problem))

    async def list_prompts(self) -> types.ListPromptsResult:
        """None: a server's prompts aren't offered."""
        return types.ListPromptsResult(prompts=[])

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> types.GetPromptResult:
        """A prompt, attacks cut out."""
        found = await self._server.get_prompt(name, arguments)
        return types.GetPromptResult.model_validate(self._guard.document("prompt", _dumped(found)))


def _tool(transcript: Transcript, tool: Any) -> Any:
    if not isinstance(tool, FunctionTool):
        raise UsageError(f"calls of `{getattr(tool, 'name', tool)}` can't be guarded: it is no function tool")
    inner = tool._agent_instance
    if inner is not None and not isinstance(inner.hooks, _Hooks):
        raise UsageError(f"the agent behind the tool `{tool.name}` has to be guarded itself, with `session.child(...)`")
    transcript.session.tools([Tool(tool.name, tool.description, tool.params_json_schema)])

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        transcript.proposed(_object(arguments))
        with transcript.lock:
            decision = transcript.session.call(tool.name, _object(arguments), context.tool_call_id)
        if not decision.allowed:
            return transcript.refused(decision.call, decision.ruling.reason)
        result = await tool.on_invoke_tool(context, json.dumps(decision.call.arguments))
        if inner is not None:
            with transcript.lock:
                transcript.session.join(inner.hooks.transcript.session)
        try:
            return _checked(transcript, decision.call, result)
        except Denied as problem:
            return transcript.refused(decision.call, str(problem))

    return replace(tool, on_invoke_tool=invoke)


def _checked(transcript: Transcript, call: ToolCall, result: Any) -> Any:
    """A tool's result as the model may have it."""
    if isinstance(result, list):
        return [_checked(transcript, call, one) for one in result]
    dumped = _dumped(result) if hasattr(result, "model_dump") else result
    if isinstance(dumped, dict) and dumped.get("type") in ("image", "file"):
        transcript.opaque(str(dumped["type"]), Role.TOOL)
        return result
    if isinstance(dumped, dict) and isinstance(dumped.get("text"), str) and dumped.get("type") == "text":
        return {"type": "text", "text": transcript.result(Heard(Role.TOOL, dumped["text"], call.id, call.name))}
    return transcript.result(Heard(Role.TOOL, str(result), call.id, call.name))


def _handoff(transcript: Transcript, target: Agent[Any] | Handoff[Any, Any]) -> Handoff[Any, Any]:
    """Offered while the policy lets work go there; the SDK has no way to refuse one and go on, so a refused one ends the run."""
    made = handoff(target) if isinstance(target, Agent) else target

    async def invoke(context: RunContextWrapper[Any], arguments: str) -> Agent[Any]:
        with transcript.lock:
            child = transcript.session.child(made.agent_name)
        return guarded(await made.on_invoke_handoff(context, arguments), child)

    return replace(made, on_invoke_handoff=invoke)


def _input(transcript: Transcript) -> InputGuardrail[Any]:
    async def check(_: RunContextWrapper[Any], __: Agent[Any], said: Any) -> GuardrailFunctionOutput:
        try:
            _read(transcript, [{"role": "user", "content": said}] if isinstance(said, str) else said)
        except Denied as problem:
            return GuardrailFunctionOutput(str(problem), tripwire_triggered=True)
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    return InputGuardrail(check, _NAME, run_in_parallel=False)


def _output(transcript: Transcript) -> OutputGuardrail[Any]:
    """Stops answers that must not go out as they are; the SDK can't change them."""

    async def check(_: RunContextWrapper[Any], __: Agent[Any], output: Any) -> GuardrailFunctionOutput:
        text = output if isinstance(output, str) else json.dumps(output, default=_plain)
        with transcript.lock:
            scanner = transcript.session.conversation.answering()
            out = scanner.push(text) + scanner.finish()
        stopped = scanner.blocked or (out != text and bool(scanner.verdict.detections))
        why = f"the answer was stopped: {scanner.verdict.reason}"
        return GuardrailFunctionOutput(why if stopped else out, tripwire_triggered=stopped)

    return OutputGuardrail(check, _NAME)


def _read(transcript: Transcript, items: list[Any]) -> None:
    """The items of a history. Raises `Denied`."""
    names = {i.get("call_id"): str(i.get("name")) for i in items if i.get("type") == "function_call"}
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call_output":
            call_id = str(item.get("call_id"))
            for text in _texts(transcript, item.get("output"), Role.TOOL):
                transcript.heard(Heard(Role.TOOL, text, call_id, names.get(call_id, "")))
        elif kind == "message" and item.get("role") in _ROLES:
            role = _ROLES[item["role"]]
            for text in _texts(transcript, item.get("content"), role):
                transcript.heard(Heard(role, text))
        elif kind == "function_call":
            # The SDK lets no hook change what the model reads, so what would be redacted can only be said.
            transcript.called(_object(str(item.get("arguments") or "")) or str(item.get("arguments")))
        elif kind not in _SILENT:
            raise Denied(f"`{str(kind)[:80]}` in the history isn't understood", code="not_understood")


def _texts(transcript: Transcript, content: Any, role: Role) -> list[str]:
    if isinstance(content, str):
        return [content]
    found = []
    for block in content or ():
        text = block.get("text", block.get("refusal"))
        if isinstance(text, str):
            found.append(text)
        else:
            transcript.opaque(str(block.get("type", "?")), role)
    return found


def _object(arguments: str) -> dict[str, Any] | None:
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _plain(value: Any) -> Any:
    return _dumped(value) if hasattr(value, "model_dump") else str(value)


def _dumped(model: Any) -> dict[str, Any]:
    document: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document
