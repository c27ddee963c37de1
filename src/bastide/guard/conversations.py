# SPDX-License-Identifier: Apache-2.0
"""Finds the conversation to which a request belongs, and remembers which calls the guard has let a model propose.

A client may name its conversation (`x-bastide-conversation`); then labels hold even when it rewrites the history. Else a request belongs to the
conversation whose messages it begins with. Conversations of different callers never meet; another key, scope, clearance or purpose is another
caller.

What is kept is bounded in bytes. When there is too much, whoever has most loses first, so nobody can push out another's. Of a conversation
with a name its label and counters stay when it goes; when there are too many of those, too, the caller's further names begin with
the label of all that it lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec
from msgspec import Struct

from bastide.errors import Malformed, NotFound
from bastide.guard.conversation import Conversation
from bastide.guard.engine import Engine
from bastide.guard.events import Request, ToolCall
from bastide.guard.limits.loops import LoopGuard
from bastide.guard.model import Caller, Label, Ruling
from bastide.guard.settings import Bounds

HEADER = "x-bastide-conversation"
LONGEST = 256
"""Characters of a name."""
IDLE = 3600.0
"""Seconds without a request after which a conversation goes."""
PROPOSALS, PROPOSAL_LIFE = 10_000, 600.0
COUNTED = 600.0
"""Seconds after which the calls of a caller without conversation or session are counted anew."""
EACH, PER_CHARACTER, PER_KEY, PER_CALL = 8192, 5, 150, 200
"""Bytes, about, of an empty conversation, of a character in it, of a further key, of a remembered call; measured with tracemalloc."""
PAST = 600
"""Bytes, about, of what stays of one."""
FLOORS = 10_000
"""Callers of whom it is remembered what the forgotten had seen; beyond, it is so for all callers together."""


def name_in(headers: Mapping[str, str]) -> str:
    """The client's name for its conversation, '' without one. Raises `Malformed`."""
    name = headers.get(HEADER, "")
    if len(name) > LONGEST or not name.isprintable():
        raise Malformed(f"`{HEADER}` is a name of at most {LONGEST} printable characters")
    return name


@lru_cache(4096)
def who(caller: Caller) -> str:
    """Whose conversations may be the same: everything that is known of a caller, since the policy looks at it."""
    return blake2b(msgspec.json.encode(caller, order="deterministic"), digest_size=16).hexdigest()


class _Held(Struct, eq=False):
    """A conversation, and under what it is found."""

    whose: str
    conversation: Conversation
    keys: list[bytes]
    name: bytes
    """The key of which something stays when it goes; b"" for none."""
    at: float
    whole: bool = True
    """Whether it has its texts to itself."""
    weight: int = 0


class _Past(Struct, frozen=True):
    """What stays of a conversation with a name."""

    whose: str
    label: Label
    watched: bool
    loops: LoopGuard
    at: float
    weight: int


