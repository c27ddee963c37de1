# SPDX-License-Identifier: Apache-2.0
"""A bill as Bastide has it: every statement with its place, and what is missing (`bastide schema bom`)."""

from __future__ import annotations

from typing import Any

import msgspec

from bastide.report.document import head
from bastide.verify.bom.model import Bill, Model
from bastide.verify.bom.score import Score, scores


def bom_json(bill: Bill) -> dict[str, Any]:
    """The document of `bastide bom --format json`."""
    return {
        **head(),
        "complete": not bill.unread,
        "unread": list(bill.unread),
        "system": bill.system or None,
        "models": [_model(one.model, one) for one in scores(bill)],
    }


def _model(model: Model, known: Score) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(model)
    del document["path"], document["unread"]
    return {**document, "score": _score(known)}


def _score(known: Score) -> dict[str, Any]:
    return {
        "card": known.card,
        "annex_iv": known.annex,
        "missing": [
            {"field": one.id, "title": one.title, "weight": one.weight, "where": one.where} for one in known.missing
        ],
        "points": [
            {
                "id": f"Annex IV {one.point.id}",
                "title": one.point.title,
                "state": one.state,
                "present": list(one.present),
                "missing": list(one.missing),
            }
            for one in known.answers
        ],
    }
