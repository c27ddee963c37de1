# SPDX-License-Identifier: Apache-2.0
"""`bastide guard check`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, cast

import click

from bastide.cli import options
from bastide.errors import Diagnostic, InputError, Location, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bastide.guard.content.scanner import ContentScanner
    from bastide.guard.model import Verdict
    from bastide.guard.settings import Content
    from bastide.recognise.model import Direction

ROLES = ("user", "retrieved", "tool", "system", "assistant")
LINE = 8 * 1024 * 1024
"""Bytes of a line, or of a plain file."""
WORKERS, _AHEAD = 2, 32
"""Texts that are looked at at the same time (as many as the transformer has places for), and texts that are read ahead."""
_STYLES = {"allow": "green", "flag": "bold yellow", "redact": "bold yellow", "block": "bold red"}
_ORDER = ("allow", "redact", "flag", "block")


class Text(NamedTuple):
    """A text to check."""

    id: Any
    text: str
    role: str


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="user",
    show_default=True,
    help="Whose text it is, where a line doesn't say.",
)
@options.format_option("table", "json", default="table")
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The guard's settings: thresholds and content checks.",
)
@click.option(
    "--classifier",
    type=click.Choice(["off", "fast", "full"]),
    help="Models after the rules; default: what the settings say, else full where the extra `onnx` is installed.",
)
@click.option(
    "--fail-on", type=click.Choice(["block", "flag"]), help="Exit with 1 when a text gets this verdict, or block."
)
@options.quiet_option
@click.pass_context
def check(
    ctx: click.Context,
    *,
    files: tuple[Path, ...],
    role: str,
    format_: str,
    settings: Path | None,
    classifier: Literal["off", "fast", "full"] | None,
    fail_on: str | None,
    quiet: bool,
) -> None:
    """Say whether texts are attacks, or hold what must not pass.

    With `--format json`, each line of the FILEs (default: standard input) is an object `{"id", "text", "role"}`, and for each one a line
    `{"id", "verdict", "score", "detectors": [{"name", "score", "spans"}]}` comes out, in the same order; `score` is the calibrated
    probability of an attack. With `--format table` each FILE is one plain text.

    \b
    Exit codes: 0, whatever was found; 1 with --fail-on, when a text is that bad; 2 when a line isn't what it has to be.

    \b
    Examples:
      bastide guard check --role retrieved page.txt
      bastide guard check --format json --fail-on block < texts.jsonl
    """
    scanner, workers = _scanner(settings, classifier, quiet)
    worst = "allow"
    texts = _lines(files, role) if format_ == "json" else _plain(files, role)
    for text, verdict in _verdicts(scanner, texts, workers):
        if _ORDER.index(verdict.outcome.value) > _ORDER.index(worst):
            worst = verdict.outcome.value
        if format_ == "json":
            sys.stdout.buffer.write(_json(text, verdict))
        elif not (quiet and verdict.outcome.value == "allow"):
            _show(text, verdict)
    if fail_on and _ORDER.index(worst) >= _ORDER.index(fail_on):
        ctx.exit(1)


def _scanner(
    settings: Path | None, classifier: Literal["off", "fast", "full"] | None, quiet: bool
) -> tuple[ContentScanner, int]:
    """The scanner, and for how many texts at a time it is worth asking."""
    from bastide.guard.content.scanner import ContentScanner, beside_rules
    from bastide.guard.detect.cascade import Cascade
    from bastide.guard.detect.transformer import folder
    from bastide.guard.settings import Content

    content = Content()
    if settings is not None:
        from bastide.guard.settings_file import load_settings

        content = load_settings(settings).content
        classifier = classifier or content.classifier
    mode = classifier or ("full" if folder() else "fast")
    if mode == "full" and folder() is None:
        if classifier:
            raise UsageError("the classifier `full` needs the extra: pip install 'bastide[guard,onnx]'")
        mode = "fast"
    if not quiet:
        words = {
            "off": "rules only",
            "fast": "rules and the fast model",
            "full": "rules, the fast model, the transformer where it isn't sure",
        }
        click.echo(f"checking with {words[mode]}", err=True)
    scanner = ContentScanner(_with(content, mode), Cascade(mode), personal=beside_rules(content))
    return scanner, WORKERS if mode == "full" else 1


def _verdicts(scanner: ContentScanner, texts: Iterable[Text], workers: int) -> Iterator[tuple[Text, Verdict]]:
    """Each text with its verdict, in order. The transformer leaves Python's lock to others, so two threads use two cores."""

    def scan(text: Text) -> tuple[Text, Verdict]:
        return text, scanner.scan(text.text, cast("Direction", text.role))

    if workers == 1:
        yield from map(scan, texts)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[tuple[Text, Verdict]]] = deque()
        try:
            for text in texts:
                waiting.append(pool.submit(scan, text))
                if len(waiting) == _AHEAD:
                    yield waiting.popleft().result()
        except InputError:
            yield from (one.result() for one in waiting)
            raise
        yield from (one.result() for one in waiting)


