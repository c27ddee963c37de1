# SPDX-License-Identifier: Apache-2.0
"""Keras' `.keras`: a zip archive of a configuration, weights in HDF5 (or `.npz`), and assets."""

from __future__ import annotations

from bastide.verify.artifacts.archives.documents import read_json
from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.formats.keras_config import judge_config
from bastide.verify.artifacts.interface import Scan

CONFIG, BESIDE = "config.json", frozenset({"metadata.json", "model.weights.h5", "model.weights.npz"})


def read_layout(archive: Archive, scan: Scan) -> tuple[str, set[Member]]:
    """Reads the configurations; weights and assets are read as any member is. The format is '' when it is no Keras file."""
    configs = [m for m in archive.members if m.name == CONFIG]
    done: set[Member] = set()
    beside = any(m.name in BESIDE for m in archive.members)
    for member in configs:
        below = scan.below(member.name)
        content = archive.content(member, below) if below else None
        document = read_json(content, below) if below and content is not None else None
        if (
            below is not None
            and document is not None
            and (beside or (isinstance(document, dict) and "class_name" in document))
        ):
            done.add(member)
            judge_config(document, below)
    return ("keras", done) if done else ("", set())
