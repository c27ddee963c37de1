# SPDX-License-Identifier: Apache-2.0
"""What each field is for: which one is the text, the label, the split. Told by names and by a look at the first rows, unless it is stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bastide.errors import UsageError, did_you_mean
from bastide.verify.datasets.knowledge import CLASSES, fields, role_of, words
from bastide.verify.datasets.partial import Tally

PARTS = ("label", "split", "source", "licence", "consent", "classification")
"""The roles that one field has."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The fields that have a part in the checks; '' where there is none."""

    texts: tuple[str, ...] = ()
    """What is written, for people or models to read."""
    label: str = ""
    split: str = ""
    source: str = ""
    licence: str = ""
    consent: str = ""
    classification: str = ""
    """How a row is classified."""
    ids: frozenset[str] = frozenset()
    content: tuple[str, ...] = ()
    """What makes a row the same as another: the texts, or all fields but ids, split and label."""
    of: Mapping[str, str] = field(default_factory=dict)
    """The role of each field that has one."""


def assign(tallies: Mapping[str, Tally], stated: Mapping[str, str], every: bool = True) -> Roles:
    """The roles of fields. tallies: of the first rows. stated: the field of a role, by role.

    Raises:
        UsageError: a stated field is none of the data set's, and the first rows are all that there are to look at.
    """
    for role, name in stated.items():
        if every and tallies and name not in tallies:
            raise UsageError(f"there is no field `{name[:60]}` for the {role}: {did_you_mean(name, list(tallies))}")
    of = {name: role for role, name in stated.items()}
    for name, tally in tallies.items():
        if name not in of and (role := role_of(name)) and _fits(role, tally):
            of[name] = role
    taken = {role: stated.get(role) or _first(role, of) for role in PARTS}
    texts = [name for name, tally in tallies.items() if name not in of and _is_text(tally)]
    texts = [name for name, role in of.items() if role == "text"] or texts
    of |= dict.fromkeys(texts, "text")
    of = {name: role for name, role in of.items() if taken.get(role, name) == name}
    ids = frozenset(name for name, role in of.items() if role == "id")
    apart = ids | set(taken.values())
    content = tuple(texts) or tuple(name for name in tallies if name not in apart)
    return Roles(tuple(texts), **taken, ids=ids, content=content, of=of)


def _first(role: str, of: Mapping[str, str]) -> str:
    """Of several fields that could have a role the one whose name says it most clearly."""
    names = [name for name, have in of.items() if have == role]
    order = fields().roles[role]
    return min(names, key=lambda n: order.index(w) if (w := words(n.split(".")[-1])) in order else 99, default="")


def _fits(role: str, tally: Tally) -> bool:
    """Whether the values can be what the name says."""
    seen = [x for x in tally.examples if x is not None]
    if role == "label":
        short = all(len(str(x)) <= 64 for x in seen)
        return short and not any(isinstance(x, float) and not x.is_integer() for x in seen)
    if role == "classification":
        return any(str(x).strip().lower() in CLASSES for x in seen)
    if role in ("split", "licence", "consent"):
        return all(len(str(x)) <= 400 for x in seen)
    if role == "source":
        return all(len(str(x)) <= 2000 and "\n" not in str(x) for x in seen) and not _is_prose(seen)
    return True


def _is_text(tally: Tally) -> bool:
    return _is_prose([x for x in tally.examples if isinstance(x, str)])


def _is_prose(seen: Sequence[object]) -> bool:
    """Several words in most values, on average."""
    texts = [x for x in seen if isinstance(x, str)]
    return bool(texts) and sum(x.count(" ") + x.count("\n") for x in texts) >= 3 * len(texts)
