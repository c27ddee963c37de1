# SPDX-License-Identifier: Apache-2.0
"""What is known of fields and licences, from `knowledge/datasets`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from msgspec import Struct, convert

from bastide.verify.datasets.model import Severity

KNOWLEDGE = Path(__file__).parents[2] / "knowledge" / "datasets"
CLASSES = ("public", "internal", "confidential", "restricted")
"""Classifications, the least first; the same words as in a plan."""
Identifies = Literal["direct", "indirect", "special"]


class Personal(Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of personal field, told by the field's name."""

    kind: str
    category: str
    identifies: Identifies
    values: Literal["words", "email", "digits", "text", "number", "any"]
    names: tuple[str, ...]


class Found(Struct, frozen=True, forbid_unknown_fields=True):
    """What a recogniser's match means."""

    category: str
    identifies: Identifies
    severity: Severity


class Fields(Struct, frozen=True, forbid_unknown_fields=True):
    """`fields.yaml`."""

    roles: Mapping[str, tuple[str, ...]]
    personal: tuple[Personal, ...]
    found: Mapping[str, Found]
    classes: Mapping[str, str]
    chance: frozenset[str]


class Licence(Struct, frozen=True, forbid_unknown_fields=True):
    """What a licence allows."""

    named: tuple[str, ...] = ()
    commercial: bool = True
    derivatives: bool = True
    same: bool = False


@cache
def fields() -> Fields:
    """What names of fields mean."""
    return convert(_read("fields.yaml"), Fields)


@cache
def licences() -> Mapping[str, Licence]:
    """Licences by SPDX id."""
    return convert(_read("licences.yaml"), dict[str, Licence])


def _read(name: str) -> Any:
    return yaml.load((KNOWLEDGE / name).read_text("utf-8"), yaml.CSafeLoader)


def meaning(recogniser: str) -> Found:
    """What a match of a recogniser means; a secret is a credential, other personal data a direct identifier."""
    if recogniser.startswith("secret/"):
        return Found("credentials", "direct", Severity.CRITICAL)
    return fields().found.get(recogniser, Found("personal", "direct", Severity.HIGH))


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")


def words(name: str) -> str:
    """The words of a field's name, in lower case, with blanks between: `customer.firstName` is `customer first name`."""
    return " ".join(w.lower() for w in _WORDS.findall(name))


@cache
def personal_field(name: str) -> Personal | None:
    """The kind of personal field that a name says; of several the one with the longest words."""
    have = f" {words(name)} "
    best, length = None, 0
    for kind in fields().personal:
        for each in kind.names:
            if f" {each} " in have and len(each) > length:
                best, length = kind, len(each)
    return best


def role_of(name: str) -> str:
    """The role that a field's name says, by its last words; '' for none."""
    have = words(name.rsplit(".", maxsplit=1)[-1].replace("[]", ""))
    for role, names in fields().roles.items():
        if have in names:
            return role
    if have.endswith((" id", " uuid", " guid")):
        return "id"
    return ""


def same_category(declared: str, category: str) -> bool:
    """Whether a declared category covers another: `personal` covers `personal.contact`."""
    return declared == category or category.startswith(f"{declared}.")


@cache
def spdx(text: str) -> str:
    """The SPDX id (or LicenseRef) that a licence's name or address means; '' when it is none that is known."""
    exact = {id.lower(): id for id in licences()}
    plain = text.strip()
    if plain.lower() in exact:
        return exact[plain.lower()]
    have = " ".join(re.findall(r"[a-z0-9]+", re.sub(r"^https?://|/(?:legalcode|deed)\b.*", "", plain.lower())))
    have = have.removesuffix(" html").removesuffix(" txt").removesuffix(" license") or have
    for id, licence in licences().items():
        if (
            have in licence.named
            or f"{have} license" in licence.named
            or have == " ".join(re.findall(r"[a-z0-9]+", id.lower()))
        ):
            return id
    if found := re.match(r"spdx org licenses (.+)", have):
        return spdx(found[1].replace(" ", "-"))
    return ""
