# SPDX-License-Identifier: Apache-2.0
"""The ledger's folder: how its files are called, and how they are made, read and replaced without trusting what lies there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from bastide.errors import LedgerError, LedgerHeld

LOCK = "lock"
NEWEST = "checkpoint.json"
"""The newest signed checkpoint: the file to copy to another place."""
STUB = "stub.json"
"""What stands for the entries that retention deleted."""
PRIVATE = "signing-key.pem"
SMALL = 65_536
"""Bytes of a key, checkpoint or stub; what is longer is something else."""
_SEGMENT = re.compile(r"^segment-(\d{16})\.jsonl$")


def segment(folder: Path, first: int) -> Path:
    """The file that begins with an entry."""
    return folder / f"segment-{first:016d}.jsonl"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """First entry and file of each segment, in order. Raises `LedgerError` when the folder can't be read."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
    except OSError as problem:
        raise LedgerError(f"{folder}: can't be read: {problem.strerror}") from None
    return [(int(found[1]), folder / name) for name in names if (found := _SEGMENT.match(name))]


def open_for_reading(path: Path) -> int:
    """A descriptor of a regular file; never of a link, a pipe or a device. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "is no regular file", str(path))
    return handle


def open_for_appending(path: Path) -> int:
    """A descriptor to which only this user can write. Raises `OSError`."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def read_small(path: Path) -> bytes | None:
    """The content of a small file; None when there is none. Raises `LedgerError`."""
    try:
        with os.fdopen(open_for_reading(path), "rb") as stream:
            data = stream.read(SMALL + 1)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise LedgerError(f"{path}: can't be read: {problem.strerror}") from None
    if len(data) > SMALL:
        raise LedgerError(f"{path}: is too long for what it should be")
    return data


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a file so that after a crash it has the old content or all of the new. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(folder: Path) -> None:
    """Makes a folder that is nobody else's to read, when it is missing. Raises `LedgerError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise LedgerError(f"{folder}: can't be written: {problem.strerror}") from None


def lock(folder: Path) -> int:
    """Takes the folder for one writer. Raises `LedgerError` when another has it."""
    try:
        import fcntl
    except ImportError:
        raise LedgerError(f"{folder}: this system has no file locks, so one writer can't be made sure of") from None
    make(folder)
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise LedgerError(f"{folder}: can't be written: {problem.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(OSError):
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        os.close(handle)
        who = f" (process {owner})" if owner.isdigit() else ""
        raise LedgerHeld(f"{folder}: another process{who} writes this ledger; a ledger has one writer") from None
    with contextlib.suppress(OSError):
        # Only for the message of the one who comes second; a full disk is no reason not to start reading.
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle
