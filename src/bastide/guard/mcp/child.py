# SPDX-License-Identifier: Apache-2.0
"""A local MCP server as a child process: a bare environment, bounded lines, and an end that leaves no zombie.

Source: MCP, "Transports: stdio" (one JSON document a line; shutdown by closing stdin, then SIGTERM, then SIGKILL).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence

from bastide.errors import UpstreamError

MAX_LINE = 32 << 20
"""Bytes of one message."""
GRACE = 0.6
"""Seconds that a server has for each step of its end. Together under the 2 s after which clients kill the wrapper, which could then end nothing."""
_INHERITED = (
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER",
    "APPDATA", "LOCALAPPDATA", "PATHEXT", "SYSTEMROOT", "TEMP", "USERPROFILE",
)  # fmt: skip
_PIECE = 1 << 16


def environment(extra: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """What the server gets to see: a few harmless variables and those of the settings; no key that happens to be in the environment."""
    return {**{name: inherited[name] for name in _INHERITED if name in inherited}, **extra}


async def lines(reader: asyncio.StreamReader, limit: int = MAX_LINE) -> AsyncIterator[bytes | None]:
    """Lines without their ends; None in place of one that is too long. Empty lines are left out."""
    held = bytearray()
    skipping = False
    while data := await reader.read(_PIECE):
        *whole, rest = data.split(b"\n")
        for piece in whole:
            if skipping or len(held) + len(piece) > limit:
                yield None
            elif line := bytes(held + piece).strip():
                yield line
            held.clear()
            skipping = False
        if not skipping:
            held += rest
            if len(held) > limit:
                held.clear()
                skipping = True
    if skipping:
        yield None
    elif line := bytes(held).strip():
        yield line


class Child:
    """A running server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self.out = process.stdin, process.stdout

    @classmethod
    async def start(cls, command: Sequence[str], extra: Mapping[str, str]) -> Child:
        """Starts it. Its stderr goes where ours goes. Raises `UpstreamError` when there is no such program."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment(extra, os.environ),
                # A group of its own, so that what it starts ends with it.
                start_new_session=sys.platform != "win32",
            )
        except (OSError, ValueError) as problem:
            why = getattr(problem, "strerror", None) or str(problem)
            raise UpstreamError(f"the MCP server `{command[0]}` can't be started: {why}") from None
        return cls(process)

    async def write(self, data: bytes) -> None:
        """Sends a message. Raises `UpstreamError` when the server is gone."""
        try:
            self._in.write(data + b"\n")
            await self._in.drain()
        except (ConnectionError, RuntimeError):
            raise UpstreamError("the MCP server has ended") from None

    async def ended(self) -> int:
        """Its exit status, when it has ended by itself."""
        return await self._process.wait()

    async def stop(self) -> int:
        """Ends it, politely first; its exit status."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._in.close()
        for signal_ in (None, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if signal_ is not None:
                self._signal(signal_)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    # What it still writes is read away: a full pipe would keep it from ending.
                    while await self.out.read(_PIECE):
                        pass
                    return await self._process.wait()
        return await self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.send_signal(number)
            else:
                os.killpg(self._process.pid, number)
