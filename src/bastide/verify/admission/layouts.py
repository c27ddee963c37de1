# SPDX-License-Identifier: Apache-2.0
"""Where models are in a folder: plain files, a hub client's cache, MLflow's stores. Nothing of MLflow or a hub is imported.

The cache's layout after huggingface_hub's documentation ("Understand caching").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bastide.errors import UsageError
from bastide.verify.hub import revision_of

_SIGNS = frozenset(
    {"config.json", "adapter_config.json", "model_index.json", "MLmodel", "saved_model.pb", "model.safetensors.index.json"}
)  # fmt: skip
_WEIGHTS = frozenset(
    {".safetensors", ".gguf", ".pt", ".pth", ".ckpt", ".bin", ".onnx", ".pkl", ".joblib", ".keras", ".h5", ".tflite", ".skops", ".cbm", ".ubj",
     ".pte", ".mlmodel"}
)  # fmt: skip
_DEPTH = 8
_FOLDERS = 20_000
_ENTRIES = 100_000
"""Of one folder."""
_SMALL = 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A model in a folder."""

    name: str
    path: Path
    layout: str = "files"
    """`files`, `huggingface`, `mlflow`."""
    source: Mapping[str, str] = field(default_factory=dict)
    """What the layout says of it: revision, run, user, times."""


def find_models(path: Path, name: str = "") -> list[Found]:
    """The models below a path; the path itself when it is one. name: of the model, when there is one only.

    Raises `UsageError` when nothing is there, or when several are and one name was given.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    found = list(_in_file(path) if path.is_file() else _in_folder(path))
    if not found:
        raise UsageError(f"{path}: no model was found in it; name the folder or the file of one")
    if name and len({one.name for one in found}) > 1:
        raise UsageError(f"{path}: {len(found)} models are in it, so `--name` can't be for all; name one of them")
    return [Found(name, one.path, one.layout, one.source) for one in found] if name else found


def name_of(path: Path) -> str:
    """How a model is called when nobody says it: as a hub's cache says, or by its path. Raises `UsageError` when there is none."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    return revision_of(path)[0] or path.resolve().name


def is_model(folder: Path) -> bool:
    """Whether a folder has weights or what describes a model."""
    return any(name in _SIGNS or Path(name).suffix.lower() in _WEIGHTS for name in _files(folder))


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, in order; no links and none that are hidden."""
    try:
        with os.scandir(folder) as entries:
            found = [e.path for _, e in zip(range(_ENTRIES), entries, strict=False) if _is_folder(e)]
    except OSError:
        return []
    return [Path(one) for one in sorted(found)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for _, e in zip(range(_ENTRIES), entries, strict=False) if e.is_file()]
    except OSError:
        return []


def _in_file(path: Path) -> Iterator[Found]:
    from bastide.verify.admission import mlflow

    if path.name == mlflow.DATABASE:
        yield from mlflow.in_database(path)
    else:
        yield Found(path.name, path)


def _in_folder(root: Path) -> Iterator[Found]:
    from bastide.verify.admission import mlflow

    pending = [(root, 0)]
    seen = 0
    while pending:
        folder, depth = pending.pop()
        seen += 1
        if seen > _FOLDERS:
            raise UsageError(f"{root}: more than {_FOLDERS} folders; name a folder further down")
        if mlflow.is_store(folder):
            yield from mlflow.in_store(folder)
        elif folder.name.startswith("models--") and (folder / "snapshots").is_dir():
            yield from _cached(folder)
        elif is_model(folder):
            yield _folder(folder)
        elif depth < _DEPTH:
            pending += [(one, depth + 1) for one in reversed(folders(folder))]


def _folder(folder: Path) -> Found:
    from bastide.verify.admission import mlflow

    name, revision = revision_of(folder)
    if name:
        return Found(name, folder, "huggingface", _revision(folder.absolute().parent.parent, revision))
    if (folder / "MLmodel").is_file():
        return Found(folder.resolve().name, folder, "mlflow", mlflow.run_of(folder))
    hub = any((folder / one).is_file() for one in ("config.json", "adapter_config.json", "model_index.json"))
    return Found(folder.resolve().name, folder, "huggingface" if hub else "files")


def _cached(repo: Path) -> Iterator[Found]:
    """Each revision is a version."""
    for snapshot in folders(repo / "snapshots"):
        name, revision = revision_of(snapshot)
        yield Found(name, snapshot, "huggingface", _revision(repo, revision))


def _revision(repo: Path, revision: str) -> dict[str, str]:
    """The revision, and which branches and tags led to it when it was fetched (`refs/main` has the revision's hash)."""
    refs = repo / "refs"
    named = [one for one in sorted(_files(refs))[:100] if _content(refs / one) == revision]
    return {"revision": revision, **({"refs": ", ".join(named)} if named else {})}


def _content(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_SMALL).decode("utf-8", "replace").strip()
    except OSError:
        return ""
