# SPDX-License-Identifier: Apache-2.0
"""Bodies beside the chain: texts that can be erased, while the chain keeps only a commitment from which nothing can be guessed.

The commitment is HMAC-SHA256 under a random salt that is stored with the body; without the salt even a text of which there are only a few
possible ones can't be found by trying. Encrypted bodies are AES-256-GCM (NIST SP 800-38D) under a key for each subject.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.line import LONGEST

Kept = Literal["redacted", "encrypted"]
FOLDER, KEYS, MARKS, NAMES = "bodies", "keys", "erasures", "subjects.key"
_OPEN = 64
"""Files kept open for writing."""
_DAY = 86_400 * 10**9
_ID = re.compile(r"^[0-9a-f]{32}$")


class Bodies:
    """The bodies of one ledger. Writing, erasing and reading may be done from any thread, by the ledger's one writer."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises `LedgerError`."""
        self._folder, self._keys, self._marks, self._clock = folder / FOLDER, folder / KEYS, folder / MARKS, clock
        self._lock = threading.RLock()
        self._files: dict[tuple[str, str], int] = {}
        self._dirty: set[int] = set()
        self._ciphers: dict[str, Any] = {}
        try:
            for one in (self._folder, self._keys, self._marks):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._names = self._secret(self._keys / NAMES)
        except OSError as problem:
            raise LedgerError(f"{folder}: bodies can't be kept: {problem.strerror}") from None

    def subject(self, name: str) -> str:
        """The id under which a subject's bodies lie; says nothing of its name to who doesn't have the folder's key."""
        return hmac.new(self._names, name.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def put(self, subject: str, kept: Kept, text: str) -> dict[str, Any]:
        """Keeps a text of a subject (its name); what the chain says of it. Raises `LedgerError`, and keeps nothing then."""
        id, body = secrets.token_hex(16), text.encode("utf-8", "replace")
        salt = os.urandom(32)
        who, day = self.subject(subject), str(self._clock() // _DAY)
        record = {"id": id, "salt": _text(salt), "text": body.decode()}
        with self._lock:
            try:
                if kept == "encrypted":
                    nonce = os.urandom(12)
                    record = {
                        "id": id,
                        "box": _text(nonce + self._cipher(who).encrypt(nonce, salt + body, id.encode())),
                    }
                self._append(who, day, msgspec.json.encode(record) + b"\n")
            except OSError as problem:
                raise LedgerError(f"{self._folder}: a body can't be written: {problem.strerror}") from None
        return {"id": id, "subject": who, "day": day, "kept": kept, "commitment": _commitment(salt, body)}

    def flush(self) -> None:
        """Carries what was written to the disk. Raises `OSError`."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            # Copies: the original may be closed by whoever erases, and its number be another file's by then.
            handles = [os.dup(handle) for handle in dirty]
        for handle in handles:
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def mark(self, subject: str) -> str:
        """Notes on the disk that a subject is to be erased, so that a crash can't stop it half-way; the subject's id."""
        who = self.subject(subject)
        try:
            files.replace(self._marks / who, b"")
        except OSError as problem:
            raise LedgerError(f"{self._marks}: can't be written: {problem.strerror}") from None
        return who

    def marked(self) -> list[str]:
        """Ids of subjects whose erasure was begun and not ended."""
        try:
            return [name for name in sorted(os.listdir(self._marks)) if _ID.match(name)]  # noqa: PTH208 - names are enough
        except OSError:
            return []

    def destroy(self, who: str) -> int:
        """Destroys a subject's key and bodies; how many files went. The mark stays until `unmark`. Raises `LedgerError`."""
        with self._lock:
            for name in [name for name in self._files if name[1] == who]:
                self._close(name)
            self._ciphers.pop(who, None)
            try:
                key = self._keys / f"{who}.key"
                if key.exists():
                    # Overwritten first: on most disks that leaves nothing, and it costs nothing where it doesn't help.
                    with key.open("r+b") as stream:
                        stream.write(os.urandom(32))
                        stream.flush()
                        os.fsync(stream.fileno())
                    key.unlink()
                gone = list(self._folder.glob(f"*/{who}.jsonl"))
                for path in gone:
                    path.unlink()
                    files.sync_folder(path.parent)
                files.sync_folder(self._keys)
            except OSError as problem:
                raise LedgerError(f"{self._folder}: can't be erased: {problem.strerror}") from None
        return len(gone)

    def unmark(self, who: str) -> None:
        """The erasure is done, and the chain says so on the disk."""
        with contextlib.suppress(OSError):
            # Else it is done again at the next look, which changes nothing.
            (self._marks / who).unlink(missing_ok=True)

    def old(self, before: int) -> list[Path]:
        """The folders of the days that ended before a time (nanoseconds since 1970)."""
        return old_days(self._folder.parent, before)

    def prune(self, days: Iterable[Path]) -> None:
        """Deletes the bodies of days. Raises `LedgerError`."""
        with self._lock:
            for day in days:
                for name in [name for name in self._files if name[0] == day.name]:
                    self._close(name)
                try:
                    for path in day.iterdir():
                        path.unlink()
                    day.rmdir()
                except OSError as problem:
                    raise LedgerError(f"{day}: can't be deleted: {problem.strerror}") from None

    def close(self) -> None:
        """Closes all files; `flush` first."""
        with self._lock:
            for name in list(self._files):
                self._close(name)

    def _append(self, who: str, day: str, data: bytes) -> None:
        handle = self._files.get((day, who))
        if handle is None:
            handle = self._open(who, day)
        size = os.fstat(handle).st_size
        try:
            done = os.write(handle, data)
            while done < len(data):
                done += os.write(handle, data[done:]) or _full()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)
            raise
        self._dirty.add(handle)

    def _open(self, who: str, day: str) -> int:
        folder = self._folder / day
        folder.mkdir(mode=0o700, exist_ok=True)
        while len(self._files) >= _OPEN:
            self._close(next(iter(self._files)))
        handle = files.open_for_appending(folder / f"{who}.jsonl")
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            os.write(handle, b"\n")
        self._files[day, who] = handle
        return handle

    def _close(self, name: tuple[str, str]) -> None:
        handle = self._files.pop(name)
        if handle in self._dirty:
            self._dirty.discard(handle)
            with contextlib.suppress(OSError):
                os.fsync(handle)
        os.close(handle)

    def _cipher(self, who: str) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = self._ciphers.get(who)
        if cipher is None:
            if len(self._ciphers) >= 10_000:
                self._ciphers.clear()
            cipher = self._ciphers[who] = AESGCM(self._secret(self._keys / f"{who}.key"))
        return cipher

    @staticmethod
    def _secret(path: Path) -> bytes:
        """A random key in a file, made when it is missing; on the disk before anything is encrypted with it."""
        found = files.read_small(path)
        if found is None:
            found = os.urandom(32)
            files.replace(path, found, 0o600)
        if len(found) != 32:
            raise LedgerError(f"{path}: is no key of 256 bits")
        return found


def day_ended(day: str) -> int:
    """When a day (counted from 1970) ends, in nanoseconds since 1970."""
    return (int(day) + 1) * _DAY if day.isascii() and day.isdigit() and len(day) < 8 else 0


def old_days(folder: Path, before: int) -> list[Path]:
    """The folders with the bodies of days that ended before a time, of the ledger in a folder."""
    try:
        return sorted(
            day for day in (folder / FOLDER).iterdir() if day.name.isdigit() and day_ended(day.name) <= before
        )
    except OSError:
        return []


def read(folder: Path, reference: Mapping[str, Any]) -> str | None:
    """The text that a reference in the chain speaks of; None when it isn't there, or was erased.

    Raises `LedgerError` when it isn't what was written.
    """
    who, day = place(reference)
    for record in _records(folder / FOLDER / day / f"{who}.jsonl"):
        if record.get("id") == reference.get("id"):
            opened = _opened(folder, who, record)
            if opened is not None and _commitment(*opened) != reference.get("commitment"):
                raise LedgerError("the body of this entry was changed")
            return opened[1].decode("utf-8", "replace") if opened else None
    return None


def commitments(folder: Path, who: str, day: str) -> dict[str, str]:
    """Of each body of a subject and a day that is there: its id and what the chain has to say of it; '' when it can't be opened."""
    found: dict[str, str] = {}
    for record in _records(folder / FOLDER / day / f"{who}.jsonl"):
        try:
            opened = _opened(folder, who, record)
        except LedgerError:
            found[str(record.get("id"))] = ""
        else:
            if opened is not None:
                found[str(record.get("id"))] = _commitment(*opened)
    return found


def place(reference: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and day of a reference. Raises `LedgerError` when it isn't what one looks like."""
    who, day = str(reference.get("subject", "")), str(reference.get("day", ""))
    if not (_ID.match(who) and day_ended(day)):
        raise LedgerError("a reference to a body isn't what one looks like")
    return who, day


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with os.fdopen(files.open_for_reading(path), "rb") as stream:
            while raw := stream.readline(2 * LONGEST):
                with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
                    record = msgspec.json.decode(raw)
                    if isinstance(record, dict):
                        yield record
    except OSError:
        return


def _opened(folder: Path, who: str, record: Mapping[str, Any]) -> tuple[bytes, bytes] | None:
    """Salt and text; None when the key is gone. Raises `LedgerError`."""
    id = str(record.get("id", ""))
    try:
        if "box" not in record:
            return base64.b64decode(str(record.get("salt")), validate=True), str(record.get("text")).encode(
                "utf-8", "replace"
            )
        key = files.read_small(folder / KEYS / f"{who}.key")
        if key is None:
            return None
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        box = base64.b64decode(str(record["box"]), validate=True)
        try:
            plain = AESGCM(key).decrypt(box[:12], box[12:], id.encode())
        except InvalidTag:
            raise LedgerError(f"the body {id} was changed, or is of another key") from None
        return plain[:32], plain[32:]
    except ValueError:
        raise LedgerError(f"the body {id} isn't what one looks like") from None


def _commitment(salt: bytes, body: bytes) -> str:
    return hmac.new(salt, body, hashlib.sha256).hexdigest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _full() -> int:
    raise OSError(0, "the system takes no more")
