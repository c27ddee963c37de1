# SPDX-License-Identifier: Apache-2.0
"""What AI is there at all, across many repositories: the answer to "shadow AI"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bastide.discover.discover import discover
from bastide.discover.libraries import Library
from bastide.discover.result import Discovery, Found

GROUPS: Mapping[str, tuple[str, ...]] = {
    "models": ("ai.model", "ai.embedder", "ai.reranker", "ml.artifact", "ml.adapter"),
    "agents": ("ai.agent", "ai.chain", "app.workflow"),
    "tools": ("ai.tool", "ai.skill"),
    "mcp-servers": ("ai.mcp-server",),
    "stores": ("data.vector-store", "ai.retriever", "ai.memory"),
    "data": ("data.dataset", "ai.ingestor"),
    "prompts": ("ai.prompt",),
    "guards": ("ai.guardrail", "ai.gateway"),
    "training": ("ml",),
}
"""What counts as AI, by kinds; the first group that fits is taken."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of AI in one repository."""

    repository: str
    group: str
    component: Found


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in some repositories."""

    items: tuple[Item, ...]
    incomplete: tuple[str, ...]
    """Repositories of which files could not be read."""
    repositories: tuple[str, ...]
    libraries: tuple[tuple[str, Library], ...] = ()
    """Libraries of AI, with the repository that needs them."""


def inventory(folders: Iterable[Path], packs: tuple[Path, ...] = ()) -> Inventory:
    """What AI is in the folders. Raises `InputError` when one isn't there."""
    items: list[Item] = []
    incomplete, names = [], []
    needed: list[tuple[str, Library]] = []
    for folder in folders:
        found = discover(folder, packs=packs)
        names.append(str(folder))
        items += _items(str(folder), found)
        needed += [(str(folder), library) for library in found.libraries]
        if not found.complete:
            incomplete.append(str(folder))
    return Inventory(tuple(items), tuple(incomplete), tuple(names), tuple(needed))


def _items(repository: str, found: Discovery) -> Iterator[Item]:
    for component in sorted(found.components.values(), key=lambda c: (c.kind, c.id)):
        if group := group_of(component.kind):
            yield Item(repository, group, component)


def group_of(kind: str) -> str:
    """The group of a kind; '' for what isn't AI."""
    return next((g for g, kinds in GROUPS.items() if any(kind == k or kind.startswith(k + ".") for k in kinds)), "")
