# SPDX-License-Identifier: Apache-2.0
"""Writes decisions into the text of a side file; other entries and comments stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bastide.errors import Diagnostic, Location, StateError
from bastide.plan.save import scalar
from bastide.plan.yamlfile import Node, parse_documents
from bastide.threats.decisions import read_decisions
from bastide.threats.model import Decision

HEADER = "# Decisions about findings of the plan beside this file; `bastide decide` writes them, and so may you.\n"


def write_decision(text: str, decision: Decision, file: str = "") -> str:
    """The text with the decision in it, in place of an earlier one about the same finding.

    Raises `StateError` when the text is no file of decisions, or the decision lacks what it needs.
    """
    before = read_decisions(text, file)
    kept = [d for d in before if d.finding != decision.finding]
    return _settle(text, file, decision.finding, _entry(decision), before, [*kept, decision])


def remove_decision(text: str, finding: str, file: str = "") -> str:
    """The text without the decision about a finding. Raises `StateError` when there is none."""
    before = read_decisions(text, file)
    kept = [d for d in before if d.finding != finding]
    if len(kept) == len(before):
        raise StateError(Diagnostic(f"has no decision about `{finding[:60]}`", Location(file)))
    return _settle(text, file, finding, [], before, kept)


def _settle(
    text: str, file: str, finding: str, entry: list[str], before: Sequence[Decision], wanted: Sequence[Decision]
) -> str:
    """The edited text if it says what is wanted, else a text that is written anew."""
    whole = _whole(wanted)
    # The decision itself must be readable; this raises where it isn't.
    read_decisions(whole, file)
    edited = _edited(text, file, finding, entry, before)
    if edited is not None:
        try:
            if _said(read_decisions(edited, file)) == _said(wanted):
                return edited
        except StateError:
            # An unusual layout, such as everything on one line: then the order and comments are lost, but no decision.
            pass
    return whole


def _said(decisions: Iterable[Decision]) -> dict[str, tuple[str, ...]]:
    return {d.finding: (d.state.value, d.owner, d.reason, d.expires) for d in decisions}


def _whole(decisions: Iterable[Decision]) -> str:
    entries = [line for decision in decisions for line in _entry(decision)]
    return HEADER + ("\n".join(["findings:", *entries]) + "\n" if entries else "findings: {}\n")


def _entry(decision: Decision, indent: int = 2) -> list[str]:
    values = {"state": decision.state.value, "owner": decision.owner, "reason": decision.reason}
    lines = [f"{key}: {scalar(' '.join(value.split()))}" for key, value in values.items()]
    if decision.expires:
        lines.append(f"expires: {scalar(decision.expires)}")
    return [" " * indent + f"{scalar(decision.finding)}:", *(" " * (2 * indent) + line for line in lines)]


def _edited(text: str, file: str, finding: str, entry: list[str], before: Sequence[Decision]) -> str | None:
    """The text with one entry replaced, added or removed; None where its layout is not one key a line."""
    roots = parse_documents(text, file, StateError)
    section = roots[0].get("findings") if roots and roots[0].is_map else None
    if section is None or not before:
        return None
    keys = [key for _, key, _ in section.items()]
    if len({key.line for key in keys}) < len(keys) or keys[0].line == _line_of(roots[0], "findings"):
        return None
    lines = text.splitlines()
    old = next((key for name, key, _ in section.items() if name == finding), None)
    if old is None:
        end = _end(lines, keys[-1])
        lines[end:end] = _indented(entry, keys[0].column - 1)
    else:
        lines[old.line - 1 : _end(lines, old)] = _indented(entry, old.column - 1)
    return "\n".join(lines) + "\n"


def _line_of(root: Node, key: str) -> int:
    return next((node.line for name, node, _ in root.items() if name == key), 0)


def _indented(entry: list[str], indent: int) -> list[str]:
    """An entry (written with an indent of two) moved to the indent of its neighbours."""
    return [" " * indent + line[2:] for line in entry]


def _end(lines: Sequence[str], key: Node) -> int:
    """The number of lines up to the end of an entry: what is indented deeper, with blank lines and comments between."""
    end = key.line
    for number in range(key.line, len(lines)):
        line = lines[number]
        depth = len(line) - len(line.lstrip(" "))
        if not line.strip():
            continue
        if depth < key.column:
            break
        end = number + 1
    return end
