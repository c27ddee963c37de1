# SPDX-License-Identifier: Apache-2.0
"""Sessions of handshake revisions: the guard's own ids, each bound to the caller that it was given to.

The server's id never reaches a client, so one that leaks is worth nothing, and a client can't claim another's. Source: MCP, "Security Best
Practices: Session Hijacking".
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import takewhile

from msgspec import Struct, field
from msgspec.structs import replace

from bastide.errors import NotFound, OverLimit
from bastide.guard.mcp.book import Owner
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.mediator import Mediator
from bastide.guard.mcp.party import CONVERSATION, Party

MAX_SESSIONS = 20_000
MAX_OWNED = 200
"""Sessions of one caller."""
MAX_STREAMS = 16
"""Streams of one session that are open at a time."""
EVENTS = 2000
"""Ids of events of one session that are remembered."""
IDLE = 3600.0
"""Seconds without a message after which a session is forgotten."""


class Session(Struct, eq=False):
    """One client's session at one server."""

    id: str
    upstream: str
    """The server's id of it."""
    owner: Owner
    component: str
    mediator: Mediator
    used: float
    """When it was last used, by the clock of `Sessions`."""
    streams: int = 0
    """Streams that are open; a session with one is not idle."""
    events: deque[bytes] = field(default_factory=lambda: deque(maxlen=EVENTS))
    """Ids of the latest events that the client got. From no others it may take up a stream: servers could give it somebody else's."""


class Sessions:
    """All sessions, bounded in number and time."""

    def __init__(self, clock: Callable[[], float], closed: Callable[[Session], None]) -> None:
        """closed: told of every session that ends."""
        self._clock = clock
        self._closed = closed
        self._by_id: OrderedDict[str, Session] = OrderedDict()
        self._owned: dict[Owner, int] = {}

    def open(self, mediator: Mediator, upstream: str) -> Session:
        """A new session. Raises `OverLimit` when the caller has too many."""
        self._forget_idle()
        party = mediator.party
        if self._owned.get(party.owner, 0) >= MAX_OWNED:
            raise OverLimit(f"the caller has over {MAX_OWNED} open MCP sessions", retry_after=60.0)
        if len(self._by_id) >= MAX_SESSIONS:
            raise OverLimit("too many open MCP sessions", retry_after=60.0)
        at = secrets.token_urlsafe(32)
        mediator.party = replace(party, session=at)
        made = Session(at, upstream, party.owner, party.server.component, mediator, self._clock())
        self._by_id[at] = made
        self._owned[party.owner] = self._owned.get(party.owner, 0) + 1
        return made

    async def find(self, at: str, party: Party) -> Session:
        """The caller's session, which goes on with what is known of the caller and the server now: rights may have changed since it began.

        Raises `NotFound` in the same words for one that doesn't exist and one that belongs to somebody else; the latter is recorded.
        """
        self._forget_idle()
        found = self._by_id.get(at)
        if found is not None and (found.owner != party.owner or found.component != party.server.component):
            await party.incident(
                Incident("session", party.server.component, "the session id of another caller or server")
            )
            found = None
        if found is None:
            raise NotFound("there is no such session; start one with `initialize`", code="no_session")
        named = party.conversation if party.conversation != CONVERSATION else found.mediator.party.conversation
        found.mediator.party = replace(party, conversation=named, session=at)
        found.used = self._clock()
        self._by_id.move_to_end(at)
        return found

    def close(self, session: Session) -> None:
        """Forgets a session."""
        if self._by_id.pop(session.id, None) is not None:
            left = self._owned.get(session.owner, 1) - 1
            if left:
                self._owned[session.owner] = left
            else:
                self._owned.pop(session.owner, None)
            self._closed(session)

    def __len__(self) -> int:
        return len(self._by_id)

    def _forget_idle(self) -> None:
        before = self._clock() - IDLE
        idle = takewhile(lambda session: session.used < before, self._by_id.values())
        for session in [one for one in idle if not one.streams]:
            self.close(session)
