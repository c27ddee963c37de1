# SPDX-License-Identifier: Apache-2.0
"""Tar archives, and the model formats that are tar archives: NVIDIA NeMo's, and PyTorch's of its first year."""

from __future__ import annotations

from collections import Counter

from bastide.verify.artifacts.archives.names import escapes, leads_out
from bastide.verify.artifacts.archives.tar import FOLDER, LINK, SYMLINK, Entry, is_tar, read_entries
from bastide.verify.artifacts.formats import torch_legacy
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier


class TarReader:
    """Reads tar archives."""

    format = "tar"

    def claims(self, source: Source) -> bool:
        """By the checksum of its first header."""
        return is_tar(source.data)

    def read(self, source: Source, scan: Scan) -> str:
        """Its members in their order."""
        names: Counter[str] = Counter()
        data = memoryview(source.data)
        torch = False
        for entry in read_entries(source.data, scan):
            names[entry.name] += 1
            _place(entry, scan)
            if names[entry.name] == 2:
                scan.add(
                    "tar/double-member", Tier.MALFORMED, Severity.MEDIUM,
                    "has more than one member of this name; the last one wins when it is unpacked", entry.header, entry.name[:200],
                )  # fmt: skip
            if entry.is_file:
                content = data[entry.start : entry.start + entry.size]
                if entry.name in torch_legacy.PARTS:
                    torch = True
                    _torch(entry.name, content, scan)
                else:
                    scan.into(entry.name, content)
            if scan.spent.members > scan.limits.members:
                return "tar"
        return "torch" if torch else "nemo" if "model_config.yaml" in {n.rpartition("/")[2] for n in names} else "tar"


def _place(entry: Entry, scan: Scan) -> None:
    if why := escapes(entry.name):
        scan.add(
            "tar/escapes", Tier.EXECUTES, Severity.HIGH,
            f"unpacked by a careless program, a member is written outside of the folder: {why}", entry.header, entry.name[:200],
        )  # fmt: skip
    if entry.kind in (LINK, SYMLINK):
        # A hard link's target is a path in the archive, a symbolic one's a path from where the link lies.
        outside = bool(escapes(entry.target)) if entry.kind == LINK else leads_out(entry.name, entry.target)
        scan.add(
            "tar/link", Tier.EXECUTES if outside else Tier.POLICY, Severity.HIGH if outside else Severity.LOW,
            "a member is a link" + (" to somewhere outside of the archive" if outside else ""),
            entry.header, f"{entry.name[:120]} -> {entry.target[:120]}",
        )  # fmt: skip
    elif not entry.is_file and entry.kind != FOLDER:
        scan.malformed(
            "tar/special",
            "a member is neither file nor folder nor link",
            entry.header,
            f"{entry.name[:120]} ({entry.kind!r})",
        )


def _torch(name: str, content: memoryview, scan: Scan) -> None:
    below = scan.below(name)
    if below is not None:
        torch_legacy.read_part(name, content, below)
