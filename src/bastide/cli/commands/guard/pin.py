# SPDX-License-Identifier: Apache-2.0
"""`bastide guard pin`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import write_file
from bastide.cli.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bastide.guard.mcp.connect import Offer
    from bastide.guard.mcp.gate import Incident
    from bastide.guard.mcp.pins import Difference, Pins
    from bastide.guard.settings import McpServer


@click.command()
@click.option("--settings", type=click.Path(path_type=Path), metavar="FILE", help="The guard's settings, with servers.")
@click.option(
    "--server", "name", default="", metavar="NAME", help="Only this server of the settings, or a name for it."
)
@click.option("--url", default="", metavar="URL", help="A remote server that stands in no settings.")
@click.option(
    "--pins", type=click.Path(path_type=Path), metavar="FILE", help="The file of pins, with --url or a command."
)
@click.option("--check", is_flag=True, help="Compare and write nothing; exit code 1 when something differs.")
@click.option("--accept", is_flag=True, help="Pin descriptions too that hide something or give the model orders.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, help="Seconds a server has."
)
@options.quiet_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def pin(
    ctx: click.Context,
    *,
    settings: Path | None,
    name: str,
    url: str,
    pins: Path | None,
    check: bool,
    accept: bool,
    timeout: float,
    quiet: bool,
    command: tuple[str, ...],
) -> None:
    """Write down what MCP servers offer, so that a later change of a tool's description is seen and refused.

    Read the file as you would read code: what stands in it goes to the model. No tool is called. A local server named after -- is started.

    \b
    Exit codes:
      0  all is as it was pinned, or was pinned now
      1  --check: something differs; else: a description looks like an attack and --accept was not given
      2  the call is wrong, or a server doesn't answer

    \b
    Examples:
      bastide guard pin --settings bastide.guard.yaml
      bastide guard pin --settings bastide.guard.yaml --check
      bastide guard pin --url https://crm.example.com/mcp --pins crm.pins.json
      bastide guard pin --pins files.pins.json -- npx some-server /data
    """
    import asyncio

    from bastide.errors import UsageError

    servers = _servers(settings, name, url, pins, command)
    missing = [server.component for server in servers if server.pins is None]
    if missing:
        raise UsageError(f"no file of pins is named for {', '.join(missing)}: add `pins: {missing[0]}.pins.json` to it")
    failed = False
    for server in servers:
        offer = asyncio.run(_ask(server, timeout))
        failed |= _pin(server, offer, check=check, accept=accept, quiet=quiet)
    ctx.exit(1 if failed else 0)


def _servers(
    settings: Path | None, name: str, url: str, pins: Path | None, command: tuple[str, ...]
) -> Sequence[McpServer]:
    from bastide.errors import UsageError, did_you_mean
    from bastide.guard.settings import McpServer
    from bastide.guard.settings_file import load_settings

    if [bool(settings), bool(url), bool(command)].count(True) != 1:
        raise UsageError("say where the servers are: --settings FILE, --url URL, or a command after --")
    if settings is None:
        if pins is None:
            raise UsageError("say with --pins where to write")
        return [McpServer(name or "server", url=url, command=command, pins=pins)]
    if pins is not None:
        raise UsageError("--pins goes with --url or a command; the settings name the files themselves")
    known = load_settings(settings).mcp
    chosen = [server for server in known if name in ("", server.component)]
    if not chosen:
        hint = did_you_mean(name, [server.component for server in known])
        raise UsageError(
            f"the settings have no MCP server `{name}`; {hint}" if name else "the settings have no MCP server"
        )
    return chosen


async def _ask(server: McpServer, timeout: float) -> Offer:
    from bastide.guard.mcp.connect import ask_http, ask_stdio

    if server.command:
        return await ask_stdio(server.command, server.env, timeout)
    return await ask_http(server.url, _token(server), timeout)


def _token(server: McpServer) -> str:
    if server.key is None:
        return ""
    from bastide.guard.identity.credentials import Credentials

    return Credentials().get(server.key)


def _pin(server: McpServer, offer: Offer, *, check: bool, accept: bool, quiet: bool) -> bool:
    """Compares one server and writes its pins; whether the exit code is 1."""
    from bastide.guard.mcp.pins import compare, dumps, load, pin

    assert server.pins is not None
    now = pin(server.component, offer.tools, offer.instructions)
    before = load(server.pins) if server.pins.exists() else None
    differences = compare(before, now) if before else compare(_none(server), now)
    # What was accepted once, and is as it was then, needs no second yes.
    news = {one.name or "instructions" for one in differences}
    suspicious = [one for one in _suspicious(offer) if one.subject in news]
    for line in _shown(server, differences, suspicious):
        click.echo(line, err=not check)
    if check:
        return bool(differences)
    if suspicious and not accept:
        click.echo(f"{server.component}: nothing was written; --accept pins it nevertheless", err=True)
        return True
    if differences or before is None:
        write_file(server.pins, dumps(now).encode("utf-8", "replace"))
    if not quiet:
        click.echo(f"{server.component}: {plural(len(now.tools), 'tool')} pinned in {server.pins}", err=True)
    return False


def _none(server: McpServer) -> Pins:
    from bastide.guard.mcp.pins import Pins

    return Pins(server.component, {})


def _suspicious(offer: Offer) -> list[Incident]:
    from bastide.guard.mcp.descriptions import findings, orders
    from bastide.guard.mcp.gate import Incident

    found = [incident for tool in offer.tools for incident in findings(tool, {})]
    if why := orders(offer.instructions):
        found.append(Incident("hidden", "instructions", f"the server's text for the model {why}"))
    return found


def _shown(server: McpServer, differences: list[Difference], suspicious: list[Incident]) -> list[str]:
    from bastide.cli.text import printable

    lines = []
    for one in differences:
        lines.append(f"{server.component}: {one.state} {one.name or 'instructions'}")
        lines += [f"  - {one.before}"] if one.before and one.state != "new" else []
        lines += [f"  + {one.after}"] if one.after else []
    lines += [f"{server.component}: warning: {one.why}" for one in suspicious]
    return [printable(line) for line in lines]
