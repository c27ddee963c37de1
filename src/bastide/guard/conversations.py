# SPDX-License-Identifier: Apache-2.0
"""Finds the conversation to which a request belongs, and remembers which calls the guard has let a model propose.

A client may name its conversation (`x-bastide-conversation`); then labels hold even when it rewrites the history. Else a request belongs to the
conversation whose messages it begins with. Conversations of different callers never meet.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from bastide.errors import NotFound
from bastide.guard.conversation import Conversation
from bastide.guard.engine import Engine
from bastide.guard.events import Request, ToolCall
from bastide.guard.model import Caller, Label, Ruling

KEPT, IDLE = 10_000, 3600.0
"""Conversations, and seconds without a request after which one is forgotten."""
PROPOSAL_LIFE = 600.0
COUNTED = 600.0
"""Seconds after which the calls of a caller without conversation or session are counted anew."""
Who = tuple[str, str, str]


def who(caller: Caller) -> Who:
    """Whose conversations may be the same."""
    return caller.agent, caller.user, caller.tenant


class Conversations:
    """The conversations of one guard."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Conversation]] = OrderedDict()
        self._memories: dict[str, Label] = {}
        self._proposals: OrderedDict[bytes, tuple[float, Ruling]] = OrderedDict()

    def named(self, engine: Engine, caller: Caller, name: str) -> Conversation:
        """The conversation of a name; a new one when there is none, or when the policy has changed since."""
        key = _digest(*who(caller), "name", name)
        found = self._get(key, engine)
        if found is None:
            found = Conversation(engine, caller, memories=self._memories)
            self._put(key, found)
        found.caller = caller
        return found

    def at_door(self, engine: Engine, caller: Caller, name: str, session: str) -> Conversation:
        """The conversation of a name, as one of its sessions has it: all of them have seen the same, each counts its own calls.

        session: '' where there are none; then calls are counted anew every ten minutes.
        """
        whole = self.named(engine, caller, name)
        key = _digest(*who(caller), "session", name, session or f"at {int(self._clock() // COUNTED)}")
        found = self._get(key, engine)
        if found is None or found.session is not whole.session:
            found = whole.beside()
            self._put(key, found)
        found.caller, found.watched = caller, whole.watched
        return found

    def of(
        self, engine: Engine, caller: Caller, name: str, request: Request, marks: Mapping[int, bytes]
    ) -> Conversation:
        """The conversation of a request; marks: the digest of each of its turns, by the `id` of the turn."""
        if name:
            return self.named(engine, caller, name)
        if request.previous:
            return self._stored(engine, caller, request.previous)
        found = None
        keys = _prefixes(caller, [marks[id(turn)] for turn in request.turns])
        # The longest history that was seen before; the last message is new.
        for key in reversed(keys[:-1]):
            found = self._get(key, engine)
            if found is not None:
                del self._kept[key]
                break
        found = found or Conversation(engine, caller, memories=self._memories)
        found.caller = caller
        if keys:
            self._put(keys[-1], found)
        return found

    def _stored(self, engine: Engine, caller: Caller, id: str) -> Conversation:
        found = self._get(_digest(*who(caller), "name", f"response:{id}"), engine)
        if found is None:
            # The provider would go on from texts about which nothing is known here.
            raise NotFound(
                "this guard doesn't know that response any more (or another caller's); send the whole conversation instead",
                code="previous_response_not_found",
            )
        found.caller = caller
        return found

    def answered(self, conversation: Conversation, reply_id: str) -> None:
        """A stored response can be gone on from by its id."""
        if reply_id:
            self._put(_digest(*who(conversation.caller), "name", f"response:{reply_id}"), conversation)

    # Calls that were decided with the whole conversation in view, so that the tool's own door needn't guess

    def proposed(self, caller: Caller, call: ToolCall, ruling: Ruling) -> None:
        """The guard let a model propose this call, by this ruling."""
        self._proposals[_call(caller, call)] = (self._clock(), ruling)
        while len(self._proposals) > KEPT:
            self._proposals.popitem(last=False)

    def redeem(self, caller: Caller, call: ToolCall, version: str) -> Ruling | None:
        """The ruling by which exactly this call was proposed lately under this policy; it counts once."""
        at, ruling = self._proposals.pop(_call(caller, call), (0.0, None))
        return ruling if ruling and ruling.version == version and self._clock() - at <= PROPOSAL_LIFE else None

    def _get(self, key: bytes, engine: Engine) -> Conversation | None:
        found = self._kept.get(key)
        if found is None:
            return None
        at, conversation = found
        if self._clock() - at > IDLE or conversation.engine is not engine:
            # Labels are indexes into what an engine means; after a reload the history is read anew.
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        self._kept[key] = (self._clock(), conversation)
        return conversation

    def _put(self, key: bytes, conversation: Conversation) -> None:
        self._kept[key] = (self._clock(), conversation)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _digest(*parts: str) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _prefixes(caller: Caller, marks: Sequence[bytes]) -> list[bytes]:
    """A key for each beginning of a history."""
    keys, last = [], _digest(*who(caller), "turns")
    for mark in marks:
        last = blake2b(last + mark, digest_size=16).digest()
        keys.append(last)
    return keys


def _call(caller: Caller, call: ToolCall) -> bytes:
    arguments = msgspec.json.encode(call.arguments, order="deterministic").decode("utf-8", "replace")
    return _digest(*who(caller), call.name, arguments)
