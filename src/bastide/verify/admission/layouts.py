# SPDX-License-Identifier: Apache-2.0
"""Where models are in a folder: plain files, a hub client's cache, MLflow's file store. Nothing of MLflow or a hub is imported.

Layouts after the documentation of huggingface_hub ("Understand caching") and of MLflow's file store (`mlruns/EXPERIMENT/RUN/meta.yaml`,
`mlruns/models/NAME/version-N/meta.yaml`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bastide.errors import UsageError

_SIGNS = (
    "config.json",
    "adapter_config.json",
    "model_index.json",
    "MLmodel",
    "saved_model.pb",
    "model.safetensors.index.json",
)
_WEIGHTS = frozenset(
    {".safetensors", ".gguf", ".pt", ".pth", ".ckpt", ".bin", ".onnx", ".pkl", ".joblib", ".keras", ".h5", ".tflite", ".skops", ".cbm", ".ubj",
     ".pte", ".mlmodel"}
)  # fmt: skip
_DEPTH = 8
_FOLDERS = 20_000
_SMALL = 1 << 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FIELDS = (
    "run_id",
    "user_id",
    "start_time",
    "creation_timestamp",
    "source_name",
    "version",
    "current_stage",
    "run_name",
)


@dataclass(frozen=True, slots=True)
class Found:
    """A model in a folder."""

    name: str
    path: Path
    layout: str
    source: Mapping[str, str] = field(default_factory=dict)


def find_models(path: Path, name: str = "") -> list[Found]:
    """The models below a path; the path itself when it is one. name: of the model, when there is one only.

    Raises `UsageError` when nothing is there, or when several are and one name was given.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    found = [Found(path.name, path, "files")] if path.is_file() else list(_in_folder(path))
    if not found:
        raise UsageError(f"{path}: no model was found in it; name the folder or the file of one")
    if name and len(found) > 1:
        raise UsageError(f"{path}: {len(found)} models are in it, so `--name` can't be for all; name one of them")
    return [Found(name, one.path, one.layout, one.source) for one in found] if name else found


def _in_folder(path: Path) -> Iterator[Found]:
    if (path / "mlruns").is_dir() and not _is_model(path):
        path = path / "mlruns"
    if _is_store(path):
        yield from _mlflow(path)
        return
    if path.name.startswith("models--") and (path / "snapshots").is_dir():
        yield from _cached(path)
        return
    yield from _below(path)


def _below(root: Path) -> Iterator[Found]:
    pending = [(root, 0)]
    seen = 0
    while pending:
        folder, depth = pending.pop()
        seen += 1
        if seen > _FOLDERS:
            raise UsageError(f"{root}: more than {_FOLDERS} folders; name a folder further down")
        if folder.name.startswith("models--") and (folder / "snapshots").is_dir():
            yield from _cached(folder)
        elif folder is not root and _is_store(folder):
            yield from _mlflow(folder)
        elif _is_model(folder):
            layout = "mlflow" if (folder / "MLmodel").is_file() else "huggingface" if _is_hub(folder) else "files"
            yield Found(folder.resolve().name, folder, layout, _run_of(folder) if layout == "mlflow" else {})
        elif depth < _DEPTH:
            below = sorted(_folders(folder), reverse=True)
            pending += [(one, depth + 1) for one in below]


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError:
        return []


def _is_model(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_file()]
    except OSError:
        return False
    return any(n in _SIGNS or Path(n).suffix.lower() in _WEIGHTS for n in names)


def _is_hub(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file()


# --- a hub's cache ---------------------------------------------------------------------------------------------------
def _cached(repo: Path) -> Iterator[Found]:
    """`models--OWNER--NAME/snapshots/REVISION`: each revision is a version."""
    name = repo.name.removeprefix("models--").replace("--", "/")
    for snapshot in sorted(_folders(repo / "snapshots")):
        yield Found(name, snapshot, "huggingface", {"revision": snapshot.name})


# --- MLflow ----------------------------------------------------------------------------------------------------------
def _is_store(folder: Path) -> bool:
    return folder.name == "mlruns" or (
        (folder / "models").is_dir() and any((p / "meta.yaml").is_file() for p in _folders(folder))
    )


def _mlflow(store: Path) -> Iterator[Found]:
    """Registered versions under their names; then models of runs that nobody registered."""
    taken: set[Path] = set()
    for model in sorted(_folders(store / "models")):
        for version in sorted(_folders(model), key=_version):
            about = _meta(version / "meta.yaml")
            place = _artifact(store, str(about.get("source") or about.get("storage_location") or ""))
            if place is not None:
                taken.add(place.resolve())
                yield Found(model.name, place, "mlflow", {**_run_of(place), **_stated(about)})
    for experiment in sorted(_folders(store)):
        for run in sorted(_folders(experiment)) if experiment.name != "models" else ():
            for artifact in sorted(_folders(run / "artifacts")):
                if (artifact / "MLmodel").is_file() and artifact.resolve() not in taken:
                    yield Found(f"{run.name[:12]}/{artifact.name}", artifact, "mlflow", _run_of(artifact))


def _version(folder: Path) -> tuple[int, str]:
    number = folder.name.removeprefix("version-")
    return (int(number) if number.isdecimal() and len(number) < 10 else 0, folder.name)


def _artifact(store: Path, source: str) -> Path | None:
    """Where a version's files are: the address ends like a path of this store. Addresses elsewhere aren't followed."""
    parts = [p for p in source.replace("\\", "/").split("/") if p not in ("", ".", "..")]
    for length in range(min(len(parts), 6), 1, -1):
        place = store.joinpath(*parts[-length:])
        if place.is_dir() and place.resolve().is_relative_to(store.resolve()) and _is_model(place):
            return place
    return None


def _run_of(artifact: Path) -> dict[str, str]:
    """What the run says in which a model was made."""
    for folder in list(artifact.parents)[:3]:
        if (folder / "meta.yaml").is_file():
            return _stated(_meta(folder / "meta.yaml"))
    return {}


def _stated(about: Mapping[str, Any]) -> dict[str, str]:
    found = {key: str(about[key])[:200] for key in _FIELDS if about.get(key) not in (None, "")}
    for key in ("start_time", "creation_timestamp"):
        if found.get(key, "").isdecimal() and len(found[key]) < 15:
            found[key] = datetime.fromtimestamp(int(found[key]) / 1000, UTC).isoformat(timespec="seconds")
    return found


def _meta(path: Path) -> Mapping[str, Any]:
    """A small YAML file; nothing when it isn't one. Aliases aren't followed: they could grow without end."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_SMALL).decode("utf-8")
        if any(isinstance(token, (yaml.AnchorToken, yaml.AliasToken)) for token in yaml.scan(text, _LOADER)):
            return {}
        found = yaml.load(text, _LOADER)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
