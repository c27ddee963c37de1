# SPDX-License-Identifier: Apache-2.0
"""Where models are found, and that nothing outside of what was named is ever taken for one."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from bastide.errors import UsageError
from bastide.verify.admission.contents import read_contents
from bastide.verify.admission.layouts import find_models, name_of
from bastide.verify.admission.mlflow import run_of
from bastide.verify.hub import revision_of

RUN = "efbcd63ed0e746e58146dd7d4b3c9f32"
LOGGED = "m-a78b862ba9884dafbbbbd980740b4b17"
RUN_META = (
    f"run_id: {RUN}\nrun_name: rook\nuser_id: ada\nstart_time: 1795448311924\nartifact_uri: file:///x\ntags: []\n"
)


def write(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- folders and files ------------------------------------------------------------------------------------------------
def test_folders_are_searched_for_models(tmp_path: Path) -> None:
    write(tmp_path / "a" / "model.gguf")
    write(tmp_path / "b" / "deep" / "config.json")
    write(tmp_path / "b" / ".hidden" / "model.pt")
    write(tmp_path / "c" / "notes.txt")
    (tmp_path / "d").symlink_to(tmp_path / "a")
    found = find_models(tmp_path)
    assert [(one.name, one.layout) for one in found] == [("a", "files"), ("deep", "huggingface")]
    assert [one.name for one in find_models(tmp_path / "a" / "model.gguf")] == ["model.gguf"]
    with pytest.raises(UsageError, match="can't be for all"):
        find_models(tmp_path, "x")
    with pytest.raises(UsageError, match="no model was found"):
        find_models(tmp_path / "c")


def test_folders_without_end_are_left(tmp_path: Path) -> None:
    """Deep ones aren't searched; a model that is named is one however deep it lies."""
    deep = tmp_path.joinpath(*["d"] * 40)
    write(deep / "model.pt")
    with pytest.raises(UsageError, match="no model was found"):
        find_models(tmp_path)
    assert [one.path for one in find_models(deep)] == [deep]


# --- a hub's cache ----------------------------------------------------------------------------------------------------
def cache(tmp_path: Path, **files: str) -> Path:
    """A cache with one revision; the snapshot's folder."""
    repo = tmp_path / "hub" / "models--acme--base"
    snapshot = repo / "snapshots" / "5c1f"
    snapshot.mkdir(parents=True)
    for name, text in files.items():
        blob = write(repo / "blobs" / hashlib.sha256(text.encode()).hexdigest(), text)
        (snapshot / name.replace("_", ".")).symlink_to(f"../../blobs/{blob.name}")
    write(repo / "refs" / "main", "5c1f")
    write(repo / "refs" / "old", "0000")
    return snapshot


def test_a_cache_has_names_revisions_and_branches(tmp_path: Path) -> None:
    snapshot = cache(tmp_path, config_json="{}")
    for place in (tmp_path / "hub", snapshot.parent.parent, snapshot):
        [found] = find_models(place)
        assert (found.name, found.layout, found.source) == (
            "acme/base",
            "huggingface",
            {"revision": "5c1f", "refs": "main"},
        )
    assert (name_of(snapshot), name_of(tmp_path)) == ("acme/base", tmp_path.name)
    assert revision_of(tmp_path / "snapshots" / "x") == ("", "")


def test_a_snapshot_is_the_same_as_its_copy(tmp_path: Path) -> None:
    """Files with the same content are one blob, and count under each of their names."""
    snapshot = cache(tmp_path, config_json="{}", other_json="{}", model_safetensors="weights")
    for name, text in {"config.json": "{}", "other.json": "{}", "model.safetensors": "weights"}.items():
        write(tmp_path / "copy" / name, text)
    one, two = read_contents(snapshot), read_contents(tmp_path / "copy")
    assert (one.digest, one.paths, one.fault) == (two.digest, two.paths, "")
    assert not one.changed()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/etc/hostname", "symbolic link"),
        ("../../../../outside", "symbolic link"),
        ("../../blobs/../../outside", "symbolic link"),
        ("../../blobs/inner/file", "symbolic link"),
        ("../../blobs/link", "symbolic link"),
        ("../../blobs/none", "symbolic link"),
        ("../../blobs", "symbolic link"),
        ("config.json", "symbolic link"),
        (f"../../blobs/{'0' * 64}", "isn't what the cache's name for it says"),
    ],
)
def test_links_lead_to_blobs_and_nowhere_else(tmp_path: Path, target: str, words: str) -> None:
    snapshot = cache(tmp_path, config_json="{}")
    blobs = snapshot.parent.parent / "blobs"
    write(tmp_path / "outside")
    write(tmp_path / "hub" / "outside")
    write(blobs / "inner" / "file")
    write(blobs / ("0" * 64))
    (blobs / "link").symlink_to("/etc/hostname")
    (snapshot / "more.json").symlink_to(target)
    found = read_contents(snapshot)
    assert (found.digest, found.paths, words in found.fault) == ("", "", True), found.fault


