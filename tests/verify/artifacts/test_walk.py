# SPDX-License-Identifier: Apache-2.0
"""Every file once, by the name under which loaders see it; what is passed over is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bastide.errors import UsageError
from bastide.verify.artifacts.walk import find_files


def names(folder: Path, *locations: Path) -> list[str]:
    return [str(Path(file).relative_to(folder)) for file in find_files(map(str, locations or (folder,))).files]


def passed_over(folder: Path) -> dict[str, str]:
    return {Path(one.location.file).name: one.message for one in find_files([str(folder)]).passed_over}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The cache of a hub's client: names are links to contents."""
    repo = tmp_path / "hub" / "models--acme--base"
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / "5c1f").mkdir(parents=True)
    (repo / "snapshots" / "6d20").mkdir(parents=True)
    for blob in ("aa", "bb", "cc"):
        (repo / "blobs" / blob).write_text(blob)
    (repo / "snapshots" / "5c1f" / "config.json").symlink_to("../../blobs/aa")
    (repo / "snapshots" / "5c1f" / "model.bin").symlink_to("../../blobs/bb")
    (repo / "snapshots" / "6d20" / "model.bin").symlink_to("../../blobs/bb")
    return repo


def test_each_regular_file_once_in_order(tmp_path: Path) -> None:
    for name in ("b.pkl", "a/z.pkl", "a.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a/z.pkl", "a.pkl", "b.pkl"]
    assert names(tmp_path, tmp_path / "a.pkl", tmp_path / "a.pkl") == ["a.pkl"]
    with pytest.raises(UsageError, match="no such file"):
        find_files([str(tmp_path / "none")])


def test_contents_of_a_hub_have_the_names_of_their_links(hub: Path) -> None:
    assert sorted(names(hub)) == ["blobs/cc", "snapshots/5c1f/config.json", "snapshots/5c1f/model.bin"]
    assert passed_over(hub) == {}
    assert names(hub, hub / "snapshots" / "6d20") == ["snapshots/6d20/model.bin"]


def test_large_contents_that_repositories_share_are_read_too(hub: Path) -> None:
    """As the second version of the client keeps them."""
    shared = hub.parent / "blobs" / "dd"
    shared.mkdir(parents=True)
    (shared / "dd01").write_text("dd")
    (hub / "blobs" / "dd01").symlink_to("../../blobs/dd/dd01")
    (hub / "snapshots" / "6d20" / "large.bin").symlink_to("../../blobs/dd01")
    assert names(hub, hub / "snapshots" / "6d20") == ["snapshots/6d20/large.bin", "snapshots/6d20/model.bin"]
    assert passed_over(hub) == {}
    (hub / "blobs" / "ee01").symlink_to("../../../elsewhere")
    (hub / "snapshots" / "6d20" / "other.bin").symlink_to("../../blobs/ee01")
    assert {"other.bin", "ee01"} == passed_over(hub).keys()


def test_a_link_out_is_said_and_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.pkl").touch()
    (folder / "weights.pkl").touch()
    (folder / "same.pkl").symlink_to("weights.pkl")
    (folder / "out.pkl").symlink_to("../secret.pkl")
    (folder / "up").symlink_to("..")
    (folder / "nowhere.pkl").symlink_to("none.pkl")
    (folder / "round.pkl").symlink_to("round.pkl")
    os.mkfifo(folder / "pipe")
    assert names(folder) == ["weights.pkl"]
    found = passed_over(folder)
    assert {"out.pkl", "up", "nowhere.pkl", "pipe", "round.pkl"} == found.keys()
    assert "leads out" in found["out.pkl"]


def test_a_link_to_a_folder_that_only_looks_like_a_hub(hub: Path, tmp_path: Path) -> None:
    """Blobs of another repository are somewhere else."""
    other = tmp_path / "other" / "snapshots" / "1"
    other.mkdir(parents=True)
    (other / "model.bin").symlink_to(hub / "blobs" / "bb")
    assert names(tmp_path / "other") == []
    assert {"model.bin"} == passed_over(tmp_path / "other").keys()
