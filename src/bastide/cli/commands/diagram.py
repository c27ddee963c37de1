# SPDX-License-Identifier: Apache-2.0
"""`bastide diagram`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

_SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot"}


@click.command()
@options.plan_argument()
@options.format_option("svg", "mermaid", "dot")
@click.option("--findings", is_flag=True, help="SVG: mark each component with its open findings.")
@options.output_option
@options.pack_option
@options.quiet_option
def diagram(
    plan: Path, format_: str | None, findings: bool, output: Path | None, packs: tuple[Path, ...], quiet: bool
) -> None:
    """Draw PLAN (default: bastide.yaml) as SVG, Mermaid or Graphviz DOT.

    \b
    Examples:
      bastide diagram bastide.yaml -o system.svg
      bastide diagram bastide.yaml --format mermaid
    """
    from bastide.cli.work import examine, read_catalog, tidy
    from bastide.plan.load import load_plan

    keep_inputs([output], plan)
    suffix = output.suffix.lower() if output else ""
    if suffix not in _SUFFIXES and suffix and not format_:
        raise click.UsageError(f"no picture is written as `{suffix}`; use {', '.join(_SUFFIXES)}, or say --format")
    kind = format_ or _SUFFIXES.get(suffix) or "svg"
    if findings and kind != "svg":
        raise click.UsageError("--findings works with --format svg")
    vocabulary = read_catalog(packs).vocabulary
    work = examine(plan, packs, None) if findings else None
    system = work.plan if work else load_plan(tidy(plan), vocabulary)
    if kind == "mermaid":
        from bastide.report.mermaid import mermaid

        text = mermaid(system, vocabulary)
    elif kind == "dot":
        from bastide.report.dot import dot

        text = dot(system, vocabulary)
    else:
        from bastide.report.svg import draw

        text = draw(system, vocabulary, work.assessment if work else None)
    put(text if text.endswith("\n") else text + "\n", output, quiet)
