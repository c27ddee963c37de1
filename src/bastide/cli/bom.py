# SPDX-License-Identifier: Apache-2.0
"""A bill of materials for a person at a terminal: what is known of each model, and what is missing and where to write it."""

from __future__ import annotations

from bastide.cli.screen import Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.verify.bom.knowledge import fields
from bastide.verify.bom.model import Bill, Model
from bastide.verify.bom.score import Score, scores

SHOWN, POINTS = 25, 25
_STATES = {"answered": "green", "partly": "yellow", "missing": "red", "not asked": "dim"}


def bom_table(bill: Bill, to_screen: bool = True) -> str:
    """The whole summary."""
    screen = Screen(to_screen)
    for known in scores(bill):
        _model(screen, known.model)
        _missing(screen, known)
        _points(screen, known)
        total = f"{known.model.name}: {known.card} % of the model card, {known.annex} % of Annex IV"
        screen.add("", text(one_line(total), "bold"), "")
    if bill.unread:
        screen.add(text("Not read, so the bill is incomplete:", "bold yellow"))
        screen.add(*(text(one_line(why)) for why in bill.unread[:10]), indent=2)
        if len(bill.unread) > 10:
            screen.add(text(f"... and {len(bill.unread) - 10} more (--format json)", "dim"), indent=2)
    return screen.text()


def _model(screen: Screen, model: Model) -> None:
    size = sum(one.size for one in model.files)
    screen.add(join(text(one_line(model.name), "bold"), f"  {plural(len(model.files), 'file')}, {size:,} bytes"))
    licences = ", ".join(dict.fromkeys(one.id or one.written for one in model.licences))
    rows = [
        ("licence", licences or "unknown"),
        ("made from", ", ".join(f"{one.name} ({one.relation})" for one in model.ancestors[:8]) or "unknown"),
        ("data", ", ".join(f"{one.name} ({', '.join(one.uses)})" for one in model.datasets[:8]) or "unknown"),
        ("needs", ", ".join(f"{d.name} {d.version or d.wanted}".strip() for d in model.dependencies[:12]) or "unknown"),
        *((one.kind, f"{one.state} {one.detail}".strip()) for one in model.evidence),
        *(("note", note) for note in model.notes[:8]),
    ]
    screen.rows([(text(key, "dim"), one_line(value)) for key, value in rows], indent=2)


def _missing(screen: Screen, known: Score) -> None:
    lacking = sorted((one for one in known.missing if one.weight), key=lambda one: -one.weight)
    if not lacking:
        return
    screen.heading(f"Missing: {len(known.missing)} of {len(fields())} fields")
    screen.rows([(text(one.title), text(one_line(one.where), "dim")) for one in lacking[:SHOWN]], indent=2)
    if len(lacking) > SHOWN:
        screen.add(text(f"... and {len(lacking) - SHOWN} more (--format json)", "dim"), indent=2)


def _points(screen: Screen, known: Score) -> None:
    screen.heading("EU AI Act, Annex IV: what these statements help to answer")
    rows = []
    for one in known.answers[:POINTS]:
        lacks = f"{one.point.title}" + (
            f"; lacks {', '.join(one.missing)}" if one.missing and one.state != "answered" else ""
        )
        rows.append((text(one.state, _STATES[one.state]), text(one.point.id), text(one_line(lacks))))
    screen.rows(rows, indent=2)
