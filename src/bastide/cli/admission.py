# SPDX-License-Identifier: Apache-2.0
"""Decisions about models and the registry, for a person at a terminal."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from bastide.cli.output import put
from bastide.cli.screen import Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.errors import UsageError, did_you_mean
from bastide.verify.admission.history import Entry
from bastide.verify.admission.interface import Registry
from bastide.verify.admission.model import Decision, Version
from bastide.verify.admission.policy import Policy
from bastide.verify.artifacts.model import FileReport

STYLES = {"holds": "bold green", "refused": "bold red", "unknown": "bold yellow"}
CODES = {"holds": 0, "refused": 1, "unknown": 3}
_HELD = {"admit": "admitted", "promote": "promoted", "retire": "retired"}
_NAMED = re.compile(r"(.+?)(?:@(\d{1,9}))?\Z", re.DOTALL)
_LONGEST_NAME = 200


def put_decision(decision: Decision, format_: str, output: Path | None, quiet: bool) -> None:
    """Writes a decision as `table`, `json` or `junit`."""
    if format_ == "json":
        from bastide.report.admission_json import decision_json
        from bastide.report.document import dumps

        put(dumps(decision_json(decision)), output, quiet)
    elif format_ == "junit":
        from bastide.report.admission_junit import decision_junit

        put(decision_junit(decision), output, quiet)
    else:
        put(decision_table(decision, output is None), output, quiet)


def decision_table(decision: Decision, to_screen: bool) -> str:
    """Every demand, whether it holds, and what to do when it doesn't."""
    screen = Screen(to_screen)
    screen.add(join(_word(decision), f"  {_about(decision)}"))
    screen.add(text(f"sha256:{decision.digest or 'not read'}", "dim"), indent=2)
    for check in decision.checks:
        where = f"  [{check.location}]" if check.location.file else ""
        words = one_line(f"{check.id}: {check.reason}{where}")
        screen.add(join("  ", text(check.outcome.value, STYLES[check.outcome.value]), f"  {words}"))
        if check.hint:
            screen.add(text(one_line(check.hint), "dim"), indent=11)
    return screen.text()


def versions_table(versions: Sequence[Version], to_screen: bool) -> str:
    """A line for each."""
    screen = Screen(to_screen)
    screen.rows(
        (
            text(one_line(str(version)), "bold"),
            one_line(version.stage) or "-",
            version.digest[:12],
            f"{_day(version.added)} by {one_line(version.added_by)}",
            one_line(version.path),
        )
        for version in versions
    )
    screen.add(text(plural(len(versions), "version"), "bold"))
    return screen.text()


def show_table(entries: Sequence[Entry], to_screen: bool) -> str:
    """What is known of each version."""
    screen = Screen(to_screen)
    now = datetime.now(UTC)
    for entry in entries:
        version = entry.version
        stage = one_line(version.stage) or "in no stage"
        screen.add(join(text(one_line(str(version)), "bold"), f"  {stage}  sha256:{version.digest}"))
        registered = f"registered {_day(version.added)} by {one_line(version.added_by)}"
        screen.add(f"{version.layout}, {one_line(version.path)}, {registered}", indent=2)
        for key, value in version.source.items():
            screen.add(f"{one_line(key)}: {one_line(value)}", indent=2)
        for line in _lineage(entry):
            screen.add(text(line), indent=2)
        for one in entry.evidence:
            signer = one_line(", ".join(one.names) or one.signer)
            screen.add(text(f"{one_line(one.type)} by {signer}, first seen {_age(one.seen, now)}"), indent=2)
        for _, event in _events(entry):
            screen.add(event, indent=2)
        screen.add("")
    return screen.text()


def history_table(entries: Sequence[Entry], to_screen: bool) -> str:
    """What happened, oldest first."""
    screen = Screen(to_screen)
    events = [event for entry in entries for event in _events(entry, registered=True)]
    for _, line in sorted(events, key=lambda event: event[0]):
        screen.add(line)
    return screen.text()


def _lineage(entry: Entry) -> Iterator[str]:
    for base in entry.version.bases:
        known = [f"{one} ({one.stage or 'in no stage'})" for one in entry.above if one.name == base.name]
        at = f"@{base.revision[:12]}" if base.revision else ""
        where = ", ".join(known[-3:]) or "not in the registry"
        yield one_line(f"made from {base.name}{at} ({base.relation}): {where}")
    if entry.below:
        yield one_line(f"made into {', '.join(str(one) for one in entry.below[-10:])}")


