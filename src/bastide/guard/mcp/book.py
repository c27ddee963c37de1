# SPDX-License-Identifier: Apache-2.0
"""What each server has offered to whom, compared with what was reviewed.

With a file of pins, a tool that isn't in it or differs is neither offered nor callable. Without one, the first description that a caller
gets is the one that holds until the caller starts anew, and a tool that hides something or poses as another server's is never offered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from bastide.guard.mcp.descriptions import Names, findings, orders
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.messages import invalid
from bastide.guard.mcp.pins import Pins, digest, digest_text
from bastide.guard.model import Caller

MAX_OWNERS = 10_000
MAX_TOOLS = 5_000
MAX_NAME = 256
Owner = tuple[str, ...]


def owner_of(caller: Caller) -> Owner:
    """Who a session belongs to."""
    return (caller.agent, caller.user, caller.tenant, caller.key)


class _Seen:
    """One caller's view of one server."""

    __slots__ = ("digests", "refused")

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.refused: dict[str, Incident] = {}


class Book:
    """The memory of offers. Bounded: whoever was idle longest is forgotten first, and starts anew."""

    def __init__(self, pins: Mapping[str, Pins] | None = None) -> None:
        self._pins = dict(pins or {})
        self._seen: OrderedDict[tuple[str, Owner], _Seen] = OrderedDict()
        self._names = {server: Names(one.tools) for server, one in self._pins.items()}

    def repin(self, pins: Mapping[str, Pins]) -> None:
        """Other pins from now on: the operator reviewed something."""
        self._pins = dict(pins)
        self._names = {server: Names(one.tools) for server, one in self._pins.items()}
        self._seen.clear()

    def start(self, server: str, owner: Owner) -> None:
        """The caller connects anew: what it saw before no longer counts."""
        self._seen.pop((server, owner), None)

    def judge(
        self, server: str, owner: Owner, tools: Sequence[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[Incident]]:
        """Those of the tools that may be offered, and what was noticed; an incident is reported once as long as nothing changes.

        Raises `Malformed` when a tool has no proper name or there are too many.
        """
        seen = self._view(server, owner)
        names = [_name(tool) for tool in tools]
        if len(seen.digests) + len(tools) > MAX_TOOLS:
            raise invalid(f"a server has at most {MAX_TOOLS} tools")
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) != len(names) else set()
        offered, incidents = [], []
        for name, tool in zip(names, tools, strict=True):
            noticed = [Incident("shadowing", name, f"the tool `{name}` is listed twice")] if name in twice else []
            noticed += self._judge(server, seen, name, tool)
            refusal = next((one for one in noticed if one.refused), None)
            incidents += [one for one in noticed if seen.refused.get(name) != one]
            if refusal:
                seen.refused[name] = refusal
            else:
                seen.refused.pop(name, None)
                offered.append(tool)
        known = self._names.setdefault(server, Names())
        for tool in offered:
            known.add(tool["name"])
        return offered, incidents

    def _judge(self, server: str, seen: _Seen, name: str, tool: dict[str, Any]) -> list[Incident]:
        now, before = digest(tool), seen.digests.get(name)
        pins = self._pins.get(server)
        if pins is not None:
            pin = pins.tools.get(name)
            seen.digests[name] = now
            if pin is None:
                return [Incident("pin", name, f"the tool `{name}` is not among the reviewed ones")]
            if pin.digest != now:
                return [
                    Incident(
                        "pin", name, f"the tool `{name}` is not what was reviewed: its description or schema changed"
                    )
                ]
        elif before is not None and before != now:
            return [Incident("pin", name, f"the tool `{name}` changed since it was first offered")]
        seen.digests.setdefault(name, now)
        if pins is not None and before == now:
            return []
        others = {other: names for other, names in self._names.items() if other != server}
        found = findings(tool, others)
        # What people reviewed is offered; what they overlooked is logged.
        return [Incident(one.kind, one.subject, one.why, refused=pins is None) for one in found]

    def refusal(self, server: str, owner: Owner, name: str) -> Incident | None:
        """Why a tool may not be called; None when these pages know no reason."""
        pins = self._pins.get(server)
        if pins is not None and name not in pins.tools:
            return Incident("pin", name[:MAX_NAME], f"the tool `{name[:MAX_NAME]}` is not among the reviewed ones")
        seen = self._seen.get((server, owner))
        return seen.refused.get(name) if seen else None

    def reviewed(self, server: str) -> bool:
        """Whether what this server offers was reviewed by people."""
        return server in self._pins

    def instructions(self, server: str, text: str) -> Incident | None:
        """Why a server's instructions may not be passed on."""
        pins = self._pins.get(server)
        if pins is not None:
            same = pins.instructions == digest_text(text)
            return (
                None if same else Incident("pin", "instructions", "the server's instructions are not what was reviewed")
            )
        why = orders(text)
        return Incident("hidden", "instructions", f"the server's text for the model {why}") if why else None

    def _view(self, server: str, owner: Owner) -> _Seen:
        seen = self._seen.get((server, owner))
        if seen is None:
            seen = self._seen[server, owner] = _Seen()
            if len(self._seen) > MAX_OWNERS:
                self._seen.popitem(last=False)
        self._seen.move_to_end((server, owner))
        return seen


def _name(tool: Any) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise invalid(f"a tool has a name of at most {MAX_NAME} characters")
    return name
