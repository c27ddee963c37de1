# SPDX-License-Identifier: Apache-2.0
"""`bastide guard serve`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options


@click.command()
@click.option("--plan", type=click.Path(path_type=Path), default="bastide.yaml", show_default=True, help="The plan.")
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
    *, plan: Path, settings: Path | None, drain: float, no_watch: bool, packs: tuple[Path, ...], quiet: bool
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

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    runtime = runtime_of(plan, settings, packs)
    read = runtime.engine.settings
    if not quiet:
        callers = len(read.keys) + len(read.issuers) + bool(read.certificates)
        click.echo(
            f"guarding {runtime.engine.plan.name or runtime.engine.plan.id} at http://{read.host}:{read.port}", err=True
        )
        click.echo(
            f"policy {runtime.engine.version[:19]}; log in {read.log.folder}; {callers} ways to sign in", err=True
        )
    run(runtime, drain=drain, watch=not no_watch)
