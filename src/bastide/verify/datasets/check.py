# SPDX-License-Identifier: Apache-2.0
"""Checks a data set: looks at its files once, in processes, and judges what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial as bound
from pathlib import Path

from bastide.verify.datasets.croissant import Croissant, judge_croissant, local_files, read_croissant
from bastide.verify.datasets.describe import Description, is_croissant, read_description
from bastide.verify.datasets.examine import Work, digests, divide, examine, peek
from bastide.verify.datasets.interface import Limits, Piece
from bastide.verify.datasets.judge import Judge
from bastide.verify.datasets.merge import merged
from bastide.verify.datasets.model import FieldFacts, FileFacts, Finding, Place, Report, Severity
from bastide.verify.datasets.partial import FileTally, Partial, Tally
from bastide.verify.datasets.pool import Done, each
from bastide.verify.datasets.readers.choose import DataFile, Survey, survey
from bastide.verify.datasets.readers.delimited import NAMELESS
from bastide.verify.datasets.roles import Roles, assign
from bastide.verify.datasets.splits import AGAINST, split_of_file

_PEEKED = 8
"""Files whose first rows tell the fields apart."""
_MOST = 5_000
"""Findings of a report."""
_PER_TASK = 256
"""Small files that one process reads."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to check."""

    description: Description = field(default_factory=Description)
    """What the call says about the data set; it goes before what files say."""
    against: tuple[Path, ...] = ()
    """Test data that must not be in the data set."""
    jobs: int = 1
    presidio: str = ""
    """The spaCy package for Presidio; '' to leave it out."""
    limits: Limits = field(default_factory=Limits)
    cluster: str = ""
    """Address of a Ray cluster that does it; '' for processes on this machine."""
    described_by: Path | None = None
    """A description in a file, YAML, JSON or Croissant; beside those that lie with the data."""


Progress = Callable[[int, int], None]


def check(paths: Sequence[Path], settings: Settings, progress: Progress | None = None) -> Report:
    """The whole check.

    progress: called with the number of tasks that are done, and of all.

    Raises:
        UsageError: there is nothing at a path, a stated field isn't there, or something isn't installed.
        InputError: a description can't be read.
    """
    started = time.perf_counter()
    found = _surveyed(paths, settings.limits)
    other = survey(settings.against, settings.limits) if settings.against else Survey((), (), (), ())
    files = [*found.files, *other.files]
    splits = (*(split_of_file(f.path) for f in found.files), *(AGAINST for _ in other.files))
    stated, croissants = _stated(found, settings)
    pieces, tallies, problems = _plan(files, len(found.files), settings)
    roles = assign(tallies, stated.roles, every=len(files) <= _PEEKED)
    work = Work(roles, settings.limits, splits, settings.presidio)
    total, uncompared, failed = _run(pieces, files, work, settings, progress)
    facts = tuple(_facts(i, f, total, splits[i], i in failed) for i, f in enumerate(files))
    judge = Judge(total, roles, stated, facts, uncompared)
    findings = [*judge.findings(found.papers), *_damage(total, files)]
    for one in croissants:
        findings += judge_croissant(one, facts, judge.sensitive)
    findings.sort(key=lambda f: (-f.severity.rank, f.id, f.field, f.place.file, f.place.row))
    unread = [*found.unread, *other.unread, *problems, *failed.values(), *_troubles(total, files), *judge.unread]
    if not files:
        unread.append("no file of a data set is at the paths")
    elif not any(f.rows for f in facts):
        unread.append("no row is in the files")
    card = judge.card()
    seconds = time.perf_counter() - started
    return Report(
        facts, _fields(total, roles, judge), tuple(findings[:_MOST]), tuple(dict.fromkeys(unread)), card, seconds
    )


def _surveyed(paths: Sequence[Path], limits: Limits) -> Survey:
    """What lies at the paths; of a Croissant description that is one of them also the files that it names."""
    found = survey(paths, limits)
    named = [
        p
        for said in paths
        if said in found.descriptions and is_croissant(said)
        for p in local_files(read_croissant(said))
    ]
    return survey([*paths, *(p for p in named if p not in paths)], limits) if named else found


def _stated(found: Survey, settings: Settings) -> tuple[Description, list[Croissant]]:
    """What the call and the descriptions say; the call's word goes first, then that of the file which it names."""
    stated = settings.description
    croissants: list[Croissant] = []
    own = [settings.described_by] if settings.described_by else []
    for path in [*own, *(p for p in found.descriptions if p not in own)]:
        if is_croissant(path):
            croissants.append(read_croissant(path))
            stated = stated.over(croissants[-1].description)
        else:
            stated = stated.over(read_description(path))
    return stated, croissants


