# SPDX-License-Identifier: Apache-2.0
"""What a framework shows of a conversation, told to a `Session` once.

Frameworks hand over the whole history with each step. What the session knows already is recognised by a digest, costs no scan and is
not observed twice; what is new is scanned and labelled, also when the framework has shortened or reordered what came before.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from threading import RLock
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bastide.errors import Denied, LimitError
from bastide.guard.content.strings import mapped, strings
from bastide.guard.events import Opaque, Role, Text, ToolCall, ToolResult, Turn
from bastide.guard.library import Session
from bastide.guard.model import Outcome
from bastide.guard.reading import Reading

_MEDIA = frozenset({"image", "image_url", "input_image", "audio", "input_audio", "video", "file", "input_file"})


class Heard(Struct, frozen=True):
    """One message, or one part of it, as a framework has it."""

    role: Role
    text: str
    call_id: str = ""
    """Of a tool's result: the call it answers."""
    name: str = ""
    """Of a tool's result: the tool."""


class Transcript:
    """A session and what it has been told. Frameworks run tools in threads, and a session isn't thread-safe: hold `lock`."""

    def __init__(self, session: Session) -> None:
        """A session that has been told nothing through this transcript yet."""
        self.session = session
        self.lock = RLock()
        self._passed: dict[bytes, str] = {}

    def heard(self, message: Heard) -> str:
        """The message's text as the model may have it. Raises `Denied` when it is an attack or can't be scanned."""
        with self.lock:
            key = _key(message)
            if key not in self._passed:
                self._keep(message, self._observed(message))
            return self._passed[key]

    def called(self, arguments: Any) -> Any:
        """The arguments of a call in the history as the model may have them. Raises `Denied`."""
        try:
            return mapped(arguments, lambda text: self.heard(Heard(Role.ASSISTANT, text)))
        except LimitError as bound:
            raise Denied(f"a call in the history can't be scanned: {bound}", code="unscanned") from None

    def proposed(self, arguments: Any) -> None:
        """The model has written these arguments of a call: as they are, they may come back in the history."""
        with self.lock, suppress(LimitError):
            for text in strings(arguments):
                self._passed.setdefault(_key(Heard(Role.ASSISTANT, text)), text)

    def opaque(self, type: str, role: Role) -> None:
        """Something that can't be read as text. Raises `Denied`, unless the settings let it through unscanned."""
        with self.lock:
            part = Opaque(type, type in _MEDIA)
            conversation = self.session.conversation
            conversation.watched = True
            Reading(conversation).opaque(part, role.value)
            conversation.session.observe(Turn(role, (part,)))

    def result(self, message: Heard, component: str = "") -> str:
        """What a call came to, as the model may have it. Recognised when the history brings it back, in either form."""
        with self.lock:
            checked = _result(self.session, message, component)
            self._keep(message, checked)
            return checked

    def known(self, message: Heard) -> None:
        """A message that the session has been told of by other means: it isn't observed again."""
        with self.lock:
            self._keep(message, message.text)

    def refused(self, call: ToolCall, reason: str) -> str:
        """The text that tells the model why a call was refused: the guard's own words, so no tool's result."""
        text = refusal(reason)
        self.known(Heard(Role.TOOL, text, call.id, call.name))
        return text

    def answer(self, text: str) -> str:
        """An answer as it may go out. Raises `Denied`."""
        with self.lock:
            # Checked before it is heard: an answer must not vouch for the links in it.
            released = self.session.answer(text)
            self.session.assistant(released)
            said = Heard(Role.ASSISTANT, text)
            self._passed[_key(said)] = text
            if released != text:
                # What was put back for people is taken out again, when the history returns, by the text that the model wrote.
                self._passed[_key(replace(said, text=released))] = text
            return released

    def _keep(self, message: Heard, checked: str) -> None:
        self._passed[_key(message)] = checked
        self._passed.setdefault(_key(replace(message, text=checked)), checked)

    def _observed(self, message: Heard) -> str:
        if message.role is Role.TOOL:
            return _result(self.session, message)
        verdict = self.session.conversation.say(message.role, message.text)
        return verdict.text if verdict.outcome is Outcome.REDACT and verdict.text is not None else message.text


def refusal(reason: str) -> str:
    """What the model is told of a call that isn't made."""
    return f"Refused by the guard: {reason}"


def _result(session: Session, message: Heard, component: str = "") -> str:
    content = (Text(message.text, ("content",)),)
    result = ToolResult(message.call_id, content, message.name)
    checked, _ = session.conversation.result(result, component)
    [part] = checked.content
    return part.text if isinstance(part, Text) else ""


def _key(message: Heard) -> bytes:
    # Not the call: some frameworks don't tell it with the result, but do in the history.
    whole = f"{message.role.value}\0{message.text}"
    return blake2b(whole.encode("utf-8", "replace"), digest_size=16).digest()
