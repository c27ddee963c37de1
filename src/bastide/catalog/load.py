# SPDX-License-Identifier: Apache-2.0
"""Loads the knowledge folder and users' packs into one checked `Catalog`; every problem found is reported with its position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from bastide.catalog import vocabulary as words
from bastide.catalog.control import read_control
from bastide.catalog.framework import read_framework
from bastide.catalog.model import Catalog, Control, Framework, Threat
from bastide.catalog.threat import read_threat
from bastide.errors import Diagnostic, KnowledgeError, Location
from bastide.plan.vocabulary import Vocabulary
from bastide.plan.yamlfile import Node, parse, read_text

T = TypeVar("T", Threat, Control)
KNOWLEDGE = Path(__file__).resolve().parent.parent / "knowledge"
MAX_FILES = 20_000
PARTS = ("attributes", "controls", "frameworks", "kinds", "threats")


@lru_cache(maxsize=4)
def load_catalog(packs: tuple[Path, ...] = ()) -> Catalog:
    """The knowledge that Bastide ships and that of the packs, folders in the same layout.

    A pack adds; where it defines an id that exists already, that is an error. Raises `KnowledgeError` with all problems.
    """
    roots = (KNOWLEDGE, *packs)
    problems: list[Diagnostic] = []
    for pack in packs:
        if not any((pack / part).is_dir() for part in PARTS):
            hint = f"a pack has at least one of the folders {', '.join(PARTS)}"
            problems.append(Diagnostic("is no folder with knowledge", Location(str(pack)), hint=hint))
    vocabulary = _vocabulary(roots, problems)
    controls = _collect(_files(roots, "controls", "*/*.yaml"), lambda n, p: read_control(n, p, vocabulary), problems)
    vocabulary = words.with_controls(vocabulary, frozenset(controls))
    threats = _collect(
        _files(roots, "threats", "*/*/threat.yaml"), lambda n, p: read_threat(n, p, vocabulary), problems
    )
    problems += _without_tests(threats)
    if problems:
        raise KnowledgeError(sorted(problems, key=lambda d: (d.location.file, d.location.line, d.location.column)))
    return Catalog(vocabulary, threats, controls, _Frameworks(roots))


@lru_cache(maxsize=4)
def load_vocabulary(packs: tuple[Path, ...] = ()) -> Vocabulary:
    """Only the words of a plan, with the ids of controls; enough to load plans."""
    roots = (KNOWLEDGE, *packs)
    problems: list[Diagnostic] = []
    vocabulary = _vocabulary(roots, problems)
    if problems:
        raise KnowledgeError(problems)
    return words.with_controls(vocabulary, frozenset(path.stem for path in _files(roots, "controls", "*/*.yaml")))


class _Frameworks(dict[str, Framework]):
    """Frameworks by id, read when first asked for: an assessment needs the names of few of them."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._paths: dict[str, Path] = {}
        for path in _files(roots, "frameworks", "*/*.yaml"):
            id = f"{path.parent.name}:{path.stem}"
            if earlier := self._paths.get(id):
                raise KnowledgeError(
                    Diagnostic(f"`{id}` is defined already", Location(str(path)), hint=f"at {earlier}")
                )
            self._paths[id] = path
        super().__init__(dict.fromkeys(sorted(self._paths)))  # type: ignore[arg-type]

    def __getitem__(self, key: str) -> Framework:
        """The framework, read on first use."""
        found: Framework | None = super().__getitem__(key)
        if found is None:
            root = _parse(self._paths[key])
            found = read_framework(root, key)
            if root.document.problems:
                raise KnowledgeError(root.document.problems)
            self[key] = found
        return found

    def get(self, key: str, default: Framework | None = None) -> Framework | None:  # type: ignore[override]
        """The framework, or the default where there is none of this id."""
        return self[key] if key in self._paths else default

    def values(self) -> list[Framework]:  # type: ignore[override]
        """All frameworks, read."""
        return [self[key] for key in self]

    def items(self) -> list[tuple[str, Framework]]:  # type: ignore[override]
        """All frameworks with their ids, read."""
        return [(key, self[key]) for key in self]


def _vocabulary(roots: Iterable[Path], problems: list[Diagnostic]) -> Vocabulary:
    kinds = [(path.stem, _parse(path)) for path in _files(roots, "kinds", "*.yaml")]
    attributes = [(path.stem, _parse(path)) for path in _files(roots, "attributes", "*.yaml")]
    vocabulary = words.read_vocabulary(kinds, attributes)
    for _, root in (*kinds, *attributes):
        problems += root.document.problems
    return vocabulary


def _files(roots: Iterable[Path], folder: str, pattern: str) -> list[Path]:
    found: list[Path] = []
    for root in roots:
        top = root / folder
        for path in sorted(top.glob(pattern)) if top.is_dir() else ():
            # A link in a pack must not lead out of it.
            if path.resolve().is_relative_to(root.resolve()):
                found.append(path)
            if len(found) > MAX_FILES:
                raise KnowledgeError(Diagnostic(f"has more than {MAX_FILES} files", Location(str(top))))
    return found


def _parse(path: Path) -> Node:
    return parse(read_text(path, KnowledgeError), str(path), KnowledgeError)


def _collect(paths: Iterable[Path], read: Callable[[Node, Path], T], problems: list[Diagnostic]) -> dict[str, T]:
    found: dict[str, T] = {}
    for path in paths:
        try:
            root = _parse(path)
        except KnowledgeError as problem:
            problems += problem.diagnostics
            continue
        one = read(root, path)
        problems += root.document.problems
        if one.id in found:
            problems.append(root.diagnostic(f"`{one.id}` is defined already", f"at {found[one.id].location}"))
        found[one.id] = one
    return found


def _without_tests(threats: dict[str, Threat]) -> Iterator[Diagnostic]:
    """A rule without a plan on which it fires and one on which it is quiet does not load."""
    for threat in threats.values():
        folder = Path(threat.location.file).parent
        for name in ("fires.yaml", "quiet.yaml"):
            if not (folder / name).is_file():
                yield Diagnostic(
                    f"rule `{threat.id}` has no `{name}`",
                    threat.location,
                    hint="every rule carries its own tests, see docs/rules.md",
                )
