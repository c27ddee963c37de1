# SPDX-License-Identifier: Apache-2.0
"""Bills of materials in CycloneDX 1.6 and 1.7 (ML-BOM): models with cards, files, ancestors, data, packages, licences, evidence.

https://cyclonedx.org/docs/1.7/json/. The same content makes the same document, but for its time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from bastide import __version__
from bastide.report.bom_card import model_card, properties, without_empty
from bastide.report.bom_declarations import declarations
from bastide.report.bom_names import (
    address,
    ancestor_purl,
    data_address,
    model_purl,
    package_purl,
    place,
    serial,
    stamp,
)
from bastide.verify.bom.model import Ancestor, Bill, Dataset, Dependency, File, Licence, Model, Use

Entry = dict[str, Any]


def cyclonedx(bill: Bill, version: str, at: datetime) -> Entry:
    """The document. version: `1.6` or `1.7`."""
    components = [*(_model(model) for model in bill.models), *_others(bill)]
    document: Entry = {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "version": 1,
        "metadata": _metadata(bill),
        "components": components,
        "dependencies": _dependencies(bill),
        "compositions": list(_compositions(bill)),
        "declarations": declarations(bill),
        "properties": properties(
            [
                *(("bastide:unread", why) for why in bill.unread),
                *(("bastide:note", note) for m in bill.models for note in m.notes),
            ]
        ),
    }
    document = without_empty(document)
    content = json.dumps(document, sort_keys=True, ensure_ascii=True)
    document["serialNumber"] = f"urn:uuid:{serial(hashlib.sha256(content.encode()).hexdigest())}"
    document["metadata"] = {"timestamp": stamp(at), **document["metadata"]}
    return document


def _metadata(bill: Bill) -> Entry:
    tool = {"type": "application", "name": "bastide", "version": __version__}
    name = bill.system or " and ".join(model.name for model in bill.models[:5])
    what = "The system of the plan" if bill.system else "The models as they were delivered"
    subject = {"type": "application", "bom-ref": "subject", "name": name, "description": what}
    return {"tools": {"components": [tool]}, "component": subject}


def _model(model: Model) -> Entry:
    data = {one.name: ref for one, ref in _data_refs(model) if Use.TRAINED in one.uses}
    entry: Entry = {
        "type": "machine-learning-model",
        "bom-ref": model.key,
        "supplier": without_empty({"name": model.first("developer")}),
        "authors": [{"name": one} for one in model.values("developer")],
        "name": model.name,
        "version": model.first("version"),
        "description": model.first("description"),
        "hashes": _hashes(model.digest),
        "licenses": list(_licences(model.licences)),
        "purl": model_purl(model.name, model.first("version")),
        "pedigree": _pedigree(model),
        "externalReferences": list(_references(model)),
        "modelCard": model_card(model, data),
        "components": [_file(model, one, number) for number, one in enumerate(model.files, 1)],
        "properties": properties(_facts(model)),
    }
    return without_empty(entry)


def _hashes(*digests: str) -> list[Entry]:
    return [{"alg": "SHA-256", "content": digest} for digest in digests if digest]


def _licences(found: Iterable[Licence]) -> Iterator[Entry]:
    """Declared as the card has them, concluded from texts; once each."""
    from cyclonedx.spdx import is_supported_id

    seen = set()
    licences = list(found)
    if len(licences) == 1 and " " in licences[0].id and "LicenseRef-" not in licences[0].id:
        yield {"expression": licences[0].id, "acknowledgement": "declared"}
        return
    for one in licences:
        named = {"id": one.id} if is_supported_id(one.id) else {"name": one.id or one.written}
        how = "concluded" if one.from_text else "declared"
        if (key := (*named.values(), how)) not in seen:
            seen.add(key)
            where = [("bastide:origin", str(one.origin)), ("bastide:licence:written", one.written)]
            url = address(one.url)
            yield {
                "license": without_empty({**named, "acknowledgement": how, "url": url, "properties": properties(where)})
            }


def _pedigree(model: Model) -> Entry:
    ancestors = [
        without_empty(
            {
                "type": "machine-learning-model",
                "name": one.name,
                "version": one.revision,
                "purl": ancestor_purl(one),
                "properties": properties([("bastide:lineage:model", one.model), *_lineage(one)]),
            }
        )
        for one in model.ancestors
    ]
    notes = "; ".join(f"{one.relation} of {one.name} ({one.origin})" for one in model.ancestors)
    return without_empty({"ancestors": ancestors, "notes": notes})


def _lineage(one: Ancestor) -> list[tuple[str, str]]:
    return [("bastide:lineage:relation", one.relation.value), ("bastide:origin", str(one.origin))]


def _references(model: Model) -> Iterator[Entry]:
    for one in model.files:
        if one.path.lower() in ("readme.md", "model_card.md", "modelcard.md"):
            yield {"type": "model-card", "url": place(one.path), "hashes": _hashes(one.sha256)}
        elif one.path.lower() in ("config.json", "mlmodel", "adapter_config.json"):
            yield {"type": "configuration", "url": place(one.path), "hashes": _hashes(one.sha256)}
    kinds = {"distribution": "distribution", "declaration": "certification-report", "monitoring": "quality-metrics",
             "risk.management": "risk-assessment", "changes": "release-notes", "contact": "support"}  # fmt: skip
    for field, kind in kinds.items():
        for url in dict.fromkeys(address(value) for value in model.values(field)):
            if url:
                yield {"type": kind, "url": url}
    for one_ in model.evidence:
        kind = "digital-signature" if one_.kind == "signature" else "static-analysis-report"
        if one_.sha256:
            yield {"type": kind, "url": place(one_.origin.file), "hashes": _hashes(one_.sha256), "comment": one_.state}


def _file(model: Model, file: File, number: int) -> Entry:
    facts = [
        ("bastide:file:size", str(file.size)), ("bastide:file:format", file.format), ("bastide:scan:verdict", file.verdict),
        *(("bastide:scan:finding", one) for one in file.findings),
    ]  # fmt: skip
    ref = f"{model.key}/file-{number}"
    return without_empty(
        {
            "type": "file",
            "bom-ref": ref,
            "name": file.path,
            "hashes": _hashes(file.sha256),
            "properties": properties(facts),
        }
    )


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    if model.digest:
        yield (
            "bastide:digest",
            "SHA-256 over the SHA-256 of all files in the order of their paths, as OpenSSF model signing makes it",
        )
    for one in model.evidence:
        yield f"bastide:{one.kind}:state", one.state
        yield f"bastide:{one.kind}:detail", one.detail
        yield f"bastide:origin:{one.kind}", str(one.origin)


def _data_refs(model: Model) -> list[tuple[Dataset, str]]:
    return [(one, f"{model.key}/data-{number}") for number, one in enumerate(model.datasets, 1)]


def _package_refs(model: Model) -> list[tuple[Dependency, str]]:
    return [(one, f"{model.key}/package-{number}") for number, one in enumerate(model.dependencies, 1)]


def _ancestor_refs(model: Model) -> list[tuple[Ancestor, str]]:
    return [(one, one.model or f"{model.key}/ancestor-{number}") for number, one in enumerate(model.ancestors, 1)]


def _others(bill: Bill) -> Iterator[Entry]:
    """Ancestors that aren't in the bill themselves, data sets and packages."""
    for model in bill.models:
        for ancestor, ref in _ancestor_refs(model):
            if not ancestor.model:
                yield without_empty(
                    {
                        "type": "machine-learning-model",
                        "bom-ref": ref,
                        "name": ancestor.name,
                        "version": ancestor.revision,
                        "purl": ancestor_purl(ancestor),
                        "properties": properties(_lineage(ancestor)),
                    }
                )
        for data, ref in _data_refs(model):
            yield _data(data, ref)
        for package, ref in _package_refs(model):
            yield _package(package, ref)


