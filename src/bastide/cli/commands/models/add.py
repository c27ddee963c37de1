# SPDX-License-Identifier: Apache-2.0
"""`bastide models add`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.commands.models._options import by_option, ledger_option, registry_option
from bastide.cli.output import put


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--name", default="", help="Of the model, when there is one only; default: what the layout or the path says."
)
@ledger_option
@registry_option
@by_option
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def add(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    name: str,
    ledger: Path | None,
    registry: Path,
    by: str | None,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Register the models at PATH...; the same bytes under the same name are the same version.

    A path is a model (a folder or a file), a folder of models, a hub client's cache or MLflow's store (`mlruns`, `mlflow.db`), whose
    names, revisions, runs and users are taken over. Files are hashed and stay where they are.

    \b
    Exit codes:
      0  all were registered
      2  the call or the registry is wrong, or no model was found
      3  some could not be read, and it is said which; the others were registered

    \b
    Examples:
      bastide models add models/support-v2 --name support
      bastide models add ~/.cache/huggingface/hub --registry models.db
      bastide models add mlruns --by ci
    """
    from bastide.cli.admission import apart, ledger_of, versions_table, who
    from bastide.cli.text import one_line
    from bastide.errors import UsageError
    from bastide.store.models import SqliteRegistry
    from bastide.verify.admission.gather import register
    from bastide.verify.admission.layouts import find_models

    found = [one for path in paths for one in find_models(path, name)]
    if name and len(paths) > 1:
        raise UsageError(f"--name can't be for {len(paths)} paths; give one")
    person = who(by)
    for one in found:
        apart(one.path, registry, ledger, output)
    kept = SqliteRegistry(registry)
    log = ledger_of(ledger, registry)
    versions, problems = [], []
    for one in found:
        try:
            versions.append(register(one, kept, person, log))
        except UsageError as problem:
            problems.append(one_line(str(problem)))
    if format_ == "json":
        from bastide.report.admission_json import models_json
        from bastide.report.document import dumps

        put(dumps(models_json(versions, problems)), output, quiet)
    else:
        put(versions_table(versions, output is None), output, quiet)
    for problem_ in problems:
        click.echo(f"not registered: {problem_}", err=True)
    ctx.exit(3 if problems else 0)
