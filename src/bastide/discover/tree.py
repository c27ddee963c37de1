# SPDX-License-Identifier: Apache-2.0
"""Walks a folder and reads its files within bounds. The only module of `discover` that touches the disk."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import OrderedDict
from pathlib import Path

from bastide.discover.interface import Limits, Tree
from bastide.discover.model import Place, Problem
from bastide.errors import Diagnostic, InputError, Location

SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".terraform", ".tox", ".venv", "venv", "__pycache__", "node_modules", "site-packages", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", ".idea", ".gradle", "bower_components", ".next", ".nuxt", ".cache", ".aws-sam", ".serverless", ".amplify"}
)  # fmt: skip
"""Folders with other people's code, or with what tools made."""
_ASSET = re.compile(r"(?:\A|/)cdk\.out/(?:.*/)?asset\.[^/]+\Z")
"""What the AWS CDK packed: copies of folders that are here."""
_KEPT = 64 * 1024 * 1024
"""Characters of texts that are kept for the next importer."""
_HEAD = 4096


class Folder:
    """A folder as a `Tree`, with the problems that came up while reading it."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        """Lists the files. Raises `InputError` when there is no such folder."""
        self.root = root
        self.limits = limits or Limits()
        self.problems: list[Problem] = []
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._kept = self._total = 0
        self._sizes: dict[str, int] = {}
        if not root.is_dir():
            what = "is a file" if root.exists() else "no such folder"
            raise InputError(Diagnostic(what, Location(str(root)), hint="name a folder to read"))
        self._walk()

    def tree(self) -> Tree:
        """The files, for importers."""
        return Tree(tuple(sorted(self._sizes)), self.text, self._sizes, self.head)

    def text(self, file: str) -> str | None:
        """The text of a file; None, with a problem noted once, when it isn't text or is too large."""
        if file in self._texts:
            self._texts.move_to_end(file)
            return self._texts[file]
        if file not in self._sizes:
            return None
        raw = self._bytes(file, self.limits.file_bytes + 1)
        if raw is None or len(raw) > self.limits.file_bytes:
            if raw is not None:
                self._problem(file, f"is larger than {self.limits.file_bytes >> 20} MiB and was not read")
            return None
        self._total += len(raw)
        if self._total > self.limits.total_bytes:
            self._problem(file, f"was not read: more than {self.limits.total_bytes >> 20} MiB in all")
            return None
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._problem(file, f"is not UTF-8 text (byte {error.start}) and was not read")
            return None
        self._keep(file, text)
        return text

    def digest(self, file: str) -> str:
        """SHA-256 of a file, hex; '' when it can't be read."""
        raw = self._bytes(file, self.limits.file_bytes + 1)
        return hashlib.sha256(raw).hexdigest() if raw is not None and len(raw) <= self.limits.file_bytes else ""

    def head(self, file: str) -> bytes:
        """The first bytes of a file; empty when it can't be read."""
        return self._bytes(file, _HEAD) or b""

    def _keep(self, file: str, text: str) -> None:
        self._texts[file] = text
        self._kept += len(text)
        while self._kept > _KEPT and len(self._texts) > 1:
            self._kept -= len(self._texts.popitem(last=False)[1])

    def _bytes(self, file: str, most: int) -> bytes | None:
        try:
            # O_NOFOLLOW and O_NONBLOCK: what was a file when it was listed may be a link or a pipe now.
            handle = os.open(self.root / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                return stream.read(most) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        except (OSError, ValueError) as error:
            self._problem(file, f"can't be read: {getattr(error, 'strerror', None) or error}")
            return None

    def _problem(self, file: str, message: str) -> None:
        problem = Problem(Place(file), message)
        if problem not in self.problems:
            self.problems.append(problem)

    def _walk(self) -> None:
        pending = [("", 0)]
        while pending:
            folder, depth = pending.pop()
            if depth > self.limits.depth:
                self._problem(folder, f"is deeper than {self.limits.depth} folders and was not read")
                continue
            pending += [(name, depth + 1) for name in self._list(folder)]
            if len(self._sizes) > self.limits.files:
                self._problem(folder, f"more than {self.limits.files} files; the rest was not read")
                return

    def _list(self, folder: str) -> list[str]:
        """Takes the files of a folder in; returns its subfolders."""
        below = []
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        below += [path] if entry.name not in SKIPPED and not _ASSET.search(path) else []
                    elif entry.is_file(follow_symlinks=False):
                        self._sizes[_clean(path)] = entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            self._problem(folder, f"can't be listed: {error.strerror}")
        return below


def _clean(path: str) -> str:
    return path if path.isprintable() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
