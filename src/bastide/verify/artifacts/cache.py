# SPDX-License-Identifier: Apache-2.0
"""Reports that are kept: what was read once isn't read again while neither the file nor the engine has changed.

One small file for each report, written at once as a whole, so that many processes and machines can share a folder. Whoever can write into it
decides what counts as safe: it has to belong to the caller and be closed to others.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from bastide.errors import UsageError
from bastide.verify.artifacts.interface import Limits
from bastide.verify.artifacts.model import FileReport


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of reports."""

    folder: Path

    def get(self, key: str) -> FileReport | None:
        """The report under a key; one that can't be read isn't there."""
        try:
            return msgspec.msgpack.decode(self._place(key).read_bytes(), type=FileReport)
        except (OSError, msgspec.MsgspecError):
            return None

    def put(self, key: str, report: FileReport) -> None:
        """Keeps a report. A full disk is no reason to stop a scan."""
        place = self._place(key)
        with suppress(OSError):
            place.parent.mkdir(exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=place.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.msgpack.encode(replace(report, path="", seconds=0.0)))
            Path(name).replace(place)

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]


def open_cache(folder: Path) -> Cache:
    """The cache in a folder, which is made. Raises `UsageError` when others may write there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError as problem:
        raise UsageError(f"{folder}: {problem.strerror}; name another folder with --cache") from None
    if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"{folder}: others may write there, and with it decide what is safe: chmod go-w, or another folder"
        )
    return Cache(folder)


def key_of(content: str, name: str, limits: Limits) -> str:
    """The key of a report.

    content: what stands for the content, its SHA-256 or what a store says of the version; name: the file's, by which some formats are told.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    return hashlib.sha256(
        "\0".join((engine(), repr(limits), base, content)).encode("utf-8", "surrogateescape")
    ).hexdigest()


@cache
def engine() -> str:
    """A digest of all that decides what a report says: code and knowledge. A version that somebody has to raise would be forgotten once."""
    digest = hashlib.sha256()
    for package in ("bastide.verify.artifacts", "bastide.recognise", "bastide.knowledge"):
        root = resources.files(package)
        _digest(root / "artifacts" if package == "bastide.knowledge" else root, digest)
    return digest.hexdigest()


def _digest(at: Traversable, digest: hashlib._Hash) -> None:
    for one in sorted(at.iterdir(), key=lambda t: t.name):
        if one.is_dir():
            _digest(one, digest)
        elif one.name.endswith((".py", ".yaml")):
            digest.update(one.name.encode() + b"\0" + one.read_bytes())
