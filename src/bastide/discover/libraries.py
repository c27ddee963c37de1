# SPDX-License-Identifier: Apache-2.0
"""Libraries of AI that programs need. They are no components: what they are used for is. Pure, but for the list of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from bastide.discover.interpret import as_text
from bastide.discover.model import Place, Problem, Resource

KNOWLEDGE = Path(__file__).parents[1] / "knowledge" / "libraries"
PREFIX = "dependency/"


@dataclass(frozen=True, slots=True)
class Library:
    """A library that some files name."""

    ecosystem: str
    name: str
    version: str
    """Exact, from the lock file or the requirement; '' when any of several may be installed."""
    requirement: str
    group: str
    """What it is for: a group of the inventory."""
    places: tuple[Place, ...]

    @property
    def purl(self) -> str:
        """Its package URL (https://github.com/package-url/purl-spec)."""
        name = self.name.replace("@", "%40")
        return f"pkg:{self.ecosystem}/{name}" + (f"@{self.version}" if self.version else "")


@cache
def known() -> Mapping[tuple[str, str], tuple[str, str]]:
    """Ecosystem and name -> group, and the package that code imports (as `imports` of code files write it)."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for path in sorted(KNOWLEDGE.glob("*.yaml")):
        for group, ecosystems in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader).items():
            for name, module in ecosystems.get("pypi", {}).items():
                found["pypi", name] = found["conda", name] = group, module
            found |= {("npm", name): (group, f"js:{name}") for name in ecosystems.get("npm", ())}
    return found


def libraries(resources: Iterable[Resource]) -> tuple[Library, ...]:
    """The libraries of AI among what is needed, each version once, with all places that name it."""
    places: dict[tuple[str, str, str, str], list[Place]] = {}
    for resource in resources:
        _, ecosystem, name = resource.type.split("/", 2)
        if (ecosystem, name) in known():
            version, requirement = (
                next((as_text(v) or "" for v in resource.find(p)), "") for p in ("version", "requirement")
            )
            places.setdefault((ecosystem, name, version, requirement), []).append(resource.place)
    return tuple(
        Library(ecosystem, name, version, requirement, known()[ecosystem, name][0], tuple(at))
        for (ecosystem, name, version, requirement), at in sorted(places.items())
    )


def unused(needed: Sequence[Resource], code: Iterable[Resource], roots: Iterable[str]) -> Iterator[Problem]:
    """Libraries of AI that are declared and that no code that was read imports, of those whose calls the catalogue knows (`roots`)."""
    imported = {text for r in code for v in r.find("imports") if (text := as_text(v))}
    understood = set(roots)
    said: set[tuple[str, str]] = set()
    for resource in needed:
        _, ecosystem, name = resource.type.split("/", 2)
        _, module = known().get((ecosystem, name), ("", ""))
        development = any(v.data is True for v in resource.find("development"))
        if module not in understood or development or (ecosystem, name) in said:
            continue
        if not any(i == module or i.startswith(module + "/") for i in imported):
            said.add((ecosystem, name))
            yield Problem(
                resource.place, f"names {name}, and no code that was read uses it: its use was not found", hides=False
            )
