# SPDX-License-Identifier: Apache-2.0
"""A hub client's cache is read as it lies: its links lead to its own blobs; other links aren't followed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bastide.verify.bom.collect import collect


def test_links_to_blobs_are_files_and_others_are_said(tmp_path: Path) -> None:
    repo = tmp_path / "models--acme--base"
    snapshot = repo / "snapshots" / "5c1f"
    (snapshot / "data").mkdir(parents=True)
    (repo / "blobs").mkdir()
    text = "---\nlicense: mit\n---\n# Base\n"
    blob = repo / "blobs" / hashlib.sha256(text.encode()).hexdigest()
    blob.write_text(text)
    (snapshot / "README.md").symlink_to(f"../../blobs/{blob.name}")
    (snapshot / "data" / "more.md").symlink_to(f"../../../blobs/{blob.name}")
    (snapshot / "out.md").symlink_to("/etc/hostname")
    (snapshot / "round.md").symlink_to("README.md")
    [model] = collect([snapshot]).models
    assert [one.id for one in model.licences] == ["MIT"]
    assert {one.path: one.sha256 for one in model.files} == {"README.md": blob.name, "data/more.md": blob.name}
    assert [one.partition(":")[0] for one in model.unread] == ["out.md", "round.md"]
