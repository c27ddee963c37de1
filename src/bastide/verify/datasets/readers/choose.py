# SPDX-License-Identifier: Apache-2.0
"""Which files belong to a data set, which reader reads each, and what is left out and said so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bastide.errors import Diagnostic, Location, UsageError
from bastide.verify.artifacts.formats.pickle import PickleReader
from bastide.verify.artifacts.interface import Source
from bastide.verify.datasets.interface import Limits, Reader, Trouble
from bastide.verify.datasets.readers.arrow import Arrow, Parquet
from bastide.verify.datasets.readers.delimited import Delimited
from bastide.verify.datasets.readers.images import Images
from bastide.verify.datasets.readers.json_ import JsonArray, Jsonl
from bastide.verify.datasets.readers.source import CORRUPT, PACKED, opened
from bastide.verify.datasets.readers.text import Text

READERS: Mapping[str, Reader] = {
    r.format: r for r in (Jsonl(), JsonArray(), Delimited(), Parquet(), Arrow(), Text(), Images())
}
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".arrows": "arrow", ".ipc": "arrow",
    ".txt": "text", ".md": "text", ".markdown": "text", ".rst": "text", ".html": "text", ".htm": "text", ".xhtml": "text",
    ".adoc": "text", ".org": "text", ".tex": "text", ".log": "text", ".xml": "text",
    ".jpg": "image", ".jpeg": "image", ".png": "image", ".webp": "image", ".gif": "image", ".tif": "image", ".tiff": "image",
    ".heic": "image", ".heif": "image", ".avif": "image", ".bmp": "image",
}  # fmt: skip
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt")
_PAPERS = ("license", "licence", "copying", "notice", "readme", "changelog", "contributing", "citation", "datacard")
"""Files beside the data, by the beginning of their names: read for the licence, not as data."""
_SKIPPED = ("sha256sums", "dataset_infos.json", "dataset_info.json", "state.json")
DESCRIPTIONS = ("croissant.json", "metadata.json", "dataset.yaml", "dataset.yml")
_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the data set."""

    path: Path
    format: str
    size: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies at the paths."""

    files: tuple[DataFile, ...]
    papers: tuple[Path, ...]
    """Licence files and read-mes."""
    descriptions: tuple[Path, ...]
    unread: tuple[str, ...]


_OF_TOOLS = frozenset({
    ".git", ".hg", ".svn", ".dvc", ".cache", ".huggingface", ".ipynb_checkpoints", ".DS_Store", ".gitattributes", ".gitignore", ".gitkeep",
    ".keep", ".dvcignore",
})  # fmt: skip
"""Files and folders that are no data. Other names with a dot are: who reads the folder as a data set reads them too."""


def survey(paths: Sequence[Path], limits: Limits) -> Survey:
    """Sorts the files at some paths. Raises `UsageError` when there is nothing at one of them."""
    files: dict[Path, DataFile] = {}
    papers: list[Path] = []
    descriptions: list[Path] = []
    trouble = Trouble({})
    for given in paths:
        if not given.exists():
            raise UsageError(Diagnostic("there is no such file or folder", Location(str(given))))
        for path in _walk(given, trouble):
            kind = _kind(path, alone=path == given)
            if kind == "paper":
                papers.append(path)
            elif kind == "description":
                descriptions.append(path)
            elif kind == "other":
                trouble.add(f"{path}: of a format that isn't read here")
            elif kind == "program":
                trouble.add(
                    f"{path}: a pickle, which runs code when it is loaded, and isn't read as data: `bastide scan` says what it does"
                )
            elif kind and len(files) >= limits.files:
                trouble.add(f"files beyond the first {limits.files:,}")
            elif kind:
                files[path] = DataFile(path, kind, path.stat().st_size)
    unread = [why if count == 1 else f"{why} ({count:,})" for why, (count, _) in trouble.reasons.items()]
    return Survey(tuple(files.values()), tuple(papers), tuple(descriptions), tuple(unread[:1000]))


def _walk(path: Path, trouble: Trouble) -> Iterator[Path]:
    """The regular files of a folder, in order, or the file itself; links are not followed, what tools keep beside data is left out."""
    if not path.is_dir():
        if not stat.S_ISREG(path.stat().st_mode):
            trouble.add(f"{path}: no regular file")
            return
        yield path
        return
    for folder, folders, names in os.walk(path, onerror=lambda e: trouble.add(f"{e.filename}: {e.strerror}")):
        folders[:] = sorted(f for f in folders if f not in _OF_TOOLS)
        for linked in (Path(folder) / name for name in folders):
            if linked.is_symlink():
                trouble.add(f"{linked}: a link or no regular file")
        for name in sorted(names):
            found = Path(folder) / name
            if name in _OF_TOOLS:
                continue
            if stat.S_ISREG(found.lstat().st_mode):
                yield found
            else:
                trouble.add(f"{found}: a link or no regular file")


def _kind(path: Path, alone: bool) -> str:
    """A format, `paper`, `description`, `program`, `other`, or '' for what needs no reading."""
    name = path.name.lower()
    suffix = _suffix(path)
    if not alone:
        # `license_plates.csv` is data.
        if name.startswith(_PAPERS) and _SUFFIXES.get(suffix, "text") == "text" and not _is_program(path):
            return "paper"
        if name in _SKIPPED:
            return ""
    if name in DESCRIPTIONS and _is_description(path):
        return "description"
    found = _SUFFIXES.get(suffix, "")
    if found == "json":
        if _is_description(path):
            return "description"
        return _json(path)
    return found or _by_content(path)


def _suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def head(path: Path) -> bytes:
    """The first bytes, unpacked; empty when they can't be read."""
    try:
        with opened(path) as stream:
            return stream.read(_HEAD)
    except CORRUPT:
        return b""


def _is_description(path: Path) -> bool:
    if path.suffix.lower() in (".yaml", ".yml"):
        return True
    start = head(path)
    return b'"@context"' in start and (
        b"mlcommons.org/croissant" in start or b"recordSet" in start or b'"@type"' in start
    )


def _json(path: Path) -> str:
    """Lines of JSON are often in files that are named `.json`."""
    start = head(path).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"[":
        return "json"
    first, _, rest = start.partition(b"\n")
    return "jsonl" if first.rstrip().endswith(b"}") and rest.lstrip()[:1] == b"{" else "json"


def _is_program(path: Path) -> bool:
    """Whether it is a pickle, by its name or its content: those of protocol 0 look like text."""
    return path.suffix.lower() in _PICKLES or PickleReader().claims(Source("", head(path)))


def _by_content(path: Path) -> str:
    start = head(path)
    if start and _is_program(path):
        return "program"
    if start[:4] == b"PAR1":
        return "parquet"
    if start[:6] == b"ARROW1":
        return "arrow"
    if start[:2] == b"\xff\xd8" or start[:8] == b"\x89PNG\r\n\x1a\n":
        return "image"
    if not start:
        return "text" if path.stat().st_size == 0 else "other"
    if b"\0" in start:
        return "other"
    try:
        start[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return "other"
    if start.lstrip()[:1] == b"{":
        return _json(path) if _suffix(path) != "" or start.count(b"\n") else "jsonl"
    return "text"
