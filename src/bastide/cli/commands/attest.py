# SPDX-License-Identifier: Apache-2.0
"""`bastide attest`: what was found out about a model, signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bastide.cli import options
from bastide.cli.credentials import credential_options, credentials_of, ledger_option, show

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.argument("model", type=click.Path(path_type=Path)),
    credential_options,
    click.option("--ignore", "ignored", multiple=True, metavar="PATH", help="As with `bastide sign`; repeatable."),
    ledger_option,
    click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="The attestation; default: beside MODEL."),
    options.format_option("table", "json", default="table"),
    options.quiet_option,
)  # fmt: skip


def _shared(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def attest() -> None:
    """Sign what is known of a model: its scan, its evaluation, the run that made it.

    Each is an in-toto statement bound to the model's files, signed with the same keys as models are. `bastide verify --policy` demands
    them, by whom, how fresh, and with what result.

    \b
    Examples:
      bastide attest scan models/support-v2 --key ci.pem
      bastide attest evaluation models/support-v2 --results results.json --key eval.pem
      bastide attest provenance models/support-v2 --run run.yaml --key trainer.pem
    """


@attest.command()
@_shared
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="JSON",
    help="Report of `bastide scan --format json` on this model; without it the model is scanned now.",
)  # fmt: skip
@click.option("--jobs", "-j", type=click.IntRange(1, 256), default=None, help="Files that are scanned at a time.")
@click.pass_context
def scan(ctx: click.Context, /, *, report: Path | None, jobs: int | None, **shared: Any) -> None:
    """Attest what loading MODEL would do. A report has to have every file with the same digest; it is dated by its file's time.

    The attestation is written whatever the verdict is: whether unsafe or unknown is acceptable, the policy says.

    \b
    Exit codes: 0 attested and safe, 1 attested and unsafe, 2 the call is wrong, 3 attested and unknown

    \b
    Examples:
      bastide attest scan model.pt --key ci.pem
      bastide attest scan models/v2 --key ci.pem --report scan.json --ledger model-log
    """
    from datetime import UTC, datetime

    from bastide.cli.work import processors
    from bastide.verify.artifacts.pool import scan_files
    from bastide.verify.signing import evidence
    from bastide.verify.signing.predicates import SCAN
    from bastide.verify.signing.sign import describe

    model = shared["model"]
    about = describe(model, shared["ignored"], shared["output"])
    if report is not None:
        predicate = evidence.of_report(report, model, about.manifest)
    else:
        started = datetime.now(UTC)
        paths = [evidence.scanned_path(model, one) for one in about.manifest.resources]
        reports = list(scan_files(paths, jobs or processors()))
        predicate = evidence.of_scan(about.manifest, reports, started, datetime.now(UTC))
    _write(about, (SCAN, predicate, "scan"), **shared)
    ctx.exit({"safe": 0, "unsafe": 1}.get(predicate["verdict"], 3))


@attest.command()
@_shared
@click.option(
    "--results", required=True, type=click.Path(path_type=Path), metavar="JSON",
    help='{"metrics": {"accuracy": 0.93}, "dataset": {"name": ..., "sha256": ...}, "date": "2027-06-30"}',
)  # fmt: skip
def evaluation(*, results: Path, **shared: Any) -> None:
    """Attest how good MODEL is: its metrics on a data set, which is named by its digest.

    \b
    Exit codes: 0 attested, 2 the call or the results are wrong

    \b
    Examples:
      bastide attest evaluation models/v2 --results results.json --key eval.pem
    """
    from bastide.verify.signing.evidence import of_evaluation
    from bastide.verify.signing.predicates import EVALUATION
    from bastide.verify.signing.sign import describe

    predicate = of_evaluation(results)
    about = describe(shared["model"], shared["ignored"], shared["output"])
    _write(about, (EVALUATION, predicate, "evaluation"), **shared)


@attest.command()
@_shared
@click.option(
    "--run", required=True, type=click.Path(path_type=Path), metavar="YAML",
    help="The run: builder, type, parameters, materials with digests or files to hash, started, finished.",
)  # fmt: skip
def provenance(*, run: Path, **shared: Any) -> None:
    """Attest where MODEL comes from, as SLSA provenance version 1: who built it, when, from which data sets, base model and code.

    \b
    Exit codes: 0 attested, 2 the call or the description of the run is wrong

    \b
    Examples:
      bastide attest provenance models/v2 --run run.yaml --key trainer.pem
    """
    from bastide.verify.signing.evidence import of_run
    from bastide.verify.signing.predicates import PROVENANCE
    from bastide.verify.signing.sign import describe

    predicate = of_run(run)
    about = describe(shared["model"], shared["ignored"], shared["output"])
    _write(about, (PROVENANCE, predicate, "provenance"), **shared)


def _write(about: Any, what: tuple[str, dict[str, Any], str], **shared: Any) -> None:
    from bastide.verify.signing.files import ATTESTATION
    from bastide.verify.signing.sign import attestation, default_path, sign_statement

    predicate_type, predicate, kind = what
    who = credentials_of(shared["key"], shared["password_file"], shared["certificate"], shared["chain"])
    output = shared["output"] or default_path(shared["model"], who, ATTESTATION, kind)
    signed = sign_statement(about, attestation(about, predicate_type, predicate), who, output, shared["ledger"])
    show(signed, shared["format_"], shared["quiet"])
