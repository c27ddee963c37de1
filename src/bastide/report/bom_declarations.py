# SPDX-License-Identifier: Apache-2.0
"""What was found out about models, as CycloneDX's declarations: claims with evidence and the share of what is asked that is known."""

from __future__ import annotations

from typing import Any

from bastide import __version__
from bastide.report.bom_card import without_empty
from bastide.report.bom_names import place
from bastide.verify.bom.model import Bill, Evidence, Model
from bastide.verify.bom.score import score

_CLAIMS = {
    "scan": "loading the files runs no code",
    "signature": "the files are those that were signed",
}
_HOLDS = {"scan": "safe", "signature": "matches"}
_FAILS = {"scan": "unsafe", "signature": "differs"}


def declarations(bill: Bill) -> dict[str, Any]:
    """Empty when nothing was found out."""
    claims, evidence, attestations = [], [], []
    for model in bill.models:
        refs = []
        for number, one in enumerate(model.evidence, 1):
            ref = f"{model.key}/evidence-{number}"
            evidence.append(_evidence(one, ref))
            claims.append(_claim(model, one, f"{model.key}/claim-{number}", ref))
            refs.append(f"{model.key}/claim-{number}")
        known = score(model)
        text = f"{model.name}: {known.card} % of the model card's fields and {known.annex} % of the points of Annex IV are answered"
        attestations.append(
            without_empty({"summary": text, "assessor": "assessor", "map": [{"claims": refs}] if refs else []})
        )
    assessor = {"bom-ref": "assessor", "thirdParty": False, "organization": {"name": f"Bastide {__version__}"}}
    return without_empty(
        {"assessors": [assessor], "attestations": attestations, "claims": claims, "evidence": evidence}
    )


def _evidence(one: Evidence, ref: str) -> dict[str, Any]:
    data = {"name": one.state, "contents": {"url": place(one.origin.file)}}
    return {
        "bom-ref": ref,
        "propertyName": f"bastide:{one.kind}",
        "description": f"{one.state}. {one.detail}".strip(),
        "data": [data],
    }


def _claim(model: Model, one: Evidence, ref: str, evidence: str) -> dict[str, Any]:
    """What leaves the claim open is no evidence, neither for it nor against it."""
    key = {_HOLDS[one.kind]: "evidence", _FAILS[one.kind]: "counterEvidence"}.get(one.state)
    claim: dict[str, Any] = {
        "bom-ref": ref,
        "target": model.key,
        "predicate": _CLAIMS[one.kind],
        "reasoning": f"the {one.kind} says: {one.state}" if key else f"open: the {one.kind} says: {one.state}",
    }
    return claim | {key: [evidence]} if key else claim
