# SPDX-License-Identifier: Apache-2.0
"""Exact versions from lock files: name -> version. What can't be read gives none: the declaration stays."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_YARN = re.compile(r'^"?((?:@[^@\s/]+/)?[^@\s"/]+)@[^\n]*:\n(?:  [^\n]*\n)*?  version:? "?([^"\s]+)"?$', re.MULTILINE)
_PNPM = re.compile(r"^  (?:'|/)?/?((?:@[^@/\s']+/)?[^@/\s'():]+)[@/](\d[^\s'():]*)(?:\([^\n]*\))?'?:$", re.MULTILINE)


def _package_lock(text: str) -> Iterator[tuple[str, str]]:
    document = json.loads(text)
    for path, package in (document.get("packages") or {}).items():
        if path.startswith("node_modules/") and "/node_modules/" not in path:
            yield path.removeprefix("node_modules/"), package.get("version", "")
    for name, package in (document.get("dependencies") or {}).items():
        yield name, package.get("version", "")


def _pipfile_lock(text: str) -> Iterator[tuple[str, str]]:
    document = json.loads(text)
    for part in ("default", "develop"):
        for name, package in (document.get(part) or {}).items():
            yield name, package.get("version", "").lstrip("=")


def _toml_lock(text: str) -> Iterator[tuple[str, str]]:
    for package in tomllib.loads(text).get("package", []):
        yield package["name"], package.get("version", "")


def _found(pattern: re.Pattern[str]) -> Callable[[str], Iterator[tuple[str, str]]]:
    return lambda text: ((m[1], m[2]) for m in pattern.finditer(text))


LOCKS: Mapping[str, tuple[str, Callable[[str], Iterator[tuple[str, Any]]]]] = {
    "package-lock.json": ("npm", _package_lock),
    "npm-shrinkwrap.json": ("npm", _package_lock),
    "yarn.lock": ("npm", _found(_YARN)),
    "pnpm-lock.yaml": ("npm", _found(_PNPM)),
    "Pipfile.lock": ("pypi", _pipfile_lock),
    "poetry.lock": ("pypi", _toml_lock),
    "uv.lock": ("pypi", _toml_lock),
    "pdm.lock": ("pypi", _toml_lock),
}
"""File name -> ecosystem and reader."""


def locked(name: str, text: str, normal: Callable[[str], str]) -> dict[str, str]:
    """The versions of a lock file."""
    try:
        pairs: list[tuple[Any, Any]] = list(LOCKS[name][1](text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    versions: dict[str, str] = {}
    for package, version in pairs:
        if isinstance(package, str) and isinstance(version, str) and version:
            versions.setdefault(normal(package), version[:60])
    return versions