def test_large_blobs_may_be_shared_in_the_cache(tmp_path: Path) -> None:
    """Version 2 of the client keeps them once for all repositories, under a hash of another kind."""
    snapshot = cache(tmp_path, config_json="{}", model_safetensors="weights")
    one = read_contents(snapshot)
    blob = (snapshot / "model.safetensors").resolve()
    shared = tmp_path / "hub" / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(f"../../blobs/ab/{shared.name}")
    again = read_contents(snapshot)
    assert (again.digest, again.paths, again.fault, again.changed()) == (one.digest, one.paths, "", False)
    shared.write_text("others!")
    assert again.changed()
    assert "isn't what the cache's name for it says" in read_contents(snapshot).fault
    for target in (
        "../../../outside/ab/abc",
        "../../blobs/abc",
        "../../blobs/ab/../../abc",
        "/etc/hostname",
        "../../blobs/cd/abc",
    ):
        blob.unlink()
        blob.symlink_to(target)
        write(tmp_path / "outside" / "ab" / "abc", "weights")
        write(tmp_path / "hub" / "blobs" / "abc", "weights")
        write(tmp_path / "hub" / "blobs" / "cd" / "abc", "weights")
        assert "symbolic link" in read_contents(snapshot).fault, target


def test_blobs_that_are_elsewhere_do_not_count(tmp_path: Path) -> None:
    snapshot = cache(tmp_path, config_json="{}")
    blobs = snapshot.parent.parent / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in read_contents(snapshot).fault


def test_a_change_shows(tmp_path: Path) -> None:
    """In a folder, in a blob, and of what a link leads to."""
    snapshot = cache(tmp_path, config_json="{}", other_json="[]")
    write(tmp_path / "plain" / "model.pt")
    blob = (snapshot / "config.json").resolve()
    for model, change in (
        (tmp_path / "plain", lambda: write(tmp_path / "plain" / "more.txt")),
        (snapshot, lambda: blob.write_text("{ }")),
        (snapshot, lambda: (snapshot / "other.json").replace(snapshot / "config.json")),
    ):
        contents = read_contents(model)
        assert not contents.changed()
        change()
        assert contents.changed()
    contents = read_contents(tmp_path / "plain")
    (tmp_path / "plain").rename(tmp_path / "moved")
    assert contents.changed()