def _with(content: Content, mode: Literal["off", "fast", "full"]) -> Content:
    from dataclasses import replace

    return replace(content, classifier=mode)


def _streams(files: tuple[Path, ...]) -> Iterator[tuple[str, BinaryIO]]:
    for path in files or (Path("-"),):
        if str(path) == "-":
            yield "<stdin>", sys.stdin.buffer
            continue
        try:
            with path.open("rb") as stream:
                yield str(path), stream
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None


def _lines(files: tuple[Path, ...], role: str) -> Iterator[Text]:
    """The texts of JSONL files. Raises `InputError` with the line."""
    for name, stream in _streams(files):
        for number, line in enumerate(_bounded(stream, name), 1):
            if line.strip():
                yield _line(line, role, Location(name, number))


def _bounded(stream: BinaryIO, name: str) -> Iterable[bytes]:
    number = 1
    while line := stream.readline(LINE + 1):
        if len(line) > LINE:
            raise InputError(Diagnostic(f"the line is longer than {LINE} bytes", Location(name, number)))
        yield line
        number += 1


def _line(line: bytes, role: str, place: Location) -> Text:
    import json

    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(Diagnostic(f"no JSON object: {why}", place)) from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise InputError(Diagnostic('has to be an object with a string "text"', place))
    said = row.get("role", role)
    if said not in ROLES:
        hint = "known: " + ", ".join(ROLES)
        raise InputError(Diagnostic(f"no role `{str(said)[:40]}`", place, hint=hint))
    if not isinstance(row.get("id"), (str, int, float, type(None))):
        raise InputError(Diagnostic('"id" has to be a string or a number', place))
    return Text(row.get("id", place.line), row["text"], said)


def _plain(files: tuple[Path, ...], role: str) -> Iterator[Text]:
    for name, stream in _streams(files):
        data = stream.read(LINE + 1)
        if len(data) > LINE:
            raise InputError(Diagnostic(f"longer than {LINE} bytes", Location(name)))
        yield Text(name, data.decode("utf-8", "replace"), role)


def _json(text: Text, verdict: Verdict) -> bytes:
    import json

    row = {
        "id": text.id,
        "verdict": verdict.outcome.value,
        "score": verdict.score,
        "detectors": [
            {"name": d.detector, "score": d.score, "spans": [[s.start, s.end] for s in d.spans]}
            for d in verdict.detections
        ],
    }
    if not verdict.scanned:
        row["scanned"] = False
    return json.dumps(row).encode("ascii") + b"\n"


def _show(text: Text, verdict: Verdict) -> None:
    from bastide.cli.screen import Screen, join
    from bastide.cli.screen import text as styled

    screen = Screen(sys.stdout.isatty())
    word = verdict.outcome.value
    screen.add(join(styled(word.upper(), _STYLES[word]), f"  {verdict.score:.2f}  {text.id}"))
    screen.rows(
        ((d.detector, f"{d.score:.2f}  {d.why}") for d in sorted(verdict.detections, key=lambda d: -d.score)[:20]),
        indent=2,
    )
    click.echo(screen.text())
