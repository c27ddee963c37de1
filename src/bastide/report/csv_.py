# SPDX-License-Identifier: Apache-2.0
"""Findings as CSV for spreadsheets, with nothing in it that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from bastide.threats.model import Assessment, ControlState, Finding

COLUMNS = (
    "id", "severity", "score", "impact", "likelihood", "state", "rule", "title", "message",
    "path", "fix", "references", "file", "line", "owner", "reason", "expires",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t")
_BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def render_csv(assessment: Assessment) -> str:
    """One line for each finding, worst first, all states; the first line names the columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for finding in assessment.findings:
        writer.writerow([cell(value) for value in _row(finding)])
    return out.getvalue()


def cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula: such texts get an apostrophe in front. Line breaks become blanks."""
    if isinstance(value, str):
        text = _BREAKS.sub(" ", value.replace("\0", "\ufffd"))
        return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
    return value


def _row(finding: Finding) -> Iterator[object]:
    rating, decision = finding.rating, finding.decision
    yield from (finding.id, finding.severity.value, rating.score, rating.impact, rating.likelihood)
    yield from (finding.state.value, finding.rule, finding.title, finding.message)
    yield " > ".join(finding.path)
    yield "; ".join(f"{c.id} on {c.element}" for c in finding.controls if c.breaks and c.state is ControlState.REQUIRED)
    yield "; ".join(f"{framework}/{id}" for framework, ids in finding.refs.items() for id in ids)
    yield from (finding.location.file, finding.location.line or "")
    yield from (decision.owner, decision.reason, decision.expires) if decision else ("", "", "")
