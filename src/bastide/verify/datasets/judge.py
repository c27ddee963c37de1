# SPDX-License-Identifier: Apache-2.0
"""Judges what was counted: all findings, and the card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bastide.verify.datasets import duplicates, fields, instructions, poison, terms
from bastide.verify.datasets.describe import Description
from bastide.verify.datasets.model import Card, FileFacts, Finding, Place
from bastide.verify.datasets.partial import Partial
from bastide.verify.datasets.roles import Roles
from bastide.verify.datasets.splits import AGAINST, split_of


class Judge:
    """Judges one check."""

    def __init__(
        self, total: Partial, roles: Roles, stated: Description, files: Sequence[FileFacts], uncompared: int
    ) -> None:
        self._total, self._roles, self._stated, self._files = total, roles, stated, files
        self.rows = sum(f.rows for f in files if f.split != AGAINST)
        self.sensitive = fields.sensitive(total.fields, self.where)
        self._twins = duplicates.compare(total)
        self._poison = poison.test(total.samples, self.rows)
        self._licences: Mapping[str, int] = {}
        self.unread: list[str] = []
        """What was not compared or tested."""
        if uncompared:
            self.unread.append(f"{uncompared:,} rows were not compared with the others for duplicates and leakage")

    def where(self, place: tuple[int, int]) -> Place:
        """The file and row of two numbers; nowhere for a row 0."""
        file, row = place
        if not row or file >= len(self._files):
            return Place()
        return Place(self._files[file].path, 0 if self._files[file].format == "image" else row)

    def findings(self, papers: Sequence[Path]) -> Iterator[Finding]:
        """Everything but what a Croissant description says about the files."""
        total, roles, stated = self._total, self._roles, self._stated
        counts = total.counts
        yield from fields.judge_sensitive(self.sensitive, self.rows, stated)
        yield from fields.judge_classification(self.sensitive, stated, bool(roles.classification))
        yield from fields.judge_rows(self.sensitive, total.classified, total.places, self.where)
        yield from fields.judge_need(self.sensitive, total.fields, stated, roles)
        found, self._licences = terms.judge_licence(
            stated, terms.licence_of_files(papers), counts.get("licence", {}), self.where, total.places
        )
        yield from found
        personal = any(s.category.startswith("personal") for s in self.sensitive)
        consent = counts.get("consent", {})
        yield from terms.judge_consent(roles.consent, consent, self.where, total.places, personal, stated)
        yield from terms.judge_provenance(roles, counts.get("source", {}), self.where, total.places)
        yield from duplicates.judge(self._twins, self.where, bool(roles.texts) or self._documents())
        yield from instructions.judge(total, self.where, self._files, self.rows)
        yield from poison.judge(self._poison, self.where)

    def _documents(self) -> bool:
        return any(f.format == "text" for f in self._files)

    def card(self) -> Card:
        """What was measured; call it after `findings`."""
        counts, twins, roles = self._total.counts, self._twins, self._roles
        sources = counts.get("source", {})
        leaked = sum(exact + near for exact, near, *_ in twins.leaked.values())
        split = _splits(counts.get("split", {}), self._files)
        return Card(
            self._stated.purpose,
            self._stated.classification,
            dict(self._licences),
            dict(sorted(((k, v) for k, v in sources.items() if k), key=lambda item: -item[1])[:50]),
            sources.get("", 0) if roles.source else None,
            _largest(counts.get("label", {})),
            split,
            _categories(self.sensitive),
            twins.exact if twins.rows else None,
            twins.near if twins.rows else None,
            leaked if len(split) > 1 or any(f.split == AGAINST for f in self._files) else None,
            _largest(counts.get("consent", {})),
            self._poison.tested,
        )


def _largest(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:50])


def _categories(found: Sequence[fields.Sensitive]) -> dict[str, int]:
    most: dict[str, int] = {}
    for one in found:
        most[one.category] = max(most.get(one.category, 0), one.rows)
    return dict(sorted(most.items()))


def _splits(counts: Mapping[str, int], files: Sequence[FileFacts]) -> dict[str, int]:
    """Rows by split: of files whose names say it, else of the split field."""
    found: Counter[str] = Counter()
    for file in files:
        if file.split and file.split != AGAINST:
            found[file.split] += file.rows
    if not found:
        for value, rows in counts.items():
            if split_of(value):
                found[split_of(value)] += rows
    return dict(found)
