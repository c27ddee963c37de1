# SPDX-License-Identifier: Apache-2.0
"""Wraps the command in its arguments, with a fake gate: `python -m tests.guard.mcp.wrapped [--elicit] [--timeout N] COMMAND...`."""

from __future__ import annotations

import asyncio
import sys

from bastide.errors import UpstreamError
from bastide.guard.mcp.book import Book
from bastide.guard.mcp.party import Party
from bastide.guard.mcp.stdio import wrap
from bastide.guard.settings import McpServer
from tests.guard.mcp.fakes import ALICE, FakeGate

if __name__ == "__main__":
    arguments = sys.argv[1:]
    elicit = arguments[0] == "--elicit"
    arguments = arguments[1:] if elicit else arguments
    timeout = float(arguments[1]) if arguments[0] == "--timeout" else 60.0
    arguments = arguments[2:] if arguments[0] == "--timeout" else arguments
    asks = ("elicitation",) if elicit else ()
    server = McpServer("local", command=tuple(arguments), env={"OWN": "1"}, client_requests=asks, timeout=timeout)
    try:
        party = Party(ALICE, "c", server, FakeGate(denied=["refund"]), Book())
        sys.exit(asyncio.run(wrap(party)))
    except UpstreamError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
