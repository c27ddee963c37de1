# SPDX-License-Identifier: Apache-2.0
"""Croissant descriptions (MLCommons, format 1.0 and 1.1; JSON-LD): read as data. Contexts aren't resolved, addresses aren't opened."""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bastide.errors import Diagnostic, InputError, Location
from bastide.verify.datasets.describe import Description, parse
from bastide.verify.datasets.fields import Sensitive
from bastide.verify.datasets.model import FileFacts, Finding, Place, Severity
from bastide.verify.datasets.splits import AGAINST

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class FileObject:
    """A file that the description names."""

    id: str
    url: str
    sha256: str
    size: int | None
    inside: bool
    """Whether it lies in another one (an archive)."""


@dataclass(frozen=True, slots=True)
class Croissant:
    """What a description says."""

    path: Path
    description: Description
    files: tuple[FileObject, ...]
    sets: tuple[str, ...]
    """Patterns of file sets."""
    columns: tuple[str, ...]
    sensitive: tuple[str, ...]
    """`rai:personalSensitiveInformation`."""
    lacks: tuple[str, ...]
    """Properties that the format asks for and that aren't there."""


def read_croissant(path: Path) -> Croissant:
    """The description in a file. Raises `InputError` when it isn't one."""
    raw = parse(path)
    if not isinstance(raw, dict):
        raise InputError(Diagnostic("no Croissant description: not an object", Location(str(path))))
    distribution = _objects(raw, "distribution")
    columns = tuple(dict.fromkeys(_columns(raw)))
    files = tuple(_file(one) for one in distribution if not _is(one, "FileSet"))
    sets = tuple(p for one in distribution if _is(one, "FileSet") for p in _texts(one, "includes"))
    sensitive = tuple(_texts(raw, "personalSensitiveInformation"))
    use = " ".join(_texts(raw, "dataUseCases"))
    purpose = use or " ".join(_texts(raw, "description"))
    licence = next(iter(_texts(raw, "license")), "")
    description = Description(purpose=purpose[:2000] if use else "", licence=licence, fields=columns, where=str(path))
    lacks = tuple(
        k for k in ("name", "description", "license", "url", "creator", "datePublished") if not _value(raw, k)
    )
    return Croissant(path, description, files, sets, columns, sensitive, lacks)


def local_files(said: Croissant) -> list[Path]:
    """The files of a description that lie in its folder; what leads out of it isn't followed, what lies elsewhere isn't fetched."""
    folder = said.path.parent
    found = [folder / one.url for one in said.files if one.url and "://" not in one.url]
    found += [folder / _base(one.url) for one in said.files if "://" in one.url]
    for pattern in said.sets:
        if ".." in Path(pattern).parts:
            continue
        with contextlib.suppress(ValueError, NotImplementedError, OSError):
            found += islice(folder.glob(pattern), _MOST)
    inside = folder.resolve()
    return [p for p in dict.fromkeys(found) if _lies_in(inside, p)]


