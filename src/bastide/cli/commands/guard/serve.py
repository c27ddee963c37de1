# SPDX-License-Identifier: Apache-2.0
"""`bastide guard serve`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options

if TYPE_CHECKING:
    from bastide.guard.engine import Engine
    from bastide.guard.settings import Settings


@click.command()
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The plan; default: the one that the settings name, else bastide.yaml.",
)
@click.option(
    "--settings", type=click.Path(path_type=Path), metavar="FILE",
    help="Addresses, keys, names; without it `<plan>.guard.yaml` beside the plan.",
)  # fmt: skip
@click.option(
    "--drain",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to let requests finish at the end.",
)
@click.option("--no-watch", is_flag=True, help="Don't reload when a file changes; SIGHUP and the API still do.")
@options.pack_option
@options.quiet_option
def serve(
    *, plan: Path | None, settings: Path | None, drain: float, no_watch: bool, packs: tuple[Path, ...], quiet: bool
) -> None:
    """Serve the gateway: OpenAI's and Anthropic's APIs and MCP, with the policy that the plan says.

    \b
      /v1/chat/completions  /v1/responses  /v1/embeddings  /v1/messages  /v1/models  /mcp/SERVER
      /healthz  /readyz  /metrics  /guard/approvals  /guard/api/approvals  /guard/api/reload

    \b
    Exit codes:
      0  a signal ended it, after requests in flight were done
      2  a file, a credential or the address is wrong

    \b
    Examples:
      bastide guard key new --id web-1 --agent assistant
      bastide guard serve --plan bastide.yaml
      OPENAI_BASE_URL=http://127.0.0.1:8088/v1 OPENAI_API_KEY=bst_... python agent.py
    """
    import logging

    from bastide.guard.build import runtime_of
    from bastide.guard.gateway.serve import serve as run
    from bastide.guard.settings_file import plan_meant, settings_beside

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    plan = plan_meant(plan, settings)
    runtime = runtime_of(plan, settings, packs)
    _free(runtime.engine.settings)
    if not quiet:
        for line in _about(runtime.engine, settings or settings_beside(plan)):
            click.echo(line, err=True)
    run(runtime, drain=drain, watch=not no_watch)


def _free(settings: Settings) -> None:
    """Raises `UsageError` when nobody can listen at the address: the server itself would say so after the guard said that it serves."""
    import socket

    from bastide.errors import UsageError

    place = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as one:
            # As the server does it: what an ended one left behind is no hindrance.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except OSError as error:
        raise UsageError(
            f"can't listen at {place}: {error.strerror}; `listen:` in the settings is the address"
        ) from None


def _about(engine: Engine, settings: Path) -> Iterator[str]:
    """What somebody who starts it wants to know, and what it can't do as it is set."""
    read = engine.settings
    yield f"guarding {engine.plan.name or engine.plan.id} at http://{read.host}:{read.port}"
    ways = len(read.keys) + len(read.issuers) + bool(read.certificates)
    yield f"policy {engine.version[:19]}; log in {read.log.folder}; {ways} {'way' if ways == 1 else 'ways'} to sign in"
    if read.file is None:
        yield f"! there are no settings at {settings}: they say who may call, and where models and tools are"
        return
    if not ways:
        yield "! nobody can sign in: `bastide guard key new` makes a key, and the line for `callers` in the settings"
    if not (read.models or read.mcp):
        yield "! nothing is served: the settings have no `models` and no `mcp`"
