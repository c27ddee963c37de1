# SPDX-License-Identifier: Apache-2.0
"""A local server of the official package, over stdio."""

from __future__ import annotations

import os
import sys

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("local")


class Answer(BaseModel):
    text: str


@server.tool()
def greet(name: str) -> str:
    """Greets somebody."""
    return f"hello {name} SECRET"


@server.tool()
def variables() -> list[str]:
    """Names of environment variables."""
    return sorted(os.environ)


@server.tool()
async def ask(ctx: Context) -> str:
    """Asks the user."""
    found = await ctx.elicit("SECRET name?", Answer)
    return f"{found.action} {getattr(found, 'data', None)}"


@server.tool()
def die() -> str:
    """Ends the process."""
    os._exit(7)


if __name__ == "__main__":
    sys.stderr.write("local server is up\n")
    server.run("stdio")
