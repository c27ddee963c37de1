# SPDX-License-Identifier: Apache-2.0
"""`bastide discover`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import put

if TYPE_CHECKING:
    from bastide.discover.result import Discovery


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@options.format_option("table", "json", "plan", default="table")
@click.option(
    "--evidence", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Results of another scanner on the same folder: SARIF, or the JSON of Checkov, Trivy or Prowler. Repeatable.",
)  # fmt: skip
@options.output_option
@options.pack_option
@options.quiet_option
@click.pass_context
def discover(
    ctx: click.Context,
    *,
    folder: Path,
    format_: str,
    evidence: tuple[Path, ...],
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Read a repository and say which AI system is in it: components, flows, weak settings, each with its file and line.

    Nothing is executed, rendered or fetched. What could not be read is listed, and makes the result incomplete.

    \b
    Exit codes:
      0  all of it was read, and no expectation fails
      1  an expectation fails
      2  the call is wrong, or there is no such folder
      3  none fails, but files could not be read

    \b
    Examples:
      bastide discover .
      bastide discover infra/ --format json -o found.json
      bastide discover . --format plan -o bastide.yaml
      bastide discover . --evidence checkov.json --evidence semgrep.sarif
    """
    from bastide.discover.discover import discover as look

    found = look(folder, packs=packs)
    if evidence:
        found = _confirmed(found, evidence, packs, quiet)
    if format_ == "plan":
        put(_plan(found, folder, packs), output, quiet)
    elif format_ == "json":
        from bastide.report.discovery_json import discovery_json
        from bastide.report.document import dumps

        put(dumps(discovery_json(found)), output, quiet)
    else:
        from bastide.cli.discovered import discovery_table

        put(discovery_table(found, to_screen=output is None), output, quiet)
    if any(w.state == "fail" for w in found.weaknesses):
        ctx.exit(1)
    if not found.complete:
        ctx.exit(3)


def _plan(found: Discovery, folder: Path, packs: tuple[Path, ...]) -> str:
    from bastide.catalog.load import load_vocabulary
    from bastide.discover.baselines import load_baselines
    from bastide.discover.plan import to_plan
    from bastide.plan.save import dump

    return dump(to_plan(found, load_vocabulary(packs), folder.resolve().name, load_baselines(packs)))


def _confirmed(found: Discovery, evidence: tuple[Path, ...], packs: tuple[Path, ...], quiet: bool) -> Discovery:
    """With what other scanners say; how much of it belongs to nothing here is said on stderr."""
    from bastide.discover.baselines import load_baselines
    from bastide.discover.scanners import read_results, with_results
    from bastide.errors import InputError
    from bastide.plan.yamlfile import read_text

    results = [r for file in evidence for r in read_results(read_text(file, InputError), str(file))]
    found, left = with_results(found, results, load_baselines(packs))
    if not quiet:
        click.echo(
            f"{len(results)} results of other scanners, {left} of them about no expectation or component here", err=True
        )
    return found
