# SPDX-License-Identifier: Apache-2.0
"""The files of a model: listed and read with bounds, nothing through links, nothing outside of the folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path, PurePosixPath

from bastide.errors import Diagnostic, Location, UsageError
from bastide.verify.hub import blob_of


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one model. Reaching one makes its bill incomplete."""

    files: int = 20_000
    depth: int = 32
    """Folders in folders."""
    document: int = 8 << 20
    """Bytes of a text that is parsed."""
    weights: int = 64
    """Weight files whose headers are read."""
    header: int = 32 << 20
    """Bytes of one header."""
    hashed: int = 4 << 40
    """Bytes that are hashed in all."""


@dataclass(slots=True)
class Folder:
    """A model's folder, or a single file with no others."""

    root: Path
    limits: Limits = Limits()
    sizes: dict[str, int] = field(default_factory=dict)
    """Path with `/` -> bytes, in the order of the paths."""
    unread: list[str] = field(default_factory=list)
    single: bool = False
    blobs: dict[str, Path] = field(default_factory=dict)
    """Where the files of a hub client's cache lie to which its links lead."""

    def path(self, name: str) -> Path:
        """Where a listed file lies."""
        return self.root if self.single else self.blobs.get(name) or self.root / name

    def named(self, *names: str) -> list[str]:
        """The listed files at the top with one of these names, whatever the case."""
        wanted = {name.lower() for name in names}
        return [name for name in self.sizes if name.lower() in wanted]

    def __contains__(self, name: str) -> bool:
        """Whether a path is that of a listed file; one that leads out of the folder never is."""
        return name in self.sizes

    def text(self, name: str) -> str | None:
        """A file as text; None, and it is said, when it can't be read or is too large. Bytes that are no UTF-8 are replaced, and said."""
        data = self.data(name)
        if data is None:
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            self.unread.append(f"{shown(name)}: is no UTF-8 from byte {problem.start} on")
            return data.decode("utf-8", "replace")

    def data(self, name: str) -> bytes | None:
        """A small file whole; None, and it is said, when it can't be read or is too large."""
        if self.sizes[name] > self.limits.document:
            self.unread.append(f"{shown(name)}: has more than {self.limits.document >> 20} MiB")
            return None
        try:
            with self.open(name) as stream:
                data = stream.read(self.limits.document + 1)
        except OSError as problem:
            self.unread.append(f"{shown(name)}: {problem.strerror or 'can not be read'}")
            return None
        return data[: self.limits.document]

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """A listed file; a link or device that has taken its place is refused with `OSError`."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(self.path(name), flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(0, "is no regular file")
            yield stream

    def hash(self, name: str) -> str:
        """SHA-256, hex; '' and it is said when it can't be read."""
        try:
            with self.open(name) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as problem:
            self.unread.append(f"{shown(name)}: {problem.strerror or 'can not be read'}")
            return ""


def shown(name: str) -> str:
    """A name for people: without what controls a terminal, and no longer than anybody reads."""
    text = name.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:500]


def list_folder(root: Path, limits: Limits = Limits()) -> Folder:
    """What lies in a folder. Raises `UsageError` when there is nothing at the path."""
    if not root.exists():
        raise UsageError(Diagnostic("there is no such file or folder", Location(str(root))).render())
    root = root.resolve()
    folder = Folder(root, limits)
    if root.is_file():
        folder.single = True
        folder.sizes[root.name] = root.stat().st_size
    elif root.is_dir():
        _list(folder)
    else:
        raise UsageError(f"{shown(str(root))}: is neither a file nor a folder")
    return folder


def _list(folder: Folder) -> None:
    todo = [(folder.root, PurePosixPath())]
    found: dict[str, int] = {}
    while todo:
        path, inside = todo.pop()
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as problem:
            folder.unread.append(f"{shown(str(inside))}/: {problem.strerror}")
            continue
        for entry in entries:
            name = inside / entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name == ".git":
                    continue
                if len(name.parts) > folder.limits.depth:
                    folder.unread.append(f"{shown(str(name))}/: lies deeper than {folder.limits.depth} folders")
                else:
                    todo.append((path / entry.name, name))
                continue
            place = _place(entry, str(name), folder)
            if place is not None and len(found) >= folder.limits.files:
                folder.unread.append(f"has more than {folder.limits.files} files; the others are not in the bill")
                todo.clear()
                break
            if place is not None:
                found[str(name)] = place.lstat().st_size
    folder.sizes.update(sorted(found.items()))
    folder.unread = folder.unread[:200]


def _place(entry: os.DirEntry[str], name: str, folder: Folder) -> Path | None:
    """Where a file lies; None, and it is said, for what is none."""
    if entry.is_symlink():
        blob = blob_of(folder.root, name)
        if blob is None:
            folder.unread.append(f"{shown(name)}: is a link, which isn't followed")
        else:
            folder.blobs[name] = blob.path
        return blob.path if blob else None
    if not entry.is_file(follow_symlinks=False):
        folder.unread.append(f"{shown(name)}: is no regular file")
        return None
    return Path(entry.path)
