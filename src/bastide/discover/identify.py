# SPDX-License-Identifier: Apache-2.0
"""Ids of components: from the qualified name of what declares them, so that they stay when something else comes or goes. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from bastide.discover.result import Found

if TYPE_CHECKING:
    from bastide.discover.resolve import Group

_LONGEST = 60


def identified(groups: Sequence[Group], build: Callable[[Group, str], Found]) -> dict[int, Found]:
    """`id(group)` -> its component. A name that several have is told apart by the folder, the kind, the file, at last a digest of where it stands."""
    names = {id(g): _ways(g) for g in groups}
    ids: dict[int, str] = {}
    open_ = list(groups)
    for way in range(5):
        counts = Counter(names[id(g)][way] for g in open_)
        taken = set(ids.values())
        settled = [g for g in open_ if counts[names[id(g)][way]] == 1 and names[id(g)][way] not in taken]
        ids |= {id(g): names[id(g)][way] for g in settled}
        open_ = [g for g in open_ if id(g) not in ids]
    for number, group in enumerate(open_):
        ids[id(group)] = f"{names[id(group)][-1]}-{number}"
    return {id(g): build(g, ids[id(g)]) for g in groups}


def _ways(group: Group) -> tuple[str, ...]:
    name, place = _name(group)
    folder = slug(posixpath.dirname(place).replace("/", "-"))
    in_folder = f"{folder}.{name}" if folder else name
    with_kind = f"{in_folder}-{slug(group.kind.rpartition('.')[2])}"
    file = slug(posixpath.splitext(posixpath.basename(place))[0])
    in_file = ".".join(part for part in (folder, file, name) if part)
    first = group.pieces[0].resource.id if group.pieces else f"{group.made[0][1].rule.prefix}:{group.made[0][1].name}"
    digest = blake2b(first.encode(errors="surrogatepass"), digest_size=3).hexdigest()
    return name, in_folder, with_kind, in_file, f"{with_kind}-{digest}"


def _name(group: Group) -> tuple[str, str]:
    piece = next((p for p in group.pieces if p.type), None)
    if piece is not None:
        return slug(piece.resource.name) or slug(group.kind), piece.resource.place.file
    maker, pointer = group.made[0]
    return slug(pointer.name) or slug(group.kind), maker.resource.place.file


def slug(text: str) -> str:
    """A text as an id of a plan."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST].strip("-")
