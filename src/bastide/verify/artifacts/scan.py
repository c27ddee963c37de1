# SPDX-License-Identifier: Apache-2.0
"""Scans a file: finds out what it is by its content, has every reader that knows the format read it, and hashes it."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bastide.verify.artifacts.cache import Cache, key_of
from bastide.verify.artifacts.exposed import look
from bastide.verify.artifacts.formats import readers_of, reads_ranges
from bastide.verify.artifacts.formats.pickle import EXTENSIONS
from bastide.verify.artifacts.interface import Buffer, Limits, Reader, Scan, Source
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier
from bastide.verify.artifacts.ranges import Ranges
from bastide.verify.artifacts.remote import Remote, open_remote

ENGINE = "1"
"""Version of what scans say: results that are kept are valid for one engine."""
MODELS = EXTENSIONS | {"gguf", "h5", "hdf5", "joblib", "keras", "onnx", "pb", "safetensors", "skops", "tflite"}
"""Names under which people keep models, and load them."""
ARCHIVES = frozenset({"zip", "tar", "compressed"})
"""Formats whose members are read one by one."""
SCRIPTS = frozenset({"bash", "bat", "cmd", "ps1", "psm1", "sh", "vbs", "zsh"})
"""Extensions of programs as text."""
SMALL = 1 << 20
"""Bytes up to which a file is read at once; one in a store is fetched as a whole then, and with it its digest."""
LARGE = 16 << 20
"""Bytes from which on a file is hashed while it is read: a second core does it."""


def readable(path: str) -> str:
    r"""A path as reports show it: bytes of a name that are no UTF-8 as \x.., since no report can hold them."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def scan_file(path: Path, name: str = "", limits: Limits = Limits(), cache: Cache | None = None) -> FileReport:
    """What is known of one file. Never raises for anything in it; a file that can't be read is unknown.

    name: how the report calls it; by default its path.
    """
    started = time.perf_counter()
    shown = readable(name or str(path))
    try:
        with _Mapped(path) as data:
            report = _kept(data, shown, limits, cache) if cache else scan_bytes(data, shown, limits)
    except OSError as problem:
        report = _unread(shown, problem)
    return replace(report, seconds=time.perf_counter() - started)


def scan_remote(location: str, limits: Limits = Limits(), cache: Cache | None = None) -> FileReport:
    """What is known of a file in a store. Of large files in formats whose readers ask for parts, only those parts are fetched; it has no digest then.

    Raises `UsageError` when the package that speaks to the store isn't there.
    """
    started = time.perf_counter()
    try:
        found = open_remote(location)
        key = key_of(f"{found.size} {found.stamp}", location, limits) if cache and found.stamp else ""
        report = cache.get(key) if cache and key else None
        if report is None:
            report = _fetched(found, limits)
            if cache and key:
                cache.put(key, report)
    except OSError as problem:
        report = _unread(location, problem)
    return replace(report, path=location, seconds=time.perf_counter() - started)


def _fetched(found: Remote, limits: Limits) -> FileReport:
    """Raises `OSError`."""
    ranges = found.ranges() if (found.size or 0) > SMALL else None
    if ranges is None or not reads_ranges(Source(found.location, ranges)):
        return scan_bytes(found.download(), found.location, limits)
    scan = Scan(limits, read_all)
    format = read_all(Source(found.location, ranges), scan)
    if not found.unchanged():
        raise OSError(0, "it changed while it was read")
    return FileReport(found.location, format, "", tuple(sorted(scan.findings, key=_order)))


def _kept(data: Buffer, shown: str, limits: Limits, cache: Cache) -> FileReport:
    key = key_of(hashlib.sha256(data).hexdigest(), shown, limits)
    report = cache.get(key)
    if report is None:
        report = scan_bytes(data, shown, limits)
        cache.put(key, report)
    return replace(report, path=shown)


def _unread(shown: str, problem: OSError) -> FileReport:
    why = problem.strerror or str(problem)
    return FileReport(
        shown, "unread", "", (Finding("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, f"not read: {why}"),)
    )


def scan_bytes(data: Buffer, name: str = "", limits: Limits = Limits()) -> FileReport:
    """What is known of some bytes."""
    scan = Scan(limits, read_all)
    if len(data) < LARGE:
        format = read_all(Source(name, data), scan)
        digest = hashlib.sha256(data)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as beside:
            hashing = beside.submit(hashlib.sha256, data)
            format = read_all(Source(name, data), scan)
            digest = hashing.result()
    return FileReport(name, format, digest.hexdigest(), tuple(sorted(scan.findings, key=_order)))


def read_all(source: Source, scan: Scan) -> str:
    """Has every reader read it that claims it; returns the format, or formats joined by `+`."""
    if source.size == 0:
        if source.extension in MODELS:
            what = "is empty: there is nothing in it to load, and no loader takes it"
            scan.add("scan/empty", Tier.MALFORMED, Severity.LOW, what)
        return "empty"
    if isinstance(source.data, Ranges) and not reads_ranges(source):
        source = Source(source.name, source.data.whole())
    readers = readers_of(source)
    formats = [_read(reader, source, scan) for reader in readers]
    if not any(reader.format in ARCHIVES for reader in readers):
        look(source, scan)
    if formats:
        return "+".join(dict.fromkeys(formats))
    return _unclaimed(source, scan)


def _read(reader: Reader, source: Source, scan: Scan) -> str:
    try:
        return reader.read(source, scan) or reader.format
    except RecursionError:
        scan.unread("nested deeper than it can be read")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, AssertionError) as problem:
        # A defect of one reader must not hide what the others find.
        scan.defect(problem)
    return reader.format


def _unclaimed(source: Source, scan: Scan) -> str:
    """Text is harmless until something loads it; other bytes nobody here can judge."""
    if source.head(2) == b"#!" or source.extension in SCRIPTS:
        scan.add(
            "scan/program", Tier.POLICY, Severity.MEDIUM,
            "is a program: nothing is known of what it does when somebody runs it. Read it before", 0, _first_line(source),
        )  # fmt: skip
        return "script"
    if _is_text(source):
        return "text"
    scan.add(
        "scan/unknown-format",
        Tier.POLICY,
        Severity.MEDIUM,
        "of a format that isn't known here, so nothing is known of it",
        0,
    )
    return "unknown"


def _first_line(source: Source) -> str:
    return source.head(200).partition(b"\n")[0].decode("utf-8", "replace")


def _is_text(source: Source) -> bool:
    try:
        text = bytes(source.data[: 1 << 20]).decode("utf-8", "strict" if source.size <= 1 << 20 else "ignore")
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def _order(finding: Finding) -> tuple[int, str, int]:
    return list(reversed(Severity)).index(finding.severity) * -1, finding.member, finding.offset or 0


class _Mapped:
    """A file's bytes, those of a large one without reading them into memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Buffer:
        # O_NONBLOCK: a pipe must not hang the scan.
        self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
        facts = os.fstat(self._file)
        if not stat.S_ISREG(facts.st_mode):
            os.close(self._file)
            raise OSError(0, "no regular file")
        if facts.st_size <= SMALL:
            # Mapping costs more than reading.
            self._map: Buffer = os.read(self._file, facts.st_size)
            if len(self._map) != facts.st_size:
                os.close(self._file)
                raise OSError(0, "it changed while it was read")
        else:
            self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        return self._map

    def __exit__(self, *_: object) -> None:
        if isinstance(self._map, mmap.mmap):
            # A view into it that is still somewhere closes it when that goes.
            with suppress(BufferError):
                self._map.close()
        os.close(self._file)
