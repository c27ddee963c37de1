# SPDX-License-Identifier: Apache-2.0
"""Reads and hashes all files of a model: each regular file once, nothing through links, and it shows when a file changes meanwhile.

What a second look finds different makes the reading worthless, and it is said; what changes after it nobody can see, so a model should
be verified where nobody else writes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from bastide.errors import Diagnostic, LimitError, Location, UsageError
from bastide.verify.signing import names

FILES = 100_000
DEPTH = 64
_CHUNK = 1 << 20
Kind = Literal["link", "special", "name", "unreadable", "changed", "limit"]
Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, and times of the last change of content and facts: the same file, unchanged."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a part of a model can't be vouched for."""

    name: str
    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of a model."""

    root: Path
    name: str
    digests: Mapping[str, str]
    """Path in the model -> SHA-256, hex."""
    stamps: Mapping[str, Stamp]
    faults: tuple[Fault, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(stamp[2] for stamp in self.stamps.values())


@dataclass(slots=True)
class _Listing:
    files: dict[str, Stamp] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_tree(root: Path, workers: int | None = None) -> Tree:
    """Lists, hashes and lists again. Raises `UsageError` when there is no model at the path."""
    before = _list(root)
    digests, unread = _hash_all(root, before.files, workers)
    tree = Tree(root, model_name(root), digests, before.files, (*before.faults, *unread))
    return look_again(tree)


def look_again(tree: Tree) -> Tree:
    """The same with what has changed since it was listed. Raises `UsageError` when the model is gone."""
    after = _list(tree.root)
    known = {fault.name for fault in tree.faults}
    names_ = sorted(tree.stamps.keys() | after.files.keys())
    moved = [n for n in names_ if tree.stamps.get(n) != after.files.get(n) and n not in known]
    faults = [Fault(n, "changed", "changed while the model was read") for n in moved]
    faults += [f for f in after.faults if f not in tree.faults and f.name not in moved]
    return replace(tree, faults=(*tree.faults, *faults))


def model_name(root: Path) -> str:
    """The last part of a path."""
    return root.name if root.name not in ("", "..") else root.resolve().name


def hash_stretches(root: Path, name: str, algorithm: str, size: int) -> dict[str, str]:
    """Digests of a file's stretches of at most `size` bytes (0: of the whole file) as `path:start:end`.

    Raises `OSError`, `EOFError` when it becomes shorter meanwhile, `LimitError` for too many.
    """
    path = _path(root, name)
    found: dict[str, str] = {}
    with _opened(path) as handle:
        total = os.fstat(handle.fileno()).st_size
        if size and total // size > FILES:
            raise LimitError(f"{path}: has more than {FILES} stretches")
        if not size:
            return {name: _digest(handle.fileno(), 0, total, algorithm)}
        for start in range(0, max(total, 1), size):
            end = min(start + size, total)
            found[f"{name}:{start}:{end}"] = _digest(handle.fileno(), start, end, algorithm)
    return found


def _list(root: Path) -> _Listing:
    listing = _Listing()
    try:
        facts = root.lstat()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        raise UsageError(Diagnostic(f"there is no model: {why}", Location(str(root)))) from None
    if stat.S_ISREG(facts.st_mode):
        listing.files[names.SINGLE] = _stamp(facts)
    elif stat.S_ISDIR(facts.st_mode):
        _list_folder(root, listing)
    else:
        what = "a symbolic link" if stat.S_ISLNK(facts.st_mode) else "no regular file and no folder"
        raise UsageError(Diagnostic(f"is {what}; name the model itself", Location(str(root))))
    listing.faults += [
        Fault(second, "name", f"some systems take it and `{first}` for the same file")
        for first, second in names.clashes(listing.files)
    ]
    return listing


def _list_folder(root: Path, listing: _Listing) -> None:
    todo = [("", 0)]
    while todo:
        folder, depth = todo.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as problem:
            listing.faults.append(Fault(folder or ".", "unreadable", f"can't be listed: {problem.strerror}"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _take(entry, name, listing):
                todo.append((name, depth + 1))
        if len(listing.files) > FILES or depth > DEPTH:
            what = f"has more than {FILES} files, or folders deeper than {DEPTH}, so nothing of it was read"
            listing.files.clear()
            listing.faults[:] = [Fault(names.SINGLE, "limit", what)]
            return


def _take(entry: os.DirEntry[str], name: str, listing: _Listing) -> bool:
    """Notes an entry; whether it is a folder to look into."""
    if wrong := names.fault(name):
        listing.faults.append(Fault(name.encode("utf-8", "replace").decode(), "name", f"the name {wrong}"))
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError as problem:
        listing.faults.append(Fault(name, "unreadable", f"can't be read: {problem.strerror}"))
        return False
    if stat.S_ISDIR(facts.st_mode):
        return True
    if stat.S_ISREG(facts.st_mode):
        listing.files[name] = _stamp(facts)
    elif stat.S_ISLNK(facts.st_mode):
        listing.faults.append(Fault(name, "link", "is a symbolic link: what it leads to isn't part of the model"))
    else:
        listing.faults.append(Fault(name, "special", "is no regular file"))
    return False


def _hash_all(root: Path, files: Mapping[str, Stamp], workers: int | None) -> tuple[dict[str, str], list[Fault]]:
    digests: dict[str, str] = {}
    faults: list[Fault] = []
    # The largest first, so that none is left alone at the end. Hashing and reading let other threads run.
    order = sorted(files, key=lambda name: -files[name][2])
    with ThreadPoolExecutor(workers or min(16, os.cpu_count() or 1)) as pool:
        results: Iterable[str | Fault] = pool.map(lambda name: _hash(root, name, files[name]), order)
        for name, result in zip(order, results, strict=True):
            if isinstance(result, Fault):
                faults.append(result)
            else:
                digests[name] = result
    return digests, faults


def _hash(root: Path, name: str, stamp: Stamp) -> str | Fault:
    try:
        with _opened(_path(root, name)) as handle:
            # The same file as was listed, whatever became of the folders on the way to it.
            same = _stamp(os.fstat(handle.fileno())) == stamp
            digest = _digest(handle.fileno(), 0, stamp[2], "sha256") if same else ""
            same = same and _stamp(os.fstat(handle.fileno())) == stamp
    except EOFError:
        same = False
    except (OSError, ValueError) as problem:
        return Fault(name, "unreadable", f"can't be read: {getattr(problem, 'strerror', None) or problem}")
    return digest if same else Fault(name, "changed", "changed while the model was read")


def _opened(path: Path) -> BinaryIO:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.fdopen(handle, "rb")


def _digest(handle: int, start: int, end: int, algorithm: str) -> str:
    """Of the bytes from `start` to `end`. Raises `EOFError` when there are fewer."""
    hasher = hashlib.new(algorithm)
    buffer = memoryview(bytearray(min(_CHUNK, max(1, end - start))))
    while start < end:
        count = os.preadv(handle, [buffer[: end - start]], start)
        if not count:
            raise EOFError
        hasher.update(buffer[:count])
        start += count
    return hasher.hexdigest()


def _path(root: Path, name: str) -> Path:
    return root if name == names.SINGLE else root / name


def _stamp(facts: os.stat_result) -> Stamp:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
