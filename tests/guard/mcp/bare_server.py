# SPDX-License-Identifier: Apache-2.0
"""A local server of few lines that misbehaves as its argument says; it needs no package, so it starts quickly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

TOOL = {"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object"}}
how = sys.argv[1] if len(sys.argv) > 1 else ""
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    sys.stderr.write(f"pids {child.pid}\n")
    sys.stderr.flush()


def say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def answer(at: object, result: object) -> None:
    say({"jsonrpc": "2.0", "id": at, "result": result})


def call(at: object) -> None:
    if how == "half":
        sys.stdout.write('{"jsonrpc": "2.0", "id": 3, "res\n')
        sys.stdout.flush()
    elif how == "huge":
        sys.stdout.write("x" * (33 << 20) + "\n")
        sys.stdout.flush()
    elif how == "silent":
        return
    elif how == "asks":
        say({"jsonrpc": "2.0", "id": 900, "method": "sampling/createMessage", "params": {"messages": []}})
        say({"jsonrpc": "2.0", "id": 901, "method": "system/shutdown"})
        found = [json.loads(sys.stdin.readline()) for _ in range(2)]
        answer(at, {"content": [{"type": "text", "text": json.dumps([f.get("error", {}).get("code") for f in found])}]})
        return
    answer(at, {"content": [{"type": "text", "text": "echo"}]})


for line in sys.stdin:
    message = json.loads(line)
    method, at = message.get("method"), message.get("id")
    if method == "initialize":
        answer(
            at,
            {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}, "tasks": {}},
                "serverInfo": {"name": "b", "version": "1"},
            },
        )
    elif method == "tools/list":
        answer(at, {"tools": [TOOL]})
    elif method == "tools/call":
        call(at)
    elif at is not None:
        answer(at, {})
if how == "stubborn":
    time.sleep(600)
