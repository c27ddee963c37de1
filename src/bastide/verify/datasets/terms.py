# SPDX-License-Identifier: Apache-2.0
"""Findings about where a data set is from and what may be done with it: licence, consent, provenance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bastide.verify.datasets.describe import Description
from bastide.verify.datasets.knowledge import licences, spdx
from bastide.verify.datasets.model import Finding, Place, Severity
from bastide.verify.datasets.partial import OTHER
from bastide.verify.datasets.roles import Roles

_REFUSED = re.compile(
    r"(?i)\s*(?:0|no|n|false|f|refused|refuse|denied|declined|withdrawn|revoked|opt[ _-]?out|opted[ _-]?out|rejected|none|nein|non|expired)\s*"
)
_UNSURE = re.compile(r"(?i)\s*(?:|unknown|pending|n/?a|null|\?|unspecified|not (?:asked|recorded))\s*")
_TITLES = (
    ("Apache-2.0", "apache license"), ("MIT", "permission is hereby granted, free of charge"), ("CC0-1.0", "cc0 1.0 universal"),
    ("CC-BY-NC-SA-4.0", "attribution-noncommercial-sharealike 4.0"), ("CC-BY-NC-ND-4.0", "attribution-noncommercial-noderivatives 4.0"),
    ("CC-BY-NC-4.0", "attribution-noncommercial 4.0"), ("CC-BY-ND-4.0", "attribution-noderivatives 4.0"),
    ("CC-BY-SA-4.0", "attribution-sharealike 4.0"), ("CC-BY-4.0", "attribution 4.0 international"), ("ODbL-1.0", "open database license"),
    ("AGPL-3.0-only", "gnu affero general public license"), ("LGPL-3.0-only", "gnu lesser general public license"),
    ("GPL-3.0-only", "gnu general public license"), ("MPL-2.0", "mozilla public license"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms"),
    ("Unlicense", "this is free and unencumbered software"), ("CDLA-Permissive-2.0", "community data license agreement - permissive"),
)  # fmt: skip
Where = Callable[[tuple[int, int]], Place]


def licence_of_files(papers: Sequence[Path]) -> dict[str, Path]:
    """The licences that files beside the data state, by SPDX id ('' for a licence file of unknown wording)."""
    found: dict[str, Path] = {}
    for path in papers:
        name = path.name.lower()
        try:
            with path.open("rb") as stream:
                text = stream.read(1 << 18).decode("utf-8", "replace")
        except OSError:
            continue
        if name.startswith(("license", "licence", "copying")):
            low = " ".join(text[:20_000].lower().split())
            found.setdefault(_tagged(text) or next((id for id, title in _TITLES if title in low), ""), path)
        elif name.startswith(("readme", "datacard")) and (stated := _front(text)):
            found.setdefault(spdx(stated), path)
    return found


def _tagged(text: str) -> str:
    match = re.search(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+-]{1,60})", text)
    return spdx(match[1]) if match else ""


def _front(text: str) -> str:
    """The licence in the front matter of a Hugging Face read-me."""
    head = re.match(r"---\r?\n(.{0,20000}?)\r?\n---", text, re.DOTALL)
    match = re.search(r"(?m)^licen[sc]e:[ \t]*(?:\n[ \t]*-[ \t]*)?[\"']?([^\"'\n]{1,100})", head[1]) if head else None
    return match[1].strip() if match else ""


def judge_licence(
    stated: Description,
    papers: Mapping[str, Path],
    counts: Mapping[str, int],
    place: Where,
    places: Mapping[str, tuple[int, int]],
) -> tuple[list[Finding], dict[str, int]]:
    """Findings, and the licences with the rows that they cover (0 for the whole data set)."""
    found: list[Finding] = []
    have: dict[str, int] = {}
    if stated.licence:
        id = spdx(stated.licence)
        have[id or stated.licence] = 0
        if not id:
            found.append(_unknown(stated.licence, Place(stated.where)))
    for id, path in papers.items():
        if not id:
            found.append(
                Finding(
                    "dataset/licence-unknown",
                    Severity.LOW,
                    "a licence whose wording isn't known here: state its SPDX id",
                    place=Place(str(path)),
                )
            )
        elif stated.licence and have and id not in have:
            message = f"this file says {id}, but the description says {stated.licence}: find out which one holds"
            found.append(Finding("dataset/licence-conflict", Severity.HIGH, message, place=Place(str(path)), kind=id))
        if id:
            have.setdefault(id, 0)
    found += _rows(counts, have, place, places)
    found += _forbids(have, stated.use)
    if not have and not papers:
        message = "no licence: no file, no field, no description says under which terms it may be used; find out, and state the SPDX id"
        found.append(Finding("dataset/licence-missing", Severity.MEDIUM, message))
    return found, have


def _rows(
    counts: Mapping[str, int], have: dict[str, int], place: Where, places: Mapping[str, tuple[int, int]]
) -> Iterator[Finding]:
    total = sum(counts.values())
    for value, rows in counts.items():
        where = place(places[f"licence:{value}"]) if f"licence:{value}" in places else Place()
        if not value.strip():
            message = "rows without a licence in a data set whose other rows have one: find out, or leave them out"
            yield Finding(
                "dataset/licence-missing", Severity.MEDIUM, message, place=where, count=rows, rate=rows / total
            )
        elif value == OTHER or not (id := spdx(value)):
            yield _unknown(value, where, rows, rows / total)
        else:
            have[id] = have.get(id, 0) + rows


def _unknown(text: str, place: Place, rows: int = 1, rate: float | None = None) -> Finding:
    message = "a licence that isn't known here: use an SPDX id, or decide about it by hand"
    return Finding(
        "dataset/licence-unknown", Severity.MEDIUM, message, place=place, count=rows, rate=rate, evidence=text[:100]
    )


def _forbids(have: Mapping[str, int], use: str) -> Iterator[Finding]:
    known = {id: licences()[id] for id in have if id in licences()}
    for id, licence in known.items():
        rows = max(have[id], 1)
        if not licence.derivatives:
            message = f"{id} allows no derivatives: ask the owner before training on it, or leave it out"
            yield Finding("dataset/licence-forbids", Severity.HIGH, message, count=rows, kind=id)
        elif not licence.commercial and use != "research":
            severity = Severity.HIGH if use == "commercial" else Severity.MEDIUM
            message = f"{id} allows no commercial use" + ("" if use else ", and the use isn't stated (`use: research`)")
            yield Finding("dataset/licence-forbids", severity, message, count=rows, kind=id)
    shared = [id for id, licence in known.items() if licence.same]
    closed = [
        id for id, licence in known.items() if id not in shared and not (licence.commercial and licence.derivatives)
    ]
    families = {re.sub(r"-[\d.]+.*", "", id) for id in shared}
    if shared and (closed or len(families) > 1):
        message = f"{' and '.join(sorted({*shared, *closed}))} can't be joined in one work: the first asks for its own terms, the other's add to them"
        yield Finding(
            "dataset/licence-incompatible", Severity.MEDIUM, message, kind=",".join(sorted({*shared, *closed}))
        )


def judge_consent(
    field: str,
    counts: Mapping[str, int],
    place: Where,
    places: Mapping[str, tuple[int, int]],
    personal: bool,
    stated: Description,
) -> Iterator[Finding]:
    """Rows whose consent was refused, withdrawn or never recorded."""
    total = sum(counts.values())
    for test, severity, id, message in (
        (
            _REFUSED,
            Severity.HIGH,
            "dataset/consent-refused",
            "rows of persons who refused or withdrew consent: leave them out",
        ),
        (
            _UNSURE,
            Severity.MEDIUM,
            "dataset/consent-missing",
            "rows without a recorded consent: leave them out, or record the lawful basis",
        ),
    ):
        values = [v for v in counts if test.fullmatch(v)]
        if rows := sum(counts[v] for v in values):
            first = next((places[f"consent:{v}"] for v in values if f"consent:{v}" in places), None)
            shown = ", ".join(v or "(empty)" for v in values[:3])
            yield Finding(id, severity, message, field, place(first) if first else Place(), rows, rows / total, shown)
    if stated.consent is False and personal:
        yield Finding(
            "dataset/consent-missing",
            Severity.HIGH,
            "the plan says that no lawful basis covers this use, and there is personal data in it",
        )


def judge_provenance(
    roles: Roles, counts: Mapping[str, int], place: Where, places: Mapping[str, tuple[int, int]]
) -> Iterator[Finding]:
    """Rows that nobody knows the source of."""
    total = sum(counts.values())
    if roles.source and (rows := counts.get("", 0)):
        where = place(places["source:"]) if "source:" in places else Place()
        message = "rows without a source in a data set whose other rows have one: find out, or leave them out"
        yield Finding("dataset/source-missing", Severity.MEDIUM, message, roles.source, where, rows, rows / total)
