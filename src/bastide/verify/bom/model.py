# SPDX-License-Identifier: Apache-2.0
"""A bill of materials, before it is written in anybody's format. Each statement says where it stands; what nobody stated isn't there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something is stated."""

    file: str
    """Path in the model, or as it was given."""
    line: int = 0
    """From 1; 0 where a line means nothing (a binary header) or isn't known."""
    how: str = ""
    """What was concluded, where it isn't stated literally: `by its task`."""

    def __str__(self) -> str:
        """`README.md:12`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} ({self.how})" if self.how else place


@dataclass(frozen=True, slots=True)
class Stated:
    """A value of a field, and where it stands."""

    value: str
    origin: Origin
    parts: Mapping[str, str] = field(default_factory=dict)
    """The same in parts, where it is stated so: `group`, `harms`, `mitigation`."""


class Relation(StrEnum):
    """What an ancestor was to the model."""

    FINETUNE = "finetune"
    ADAPTER = "adapter"
    QUANTIZED = "quantized"
    MERGE = "merge"
    BASE = "base"
    """It is made from it, and nobody says how."""


class Use(StrEnum):
    """What data were used for."""

    TRAINED = "trained-on"
    TESTED = "tested-on"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as it is declared, or as its text shows."""

    written: str
    id: str
    """SPDX id, or `LicenseRef-…` where SPDX has none; '' when it isn't known here."""
    origin: Origin
    from_text: bool = False
    """Recognised by its text instead of declared."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quality. All values as they are written."""

    type: str
    value: str
    origin: Origin
    dataset: str = ""
    slice: str = ""
    """The group, split or condition; '' for all of the data."""
    threshold: str = ""
    lower: str = ""
    upper: str = ""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A model that this one was made from."""

    name: str
    relation: Relation
    origin: Origin
    revision: str = ""
    model: str = ""
    """Key of the model, when it is in the same bill."""

    @property
    def on_hub(self) -> bool:
        """Whether the name has the form of a Hugging Face repository: `owner/name`."""
        return is_repository(self.name)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Data that a model learnt from or was tested on."""

    name: str
    uses: tuple[Use, ...]
    origin: Origin
    fields: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)
    """`description`, `classification`, `personal` …: the keys of a data set in a card (`readers/card.py`)."""
    licences: tuple[Licence, ...] = ()
    hashes: tuple[str, ...] = ()
    """SHA-256 of its files, where a description states them."""

    def first(self, name: str) -> str:
        """The first value of a field, or ''."""
        return self.fields[name][0].value if self.fields.get(name) else ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Software that the model needs."""

    name: str
    origin: Origin
    version: str = ""
    """Where exactly one is stated."""
    wanted: str = ""
    """As it is written: `>=2,<3`."""
    ecosystem: str = "pypi"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the model."""

    path: str
    size: int
    sha256: str
    """Hex; '' when it could not be read."""
    format: str = ""
    verdict: str = ""
    """Of the scan: safe, unsafe, unknown; '' when it wasn't scanned."""
    findings: tuple[str, ...] = ()
    """Ids of the scan's findings."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What somebody found out about the model."""

    kind: str
    """`scan` or `signature`."""
    state: str
    origin: Origin
    detail: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model with everything that is stated about it."""

    key: str
    """Unique in the bill."""
    name: str
    path: str
    fields: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)
    """By id of `knowledge/bom/fields.yaml`."""
    licences: tuple[Licence, ...] = ()
    metrics: tuple[Metric, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    files: tuple[File, ...] = ()
    digest: str = ""
    """SHA-256 over the digests of all files, as OpenSSF model signing makes it; of one file its own. '' when one wasn't read."""
    evidence: tuple[Evidence, ...] = ()
    unread: tuple[str, ...] = ()
    """What was not read, so that the bill may lack something. A bound or a fault, never an opinion."""
    notes: tuple[str, ...] = ()

    def first(self, name: str) -> str:
        """The first value of a field, or ''."""
        return self.fields[name][0].value if self.fields.get(name) else ""

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a field."""
        return tuple(dict.fromkeys(one.value for one in self.fields.get(name, ())))

    def used(self, use: Use) -> tuple[Dataset, ...]:
        """Data of one use."""
        return tuple(one for one in self.datasets if use in one.uses)


@dataclass(frozen=True, slots=True)
class Bill:
    """The models of one bill of materials."""

    models: tuple[Model, ...]
    system: str = ""
    """The system of the plan that they are part of."""
    notes: tuple[str, ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """What was not read of all models."""
        return tuple(f"{model.name}: {why}" for model in self.models for why in model.unread)


def is_repository(name: str) -> bool:
    """Whether a name has the form of a Hugging Face repository: `owner/name`."""
    owner, slash, rest = name.partition("/")
    plain = owner.replace("-", "").replace("_", "").replace(".", "") + rest.replace("-", "").replace("_", "").replace(
        ".", ""
    )
    return bool(slash and plain.isascii() and plain.isalnum() and owner[0] not in ".-" and rest[0] not in ".-")
