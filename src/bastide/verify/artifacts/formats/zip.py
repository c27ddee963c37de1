# SPDX-License-Identifier: Apache-2.0
"""Zip archives, and the model formats that are zip archives: the content says which."""

from __future__ import annotations

from collections.abc import Callable

from bastide.verify.artifacts.archives.zip import Archive, Member, read_archive
from bastide.verify.artifacts.archives.zip_check import check
from bastide.verify.artifacts.archives.zip_ends import is_zip
from bastide.verify.artifacts.formats import keras, mar, skops, torch
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

Layout = Callable[[Archive, Scan], "tuple[str, set[Member]]"]
"""Reads what it knows of an archive; returns the format, '' if it is none of its kind, and the members that nobody else has to read."""
NAMES = frozenset({"zip", "npz", "pt", "pth", "bin", "ckpt", "keras", "skops", "mar", "ptl", "pt2", "whl", "jar"})
"""Endings under which people load zip archives."""
RUN = {
    "__main__.py": ("zipapp", "a program: Python runs it when it is given the archive"),
}
"""Members by which an archive is known to be run."""
LAYOUTS: tuple[Layout, ...] = (torch.read_layout, keras.read_layout, skops.read_layout, mar.read_layout)


class ZipReader:
    """Reads zip archives."""

    format = "zip"

    def claims(self, source: Source) -> bool:
        """By its first bytes or by its end record: an archive may stand behind something else."""
        return is_zip(source.data, anywhere=source.extension in NAMES)

    def read(self, source: Source, scan: Scan) -> str:
        """Its structure, then each member."""
        archive = read_archive(source.data, scan)
        check(archive, scan)
        formats: list[str] = []
        done: set[Member] = set()
        for layout in LAYOUTS:
            format, read = layout(archive, scan)
            if format:
                formats.append(format)
                done |= read
        for member in archive.members:
            if member not in done and not member.is_folder:
                _read_member(archive, member, scan)
        return "+".join(formats) or _kind(archive, scan)


def _read_member(archive: Archive, member: Member, scan: Scan) -> None:
    below = scan.below(member.name)
    if below is None:
        return
    content = archive.content(member, below)
    if content is not None:
        below.inner(Source(member.name, content), below)


def _kind(archive: Archive, scan: Scan) -> str:
    """The format by the names of the members; some have code that somebody runs."""
    names = {m.name: m for m in archive.members}
    for name, (format, what) in RUN.items():
        if name in names:
            scan.add(f"{format}/holds-code", Tier.POLICY, Severity.MEDIUM, what, names[name].entry, name)
            return format
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"
