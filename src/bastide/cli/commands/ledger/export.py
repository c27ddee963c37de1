# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger export`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import put

if TYPE_CHECKING:
    from bastide.evidence.line import Line


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@options.format_option("jsonl", "ocsf", "otlp", default="jsonl")
@options.output_option
@options.quiet_option
def export(*, folder: Path, format_: str, output: Path | None, quiet: bool) -> None:
    """Export the ledger in FOLDER, and its parts, for other tools.

    \b
    Formats:
      jsonl  the entries as they are, with number, time and hash
      ocsf   OCSF 1.6 events: API Activity (6003) and Detection Finding (2004), one a line
      otlp   OTLP/JSON: one document with the spans, as a collector's /v1/traces takes it

    \b
    Examples:
      bastide ledger export guard-log --format ocsf -o events.jsonl
      bastide ledger export guard-log --format otlp | curl -d @- -H 'content-type: application/json' localhost:4318/v1/traces
    """
    from bastide.evidence.parts import every_entry

    lines = every_entry(folder, lambda place: click.echo(f"left out: {place}", err=True))
    rows = {"jsonl": _jsonl, "ocsf": _ocsf, "otlp": _otlp}[format_](lines)
    if output is not None:
        put("".join(rows), output, quiet)
    else:
        for row in rows:
            put(row, None)


def _jsonl(lines: Iterable[Line]) -> Iterator[str]:
    import msgspec

    for line in lines:
        yield msgspec.json.encode(line).decode() + "\n"


def _ocsf(lines: Iterable[Line]) -> Iterator[str]:
    import msgspec

    from bastide.guard.record.ocsf import event

    for line in lines:
        if (found := event(line)) is not None:
            yield msgspec.json.encode(found).decode() + "\n"


def _otlp(lines: Iterable[Line]) -> Iterator[str]:
    import msgspec

    from bastide.guard.record.otlp import document, span

    spans = [one for line in lines if (one := span(line.entry, line.time)) is not None]
    yield msgspec.json.encode(document(spans)).decode() + "\n"
