# SPDX-License-Identifier: Apache-2.0
"""The cache of a hub's client: `models--OWNER--NAME/snapshots/REVISION/FILE` is a link to `blobs/HASH` of the same repository.

Since version 2 the blobs of large files may be links to `blobs/XX/HASH` beside the repositories, which share them. After huggingface_hub's
documentation ("Understand caching") and its `utils/_shared_blobs.py`. Only such links are taken for files of a model: what any other link
leads to may change without the model.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple


def revision_of(path: Path) -> tuple[str, str]:
    """Name and revision of a snapshot's folder; ('', '') for anything else."""
    place = Path(os.path.abspath(path))  # noqa: PTH100 - links aren't to be resolved
    repo = place.parent.parent
    if place.parent.name != "snapshots" or not repo.name.startswith("models--"):
        return "", ""
    return repo.name.removeprefix("models--").replace("--", "/"), place.name


class Blob(NamedTuple):
    """The content of a file in a snapshot."""

    hash: str
    """What the cache calls it: the SHA-256 of a large file, the hash that Git gives a small one."""
    path: Path
    """The regular file that has it."""


def blob_of(snapshot: Path, name: str) -> Blob | None:
    """The blob to which a link in a snapshot leads; None when it leads elsewhere, further, or nowhere. name: path in the snapshot."""
    if not revision_of(snapshot)[0]:
        return None
    repo = Path(os.path.realpath(snapshot.absolute().parent.parent))
    try:
        blob = _next(snapshot / name)
        if blob.parent != repo / "blobs" or blob.parent.is_symlink():
            return None
        if not blob.is_symlink():
            return Blob(blob.name, blob) if _is_file(blob) else None
        # A large file that several repositories share.
        shared = _next(blob)
        own = shared.parent.parent == repo.parent / "blobs" and shared.name.startswith(shared.parent.name)
        plain = not (shared.parent.is_symlink() or shared.parent.parent.is_symlink())
        return Blob(blob.name, shared) if own and plain and _is_file(shared) else None
    except (OSError, ValueError):
        return None


def _next(link: Path) -> Path:
    """What one link says, without following another. Raises `OSError`."""
    return Path(os.path.normpath(os.path.realpath(link.parent) / link.readlink()))


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