def _package(package: Dependency, ref: str) -> Entry:
    entry = {
        "type": "platform" if package.ecosystem == "generic" else "library",
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": package_purl(package),
        "properties": properties([("bastide:wanted", package.wanted), ("bastide:origin", str(package.origin))]),
    }
    return without_empty(entry)


def _data(data: Dataset, ref: str) -> Entry:
    facts = [("bastide:use", use.value) for use in data.uses]
    placed = ("description", "classification", "personal", "owner", "steward", "custodian", "url", "version")
    facts += [
        (f"bastide:data:{what}", one.value)
        for what, said in sorted(data.fields.items())
        if what not in placed
        for one in said
    ]
    facts += [("bastide:origin", str(data.origin))]
    facts += [(f"bastide:origin:{what}", str(said[0].origin)) for what, said in sorted(data.fields.items())]
    governance = {
        role: [{"organization": {"name": one.value}} for one in data.fields.get(key, ())]
        for role, key in (("custodians", "custodian"), ("stewards", "steward"), ("owners", "owner"))
    }
    content = {
        "type": "dataset",
        "name": data.name,
        "contents": without_empty({"url": data_address(data)}),
        "classification": data.first("classification"),
        "sensitiveData": [one.value for one in data.fields.get("personal", ())],
        "description": data.first("description"),
        "governance": without_empty(governance),
    }
    return without_empty(
        {
            "type": "data",
            "bom-ref": ref,
            "name": data.name,
            "version": data.first("version"),
            "hashes": _hashes(*data.hashes) if len(data.hashes) == 1 else [],
            "licenses": list(_licences(data.licences)),
            "data": [without_empty(content)],
            "properties": properties([*facts, *(("bastide:data:file-sha256", one) for one in data.hashes[:1000])]),
        }
    )


def _dependencies(bill: Bill) -> list[Entry]:
    models = [model.key for model in bill.models]
    found: list[Entry] = [{"ref": "subject", "dependsOn": models}]
    leaves: dict[str, None] = {}
    for model in bill.models:
        refs = [ref for _, ref in (*_ancestor_refs(model), *_data_refs(model), *_package_refs(model))]
        refs = [ref for ref in dict.fromkeys(refs) if ref != model.key]
        found.append(without_empty({"ref": model.key, "dependsOn": refs}))
        leaves |= dict.fromkeys(ref for ref in refs if ref not in models)
    return [*found, *({"ref": ref} for ref in leaves)]


def _compositions(bill: Bill) -> Iterator[Entry]:
    """Whether all files are in it. Nobody can know whether all is stated that it depends on: that is unknown at best."""
    for model in bill.models:
        yield {"aggregate": "incomplete" if model.unread else "complete", "assemblies": [model.key]}
        yield {"aggregate": "incomplete" if model.unread else "unknown", "dependencies": [model.key]}
