# SPDX-License-Identifier: Apache-2.0
"""`bastide catalog lint`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.text import plural, printable


@click.command()
@options.pack_option
@options.quiet_option
@click.pass_context
def lint(ctx: click.Context, packs: tuple[Path, ...], quiet: bool) -> None:
    """Check that the knowledge is sound, and run the plans that every rule carries; ends with 1 when anything is wrong.

    \b
    Examples:
      bastide catalog lint
      bastide catalog lint --pack our-rules
    """
    from bastide.catalog.lint import lint as check
    from bastide.cli.work import read_catalog, tidy
    from bastide.errors import Location
    from bastide.threats.selftest import run

    catalog = read_catalog(packs)
    problems = [*check(catalog), *run(catalog)]
    for problem in sorted(problems, key=lambda d: (d.location.file, d.location.line, d.location.column)):
        place = problem.location
        shown = Location(str(tidy(Path(place.file))), place.line, place.column) if place.file else place
        click.echo(
            printable(type(problem)(problem.message, shown, problem.source_line, problem.hint, problem.length).render())
        )
    if problems:
        click.echo(f"{plural(len(problems), 'problem')} in the knowledge", err=True)
        ctx.exit(1)
    if not quiet:
        rules, controls = plural(len(catalog.threats), "rule"), plural(len(catalog.controls), "control")
        click.echo(f"{rules} with their plans and {controls}: all sound")
