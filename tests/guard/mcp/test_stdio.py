# SPDX-License-Identifier: Apache-2.0
"""Local servers, wrapped: with the official client and server, and with servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitResult

ROOT = Path(__file__).parents[3]
WRAPPED = [sys.executable, "-m", "tests.guard.mcp.wrapped"]
LOCAL = [sys.executable, "-m", "tests.guard.mcp.local_server"]
BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]


def parameters(*options: str) -> StdioServerParameters:
    command = [*WRAPPED, *options, *LOCAL]
    return StdioServerParameters(command=command[0], args=command[1:], cwd=ROOT, env={"API_KEY": "x"})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_official(mode: Any) -> None:
    """The official client talks to the official server through the wrapper, in both eras."""

    async def talk() -> None:
        async with Client(parameters(), mode=mode) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"greet", "variables", "ask", "die"}
            result = await client.call_tool("greet", {"name": "Ann"})
            assert result.content[0].text == "hello Ann [redacted]"  # type: ignore[union-attr]
            names = (await client.call_tool("variables", {})).structured_content["result"]  # type: ignore[index]
            assert "OWN" in names
            assert "API_KEY" not in names
            dead = await client.call_tool("die", {})
            assert dead.is_error
            assert "ended" in dead.content[0].text  # type: ignore[union-attr]

    asyncio.run(talk())


@pytest.mark.slow
def test_elicitation() -> None:
    """A question of the server reaches the user only when the settings allow it; both ways are judged."""
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> Any:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"text": "my SECRET"})

    async def talk(*options: str) -> Any:
        async with Client(parameters(*options), mode="legacy", elicitation_callback=answer) as client:
            try:
                return await client.call_tool("ask", {})
            except MCPError as problem:
                return problem

    assert "settings don't allow" in str(asyncio.run(talk()))
    assert asked == []
    allowed = asyncio.run(talk("--elicit"))
    assert asked == ["[redacted] name?"]
    assert "my [redacted]" in allowed.content[0].text


class Raw:
    """A client that writes lines."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [*WRAPPED, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def say(self, document: Any) -> None:
        assert self.process.stdin is not None
        line = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, at: Any, method: str, params: dict[str, Any] | None = None) -> Any:
        self.say({"jsonrpc": "2.0", "id": at, "method": method, "params": params or {}})
        return self.hear()

    def start(self, version: str = "2025-06-18") -> Any:
        return self.ask(
            0, "initialize", {"protocolVersion": version, "capabilities": {"sampling": {}}, "clientInfo": {}}
        )


@pytest.mark.parametrize("how", ["half", "huge"])
def test_nonsense_from_the_server(how: str) -> None:
    """A line that is no message, or too long, is left out; what comes after it still arrives."""
    with Raw(*BARE, how) as raw:
        assert raw.start()["result"]["capabilities"] == {"tools": {}}
        assert raw.ask(3, "tools/call", {"name": "echo"})["result"]["content"][0]["text"] == "echo"


def test_silent_server() -> None:
    """A server that doesn't answer in time is not waited for."""
    with Raw("--timeout", "0.3", *BARE, "silent") as raw:
        raw.start()
        answer = raw.ask(3, "tools/call", {"name": "echo"})
        assert answer["result"]["isError"]
        assert "in time" in answer["result"]["content"][0]["text"]


def test_questions_are_refused() -> None:
    """Sampling, which nobody allowed, and a method that nobody knows are answered by the guard; the client never hears of them."""
    with Raw(*BARE, "asks") as raw:
        raw.start()
        assert raw.ask(3, "tools/call", {"name": "echo"})["result"]["content"][0]["text"] == "[-32043, -32601]"


def test_nonsense_from_the_client() -> None:
    """What is no message, or has an unknown method, is an error; a batch is taken where the revision has batches."""
    with Raw(*BARE) as raw:
        raw.start("2025-03-26")
        raw.say(b'{"half')
        assert raw.hear()["error"]["code"] == -32700
        assert raw.ask(4, "tools/destroy")["error"]["code"] == -32601
        raw.say([{"jsonrpc": "2.0", "id": i, "method": "ping"} for i in (7, 8)])
        assert [raw.hear()["id"], raw.hear()["id"]] == [7, 8]
    with Raw(*BARE) as raw:
        raw.start("2025-06-18")
        raw.say([{"jsonrpc": "2.0", "id": 7, "method": "ping"}])
        assert raw.hear()["error"]["code"] == -32600


def test_no_such_program() -> None:
    """A server that can't be started is said so in one line."""
    with Raw("no-such-program-here") as raw:
        _, errors = raw.process.communicate(timeout=10)
        assert raw.process.returncode == 2
        assert b"can't be started" in errors
        assert b"Traceback" not in errors


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")
def test_the_end() -> None:
    """On SIGTERM the server ends too, with everything that it started, however stubborn."""
    with Raw(*BARE, "stubborn") as raw:
        raw.start()
        assert raw.process.stderr is not None
        grandchild = int(raw.process.stderr.readline().split()[1])
        raw.process.send_signal(signal.SIGTERM)
        assert raw.process.wait(timeout=10) == 0
        assert gone(grandchild)


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if f"{pid} (" in (text := Path(f"/proc/{pid}/stat").read_text()) and ") Z" in text:
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
