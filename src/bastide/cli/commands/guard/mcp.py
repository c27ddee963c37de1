# SPDX-License-Identifier: Apache-2.0
"""`bastide guard mcp`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime
    from bastide.guard.model import Caller
    from bastide.guard.settings import McpServer, Settings
    from bastide.plan.model import Plan


@click.command()
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The plan; default: the one that the settings name, else bastide.yaml.",
)
@click.option("--settings", type=click.Path(path_type=Path), metavar="FILE", help="Default: those beside the plan.")
@click.option("--server", "name", default="", metavar="NAME", help="The MCP server: a component of the plan.")
@click.option("--agent", default="", metavar="ID", help="Who calls: a component of the plan; default: its only agent.")
@click.option("--user", default="", metavar="NAME", help="The person whom the agent acts for.")
@click.option("--actor", default="", metavar="ID", help="That person's kind: a component of the plan.")
@options.pack_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def mcp(
    ctx: click.Context,
    *,
    plan: Path | None,
    settings: Path | None,
    name: str,
    agent: str,
    user: str,
    actor: str,
    packs: tuple[Path, ...],
    command: tuple[str, ...],
) -> None:
    """Be a local MCP server (stdio) that starts the real one and guards it.

    Put it into the client's configuration in the server's place. Who may start it is who calls: there are no credentials on stdio. Any number
    may run beside each other and beside `guard serve`: each has a part of the log, and people decide for all of them where `guard serve` runs.

    \b
    Exit codes:
      0  the client closed the connection, or a signal ended it
      2  the call or a file is wrong, or the server ended by itself

    \b
    Examples:
      bastide guard mcp --settings bastide.guard.yaml --server files
      bastide guard mcp --plan bastide.yaml --server files --agent assistant -- npx some-server /data
    """
    import asyncio

    from bastide.guard.build import runtime_of
    from bastide.guard.settings_file import plan_meant

    runtime = runtime_of(plan_meant(plan, settings), settings, packs, beside=True)
    server = _server(runtime.engine.settings, name, command)
    caller = _caller(runtime.engine.plan, agent, user, actor)
    ctx.exit(asyncio.run(_run(runtime, server, caller)))


def _server(settings: Settings, name: str, command: tuple[str, ...]) -> McpServer:
    from bastide.errors import UsageError, did_you_mean
    from bastide.guard.settings import McpServer

    if command:
        if not name:
            raise UsageError("say with --server which component of the plan this command is")
        return McpServer(name, command=command)
    local = {server.component: server for server in settings.mcp if server.command}
    if not name and len(local) == 1:
        return next(iter(local.values()))
    if name not in local:
        what = f"no local MCP server `{name}`" if name else "not exactly one local MCP server"
        raise UsageError(
            f"the settings have {what}; {did_you_mean(name, local) or 'add its `command`, or write it after --'}"
        )
    return local[name]


def _caller(plan: Plan, agent: str, user: str, actor: str) -> Caller:
    from bastide.errors import UsageError, did_you_mean
    from bastide.guard.model import Caller

    if not agent:
        agents = [id for id, component in plan.components.items() if component.kind.startswith("ai.agent")]
        if len(agents) != 1:
            raise UsageError(f"the plan has {len(agents)} agents; say with --agent which one calls")
        agent = agents[0]
    for id in filter(None, (agent, actor)):
        if id not in plan.components:
            raise UsageError(f"the plan has no component `{id}`; {did_you_mean(id, plan.components)}")
    return Caller(agent, user=user, actor=actor, key="stdio")


async def _run(runtime: Runtime, server: McpServer, caller: Caller) -> int:
    from bastide.guard.gateway.tool_gate import EngineGate
    from bastide.guard.mcp.book import Book
    from bastide.guard.mcp.party import CONVERSATION, Party
    from bastide.guard.mcp.pins import load_all
    from bastide.guard.mcp.stdio import wrap

    book = Book(load_all(runtime.engine.settings.mcp))
    await runtime.start()
    try:
        return await wrap(Party(caller, CONVERSATION, server, EngineGate(runtime), book, "stdio"))
    finally:
        await runtime.stop()
