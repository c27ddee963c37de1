# SPDX-License-Identifier: Apache-2.0
"""The bytes of a model: all files with their digests, as its signature has them; and whether they are still the same later.

In a hub client's cache the files of a revision are links to `blobs/`. Each counts under its own name; every other link is a fault, because
what it leads to may change without the model.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bastide.errors import LimitError, UsageError
from bastide.verify.hub import Blob, blob_of
from bastide.verify.signing.files import own_documents
from bastide.verify.signing.manifest import digests_of, make_manifest
from bastide.verify.signing.names import SINGLE
from bastide.verify.signing.tree import Stamp, Tree, hash_stretches, look_again, read_tree

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read of a model."""

    tree: Tree
    blobs: Mapping[str, Blob]
    """Name in the model -> the blob of a hub's cache to which it leads."""
    stamps: Mapping[str, Stamp]
    """Of the blobs."""
    digests: Mapping[str, str]
    """Name in the model -> SHA-256, hex."""
    digest: str = ""
    """SHA-256 over the digests of all files, as the signature has it; '' when not everything could be read."""
    paths: str = ""
    """The same with the paths: in-toto's `dirHash`. Two models are the same when both are."""
    fault: str = ""
    """Why there is no digest."""

    @property
    def files(self) -> dict[str, str]:
        """Path of each file that was read, as it is called in the model -> SHA-256."""
        root = self.tree.root
        return {str(root if name == SINGLE else root / name): digest for name, digest in self.digests.items()}

    def changed(self) -> bool:
        """Whether a file is another one, or was written to, since."""
        try:
            again = look_again(self.tree)
        except UsageError:
            return True
        return len(again.faults) > len(self.tree.faults) or any(
            blob_of(self.tree.root, name) != blob or _stamp(blob.path) != self.stamps[name]
            for name, blob in self.blobs.items()
        )


def read_contents(path: Path) -> Contents:
    """All files of a model. Raises `UsageError` when there is none at the path."""
    tree = read_tree(path)
    faults, digests = [], dict(tree.digests)
    blobs: dict[str, Blob] = {}
    stamps: dict[str, Stamp] = {}
    for fault in tree.faults:
        blob = blob_of(path, fault.name) if fault.kind == "link" else None
        stamp = _stamp(blob.path) if blob is not None else None
        if blob is None or stamp is None:
            faults.append(str(fault))
            continue
        blobs[fault.name], stamps[fault.name] = blob, stamp
        wrong = _hash(fault.name, blob, digests)
        if wrong:
            faults.append(f"{fault.name}: {wrong}")
    if not digests and not faults:
        faults.append("there are no files")
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        return Contents(tree, blobs, stamps, digests, fault="; ".join(faults[:_SHOWN]) + more)
    found = digests_of(make_manifest(tree.name, digests, own_documents(path)))
    return Contents(tree, blobs, stamps, digests, found["sha256"], found["dirHash"])


def _hash(name: str, blob: Blob, digests: dict[str, str]) -> str:
    """Hashes a blob; what is wrong with it."""
    try:
        [digest] = hash_stretches(blob.path.parent, blob.path.name, "sha256", 0).values()
    except (OSError, EOFError, LimitError) as problem:
        return f"can't be read: {getattr(problem, 'strerror', None) or problem}"
    # Large files lie under their SHA-256, small ones under the hash that Git gives them.
    if len(blob.hash) == 64 and blob.hash != digest:
        return "its content isn't what the cache's name for it says"
    digests[name] = digest
    return ""


def _stamp(path: Path) -> Stamp | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
