# SPDX-License-Identifier: Apache-2.0
"""What a card should say, what the Annex asks, and what licences are called: from `knowledge/bom`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from msgspec import Struct, convert

KNOWLEDGE = Path(__file__).parents[2] / "knowledge" / "bom"


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """A thing that a model card should say."""

    id: str
    title: str
    weight: int
    names: tuple[str, ...]
    made: tuple[str, ...] = ()
    """Parts of the bill that answer it by themselves."""
    many: bool = False
    cyclonedx: str = ""
    spdx: str = ""

    @property
    def where(self) -> str:
        """Where to write it."""
        if not self.names:
            return _BY_COMMAND.get(self.id, "the model's folder")
        return f"README.md, heading or key “{self.names[0]}”"


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    """A point of Annex IV."""

    id: str
    title: str
    needs: Literal["all", "any"]
    of: tuple[str, ...]
    conditional: bool = False


class LicenceNames(Struct, frozen=True, forbid_unknown_fields=True):
    """How a licence is recognised."""

    named: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """`terms.yaml`."""

    empty: frozenset[str]
    tasks: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    gguf: Mapping[int, str]
    weights: frozenset[str]
    flavours: Mapping[str, str]


_BY_COMMAND = {
    "files": "the model's folder: nothing in it could be read",
    "security.scan": "bastide bom without --no-scan",
    "security.signature": "bastide sign",
}


@cache
def fields() -> tuple[Field, ...]:
    """All fields, in the order in which they are shown."""
    return convert(_read("fields.yaml"), tuple[Field, ...])


@cache
def points() -> tuple[Point, ...]:
    """The points of Annex IV."""
    return convert(_read("annex-iv.yaml"), tuple[Point, ...])


@cache
def terms() -> Terms:
    """Words."""
    return convert(_read("terms.yaml"), Terms, strict=False)


@cache
def _licences() -> Mapping[str, LicenceNames]:
    return convert(_read("licences.yaml"), dict[str, LicenceNames])


@cache
def _by_name() -> Mapping[str, Field]:
    found = {words(field.id): field for field in fields()}
    return found | {words(name): field for field in fields() for name in field.names}


def field_named(name: str) -> Field | None:
    """The field that a key or heading means."""
    return _by_name().get(words(name[:200]))


def words(text: str) -> str:
    """In lower case without punctuation, blanks made one."""
    return " ".join(re.findall(r"[^\W_]+|\+\+", text.lower()))


def says_something(text: str) -> bool:
    """Whether a text is more than a placeholder."""
    return words(text[:200]) not in terms().empty


@cache
def _licence_ids() -> Mapping[str, str]:
    found = {words(id.removeprefix("LicenseRef-")): id for id in _licences()}
    return found | {words(name): id for id, licence in _licences().items() for name in licence.named}


def licence_named(text: str) -> str:
    """The SPDX id (or LicenseRef) of a licence's name, id or address at SPDX, or a choice of several; '' when one isn't known."""
    parts = re.split(r"[ ]+(OR|AND)[ ]+", text.strip()[:1000])
    if len(parts) > 1:
        ids = [part if at % 2 else licence_named(part) for at, part in enumerate(parts)]
        return " ".join(ids) if all(ids) else ""
    name = re.sub(r"^https?://(?:www\.)?spdx\.org/licenses/", "", text.strip()[:200]).removesuffix(".html")
    return _licence_ids().get(words(name), "")


def licence_of_text(text: str) -> str:
    """The SPDX id (or LicenseRef) of a licence's text; '' when it isn't known."""
    if tagged := re.search(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+-]{1,60})", text[:4000]):
        return licence_named(tagged[1])
    plain = " ".join(text[:60_000].lower().split())
    return next((id for id, one in _licences().items() if one.text and all(t in plain for t in one.text)), "")


def _read(name: str) -> Any:
    return yaml.load((KNOWLEDGE / name).read_text("utf-8"), yaml.CSafeLoader)
