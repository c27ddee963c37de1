# SPDX-License-Identifier: Apache-2.0
"""Files that say what is installed for a model: requirement files, and `pyproject.toml`. Conda's are YAML and read there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from bastide.verify.artifacts.formats._dependencies import Dependencies
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAX_BYTES = 4 << 20
_NAMES = re.compile(r"(?:.*[-_.])?(?:requirements?|constraints)(?:[-_.].*)?\.(?:txt|in|pip)\Z")
_COMMENT = re.compile(r"(^|\s)#.*\Z", re.DOTALL)


class RequirementsReader:
    """Reads `requirements.txt` and `pyproject.toml`."""

    format = "requirements"

    def claims(self, source: Source) -> bool:
        """By the name."""
        path = source.name.replace("\\", "/").lower()
        base = path.rpartition("/")[2]
        in_folder = "/requirements/" in f"/{path}" and base.endswith(".txt")
        return bool(_NAMES.match(base)) or in_folder or base == "pyproject.toml"

    def read(self, source: Source, scan: Scan) -> str | None:
        """What is installed, and from where."""
        if source.size > MAX_BYTES:
            scan.unread(f"more than {MAX_BYTES} bytes of requirements")
            return None
        if source.extension == "toml":
            _project(bytes(source.data), scan)
            return "pyproject"
        data, width = _decoded(bytes(source.data))
        found = Dependencies(scan)
        for text, at in _lines(data):
            found.line(text, at if width == 1 else (at + 1) * width)
        found.close()
        return None


def _decoded(data: bytes) -> tuple[bytes, int]:
    """UTF-8, and how many bytes a letter has in the file: Windows writes UTF-16, which pip reads too."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode(), 2
    return data, 1


def _lines(data: bytes) -> Iterator[tuple[str, int]]:
    """Lines as pip joins them, without comments, and where each begins."""
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    start, pieces = at, ""
    for raw in re.split(rb"(?<=\n)", data[at:]):
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        comment = _COMMENT.search(line)
        if line.endswith("\\") and not comment:
            pieces += line[:-1]
        else:
            text = _COMMENT.sub("", pieces + line)
            if text.strip():
                yield text, start + len(text) - len(text.lstrip())
            pieces = ""
        at += len(raw)
        start = start if pieces else at
    if pieces.strip():
        yield pieces, start


def _project(data: bytes, scan: Scan) -> None:
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        scan.malformed("requirements/broken", f"is no TOML: {problem}"[:200], 0)
        return
    found = Dependencies(scan)

    def place(text: str) -> int:
        return max(0, data.find(text.encode()))

    # A library leaves the versions to whoever installs it: what isn't pinned is no finding here.
    for text in _listed(document):
        found.requirement(text, place(text), pinned=True)
    for name, how in _tables(document):
        found.name(name, "", place(name))
        for key in ("git", "url"):
            if isinstance(how.get(key), str):
                commit = f"@{how['rev']}" if isinstance(how.get("rev"), str) else ""
                found.address(("git+" if key == "git" else "") + how[key] + commit, place(how[key]))
    for url in _indexes(document):
        found.index(url, place(url))
    backend = _at(document, "build-system", "backend-path")
    if backend:
        scan.add(
            "requirements/local-code",
            Tier.POLICY,
            Severity.LOW,
            "is built by code of the folder itself",
            place("backend-path"),
            str(backend)[:200],
        )


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _texts(value: Any) -> Iterator[str]:
    yield from (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _listed(document: Any) -> Iterator[str]:
    yield from _texts(_at(document, "project", "dependencies"))
    yield from _texts(_at(document, "build-system", "requires"))
    for groups in (_at(document, "project", "optional-dependencies"), _at(document, "dependency-groups")):
        for group in groups.values() if isinstance(groups, dict) else ():
            yield from _texts(group)


def _tables(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Poetry's dependencies, and uv's sources."""
    groups = _at(document, "tool", "poetry", "group")
    tables = [_at(document, "tool", "poetry", "dependencies"), _at(document, "tool", "uv", "sources")]
    tables += [_at(group, "dependencies") for group in groups.values()] if isinstance(groups, dict) else []
    for table in tables:
        for name, how in table.items() if isinstance(table, dict) else ():
            for one in how if isinstance(how, list) else [how]:
                yield str(name), one if isinstance(one, dict) else {}


def _indexes(document: Any) -> Iterator[str]:
    for path in (("uv", "index"), ("poetry", "source"), ("pdm", "source")):
        sources = _at(document, "tool", *path)
        for source in sources if isinstance(sources, list) else ():
            if isinstance(_at(source, "url"), str):
                yield source["url"]
    for key in ("index-url", "extra-index-url"):
        value = _at(document, "tool", "uv", key)
        yield from [value] if isinstance(value, str) else _texts(value)
