# SPDX-License-Identifier: Apache-2.0
"""The guard as middleware of LangChain 1.x agents (LangGraph).

::

    guard = Guard.from_plan("bastide.yaml")
    session = guard.session(agent="assistant", user="ann", actor="customer")
    agent = create_agent(model, tools, middleware=[GuardMiddleware(session)])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from bastide.errors import Denied
from bastide.guard.conversation import CallDecision
from bastide.guard.events import Role, Tool
from bastide.guard.hooks.transcript import Heard, Transcript
from bastide.guard.library import Ask, Session

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse, ToolCallRequest
    from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
    from langchain_core.tools import BaseTool
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from langgraph.types import Command, interrupt
except ImportError as problem:
    raise ImportError("this hook needs LangChain 1.x: pip install 'langchain>=1.0' 'langgraph>=1.0'") from problem

_M = TypeVar("_M", bound=BaseMessage)
Result = ToolMessage | Command[Any]
_ROLES = {"system": Role.SYSTEM, "human": Role.USER, "ai": Role.ASSISTANT, "tool": Role.TOOL}
_CALLS = frozenset({"tool_use", "tool_call", "function_call"})
"""Blocks of the model's own messages that are calls: decided where they would be run."""
_ARGUMENTS = frozenset({"args", "arguments", "input"})
_SILENT = frozenset({"reasoning", "thinking", "redacted_thinking"})
"""Blocks of the model's own messages that say nothing to anybody."""


class GuardMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Tells a session what the model reads, decides each tool call before it runs, and checks results and answers.

    A refused call isn't run: the model gets a `ToolMessage` with `status="error"` and the reason. Put it last in the list of
    middleware, so that nothing changes a call after it was decided.
    """

    def __init__(self, session: Session | Callable[[Any], Session], *, interrupts: bool = False) -> None:
        """session: of the conversation; or a function that finds it by the runtime, for an agent that serves many conversations.

        interrupts: calls that need a person interrupt the graph (which needs a checkpointer) with a description of the call; resumed
        with `Command(resume=True)` the call is made, with anything else it is refused. Otherwise the session's `ask` is asked.
        """
        super().__init__()
        self.tools = []
        self._session = session
        self._ask: Ask | None = _interrupted if interrupts else None
        self._transcripts: WeakKeyDictionary[Session, Transcript] = WeakKeyDictionary()
        self._tools: dict[int, tuple[BaseTool, Tool]] = {}

    @contextmanager
    def child(self, agent: str, runtime: Any = None) -> Iterator[GuardMiddleware]:
        """The middleware of a sub-agent that a tool runs; at the end, what it has seen counts for this one. Raises `Denied`, `OverLimit`."""
        above = self._transcript(runtime)
        with above.lock:
            session = above.session.child(agent)
        try:
            yield GuardMiddleware(session, interrupts=self._ask is not None)
        finally:
            with above.lock:
                above.session.join(session)

    # What the model reads and answers

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Raises `Denied` when something that the model would read is an attack, or its answer must not go out."""
        transcript = self._transcript(request.runtime)
        return _released(transcript, handler(self._read(transcript, request)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`."""
        transcript = self._transcript(request.runtime)
        return _released(transcript, await handler(self._read(transcript, request)))

    # What the model proposes

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]) -> Result:
        """Runs the call when it is allowed. Raises `OverLimit` when the agent goes in circles."""
        transcript = self._transcript(request.runtime)
        decision = self._decide(transcript, request)
        if not decision.allowed:
            return _refused(transcript, decision)
        return _checked(transcript, decision, handler(_as_decided(request, decision)))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """As `wrap_tool_call`. An `ask` that waits for a person holds up the event loop; `interrupts` doesn't."""
        transcript = self._transcript(request.runtime)
        decision = self._decide(transcript, request)
        if not decision.allowed:
            return _refused(transcript, decision)
        return _checked(transcript, decision, await handler(_as_decided(request, decision)))

    def _transcript(self, runtime: Any) -> Transcript:
        session = self._session if isinstance(self._session, Session) else self._session(runtime)
        # Atomic: two threads get the same one.
        return self._transcripts.setdefault(session, Transcript(session))

    def _read(self, transcript: Transcript, request: ModelRequest[Any]) -> ModelRequest[Any]:
        with transcript.lock:
            transcript.session.tools([self._described(tool) for tool in request.tools])
            system = _heard(transcript, request.system_message) if request.system_message is not None else None
            return request.override(system_message=system, messages=[_heard(transcript, m) for m in request.messages])

    def _described(self, tool: BaseTool | dict[str, Any]) -> Tool:
        if isinstance(tool, BaseTool):
            known = self._tools.get(id(tool))
            if known is None or known[0] is not tool:
                known = self._tools[id(tool)] = (tool, _tool(convert_to_openai_tool(tool)))
            return known[1]
        if "function" not in tool:
            kind = str(tool.get("type", "?"))[:80]
            raise Denied(f"`{kind}` runs at the model's provider, where no guard sees its calls", code="not_understood")
        return _tool(tool)

    def _decide(self, transcript: Transcript, request: ToolCallRequest) -> CallDecision:
        call = request.tool_call
        with transcript.lock:
            return transcript.session.call(call["name"], call["args"], call["id"] or "", ask=self._ask)


def _tool(described: dict[str, Any]) -> Tool:
    function = described["function"]
    return Tool(str(function["name"]), str(function.get("description") or ""), function.get("parameters"))


def _interrupted(decision: CallDecision) -> bool:
    """Stops the graph until a person has decided; the graph runs the same call again then."""
    call = decision.call
    shown = {"type": "approval", "tool": call.name, "arguments": call.arguments, "reason": decision.ruling.reason}
    return interrupt(shown) is True


def _as_decided(request: ToolCallRequest, decision: CallDecision) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": decision.call.arguments or {}})


def _refused(transcript: Transcript, decision: CallDecision) -> ToolMessage:
    call = decision.call
    text = transcript.refused(call, decision.ruling.reason)
    return ToolMessage(text, tool_call_id=call.id, name=call.name, status="error")


def _checked(transcript: Transcript, decision: CallDecision, result: Result) -> Result:
    """What a tool answered, as the model may have it."""
    if isinstance(result, ToolMessage):
        return _checked_message(transcript, decision, result)
    update = result.update
    messages = update.get("messages") if isinstance(update, dict) else None
    if not isinstance(update, dict) or not isinstance(messages, list):
        return result
    checked = [_checked_message(transcript, decision, m) if isinstance(m, ToolMessage) else m for m in messages]
    return Command(graph=result.graph, update={**update, "messages": checked}, resume=result.resume, goto=result.goto)


def _checked_message(transcript: Transcript, decision: CallDecision, message: ToolMessage) -> ToolMessage:
    name = decision.call.name

    def passed(text: str) -> str:
        return transcript.result(Heard(Role.TOOL, text, message.tool_call_id, name))

    try:
        content = _mapped(transcript, message, passed)
    except Denied as problem:
        text = transcript.refused(decision.call, str(problem))
        return message.model_copy(update={"content": text, "status": "error", "name": name})
    return message.model_copy(update={"content": content, "name": name})


def _heard(transcript: Transcript, message: _M) -> _M:
    """A message of the history as the model may have it."""
    role = _ROLES.get(message.type)
    if role is None:
        raise Denied(f"a message of the type `{message.type[:80]}` isn't understood", code="not_understood")
    call_id = message.tool_call_id if isinstance(message, ToolMessage) else ""
    name = (message.name or "") if isinstance(message, ToolMessage) else ""
    content = _mapped(transcript, message, lambda text: transcript.heard(Heard(role, text, call_id, name)))
    changes = {} if content == message.content else {"content": content}
    if isinstance(message, AIMessage):
        changes |= _calls(transcript, message)
    return message.model_copy(update=changes) if changes else message


def _calls(transcript: Transcript, message: AIMessage) -> dict[str, Any]:
    """What changes of a message when the arguments of its calls are as the model may have them."""
    found: dict[str, list[Any]] = {
        "tool_calls": list(message.tool_calls), "invalid_tool_calls": list(message.invalid_tool_calls)
    }  # fmt: skip
    passed = {name: [{**c, "args": transcript.called(c["args"])} for c in calls] for name, calls in found.items()}
    if passed == found:
        return {}
    # The provider's own form of the calls would tell what was taken out.
    rest = {k: v for k, v in message.additional_kwargs.items() if k not in ("tool_calls", "function_call")}
    return {**passed, "additional_kwargs": rest}


def _released(transcript: Transcript, response: ModelResponse[Any]) -> ModelResponse[Any]:
    """The model's answer as it may go out."""
    for message in response.result:
        if isinstance(message, AIMessage):
            blocks = message.content if isinstance(message.content, list) else []
            own = [b for b in blocks if isinstance(b, dict) and b.get("type") in _CALLS]
            transcript.proposed([own, message.tool_calls, message.invalid_tool_calls])
    checked = [
        m.model_copy(update={"content": _mapped(transcript, m, transcript.answer)}) if isinstance(m, AIMessage) else m
        for m in response.result
    ]
    return ModelResponse(result=checked, structured_response=response.structured_response)


def _mapped(transcript: Transcript, message: BaseMessage, passed: Callable[[str], str]) -> Any:
    """The content with each of its texts passed through a check."""
    content = message.content
    if isinstance(content, str):
        return passed(content) if content else content
    return [_block(transcript, message, block, passed) for block in content]


def _block(transcript: Transcript, message: BaseMessage, block: Any, passed: Callable[[str], str]) -> Any:
    if isinstance(block, str):
        return passed(block)
    if isinstance(block.get("text"), str):
        return {**block, "text": passed(block["text"])}
    kind = str(block.get("type", "?"))
    if message.type == "ai" and kind in _CALLS:
        return {k: transcript.called(v) if k in _ARGUMENTS else v for k, v in block.items()}
    if not (message.type == "ai" and kind in _SILENT):
        transcript.opaque(kind, _ROLES[message.type])
    return block
