# SPDX-License-Identifier: Apache-2.0
"""What somebody says a data set is: purpose, fields, classification, licence. From a small YAML or JSON file, a plan's data asset, or options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from bastide.errors import Diagnostic, InputError, Location, UsageError
from bastide.verify.datasets.knowledge import CLASSES

_LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Description:
    """What is stated; '' or empty where nothing is."""

    purpose: str = ""
    use: str = ""
    """`commercial`, `research` or `internal`."""
    classification: str = ""
    contains: tuple[str, ...] = ()
    """Categories of sensitive data, in the words of a plan: `personal.contact`."""
    licence: str = ""
    fields: tuple[str, ...] = ()
    """The fields that the purpose needs; empty when they are not stated."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """The field of each role that is stated: `label`, `text`, `split`, `id`, `source`, `licence`, `consent`."""
    consent: bool | None = None
    where: str = ""
    """The file that says so."""

    def over(self, other: Description) -> Description:
        """This description, with the other's words where this one has none."""
        return Description(
            purpose=self.purpose or other.purpose,
            use=self.use or other.use,
            classification=self.classification or other.classification,
            contains=tuple(dict.fromkeys((*self.contains, *other.contains))),
            licence=self.licence or other.licence,
            fields=self.fields or other.fields,
            roles={**other.roles, **self.roles},
            consent=other.consent if self.consent is None else self.consent,
            where=self.where or other.where,
        )


class _File(Struct, forbid_unknown_fields=True, rename="kebab"):
    purpose: str = ""
    use: Literal["", "commercial", "research", "internal"] = ""
    classification: Literal["", "public", "internal", "confidential", "restricted"] = ""
    contains: tuple[str, ...] = ()
    licence: str = ""
    fields: tuple[str, ...] = ()
    label: str = ""
    text: str = ""
    split: str = ""
    id: str = ""
    source: str = ""
    licence_field: str = ""
    consent_field: str = ""


def read_description(path: Path) -> Description:
    """The description in a small YAML or JSON file.

    Raises:
        InputError: it isn't one, with what is wrong.
    """
    raw = parse(path)
    try:
        stated = msgspec.convert(raw, _File)
    except msgspec.ValidationError as problem:
        hint = "keys: " + ", ".join(f.encode_name for f in msgspec.structs.fields(_File))
        raise InputError(
            Diagnostic(f"no description of a data set: {problem}", Location(str(path)), hint=hint)
        ) from None
    roles = {
        "label": stated.label, "text": stated.text, "split": stated.split, "id": stated.id, "source": stated.source,
        "licence": stated.licence_field, "consent": stated.consent_field,
    }  # fmt: skip
    return Description(
        stated.purpose,
        stated.use,
        stated.classification,
        stated.contains,
        stated.licence,
        stated.fields,
        {role: name for role, name in roles.items() if name},
        where=str(path),
    )


def is_croissant(path: Path) -> bool:
    """Whether a file is JSON-LD rather than one of our own."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return False
    raw = parse(path)
    return isinstance(raw, dict) and "@context" in raw


def parse(path: Path) -> Any:
    """A small YAML or JSON document as plain data. Raises `InputError`."""
    place = Location(str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise InputError(Diagnostic(f"is larger than {_LARGEST >> 20} MiB", place))
        if path.suffix.lower() in (".yaml", ".yml"):
            return _yaml(raw)
        return msgspec.json.decode(raw)
    except (OSError, ValueError, RecursionError, yaml.YAMLError, msgspec.DecodeError) as problem:
        raise InputError(Diagnostic(f"can't be read: {str(problem)[:200]}", place)) from None


def _yaml(raw: bytes) -> Any:
    """YAML without anchors: a few aliases could stand for gigabytes."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw, yaml.CSafeLoader)):
        raise ValueError("aliases (`*name`) aren't read here")
    return yaml.load(raw, yaml.CSafeLoader)


def of_asset(path: Path, asset: str) -> Description:
    """What a plan says about one of its data assets. Raises `UsageError` when it has none of that id, and `PlanError`."""
    from bastide.catalog.load import load_catalog
    from bastide.plan.load import load_plan

    plan = load_plan(path, load_catalog(()).vocabulary)
    data = plan.data.get(asset)
    if data is None:
        raise UsageError(f"{path}: has no data asset `{asset[:60]}`; it has {', '.join(plan.data) or 'none'}")
    contains = data.value("contains")
    level = data.value("class")
    licence = data.value("licence")
    consent = data.value("consent")
    return Description(
        purpose=plan.purpose,
        classification=level if level in CLASSES and isinstance(level, str) else "",
        contains=tuple(contains) if isinstance(contains, tuple | list) else (),
        licence=licence if isinstance(licence, str) else "",
        consent=consent if isinstance(consent, bool) else None,
        where=f"{path} ({asset})",
    )


def with_options(
    base: Description, *, purpose: str, classification: str, fields: str, roles: Mapping[str, str]
) -> Description:
    """A description with what the options of a call say."""
    stated = tuple(name.strip() for name in fields.split(",") if name.strip())
    return replace(
        base,
        purpose=purpose or base.purpose,
        classification=classification or base.classification,
        fields=stated or base.fields,
        roles={**base.roles, **{role: name for role, name in roles.items() if name}},
    )
