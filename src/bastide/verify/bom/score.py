# SPDX-License-Identifier: Apache-2.0
"""How much of what a model card should say is said, and which points of Annex IV it helps to answer. Unknown is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bastide.verify.bom.knowledge import Field, Point, fields, points
from bastide.verify.bom.model import Bill, Model, Use


@dataclass(frozen=True, slots=True)
class Answer:
    """A point of Annex IV, and what of it is there."""

    point: Point
    present: tuple[str, ...]
    missing: tuple[str, ...]
    """Fields, by id."""

    @property
    def share(self) -> float:
        """0 to 1."""
        if self.point.needs == "any":
            return 1.0 if self.present else 0.0
        return len(self.present) / len(self.point.of)

    @property
    def state(self) -> str:
        """`answered`, `partly`, `missing`, or `not asked` for a conditional point that nothing answers."""
        if self.share == 1.0:
            return "answered"
        if self.present:
            return "partly"
        return "not asked" if self.point.conditional else "missing"


@dataclass(frozen=True, slots=True)
class Score:
    """How complete the description of a model is."""

    model: Model
    present: tuple[Field, ...]
    missing: tuple[Field, ...]
    answers: tuple[Answer, ...]

    @property
    def card(self) -> int:
        """Percent of the fields by weight, rounded down."""
        have = sum(one.weight for one in self.present)
        return have * 100 // (have + sum(one.weight for one in self.missing))

    @property
    def annex(self) -> int:
        """Percent of the points of Annex IV, rounded down; those that aren't asked don't count."""
        asked = [one for one in self.answers if one.state != "not asked"]
        return int(sum(one.share for one in asked) * 100 / len(asked) + 1e-9)

    @property
    def lowest(self) -> int:
        """What `--fail-under` is compared with."""
        return min(self.card, self.annex)


def score(model: Model) -> Score:
    """What is there and what is missing."""
    known = {one.id for one in fields() if _present(model, one)}
    answers = tuple(
        Answer(p, tuple(id for id in p.of if id in known), tuple(id for id in p.of if id not in known))
        for p in points()
    )
    return Score(
        model,
        tuple(one for one in fields() if one.id in known),
        tuple(one for one in fields() if one.id not in known),
        answers,
    )


def scores(bill: Bill) -> tuple[Score, ...]:
    """Of each model."""
    return tuple(score(model) for model in bill.models)


def _present(model: Model, field: Field) -> bool:
    stated = any(not (field.id == "name" and one.origin.how) for one in model.fields.get(field.id, ()))
    return stated or any(_MADE[part](model) for part in field.made)


def _data(what: str) -> Callable[[Model], bool]:
    return lambda model: any(one.fields.get(what) for one in model.datasets)


_MADE: Mapping[str, Callable[[Model], bool]] = {
    "licences": lambda m: bool(m.licences),
    "files": lambda m: bool(m.digest),
    "dependencies": lambda m: bool(m.dependencies),
    "ancestors": lambda m: bool(m.ancestors),
    "trained-on": lambda m: bool(m.used(Use.TRAINED)),
    "tested-on": lambda m: bool(m.used(Use.TESTED)) or any(one.dataset for one in m.metrics),
    "data-described": _data("collection"),
    "data-personal": _data("personal"),
    "data-bias": _data("bias"),
    "metrics": lambda m: any(one.value for one in m.metrics),
    "slices": lambda m: len({one.slice for one in m.metrics if one.slice and one.value}) > 1,
    "thresholds": lambda m: any(one.threshold for one in m.metrics),
    "scan": lambda m: any(one.kind == "scan" for one in m.evidence),
    "signature": lambda m: any(one.kind == "signature" and one.state == "matches" for one in m.evidence),
}
