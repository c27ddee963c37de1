# SPDX-License-Identifier: Apache-2.0
"""A model's entry while it is put together: readers say what they found, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bastide.verify.bom.documents import LONGEST, MOST, Unreadable, Value, read_json, read_yaml
from bastide.verify.bom.folder import Folder, shown
from bastide.verify.bom.knowledge import licence_named, says_something
from bastide.verify.bom.model import (
    Ancestor,
    Dataset,
    Dependency,
    Evidence,
    Licence,
    Metric,
    Origin,
    Relation,
    Stated,
    Use,
)

PER_FIELD = 100
NOTES = 200


@dataclass(slots=True)
class Draft:
    """What has been found so far. What is said first comes first."""

    folder: Folder
    fields: dict[str, list[Stated]] = field(default_factory=dict)
    licences: list[Licence] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    ancestors: list[Ancestor] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    dependencies: dict[str, Dependency] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, name: str, value: str, origin: Origin, parts: Mapping[str, str] | None = None) -> None:
        """A value of a field; a placeholder says nothing."""
        text = tidy(value)
        have = self.fields.setdefault(name, [])
        if says_something(text) and len(have) < PER_FIELD and all(one.value != text for one in have):
            have.append(Stated(text, origin, dict(parts or {})))

    def has(self, name: str) -> bool:
        """Whether a field has a value."""
        return bool(self.fields.get(name))

    def note(self, text: str) -> None:
        """Something that a person should know; it makes nothing incomplete."""
        if len(self.notes) < NOTES:
            self.notes.append(shown(text))

    def licence(self, written: str, origin: Origin, url: str = "") -> None:
        """A licence that is declared."""
        text = tidy(written)[:200]
        if says_something(text) and all(one.written != text for one in self.licences):
            self.licences.append(Licence(text, licence_named(text), origin, url=url))

    def metric(self, metric: Metric) -> None:
        """A measured quality."""
        if says_something(metric.type) and metric not in self.metrics:
            self._bounded(self.metrics, metric, "metrics")

    def ancestor(self, name: str, relation: Relation, origin: Origin, revision: str = "") -> None:
        """A model that it was made from; a name with another relation makes the earlier one more exact."""
        text = tidy(name)[:300]
        if not says_something(text):
            return
        for at, one in enumerate(self.ancestors):
            if one.name == text:
                exact = relation if one.relation is Relation.BASE else one.relation
                self.ancestors[at] = replace(one, relation=exact, revision=one.revision or revision)
                return
        self._bounded(self.ancestors, Ancestor(text, relation, origin, revision[:100]), "ancestors")

    def dataset(self, name: str, uses: Iterable[Use], origin: Origin) -> Dataset | None:
        """Data that was used; None when the name says nothing."""
        text = tidy(name)[:300]
        if not says_something(text):
            return None
        have = self.datasets.get(text) or Dataset(text, (), origin)
        self.datasets[text] = made = replace(have, uses=tuple(sorted({*have.uses, *uses})))
        if len(self.datasets) > MOST:
            del self.datasets[text]
            self._too_many("data sets")
            return None
        return made

    def describe(self, name: str, what: str, value: str, origin: Origin) -> None:
        """A field of a data set that has been named."""
        text = tidy(value)
        have = self.datasets.get(tidy(name)[:300])
        if have is not None and says_something(text):
            stated = {**have.fields, what: (*have.fields.get(what, ()), Stated(text, origin))}
            self.datasets[have.name] = replace(have, fields=stated)

    def data_licence(self, name: str, written: str, origin: Origin) -> None:
        """The licence of a data set that has been named."""
        have = self.datasets.get(tidy(name)[:300])
        text = tidy(written)[:200]
        if have is not None and says_something(text) and all(one.written != text for one in have.licences):
            licences = (*have.licences, Licence(text, licence_named(text), origin))
            self.datasets[have.name] = replace(have, licences=licences)

    def depends(self, dependency: Dependency) -> None:
        """Software that it needs; an exact version is better than none."""
        have = self.dependencies.get(dependency.name.lower())
        if have is None or (dependency.version and not have.version):
            self.dependencies[dependency.name.lower()] = dependency
        if len(self.dependencies) > MOST:
            del self.dependencies[dependency.name.lower()]
            self._too_many("dependencies")

    def yaml(self, name: str) -> Value | None:
        """A YAML file of the folder; None, and it is said, when it can't be read."""
        return self._document(name, is_yaml=True)

    def json(self, name: str) -> Value | None:
        """A JSON file of the folder; None, and it is said, when it can't be read."""
        return self._document(name, is_yaml=False)

    def _document(self, name: str, is_yaml: bool) -> Value | None:
        text = self.folder.text(name)
        if text is None:
            return None
        try:
            value, odd = read_yaml(text, shown(name)) if is_yaml else read_json(text, shown(name))
        except Unreadable as problem:
            self.folder.unread.append(f"{shown(name)}: {problem}")
            return None
        # Two readers may see different things in it, so it isn't clear what it says.
        self.folder.unread += odd
        return value

    def _bounded(self, found: list, one: object, what: str) -> None:  # type: ignore[type-arg]
        if len(found) < MOST:
            found.append(one)
        else:
            self._too_many(what)

    def _too_many(self, what: str) -> None:
        text = f"has more than {MOST} {what}; the others are not in the bill"
        if text not in self.folder.unread:
            self.folder.unread.append(text)


def tidy(text: str) -> str:
    """A text without what controls a terminal, blanks at its ends, and more than anybody reads."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " if c in "\t\r" else "\ufffd" for c in text[:LONGEST])
    return plain.encode("utf-8", "replace").decode().strip()
