# SPDX-License-Identifier: Apache-2.0
"""What a threat rule written in Python offers, for what the rule language can't say.

A package registers such rules under the entry point group `bastide.rules`; each entry point names an object with these members. The
caller finds them (`importlib.metadata.entry_points(group=ENTRY_POINTS)`) and hands them to `assess`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bastide.threats.model import Finding
from bastide.threats.predicates import Index

ENTRY_POINTS = "bastide.rules"


class PlanRule(Protocol):
    """A rule written in Python."""

    id: str
    """`family/name`, unlike every other rule's."""

    def evaluate(self, index: Index) -> Iterable[Finding]:
        """The findings on a plan; pure, without I/O. Use `bastide.threats.explain.finding_id` for their ids."""
        ...