def _plan(
    files: Sequence[DataFile], own: int, settings: Settings
) -> tuple[list[Piece], Mapping[str, Tally], list[str]]:
    """The pieces of all files, and the fields of the first rows of the data set's own, which come first.

    Done in processes too: a damaged file may end one.
    """
    limits = settings.limits
    whole = [Piece(i, f.path, f.format) for i, f in enumerate(files)]
    if not whole:
        return [], {}, []
    tables = [p for p in whole[:own] if p.format not in ("text", "image")][:_PEEKED]
    tables += [p for p in whole[:own] if p.format == "image"][:_PEEKED]
    tasks: list[Callable[[], Partial]] = [bound(divide, whole, limits), *(bound(peek, [p], limits) for p in tables)]
    answers: dict[int, Partial] = {}
    problems: list[str] = []
    for done in _each(tasks, settings):
        if done.partial is not None:
            answers[done.task] = done.partial
        elif done.task:
            problems.append(f"{tables[done.task - 1].path}: {done.why}")
    cut = answers.get(0)
    pieces = [Piece(i, files[i].path, files[i].format, *at) for i, *at in cut.pieces] if cut else whole
    tallies: dict[str, Tally] = {}
    for _, answer in sorted(answers.items()):
        for name, tally in answer.fields.items():
            tallies.setdefault(name, tally)
    return pieces, tallies, problems


def _run(
    pieces: Sequence[Piece], files: Sequence[DataFile], work: Work, settings: Settings, progress: Progress | None
) -> tuple[Partial, int, dict[int, str]]:
    """The sum of what was found, the rows that were not compared, and the files of which nothing, or not all, was read, with why."""
    groups = list(_groups(pieces, files, settings.limits.piece))
    hashed = list(_groups([Piece(i, f.path, f.format) for i, f in enumerate(files)], files, settings.limits.piece))
    tasks: list[Callable[[], Partial]] = [bound(examine, group, work) for group in groups]
    tasks += [bound(digests, group) for group in hashed]
    parts: list[Partial | None] = [None] * len(groups)
    hashes: dict[int, str] = {}
    failed: dict[int, str] = {}
    for number, done in enumerate(_each(tasks, settings), 1):
        if done.task < len(groups):
            parts[done.task] = done.partial
            if done.partial is None:
                failed |= {p.file: f"{p.path}: {done.why}" for p in groups[done.task]}
        elif done.partial is not None:
            hashes |= done.partial.digests
        if progress is not None:
            progress(number, len(tasks))
    total, uncompared = merged(parts, settings.limits)
    total.digests = hashes
    return total, uncompared, failed


def _each(tasks: Sequence[Callable[[], Partial]], settings: Settings) -> Iterator[Done]:
    if not settings.cluster:
        return each(tasks, settings.jobs, settings.limits)
    from bastide.verify.datasets.on_ray import each_on_ray

    return each_on_ray(tasks, settings.cluster, settings.limits)


def _groups(pieces: Iterable[Piece], files: Sequence[DataFile], size: int) -> Iterable[list[Piece]]:
    """Pieces in the order of the rows, small ones together."""
    group: list[Piece] = []
    filled = 0
    for piece in pieces:
        length = files[piece.file].size if piece.format == "parquet" or piece.end < 0 else piece.end - piece.start
        if group and (filled + length > size or len(group) >= _PER_TASK):
            yield group
            group, filled = [], 0
        group.append(piece)
        filled += length
    if group:
        yield group


def _facts(index: int, file: DataFile, total: Partial, split: str, failed: bool) -> FileFacts:
    tally = total.files.get(index, FileTally())
    whole = not failed and all(map(_is_read, tally.troubles))
    return FileFacts(str(file.path), file.format, file.size, tally.rows, total.digests.get(index, ""), split, whole)


def _fields(total: Partial, roles: Roles, judge: Judge) -> tuple[FieldFacts, ...]:
    found: dict[str, dict[str, int]] = {}
    for one in judge.sensitive:
        found.setdefault(one.field, {})[one.kind] = one.rows
    return tuple(
        FieldFacts(
            name,
            roles.of.get(name, ""),
            dict(sorted(tally.types.items())),
            tally.longest,
            dict(sorted(found.get(name, {}).items())),
        )
        for name, tally in total.fields.items()
    )


def _troubles(total: Partial, files: Sequence[DataFile]) -> list[str]:
    """What was not read of each file."""
    found = []
    for index, tally in sorted(total.files.items()):
        for why, (times, row) in tally.troubles.items():
            if _is_read(why):
                continue
            where = Place(str(files[index].path), row)
            found.append(f"{where}: {why}" + (f" ({times:,})" if times > 1 else ""))
    return found


def _is_read(why: str) -> bool:
    """Whether something is odd, but was read."""
    return why == NAMELESS


def _damage(total: Partial, files: Sequence[DataFile]) -> list[Finding]:
    """Lines that aren't what the format says: a loader would stop, or leave them out."""
    found = []
    for index, tally in total.files.items():
        for why, (times, row) in tally.troubles.items():
            if _is_read(why) or why.startswith(("lines that are no", "records that are no", "the rest of a damaged")):
                message = f"{why}: loaders stop here or leave them out; repair the file"
                place = Place(str(files[index].path), row)
                found.append(Finding("dataset/malformed", Severity.MEDIUM, message, place=place, count=times))
    return found