def _lies_in(folder: Path, path: Path) -> bool:
    """Whether it is a file there; what leads out isn't looked at."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return path.resolve().is_relative_to(folder) and path.is_file()
    return False


def _value(node: Mapping[str, Any], key: str) -> Any:
    """The value of a property, whatever prefix it is written with (`sc:license`, `https://schema.org/license`)."""
    if key in node:
        return node[key]
    return next((v for k, v in node.items() if re.split(r"[:/#]", k)[-1] == key), None)


def _list(value: Any) -> list[Any]:
    return [] if value is None else value[:_MOST] if isinstance(value, list) else [value]


def _objects(node: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [one for one in _list(_value(node, key)) if isinstance(one, dict)]


def _texts(node: Mapping[str, Any], key: str) -> list[str]:
    found = []
    for one in _list(_value(node, key)):
        said = one
        if isinstance(one, dict):
            said = _value(one, "url") or _value(one, "name") or one.get("@id") or one.get("@value")
        if isinstance(said, str | int | float) and not isinstance(said, bool):
            found.append(str(said)[:2000])
    return found


def _is(node: Mapping[str, Any], kind: str) -> bool:
    return any(str(t).rpartition(":")[2].rpartition("/")[2] == kind for t in _list(node.get("@type")))


def _file(node: Mapping[str, Any]) -> FileObject:
    first = {key: next(iter(_texts(node, key)), "") for key in ("contentUrl", "sha256", "contentSize", "containedIn")}
    size = re.fullmatch(r"(\d{1,18})\s*(?:B|bytes)?", first["contentSize"])
    id = str(node.get("@id") or next(iter(_texts(node, "name")), ""))
    return FileObject(
        id,
        first["contentUrl"],
        first["sha256"].lower(),
        int(size[1]) if size else None,
        bool(_value(node, "containedIn")),
    )


def _columns(root: Mapping[str, Any]) -> Iterator[str]:
    """Names of the columns, or JSON paths, that fields of record sets are read from; else their names."""
    todo = [field for record in _objects(root, "recordSet") for field in _objects(record, "field")]
    for _ in range(_MOST):
        if not todo:
            return
        node = todo.pop(0)
        todo += _objects(node, "subField")
        source = _value(node, "source")
        extract = _value(source, "extract") if isinstance(source, dict) else None
        if isinstance(extract, dict):
            column = _value(extract, "column") or _value(extract, "jsonPath")
            if isinstance(column, str):
                yield column.removeprefix("$.").replace("[*]", "[]")[:200]
                continue
            if _value(extract, "fileProperty"):
                continue
        name = next(iter(_texts(node, "name")), "") or str(node.get("@id", ""))
        if name:
            yield re.split(r"[/.]", name)[-1][:200]


def judge_croissant(said: Croissant, files: Sequence[FileFacts], found: Sequence[Sensitive]) -> Iterator[Finding]:
    """Where the description and the files differ; what it says about fields is judged like any other description."""
    by_name: dict[str, list[FileFacts]] = {}
    for file in files:
        by_name.setdefault(Path(file.path).name, []).append(file)
    for one in said.files:
        yield from _file_findings(one, by_name, said.path.parent)
    if said.files or said.sets:
        for file in files:
            if _unlisted(said, file):
                message = "lies beside the description, which doesn't name it: list it with its hash, or take it out"
                yield Finding("dataset/croissant-file-unlisted", Severity.MEDIUM, message, place=Place(file.path))
    personal = [o for o in found if o.category.startswith("personal") or o.category == "payment"]
    if personal and not said.sensitive:
        worst = max(personal, key=lambda o: o.severity.rank)
        message = (
            "personal data was found, and the description has no `rai:personalSensitiveInformation`: say what there is"
        )
        place = Place(str(said.path))
        yield Finding(
            "dataset/croissant-sensitive-undeclared", Severity.HIGH, message, worst.field, place, worst.rows, None, worst.evidence, worst.kind
        )  # fmt: skip
    if said.lacks:
        message = f"the description lacks what the format asks for: {', '.join(said.lacks)}"
        place = Place(str(said.path))
        yield Finding("dataset/croissant-incomplete", Severity.LOW, message, place=place, count=len(said.lacks))


def _unlisted(said: Croissant, file: FileFacts) -> bool:
    path, folder = Path(file.path), said.path.parent
    if file.split == AGAINST or not path.is_relative_to(folder) or path.name in {_base(one.url) for one in said.files}:
        return False
    relative = path.relative_to(folder).as_posix()
    return not any(fnmatch.fnmatch(relative, p) or fnmatch.fnmatch(path.name, p) for p in said.sets)


def _base(url: str) -> str:
    return url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2]


def _file_findings(one: FileObject, by_name: Mapping[str, Sequence[FileFacts]], folder: Path) -> Iterator[Finding]:
    if one.inside or not one.url:
        return
    there = by_name.get(_base(one.url), [])
    if not there:
        if "://" not in one.url and not _lies_in(folder.resolve(), folder / one.url):
            yield Finding(
                "dataset/croissant-file-missing",
                Severity.MEDIUM,
                "is named by the description, but isn't in its folder, so it wasn't read",
                place=Place(str(folder)),
                evidence=one.url[:200],
            )
        return
    file = there[0]
    if re.fullmatch(r"[0-9a-f]{64}", one.sha256):
        if file.sha256 and file.sha256 != one.sha256:
            message = (
                "isn't the file that the description was written for: its SHA-256 differs; find out who changed it"
            )
            yield Finding(
                "dataset/croissant-hash-differs",
                Severity.HIGH,
                message,
                place=Place(file.path),
                evidence=f"{file.sha256[:16]}… is not {one.sha256[:16]}…",
            )
    else:
        yield Finding(
            "dataset/croissant-hash-missing",
            Severity.LOW,
            "has no SHA-256 in the description, so nobody can tell whether it was changed",
            place=Place(file.path),
        )
    if one.size is not None and one.size != file.size:
        message = "has another size than the description says"
        yield Finding(
            "dataset/croissant-size-differs",
            Severity.MEDIUM,
            message,
            place=Place(file.path),
            evidence=f"{file.size:,} is not {one.size:,} bytes",
        )