def _events(entry: Entry, registered: bool = False) -> list[tuple[datetime, Text]]:
    """What happened to a version, with its time."""
    version = entry.version
    name = f"{version}: " if registered else ""
    found: list[tuple[datetime, Text]] = []
    if registered and version.added is not None:
        found.append((version.added, text(one_line(f"{_day(version.added)}  {name}registered by {version.added_by}"))))
    for one in entry.approvals:
        what = "withdrawn" if one.withdrawn else "approved"
        why = f": {one.reason}" if one.reason else ""
        words = f"{_day(one.at)}  {name}{what} for {one.stage} by {one.by}{why}"
        found.append((one.at, text(one_line(words))))
    for decision in entry.decisions:
        wrong = [check.id for check in decision.checks if check.outcome.value != "holds"]
        if decision.action == "retire":
            wrong = [check.reason for check in decision.checks]
        for_ = f" {'from' if decision.action == 'retire' else 'for'} {decision.stage}" if decision.stage else ""
        why = f": {', '.join(wrong)}" if wrong else ""
        by_policy = f" ({_policy(decision.policy)})" if decision.policy else ""
        words = one_line(f"{for_} by {decision.by or 'nobody'}{by_policy}{why}")
        found.append((decision.at, join(one_line(f"{_day(decision.at)}  {name}") + " ", _word(decision), f" {words}")))
    return sorted(found, key=lambda event: event[0])


def _policy(policy: str) -> str:
    """The policy's name and the beginning of its digest: `admission.yaml, sha256 0f3b1c2d`."""
    file, _, digest = policy.rpartition(" (sha256 ")
    return f"{Path(file).name}, sha256 {digest[:8]}" if file else policy


def _word(decision: Decision) -> Text:
    outcome = decision.outcome.value
    words = {"holds": _HELD[decision.action], "refused": "refused", "unknown": "undecided"}
    return text(words[outcome], STYLES[outcome])


def _about(decision: Decision) -> str:
    version = f"@{decision.number}" if decision.number else ""
    stage = f" {'from' if decision.action == 'retire' else 'to'} {decision.stage}" if decision.stage else ""
    return one_line(f"{decision.name}{version}{stage}")


def _day(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else ""


def _age(at: datetime, now: datetime) -> str:
    days = (now - at).days
    return f"{_day(at)} ({plural(days, 'day')} ago)" if days > 0 else _day(at)


def who(by: str | None) -> str:
    """Who acts: as said, or the user of the system."""
    if by is not None:
        name = " ".join(by.split())
        if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise UsageError("--by is a name in one line")
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("nobody knows who you are here: say --by NAME") from None


def named(registry: Registry, name: str, exactly: bool = False) -> Version:
    """The version that `NAME@VERSION` means; the newest of a name. Raises `UsageError`, also when it has to say a version and doesn't."""
    match = _NAMED.match(name)
    versions = registry.versions(match[1]) if match else []
    if match is None or not versions:
        names = sorted({str(v) if match and match[2] else v.name for v in registry.versions()})
        raise UsageError(f"there is no model `{one_line(name)[:80]}`: {did_you_mean(name, names)}")
    if match[2] is None:
        if exactly:
            raise UsageError(f"say which version: {one_line(str(versions[-1]))} is the newest")
        return versions[-1]
    found = [v for v in versions if v.number == int(match[2])]
    if not found:
        known = ", ".join(str(v.number) for v in versions[-20:])
        raise UsageError(f"`{one_line(match[1])}` has no version {match[2]}; it has {known}")
    return found[0]


def checked_stage(policy: Policy, stage: str) -> str:
    """A stage of the policy. Raises `UsageError`."""
    if stage and stage not in policy.stages:
        hint = did_you_mean(stage, policy.stages) or "it names none"
        raise UsageError(f"the policy has no stage `{one_line(stage)[:60]}`: {hint}")
    return stage


def apart(model: Path, *written: Path | None) -> None:
    """Refuses to write into the model that is decided on: it would be another one afterwards. Raises `UsageError`."""
    inside = model.resolve()
    for path in written:
        if path is not None and path.resolve().is_relative_to(inside):
            raise UsageError(f"{path}: lies in the model, which it would change; name another place")


def ledger_of(ledger: Path | None, registry: Path | None) -> Path | None:
    """The ledger that was named, or the one beside the registry."""
    return ledger if ledger is not None or registry is None else registry.with_suffix(".ledger")


def scanner(quiet: bool, files: Sequence[str]) -> Iterator[FileReport]:
    """The scan of some files with all processors."""
    from bastide.cli.scanning import progress
    from bastide.cli.work import processors
    from bastide.verify.artifacts.pool import scan_files

    return progress(scan_files(files, processors()), len(files), quiet)
