# SPDX-License-Identifier: Apache-2.0
"""The cache of a hub's client: `models--OWNER--NAME/snapshots/REVISION/FILE` is a link to `blobs/HASH` of the same repository.

After huggingface_hub's documentation ("Understand caching"). Only such links are taken for files of a model: what any other link leads to
may change without the model.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def revision_of(path: Path) -> tuple[str, str]:
    """Name and revision of a snapshot's folder; ('', '') for anything else."""
    place = Path(os.path.abspath(path))  # noqa: PTH100 - links aren't to be resolved
    repo = place.parent.parent
    if place.parent.name != "snapshots" or not repo.name.startswith("models--"):
        return "", ""
    return repo.name.removeprefix("models--").replace("--", "/"), place.name


def blob_of(snapshot: Path, name: str) -> Path | None:
    """The blob to which a link in a snapshot leads; None when it leads elsewhere, further, or nowhere. name: path in the snapshot."""
    if not revision_of(snapshot)[0]:
        return None
    blobs = Path(os.path.realpath(snapshot.absolute().parent.parent)) / "blobs"
    link = snapshot / name
    try:
        target = link.readlink()
        place = Path(os.path.normpath(os.path.realpath(link.parent) / target))
        inside = place.parent == blobs and not blobs.is_symlink()
        return place if inside and stat.S_ISREG(place.lstat().st_mode) else None
    except (OSError, ValueError):
        return None
