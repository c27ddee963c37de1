# SPDX-License-Identifier: Apache-2.0
"""Where results go: standard output, or files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from bastide.cli.text import printable
from bastide.errors import UsageError

SUFFIXES = {
    ".html": "html", ".htm": "html", ".json": "json", ".sarif": "sarif", ".md": "markdown", ".markdown": "markdown",
    ".csv": "csv", ".txt": "table",
}  # fmt: skip
STDOUT = Path("-")


def format_of(path: Path, given: str | None, alone: bool) -> str:
    """The format for an output file: what `--format` says when there is one file, else what the suffix says."""
    if given and alone:
        return given
    known = SUFFIXES.get(path.suffix.lower()) or given
    if known is None:
        raise UsageError(f"{path}: which format? Say `--format`, or use a suffix: {', '.join(SUFFIXES)}")
    return known


def put(text: str, path: Path | None, quiet: bool = False) -> None:
    """Writes to a file and says so on stderr, or prints when the path is None or `-`."""
    data = text.encode("utf-8", "replace")
    if path is None or path == STDOUT:
        if sys.stdout is None:
            raise UsageError("standard output is closed; name a file with -o")
        click.echo(data, nl=False)
        return
    write_file(path, data)
    if not quiet:
        click.echo(f"wrote {printable(str(path))}", err=True)


def keep_inputs(outputs: Iterable[Path | None], *inputs: Path | None) -> None:
    """Raises `UsageError` when an output is one of the files that are read, or the side file of one."""
    read = [file for one in inputs if one and one.name for file in (one, one.with_name(f"{one.stem}.findings.yaml"))]
    for output in outputs:
        for one in read:
            if output and output.is_file() and one.is_file() and output.samefile(one):
                raise UsageError(f"{output}: is an input; name another file to write")


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds the folder, so that of two commands that read, change and write a file in it neither undoes the other.

    Where folders can't be locked (Windows, some network drives) it goes on without.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes) -> None:
    """Writes a file so that readers see the old content or all of the new.

    Raises `UsageError` when it can't be written: no such folder, no right, a link (whose target nobody named).
    """
    try:
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise UsageError(f"{path}: is a directory")
        if mode is not None and not stat.S_ISREG(mode):
            # A pipe or a device such as /dev/stdout: replacing it would be wrong.
            path.write_bytes(data)
            return
        if path.is_symlink():
            raise UsageError(f"{path}: is a symbolic link; name the file itself")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder `{path.parent}`; make it first")
        _replace(path, data, mode)
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: can't be written: {getattr(problem, 'strerror', None) or problem}") from None


def _replace(path: Path, data: bytes, mode: int | None) -> None:
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        # O_EXCL: never into something that somebody else put there.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), stat.S_IMODE(mode))
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
