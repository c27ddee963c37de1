# SPDX-License-Identifier: Apache-2.0
"""`bastide schema`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put
from bastide.errors import UsageError, did_you_mean


@click.command()
@click.argument("name", required=False)
@options.output_option
@options.pack_option
@options.quiet_option
def schema(name: str | None, output: Path | None, packs: tuple[Path, ...], quiet: bool) -> None:
    """Print the JSON Schema NAME: of plans, for editors, or of a command's JSON output. Without NAME, list them.

    \b
    Examples:
      bastide schema
      bastide schema plan -o bastide.schema.json
    """
    from bastide.report import document

    names = ("plan", *document.schema_names())
    if name is None:
        put("".join(f"{one}\n" for one in names), output, quiet)
    elif name == "plan":
        from bastide.cli.work import read_catalog
        from bastide.plan.schema import plan_schema

        put(document.dumps(plan_schema(read_catalog(packs).vocabulary)), output, quiet)
    elif name in names:
        put(document.dumps(document.schema(name)), output, quiet)
    else:
        raise UsageError(f"there is no schema `{name[:60]}`: {did_you_mean(name, names)}")
