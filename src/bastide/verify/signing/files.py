# SPDX-License-Identifier: Apache-2.0
"""Where signatures and attestations of a model lie, and how they are read and written.

Beside the model: `NAME.*.sig` or `NAME.sig` are signatures, `NAME.*.att` attestations. Other tools put `model.sig` and the like into the
model's folder, so `*.sig` and `*.att` there count too, when they are such documents.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from bastide.errors import UsageError
from bastide.verify.signing.bundle import LARGEST, read_bundle
from bastide.verify.signing.strict import Wrong
from bastide.verify.signing.tree import model_name

SIGNATURE, ATTESTATION = ".sig", ".att"
MOST = 1000
"""Signatures and attestations of one model."""


def beside(model: Path) -> list[Path]:
    """The signatures and attestations of a model, in order; no links, no folders. Raises `UsageError` for more than anybody makes."""
    name = model_name(model)
    parent = model.parent if model.name not in ("", "..") else model.resolve().parent
    found = [path for path in _files(parent) if path.name.startswith(f"{name}.")]
    if model.is_dir():
        found += _files(model)
    found = [path for path in found if may_lie_inside(path)]
    if len(found) > MOST:
        raise UsageError(f"{model}: has more than {MOST} signatures and attestations")
    return found


def inside(model: Path, path: Path) -> str:
    """The path of a file in the model; '' when it lies elsewhere."""
    try:
        return path.resolve().relative_to(model.resolve()).as_posix() if model.is_dir() else ""
    except (OSError, ValueError):
        return ""


def may_lie_inside(path: Path) -> bool:
    """Whether a signature may be in the model's folder under this name: one that no loader of models looks for."""
    return path.suffix in (SIGNATURE, ATTESTATION)


def own_documents(model: Path) -> list[str]:
    """The files in the model's folder that are signatures or attestations, so that no signature covers them."""
    found = []
    for path in beside(model):
        name = inside(model, path)
        try:
            if name:
                read_bundle(read(path))
                found.append(name)
        except (Wrong, OSError):
            continue
    return found


def read(path: Path) -> bytes:
    """The content of a signature or attestation, bounded. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "is no regular file")
        return stream.read(LARGEST + 1)


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all. Raises `UsageError`."""
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except (OSError, ValueError) as problem:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{path}: can't be written: {getattr(problem, 'strerror', None) or problem}") from None


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []
