# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger show`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bastide.cli import options
from bastide.cli.output import put

if TYPE_CHECKING:
    from bastide.evidence.line import Line


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--request", metavar="ID", help="Only entries of this request.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only entries of this kind; repeatable.")
@click.option("--last", type=click.IntRange(1, 1_000_000), metavar="N", help="Only the last N of them.")
@click.option("--content", is_flag=True, help="Show kept texts too (with --format json).")
@options.format_option("table", "json", default="table")
@options.output_option
def show(
    *,
    folder: Path,
    request: str | None,
    kinds: tuple[str, ...],
    last: int | None,
    content: bool,
    format_: str,
    output: Path | None,
) -> None:
    """Show entries of the ledger in FOLDER, and of its parts, a line each; as JSON, a document each line.

    \b
    Kinds: request, decision, detection, redaction, endorsement, approval, retrieval, incident, start, stop, reload, and the ledger's own
    (ledger, key, checkpoint, torn, clock, retention, erasure).

    \b
    Examples:
      bastide ledger show guard-log --request req_0a1b2c
      bastide ledger show guard-log --kind decision --last 20 --format json
    """
    from collections import deque

    from bastide.evidence.parts import every_entry

    if content and format_ != "json":
        raise click.UsageError("--content needs --format json")
    found: Any = (line for line in every_entry(folder, _left_out) if _fits(line, request, kinds))
    if last:
        found = deque(found, last)
    rows = (_document(folder, line, content) if format_ == "json" else _row(line) for line in found)
    if output is not None:
        put("".join(rows), output)
    else:
        for row in rows:
            put(row, None)


def _left_out(place: str) -> None:
    click.echo(f"left out: {place}; `bastide ledger verify` says more", err=True)


def _fits(line: Line, request: str | None, kinds: tuple[str, ...]) -> bool:
    entry = line.entry
    return (request is None or entry.get("request") == request) and (not kinds or entry.get("kind") in kinds)


def _row(line: Line) -> str:
    from bastide.cli.text import one_line

    entry = line.entry
    said = " ".join(filter(None, _said(entry)))
    return (
        f"{line.seq:>8}  {moment(line.time)}  {one_line(str(entry.get('kind', '')))[:12]:<12}  {one_line(said)[:400]}\n"
    )


def _said(entry: dict[str, Any]) -> Iterator[str]:
    """The most telling facts of an entry."""
    yield str(entry.get("request", ""))
    caller = entry.get("caller")
    if isinstance(caller, dict):
        yield "/".join(str(caller.get(k)) for k in ("agent", "user") if caller.get(k))
    for key in ("outcome", "model", "tool", "direction", "incident", "subject", "file", "seq", "version"):
        if entry.get(key):
            yield f"{key}={str(entry[key])[:100]}"
    if isinstance(ruling := entry.get("ruling"), dict):
        yield f"{ruling.get('effect')}: {ruling.get('reason')}"
    if isinstance(error := entry.get("error"), dict):
        yield f"{error.get('code')}: {error.get('message')}"
    if isinstance(seen := entry.get("detections"), list):
        yield ", ".join(str(one.get("detector")) for one in seen if isinstance(one, dict))
    if entry.get("unscanned"):
        yield f"unscanned={entry['unscanned']}"


def _document(folder: Path, line: Line, content: bool) -> str:
    import msgspec

    found = {"seq": line.seq, "time": moment(line.time), **{"hash": line.hash}, "entry": line.entry}
    if content:
        found["texts"] = _texts(folder, line.entry)
    return msgspec.json.encode(found).decode() + "\n"


def _texts(folder: Path, entry: dict[str, Any]) -> list[str | None]:
    """The kept texts; None for one that was erased, never kept or isn't what was written."""
    from bastide.errors import LedgerError
    from bastide.evidence.bodies import read
    from bastide.evidence.parts import ledgers

    found: list[str | None] = []
    content = entry.get("content")
    for text in content if isinstance(content, list) else ():
        body = text.get("body") if isinstance(text, dict) else None
        try:
            # Subjects have other ids in each part, so only the entry's own part has it.
            texts = [read(one, body) for one in ledgers(folder)] if isinstance(body, dict) else []
            found.append(next((one for one in texts if one is not None), None))
        except LedgerError:
            found.append(None)
    return found


def moment(time: int) -> str:
    """The time in ISO 8601 (UTC); the number itself when no calendar has it."""
    try:
        return datetime.fromtimestamp(time / 1e9, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(time)[:24]
