# SPDX-License-Identifier: Apache-2.0
"""MLflow's stores, as far as they say which models there are, who made them and when. Read only, and everything in them may be a lie.

Versions 2 and 3 of the file store: `mlruns/EXPERIMENT/RUN/{meta.yaml,artifacts/NAME}`, `mlruns/EXPERIMENT/models/m-ID/{meta.yaml,artifacts}`,
`mlruns/models/NAME/version-N/meta.yaml`; and the database `mlflow.db` with the files beside it. The files of a version have to be in
`mlruns` or `mlartifacts` beside what names them; addresses elsewhere aren't followed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from bastide.errors import BastideError, InputError, UsageError
from bastide.plan.yamlfile import parse, read_text
from bastide.verify.admission.layouts import Found, folders, is_model

DATABASE = "mlflow.db"
_FIELDS = (
    "run_id", "run_name", "user_id", "start_time", "creation_timestamp", "model_id", "source_run_id", "version", "current_stage",
)  # fmt: skip
_TIMES = ("start_time", "creation_timestamp")
_LONGEST = 200
_TAIL = 6
"""Parts of an address that are looked for below a store."""
_MOST = 20_000
"""Versions that are read of one store."""
_STEPS = 50_000_000
"""Of the database's machine, for one question."""
_QUESTIONS = {
    "versions": "SELECT name, version, creation_time AS creation_timestamp, user_id, current_stage, run_id, source, storage_location "
    "FROM model_versions ORDER BY name, version LIMIT 20001",
    "runs": "SELECT run_uuid AS run_id, name AS run_name, user_id, start_time FROM runs LIMIT 200001",
}


def is_store(folder: Path) -> bool:
    """Whether a folder has a store: it is `mlruns`, holds one, or looks like one."""
    if folder.name == "mlruns" or (folder / "mlruns").is_dir() or (folder / DATABASE).is_file():
        return not is_model(folder)
    return (folder / "models").is_dir() and any((one / "meta.yaml").is_file() for one in folders(folder))


def in_store(folder: Path) -> Iterator[Found]:
    """Registered versions under their names; then models of runs that nobody registered."""
    below = folder / "mlruns"
    store = below if below.is_dir() and not below.is_symlink() else folder
    taken: set[Path] = set()
    registered = list(_registered(store))
    if (folder / DATABASE).is_file():
        registered += _in_database(folder / DATABASE)
    for found in registered:
        if found.path.resolve() not in taken:
            taken.add(found.path.resolve())
            yield found
    for artifact in _unregistered(store):
        if artifact.resolve() not in taken:
            about = run_of(artifact)
            name = f"{about.get('run_id', artifact.parent.parent.name)[:12]}/{_called(artifact)}"
            yield Found(name, artifact, "mlflow", about)


def in_database(path: Path) -> Iterator[Found]:
    """The registered versions in a database whose files lie beside it. Raises `UsageError` when it isn't one."""
    yield from _in_database(path)


def run_of(artifact: Path) -> dict[str, str]:
    """What the run says in which a model was made, or its entry in MLflow 3 and the run that this names."""
    for folder in list(artifact.parents)[:3]:
        about = _meta(folder / "meta.yaml")
        if "run_id" in about:
            return _stated(about)
        if "source_run_id" in about:
            run = _meta(folder.parent.parent / Path(about["source_run_id"]).name / "meta.yaml")
            return {**_stated(run), **_stated(about)}
    return {}


def _registered(store: Path) -> Iterator[Found]:
    for model in folders(store / "models"):
        for version in sorted(folders(model), key=_number):
            about = _meta(version / "meta.yaml")
            place = _artifact(store, about)
            if place is not None:
                yield Found(model.name, place, "mlflow", {**run_of(place), **_stated(about)})


