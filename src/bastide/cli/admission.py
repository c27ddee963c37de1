# SPDX-License-Identifier: Apache-2.0
"""Decisions about models and the registry, for a person at a terminal."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bastide.cli.screen import Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.errors import UsageError, did_you_mean
from bastide.verify.admission.interface import Registry
from bastide.verify.admission.model import Approval, Decision, Version
from bastide.verify.artifacts.model import FileReport

STYLES = {"holds": "bold green", "refused": "bold red", "unknown": "bold yellow"}
CODES = {"holds": 0, "refused": 1, "unknown": 3}
WORDS = {"holds": "admitted", "refused": "refused", "unknown": "undecided"}
_NAMED = re.compile(r"(.+?)(?:@(\d{1,9}))?\Z", re.DOTALL)


def decision_table(decision: Decision, to_screen: bool) -> str:
    """Every demand, and whether it holds."""
    screen = Screen(to_screen)
    outcome = decision.outcome.value
    stage = f" to {decision.stage}" if decision.stage else ""
    version = f"@{decision.number}" if decision.number else ""
    title = f"  {one_line(decision.name)}{version}{one_line(stage)}  (sha256:{decision.digest or 'not read'})"
    screen.add(join(text(WORDS[outcome], STYLES[outcome]), title))
    for check in decision.checks:
        where = f"  [{check.location}]" if check.location.file else ""
        words = one_line(f"{check.id}: {check.reason}{where}")
        screen.add(join("  ", text(check.outcome.value, STYLES[check.outcome.value]), f"  {words}"))
    return screen.text()


def versions_table(versions: Sequence[Version], to_screen: bool) -> str:
    """A line for each."""
    screen = Screen(to_screen)
    screen.rows(
        (
            text(one_line(str(version)), "bold"),
            version.stage or "-",
            version.digest[:12],
            f"{_day(version.added)} by {one_line(version.added_by)}",
            one_line(version.path),
        )
        for version in versions
    )
    screen.add(text(plural(len(versions), "version"), "bold"))
    return screen.text()


def history_table(entries: Sequence[tuple[Version, Sequence[Approval], Sequence[Decision]]], to_screen: bool) -> str:
    """What is known of each version."""
    screen = Screen(to_screen)
    for version, approvals, decisions in entries:
        screen.add(
            join(text(one_line(str(version)), "bold"), f"  {version.stage or 'in no stage'}  sha256:{version.digest}")
        )
        screen.add(
            f"  {version.layout}, {one_line(version.path)}, registered {_day(version.added)} by {one_line(version.added_by)}"
        )
        for key, value in version.source.items():
            screen.add(f"  {one_line(key)}: {one_line(value)}")
        for base in version.bases:
            screen.add(f"  made from {one_line(base.name)} ({base.relation})")
        for approval in approvals:
            reason = f": {approval.reason}" if approval.reason else ""
            screen.add(one_line(f"  {_day(approval.at)} approved for {approval.stage} by {approval.by}{reason}"))
        for decision in decisions:
            outcome = decision.outcome.value
            wrong = [c.id for c in decision.checks if c.outcome.value != "holds"]
            words = f"  {_day(decision.at)}{' for ' + decision.stage if decision.stage else ''} by {decision.by or 'nobody'}"
            screen.add(
                join(
                    "  ",
                    text(WORDS[outcome], STYLES[outcome]),
                    one_line(words + (f": {', '.join(wrong)}" if wrong else "")),
                )
            )
        screen.add("")
    return screen.text()


def _day(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def who(by: str | None) -> str:
    """Who acts: as said, or the user of the system."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("nobody knows who you are here: say --by NAME") from None


def named(registry: Registry, name: str) -> Version:
    """The version that `NAME@VERSION` means; the newest of a name. Raises `UsageError`."""
    match = _NAMED.match(name)
    versions = registry.versions(match[1]) if match else []
    if not versions:
        names = sorted({v.name for v in registry.versions()})
        raise UsageError(
            f"there is no model `{one_line(name)[:80]}`: {did_you_mean(match[1] if match else name, names)}"
        )
    assert match is not None
    if match[2] is None:
        return versions[-1]
    found = [v for v in versions if v.number == int(match[2])]
    if not found:
        raise UsageError(
            f"`{match[1]}` has no version {match[2]}; it has {', '.join(str(v.number) for v in versions[-20:])}"
        )
    return found[0]


def scanner(quiet: bool, files: Sequence[str]) -> Iterator[FileReport]:
    """The scan of some files with all processors."""
    from bastide.cli.scanned import progress
    from bastide.cli.work import processors
    from bastide.verify.artifacts.pool import scan_files

    return progress(scan_files(files, processors()), len(files), quiet)


def whole(path: str) -> Path:
    """A path as the registry keeps it: it has to lead there from everywhere."""
    return Path(path).absolute()