class Conversations:
    """The conversations of one guard."""

    def __init__(self, clock: Callable[[], float], memories: MutableMapping[str, Label] | None = None) -> None:
        """clock: seconds, monotonic; memories: labels of what memories hold."""
        self._clock = clock
        self._memories: MutableMapping[str, Label] = {} if memories is None else memories
        self._by_key: dict[bytes, _Held] = {}
        self._by_id: dict[int, _Held] = {}
        self._held: OrderedDict[_Held, None] = OrderedDict()
        self._touched: list[_Held] = []
        """Those whose weight may have changed since it was taken."""
        self._past: OrderedDict[bytes, _Past] = OrderedDict()
        self._floors: OrderedDict[str, tuple[float, Label]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self.size = 0
        """Bytes, about, of all that is kept."""
        self._proposals: OrderedDict[bytes, tuple[float, Ruling]] = OrderedDict()

    def named(self, engine: Engine, caller: Caller, name: str) -> Conversation:
        """The conversation of a name; a new one goes on from what stayed of the last of that name."""
        self._tidy(engine.settings.bounds)
        whose = who(caller)
        key = _digest(whose, "name", name)
        found = self._get(key, engine)
        if found is None:
            found = self._new(engine, caller)
            past = self._recall(key)
            if past is None:
                found.session.label = found.session.label.join(self._floor(whose))
            else:
                found.session.label, found.watched = past.label, past.watched
                found.loops = past.loops.under(engine.settings.loops)
            self._hold(whose, found, key, name=key)
        return found

    def at_door(self, engine: Engine, caller: Caller, name: str, session: str) -> Conversation:
        """The conversation of a name, as one of its sessions has it: all of them have seen the same, each counts its own calls.

        session: '' where there are none; then calls are counted anew every ten minutes.
        """
        whole = self.named(engine, caller, name)
        whose = who(caller)
        key = _digest(whose, "session", name, session or f"at {int(self._clock() // COUNTED)}")
        found = self._get(key, engine)
        if found is None or found.session is not whole.session:
            before = found.loops if found else past.loops if (past := self._recall(key)) else None
            found = whole.beside()
            if before is not None:
                found.loops = before.under(engine.settings.loops)
            self._hold(whose, found, key, name=key, whole=False)
        found.watched = whole.watched
        return found

    def of(
        self, engine: Engine, caller: Caller, name: str, request: Request, marks: Mapping[int, bytes]
    ) -> Conversation:
        """The conversation of a request; marks: the digest of each of its turns, by the `id` of the turn."""
        whose = who(caller)
        if name:
            found = self.named(engine, caller, name)
            if request.previous and (stored := self._stored(engine, whose, request.previous)) is not found:
                # A name hides nothing: the provider goes on from what that response had seen.
                found.session.absorb(stored.session)
            return found
        self._tidy(engine.settings.bounds)
        if request.previous:
            return self._stored(engine, whose, request.previous)
        known = None
        keys = _prefixes(whose, [marks[id(turn)] for turn in request.turns])
        # The longest history that was seen before; the last message is new.
        for key in reversed(keys[:-1]):
            known = self._get(key, engine)
            if known is not None:
                held = self._by_key.pop(key)
                held.keys.remove(key)
                break
        found = known or self._new(engine, caller)
        if keys:
            self._hold(whose, found, keys[-1])
        return found

    def aside(self, engine: Engine, caller: Caller, name: str) -> Conversation:
        """The conversation for a request that no model answers: that of the name, or one that nothing goes on from.

        Such a request repeats the history of a conversation without being a turn of it, so what is held must not take it for one.
        """
        return self.named(engine, caller, name) if name else self._new(engine, caller)

    def _stored(self, engine: Engine, whose: str, id: str) -> Conversation:
        found = self._get(_digest(whose, "response", id), engine)
        if found is None:
            # The provider would go on from texts about which nothing is known here.
            raise NotFound(
                "this guard doesn't know that response any more (or another caller's); send the whole conversation instead",
                code="previous_response_not_found",
            )
        return found

    def answered(self, conversation: Conversation, reply_id: str) -> None:
        """A stored response can be gone on from by its id."""
        if reply_id:
            whose = who(conversation.caller)
            self._hold(whose, conversation, _digest(whose, "response", reply_id))

    # What is kept

    def _new(self, engine: Engine, caller: Caller) -> Conversation:
        return Conversation(engine, caller, memories=self._memories)

    def _get(self, key: bytes, engine: Engine) -> Conversation | None:
        held = self._by_key.get(key)
        if held is None:
            return None
        now = self._clock()
        if now - held.at > IDLE or held.conversation.engine is not engine:
            # After a reload other things hold: the history is read anew, or what stays of a name is taken over.
            self._drop(held)
            return None
        held.at = now
        self._held.move_to_end(held)
        self._touched.append(held)
        return held.conversation

    def _hold(
        self, whose: str, conversation: Conversation, key: bytes, name: bytes = b"", *, whole: bool = True
    ) -> None:
        held = self._by_id.get(id(conversation))
        if held is None:
            held = self._by_id[id(conversation)] = _Held(whose, conversation, [], name, self._clock(), whole)
            self._held[held] = None
        other = self._by_key.get(key)
        if other is not held:
            if other is not None:
                self._drop(other)
            held.keys.append(key)
            self._by_key[key] = held
        held.at = self._clock()
        self._held.move_to_end(held)
        self._touched.append(held)

    def _drop(self, held: _Held) -> None:
        """It goes; what stays of a name is its label, whether the guard had heard it, and its counters."""
        del self._held[held]
        del self._by_id[id(held.conversation)]
        for key in held.keys:
            del self._by_key[key]
        self._charge(held.whose, -held.weight)
        held.weight = 0
        if held.name:
            self._recall(held.name)
            of = held.conversation
            weight = PAST + PER_CALL * len(of.loops)
            self._past[held.name] = _Past(held.whose, of.session.label, of.watched, of.loops, self._clock(), weight)
            self._charge(held.whose, weight)

    def _recall(self, key: bytes) -> _Past | None:
        past = self._past.pop(key, None)
        if past is not None:
            self._charge(past.whose, -past.weight)
        return past

    def _floor(self, whose: str) -> Label:
        """What a conversation of this caller may have seen of which nothing stays."""
        floors = (self._floors.get(one, _NONE)[1] for one in (whose, ""))
        return next(floors).join(next(floors))

    def _sink(self, whose: str, label: Label) -> None:
        _, before = self._floors.pop(whose, _NONE)
        self._floors[whose] = (self._clock(), before.join(label))
        if whose and len(self._floors) > FLOORS:
            oldest = next(one for one in self._floors if one)
            self._sink("", self._floors.pop(oldest)[1])

    def _charge(self, whose: str, weight: int) -> None:
        self.size += weight
        size = self._sizes.get(whose, 0) + weight
        if size:
            self._sizes[whose] = size
        else:
            self._sizes.pop(whose, None)

    def _tidy(self, bounds: Bounds) -> None:
        """Weighs what may have grown, lets go what is old, and what is too much."""
        for held in self._touched:
            if held in self._held:
                weight = _weight(held)
                self._charge(held.whose, weight - held.weight)
                held.weight = weight
        self._touched.clear()
        now = self._clock()
        while self._held and now - (oldest := next(iter(self._held))).at > IDLE:
            self._drop(oldest)
        while self._past and now - self._past[key := next(iter(self._past))].at > bounds.remember:
            self._recall(key)
        while self._floors and now - next(iter(self._floors.values()))[0] > bounds.remember:
            self._floors.popitem(last=False)
        if self.size > bounds.conversations:
            self._trim(bounds.conversations * 7 // 8)

    def _trim(self, target: int) -> None:
        """Makes everybody's share so small that all together fit; who has less than the share loses nothing."""
        share = _share(self._sizes.values(), target)
        for held in list(self._held):
            if self._sizes.get(held.whose, 0) > share:
                self._drop(held)
        for key, past in list(self._past.items()):
            if self._sizes.get(past.whose, 0) > share:
                self._recall(key)
                self._sink(past.whose, past.label)

    # Calls that were decided with the whole conversation in view, so that the tool's own door needn't guess

    def proposed(self, caller: Caller, call: ToolCall, ruling: Ruling, component: str = "") -> None:
        """The guard let a model propose this call of a tool of this component, by this ruling."""
        self._proposals[_call(caller, component, call)] = (self._clock(), ruling)
        while len(self._proposals) > PROPOSALS:
            self._proposals.popitem(last=False)

    def redeem(self, caller: Caller, call: ToolCall, version: str, component: str = "") -> Ruling | None:
        """The ruling by which exactly this call was proposed lately under this policy; it counts once."""
        at, ruling = self._proposals.pop(_call(caller, component, call), (0.0, None))
        return ruling if ruling and ruling.version == version and self._clock() - at <= PROPOSAL_LIFE else None


_NONE = (0.0, Label())


def _weight(held: _Held) -> int:
    of = held.conversation
    # Sessions of one conversation at the tools' door share its texts.
    whole = EACH + PER_CHARACTER * of.session.size if held.whole else EACH // 4
    return whole + PER_KEY * len(held.keys) + PER_CALL * len(of.loops)


def _share(sizes: Iterable[int], target: int) -> float:
    """The size to which the largest have to come down, so that all together are within the target (max-min fairness)."""
    ordered = sorted(sizes)
    left: float = target
    for i, size in enumerate(ordered):
        share = left / (len(ordered) - i)
        if size > share:
            return share
        left -= size
    return float("inf")


def _digest(*parts: str) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _prefixes(whose: str, marks: Sequence[bytes]) -> list[bytes]:
    """A key for each beginning of a history."""
    keys, last = [], _digest(whose, "turns")
    for mark in marks:
        last = blake2b(last + mark, digest_size=16).digest()
        keys.append(last)
    return keys


def _call(caller: Caller, component: str, call: ToolCall) -> bytes:
    arguments = msgspec.json.encode(call.arguments, order="deterministic").decode("utf-8", "replace")
    return _digest(who(caller), component, call.name, arguments)