def _unregistered(store: Path) -> Iterator[Path]:
    for experiment in folders(store):
        if experiment.name == "models":
            continue
        for run in folders(experiment):
            candidates = (
                [one / "artifacts" for one in folders(run)] if run.name == "models" else folders(run / "artifacts")
            )
            yield from (one for one in candidates if (one / "MLmodel").is_file() and not one.is_symlink())


def _called(artifact: Path) -> str:
    """The name that the run gave the model."""
    return (
        (_meta(artifact.parent / "meta.yaml").get("name") or "model") if artifact.name == "artifacts" else artifact.name
    )


def _number(folder: Path) -> tuple[int, str]:
    number = folder.name.removeprefix("version-")
    return (int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0, folder.name)


def _artifact(store: Path, about: Mapping[str, str]) -> Path | None:
    """Where a version's files are: the address ends like a path of this store."""
    beside = store.resolve().parent
    for address in (about.get("storage_location", ""), about.get("source", "")):
        parts = [part for part in unquote(address).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for base in (store, beside / "mlartifacts"):
            for length in range(min(len(parts), _TAIL), 1, -1):
                place = base.joinpath(*parts[-length:])
                if _inside(place, beside):
                    return place
    return None


def _inside(place: Path, beside: Path) -> bool:
    """Whether a folder is a model of this store; a link in it may lead out."""
    try:
        return place.is_dir() and place.resolve().is_relative_to(beside) and is_model(place)
    except (OSError, ValueError):
        return False


def _stated(about: Mapping[str, str]) -> dict[str, str]:
    found = {key: about[key] for key in _FIELDS if about.get(key)}
    for key in _TIMES:
        text = found.get(key, "")
        if text.isascii() and text.isdecimal() and len(text) < 15:
            found[key] = datetime.fromtimestamp(int(text) / 1000, UTC).isoformat(timespec="seconds")
    return found


def _meta(path: Path) -> dict[str, str]:
    """The texts and numbers in a small YAML file; nothing when it isn't one."""
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        root = parse(read_text(path, InputError), path.name, InputError)
    except BastideError:
        return {}
    return (
        {
            key: str(one.value)[: _LONGEST * 5]
            for key, _, one in root.items()
            if isinstance(one.value, (str, int, float))
        }
        if root.is_map
        else {}
    )


# --- the database ----------------------------------------------------------------------------------------------------
def _in_database(path: Path) -> list[Found]:
    try:
        versions, runs = _rows(path)
    except (sqlite3.Error, ValueError, OverflowError) as problem:
        raise UsageError(f"{path}: isn't a database of MLflow that can be read: {problem}") from None
    if len(versions) > _MOST:
        raise UsageError(f"{path}: has more than {_MOST} versions")
    of = {run.get("run_id", ""): _stated(run) for run in runs}
    found = []
    for version in versions:
        place = _artifact(path.parent / "mlruns", version)
        if place is not None and version.get("name"):
            found.append(
                Found(version["name"], place, "mlflow", {**of.get(version.get("run_id", ""), {}), **_stated(version)})
            )
    return found


def _rows(path: Path) -> tuple[Sequence[Mapping[str, str]], Sequence[Mapping[str, str]]]:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 20)
        # A view instead of a table could count for ever.
        connection.set_progress_handler(lambda: 1, _STEPS)
        kinds = dict(
            connection.execute("SELECT name, type FROM sqlite_master WHERE name IN ('model_versions', 'runs')")
        )
        if set(kinds.values()) != {"table"} or len(kinds) != 2:
            raise ValueError("the tables of versions and runs are missing")
        answers = [[_texts(row) for row in connection.execute(question)] for question in _QUESTIONS.values()]
        return answers[0], answers[1]


def _texts(row: sqlite3.Row) -> dict[str, str]:
    # The longest address that MLflow keeps has this length.
    return {key: str(row[key])[: _LONGEST * 5] for key in row.keys() if isinstance(row[key], (str, int, float))}  # noqa: SIM118 - rows aren't mappings
