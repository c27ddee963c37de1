# SPDX-License-Identifier: Apache-2.0
"""Which files there are to scan. What is passed over is said: a model may hang on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bastide.errors import Diagnostic, Location, UsageError
from bastide.verify import hub
from bastide.verify.artifacts import remote


@dataclass(slots=True)
class Found:
    """The files of a call."""

    files: list[str] = field(default_factory=list)
    """Each once, in order: paths, and addresses of stores."""
    passed_over: list[Diagnostic] = field(default_factory=list)
    """What is there and isn't read: links to elsewhere, pipes, folders that can't be opened."""


def find_files(locations: Iterable[str]) -> Found:
    """The regular files of folders, stores and files. Raises `UsageError` when there is nothing at a location."""
    found = Found()
    for location in locations:
        if remote.is_remote(location):
            found.files += remote.find(location)
        else:
            _local(Path(location), found)
    found.files = list(dict.fromkeys(found.files))
    return found


def _local(path: Path, found: Found) -> None:
    if not path.exists():
        raise UsageError(Diagnostic("there is no such file or folder", Location(str(path))))
    if not path.is_dir():
        found.files.append(str(path))
        return
    regular: list[Path] = []
    links: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=lambda problem: _unopened(problem, found)):
        folders.sort()
        links += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
        for name in sorted(names):
            one = Path(folder, name)
            mode = one.lstat().st_mode
            if stat.S_ISREG(mode):
                regular.append(one)
            elif stat.S_ISLNK(mode):
                links.append(one)
            else:
                _pass_over(one, "is no regular file and isn't read", found)
    named = _named_blobs(links)
    hubs = set(named.values())
    found.files += sorted(
        [*(str(p) for p in regular if p.absolute() not in hubs), *(str(p) for p in named)], key=_order
    )
    _links([link for link in links if _target(link) not in hubs], _target(path), found)


def _links(links: Iterable[Path], inside: Path, found: Found) -> None:
    """What a link inside leads to is read under its own name."""
    for link in links:
        if not _target(link).is_relative_to(inside):
            _pass_over(link, "leads out of the folder and isn't followed", found)
        elif not link.exists():
            _pass_over(link, "leads nowhere", found)


def _named_blobs(links: list[Path]) -> dict[Path, Path]:
    """The files of a hub's cache under their names: `snapshots/REVISION/NAME` is a link to `blobs/DIGEST`, which says nothing of what it is."""
    named: dict[Path, Path] = {}
    for link in links:
        target = _target(link)
        if target not in named and _is_blob(link, target):
            named[target] = link
    return {link: target for target, link in named.items()}


def _target(link: Path) -> Path:
    """Where a link ends; links that go round end in themselves."""
    return Path(os.path.realpath(link))


def _is_blob(link: Path, target: Path) -> bool:
    parts = link.absolute().parts
    if "snapshots" not in parts or not target.is_file():
        return False
    at = len(parts) - 1 - parts[::-1].index("snapshots")
    if target.parent == _target(Path(*parts[:at])) / "blobs":
        return True
    shared = hub.blob_of(Path(*parts[: at + 2]), str(Path(*parts[at + 2 :])))
    return shared is not None and shared.path == target


def _order(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _unopened(problem: OSError, found: Found) -> None:
    _pass_over(Path(problem.filename or ""), f"can't be opened: {problem.strerror}", found)


def _pass_over(path: Path, why: str, found: Found) -> None:
    found.passed_over.append(Diagnostic(why, Location(str(path))))
