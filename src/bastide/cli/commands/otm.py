# SPDX-License-Identifier: Apache-2.0
"""`bastide otm`: interchange with other tools by the Open Threat Model format."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put


@click.group()
def otm() -> None:
    """Exchange plans with other tools in the Open Threat Model format (OTM).

    \b
    Examples:
      bastide otm import model.otm -o bastide.yaml
      bastide otm export bastide.yaml -o model.otm
    """


@otm.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@options.output_option
@options.pack_option
@options.quiet_option
def import_(file: Path, output: Path | None, packs: tuple[Path, ...], quiet: bool) -> None:
    """Make a plan from the OTM document FILE (JSON or YAML).

    \b
    Example:
      bastide otm import model.otm -o bastide.yaml
    """
    from bastide.cli.work import read_catalog, tidy
    from bastide.plan.otm import import_otm
    from bastide.plan.save import dump
    from bastide.plan.yamlfile import read_text

    keep_inputs([output], file)
    name = tidy(file)
    put(dump(import_otm(read_text(name), str(name), read_catalog(packs).vocabulary)), output, quiet)


@otm.command()
@options.plan_argument()
@options.output_option
@options.pack_option
@options.quiet_option
def export(plan: Path, output: Path | None, packs: tuple[Path, ...], quiet: bool) -> None:
    """Write PLAN (default: bastide.yaml) as an OTM document in JSON.

    \b
    Example:
      bastide otm export bastide.yaml -o model.otm
    """
    from bastide.cli.work import read_catalog, tidy
    from bastide.plan.load import load_plan
    from bastide.plan.otm import export_otm
    from bastide.report.document import dumps

    keep_inputs([output], plan)
    put(dumps(export_otm(load_plan(tidy(plan), read_catalog(packs).vocabulary))), output, quiet)