@pytest.mark.parametrize("make", ["link", "fifo", "empty"])
def test_what_cannot_be_vouched_for_has_no_digest(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if make != "empty":
        write(folder / "model.pt")
        {"link": lambda p: p.symlink_to("model.pt"), "fifo": os.mkfifo}[make](folder / "more")
    assert read_contents(folder).digest == ""
    assert read_contents(folder).fault


# --- MLflow -----------------------------------------------------------------------------------------------------------
def second(tmp_path: Path, source: str = "") -> Path:
    """The file store of MLflow 2."""
    store = tmp_path / "mlruns"
    write(store / "822" / "meta.yaml", "experiment_id: '822'\n")
    write(store / "822" / RUN / "meta.yaml", RUN_META)
    write(store / "822" / RUN / "artifacts" / "model" / "MLmodel", "flavors: {}\n")
    source = source or f"file:///elsewhere/mlruns/822/{RUN}/artifacts/model"
    write(store / "models" / "tickets" / "meta.yaml", "name: tickets\n")
    write(
        store / "models" / "tickets" / "version-1" / "meta.yaml",
        f"name: tickets\nversion: 1\nrun_id: {RUN}\nsource: {source}\nstorage_location: {source}\ncurrent_stage: Staging\nuser_id: null\n",
    )
    return store


def third(tmp_path: Path) -> Path:
    """The file store of MLflow 3: models have a place of their own."""
    store = tmp_path / "mlruns"
    write(store / "972" / RUN / "meta.yaml", RUN_META)
    entry = store / "972" / "models" / LOGGED
    write(
        entry / "meta.yaml",
        f"model_id: {LOGGED}\nname: classifier\nsource_run_id: {RUN}\ncreation_timestamp: 1795448311932\n",
    )
    write(entry / "artifacts" / "MLmodel", "flavors: {}\n")
    return store


def test_the_second_version_of_the_file_store(tmp_path: Path) -> None:
    store = second(tmp_path)
    for place in (tmp_path, store):
        [found] = find_models(place)
        assert (found.name, found.layout, found.path) == (
            "tickets", "mlflow", store / "822" / RUN / "artifacts" / "model",
        )  # fmt: skip
        assert found.source == {
            "run_id": RUN, "run_name": "rook", "user_id": "ada", "start_time": "2026-11-23T15:38:31+00:00", "version": "1",
            "current_stage": "Staging",
        }  # fmt: skip


def test_the_third_version_of_the_file_store(tmp_path: Path) -> None:
    """Registered under a name that leads to the model's entry; without it, the name is the run's."""
    store = third(tmp_path)
    [found] = find_models(tmp_path)
    assert (found.name, found.path) == (f"{RUN[:12]}/classifier", store / "972" / "models" / LOGGED / "artifacts")
    assert (found.source["user_id"], found.source["model_id"]) == ("ada", LOGGED)
    location = f"storage_location: file:///x/mlruns/972/models/{LOGGED}/artifacts\n"
    write(store / "models" / "tickets" / "version-1" / "meta.yaml", f"version: 1\nsource: models:/{LOGGED}\n{location}")
    assert [one.name for one in find_models(tmp_path)] == ["tickets"]


def test_artifacts_of_a_server_lie_beside_the_store(tmp_path: Path) -> None:
    second(tmp_path, source=f"mlflow-artifacts:/7/{RUN}/artifacts/model")
    write(tmp_path / "mlartifacts" / "7" / RUN / "artifacts" / "model" / "MLmodel")
    assert tmp_path / "mlartifacts" / "7" / RUN / "artifacts" / "model" in [one.path for one in find_models(tmp_path)]


def test_the_database(tmp_path: Path) -> None:
    store = third(tmp_path)
    address = str(store / "972" / "models" / LOGGED / "artifacts")
    database(tmp_path, [("tickets", 1, None, f"models:/{LOGGED}", address), ("other", 2, None, "s3://x/y", "s3://x/y")])
    for place in (tmp_path, tmp_path / "mlflow.db"):
        [found] = find_models(place)
        assert (found.name, found.source["user_id"], found.source["run_name"]) == ("tickets", "ada", "rook")


def database(folder: Path, versions: list[tuple[object, ...]], view: str = "") -> None:
    connection = sqlite3.connect(folder / "mlflow.db")
    connection.execute("CREATE TABLE runs (run_uuid, name, user_id, start_time)")
    connection.execute("INSERT INTO runs VALUES (?, 'rook', 'ada', 1795448319593)", (RUN,))
    if view:
        connection.execute(view)
    else:
        connection.execute(
            "CREATE TABLE model_versions (name, version, creation_time, user_id, current_stage, run_id, source, storage_location)"
        )
    for name, version, time, source, location in versions:
        row = (name, version, time, None, "None", RUN, source, location)
        connection.execute("INSERT INTO model_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "view",
    [
        "CREATE VIEW model_versions AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS name, x AS version FROM n",
        "CREATE TABLE model_versions (x)",
        "CREATE TABLE other (x)",
    ],
)
def test_a_hostile_database_is_said(tmp_path: Path, view: str) -> None:
    database(tmp_path, [], view)
    with pytest.raises(UsageError, match="isn't a database of MLflow"):
        find_models(tmp_path / "mlflow.db")


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    for content in (b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000):
        (tmp_path / "mlflow.db").write_bytes(content)
        with pytest.raises(UsageError, match="isn't a database of MLflow"):
            find_models(tmp_path / "mlflow.db")


@pytest.mark.parametrize(
    "source",
    [
        "../../../../etc",
        "file:///etc/ssl",
        "/mlruns/out/link",
        "%2e%2e/%2e%2e/secret/model",
        "a" * 5000,
        "x/" * 5000,
        "'\\0/x/y'",
        "{a: b}",
        "''",
    ],
)
def test_addresses_lead_nowhere_else(tmp_path: Path, source: str) -> None:
    """What lies outside isn't a model of this store, whatever it says and wherever its links lead."""
    write(tmp_path / "secret" / "model" / "MLmodel")
    inside = tmp_path / "in"
    store = second(inside, source=source)
    (store / "out").mkdir()
    (store / "out" / "link").symlink_to(tmp_path / "secret" / "model")
    (store / "822" / RUN / "artifacts" / "linked").symlink_to(tmp_path / "secret" / "model")
    assert [one.name for one in find_models(inside)] == [f"{RUN[:12]}/model"]


@pytest.mark.parametrize(
    "meta",
    [
        "[" * 200_000,
        "a: &a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b]\n",
        "run_id: 0x" + "f" * 6000,
        "run_id: " + "9" * 6000,
        "run_id: [a]\nstart_time: {}\n",
        "start_time: 99999999999999\nrun_id: x\n",
        "!!python/object/apply:os.system ['touch x']",
        "\0",
        "- a",
        "run_id: x\n" * 3,
    ],
)
def test_hostile_descriptions_say_nothing(tmp_path: Path, meta: str) -> None:
    """Deep, endless, huge or executable: the model is found, and nothing breaks."""
    store = second(tmp_path)
    write(store / "822" / RUN / "meta.yaml", meta)
    [found] = find_models(tmp_path)
    assert found.name == "tickets"
    assert len(str(found.source)) < 3000


def test_runs_are_read_from_this_store_only(tmp_path: Path) -> None:
    """The run that a model's entry names is a name, not a path."""
    store = third(tmp_path)
    write(tmp_path / "secret" / "meta.yaml", "run_id: secret\nuser_id: root\n")
    write(store / "972" / "models" / LOGGED / "meta.yaml", "source_run_id: ../../../secret\n")
    assert "user_id" not in run_of(store / "972" / "models" / LOGGED / "artifacts")
    (store / "972" / RUN / "meta.yaml").unlink()
    (store / "972" / RUN / "meta.yaml").symlink_to(tmp_path / "secret" / "meta.yaml")
    write(store / "972" / "models" / LOGGED / "meta.yaml", f"source_run_id: {RUN}\n")
    assert "user_id" not in run_of(store / "972" / "models" / LOGGED / "artifacts")
