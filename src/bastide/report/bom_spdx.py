# SPDX-License-Identifier: Apache-2.0
"""Bills of materials in SPDX 3.0.1 (JSON-LD) with the AI and Dataset profiles' classes.

https://spdx.github.io/spdx-spec/v3.0.1/. A document claims to conform to the AI or Dataset profile only when everything is stated that
the profile asks of each package, which models rarely say of themselves (a time of release, a place of download, a licence).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bastide import __version__
from bastide.report.bom_card import without_empty
from bastide.report.bom_names import address, ancestor_purl, data_address, model_purl, package_purl, serial, stamp
from bastide.report.bom_spdx_fields import NO_ASSERTION, ai_fields, data_fields, moment_of
from bastide.verify.bom.model import Ancestor, Bill, Dataset, Dependency, File, Licence, Model, Relation, Use

Entry = dict[str, Any]
CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_INFO = "_:creationInfo"
_AI = ("releaseTime", "suppliedBy", "software_downloadLocation", "software_packageVersion", "software_primaryPurpose")
_DATA = ("builtTime", "originatedBy", "releaseTime", "software_downloadLocation", "software_primaryPurpose")
"""What the profiles ask of each package beside the class's own properties."""


def spdx(bill: Bill, at: datetime) -> Entry:
    """The document."""
    graph = _Graph("")
    _fill(graph, bill)
    # Ids hold a number of the content, so the content is made without them first.
    content = json.dumps(graph.elements, sort_keys=True)
    graph = _Graph(f"urn:uuid:{serial(hashlib.sha256(content.encode()).hexdigest())}")
    _fill(graph, bill)
    info = {
        "type": "CreationInfo", "@id": _INFO, "specVersion": "3.0.1", "created": stamp(at),
        "createdBy": [graph.id("bastide")], "createdUsing": [graph.id("tool")],
    }  # fmt: skip
    return {"@context": CONTEXT, "@graph": [info, *graph.elements]}


class _Graph:
    """Elements, each with an id of its own."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.elements: list[Entry] = []
        self._licences: dict[str, str] = {}
        self._relations = 0

    def id(self, name: str) -> str:
        return f"{self._base}#{name}"

    def add(self, type_: str, ref: str, /, **values: Any) -> str:
        """An element; what is unknown is left out."""
        element = {"type": type_, "spdxId": self.id(ref), "creationInfo": _INFO, **values}
        self.elements.append(without_empty(element))
        return self.id(ref)

    def relate(self, source: str, kind: str, targets: Iterable[str], completeness: str = "") -> None:
        """A relationship, when there is something to relate to."""
        to = list(dict.fromkeys(targets))
        if to:
            self._relations += 1
            name = f"relationship-{self._relations}"
            self.add("Relationship", name, **{"from": source}, relationshipType=kind, to=to, completeness=completeness)

    def annotate(self, subject: str, ref: str, kind: str, said: object) -> None:
        """What has no property: as JSON beside the element."""
        self.add(
            "Annotation",
            ref,
            annotationType=kind,
            subject=subject,
            statement=json.dumps(said),
            contentType="application/json",
        )

    def licence(self, one: Licence) -> str:
        """The element of a licence, made once. An id that isn't SPDX's becomes a reference of ours, with what was written."""
        expression = one.id or f"LicenseRef-{hashlib.sha256(one.written.encode()).hexdigest()[:12]}"
        expression = expression.replace("+", "-plus")
        if expression not in self._licences:
            name = f"licence-{len(self._licences) + 1}"
            comment = f"written as: {one.written} ({one.origin})"
            own = [
                {"type": "DictionaryEntry", "key": key, "value": self._own_licence(f"{name}-text-{at}", key, one)}
                for at, key in enumerate(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", expression), 1)
            ]
            self._licences[expression] = self.add(
                "simplelicensing_LicenseExpression",
                name,
                simplelicensing_licenseExpression=expression,
                simplelicensing_customIdToUri=own,
                comment=comment,
            )
        return self._licences[expression]

    def _own_licence(self, ref: str, id: str, one: Licence) -> str:
        """A licence that SPDX has no id for: only its name is known, and perhaps where its text lies."""
        text = " ".join(filter(None, (one.written, one.url)))
        return self.add("simplelicensing_SimpleLicensingText", ref, name=id, simplelicensing_licenseText=text)

    def agent(self, owner: str, name: str) -> str:
        """Somebody, of whom only the name is known."""
        return self.add("Agent", owner, name=name) if name else ""


def _fill(graph: _Graph, bill: Bill) -> None:
    graph.add("SoftwareAgent", "bastide", name="Bastide")
    graph.add("Tool", "tool", name=f"bastide {__version__}")
    packages = {model.key: graph.id(model.key) for model in bill.models}
    for model in bill.models:
        _model(graph, model, packages)
    elements = [one["spdxId"] for one in graph.elements]
    name = bill.system or " and ".join(model.name for model in bill.models[:5])
    comment = "; ".join(["incomplete: not all was read", *bill.unread])[:4000] if bill.unread else ""
    sbom = graph.add(
        "software_Sbom", "sbom", name=name, software_sbomType=["analyzed"], rootElement=list(packages.values()), element=elements, comment=comment,
    )  # fmt: skip
    conforms = ["core", "software", "simpleLicensing", *_conforms(graph.elements)]
    graph.add(
        "SpdxDocument",
        "document",
        name=name,
        rootElement=[sbom],
        element=[*elements, sbom],
        profileConformance=conforms,
        comment=_lacking(graph.elements),
    )


def _conforms(elements: list[Entry]) -> list[str]:
    """The profiles that hold for each package of their class."""
    found = []
    for profile, type_, wanted in (("ai", "ai_AIPackage", _AI), ("dataset", "dataset_DatasetPackage", _DATA)):
        packages = [one for one in elements if one["type"] == type_]
        if packages and all(key in one for one in packages for key in wanted):
            found.append(profile)
    return found


def _lacking(elements: list[Entry]) -> str:
    """What the profiles ask for and nobody states."""
    lines = []
    for type_, wanted in (("ai_AIPackage", _AI), ("dataset_DatasetPackage", _DATA)):
        for one in elements:
            if one["type"] == type_ and (lacks := [key for key in wanted if key not in one]):
                lines.append(f"{one['name']} lacks {', '.join(lacks)}")
    return f"not stated, so its profile isn't claimed: {'; '.join(lines)}"[:4000] if lines else ""


def _model(graph: _Graph, model: Model, packages: dict[str, str]) -> None:
    supplier = graph.agent(f"{model.key}-supplier", model.first("developer"))
    released = moment_of(model.first("released"))
    package = graph.add(
        "ai_AIPackage", model.key,
        name=model.name,
        description=model.first("description"),
        comment="; ".join(f"{one.kind}: {one.state}" for one in model.evidence),
        verifiedUsing=_hashes(model.digest),
        suppliedBy=supplier,
        releaseTime=released,
        software_primaryPurpose="model",
        software_packageVersion=model.first("version"),
        software_downloadLocation=address(model.first("distribution")),
        software_packageUrl=model_purl(model.name, model.first("version")),
        **ai_fields(model),
    )  # fmt: skip
    declared = [graph.licence(one) for one in model.licences if not one.from_text]
    concluded = [graph.licence(one) for one in model.licences if one.from_text]
    graph.relate(package, "hasDeclaredLicense", declared[:1] or [NO_ASSERTION])
    graph.relate(package, "hasConcludedLicense", concluded[:1] or [NO_ASSERTION])
    files = [_file(graph, one, f"{model.key}-file-{number}") for number, one in enumerate(model.files, 1)]
    graph.relate(package, "contains", files, "incomplete" if model.unread else "complete")
    _lineage(graph, model, package, packages)
    _datasets(graph, model, package)
    needed = [_package(graph, one, f"{model.key}-package-{number}") for number, one in enumerate(model.dependencies, 1)]
    graph.relate(package, "dependsOn", needed, "noAssertion")
    for number, one in enumerate(model.evidence, 1):
        found = {"kind": one.kind, "state": one.state, "detail": one.detail, "from": str(one.origin)}
        graph.annotate(package, f"{model.key}-evidence-{number}", "review", found)
    where = {id: [str(s.origin) for s in stated] for id, stated in sorted(model.fields.items())}
    graph.annotate(package, f"{model.key}-origins", "other", where)


def _hashes(*digests: str) -> list[Entry]:
    return [{"type": "Hash", "algorithm": "sha256", "hashValue": digest} for digest in digests if digest]


def _file(graph: _Graph, file: File, name: str) -> str:
    verdict = f"scan: {file.verdict}" if file.verdict else ""
    return graph.add(
        "software_File",
        name,
        name=file.path,
        verifiedUsing=_hashes(file.sha256),
        comment=verdict,
        software_primaryPurpose="file",
    )


def _lineage(graph: _Graph, model: Model, package: str, packages: dict[str, str]) -> None:
    for number, one in enumerate(model.ancestors, 1):
        if one.model == model.key:
            continue
        parent = packages.get(one.model) or _ancestor(graph, one, f"{model.key}-ancestor-{number}")
        graph.relate(package, "descendantOf", [parent])
        if one.relation is Relation.ADAPTER:
            graph.relate(package, "dependsOn", [parent])


def _ancestor(graph: _Graph, one: Ancestor, name: str) -> str:
    return graph.add(
        "ai_AIPackage", name, name=one.name, software_packageVersion=one.revision, software_primaryPurpose="model",
        software_packageUrl=ancestor_purl(one), comment=f"{one.relation} ({one.origin})",
        software_downloadLocation=f"https://huggingface.co/{one.name}" if one.on_hub else "",
    )  # fmt: skip


def _datasets(graph: _Graph, model: Model, package: str) -> None:
    made = [(one, _data(graph, one, f"{model.key}-data-{number}")) for number, one in enumerate(model.datasets, 1)]
    for use, kind in ((Use.TRAINED, "trainedOn"), (Use.TESTED, "testedOn")):
        graph.relate(package, kind, [id for one, id in made if use in one.uses], "noAssertion")


def _data(graph: _Graph, data: Dataset, name: str) -> str:
    owner = graph.agent(f"{name}-owner", data.first("owner"))
    made = graph.add(
        "dataset_DatasetPackage", name,
        name=data.name,
        description=data.first("description"),
        comment=f"stated at {data.origin}",
        originatedBy=[owner] if owner else [],
        builtTime=moment_of(data.first("built")),
        releaseTime=moment_of(data.first("released")),
        software_primaryPurpose="data",
        software_packageVersion=data.first("version"),
        software_downloadLocation=data_address(data),
        verifiedUsing=_hashes(*data.hashes[:1]) if len(data.hashes) == 1 else [],
        **data_fields(data),
    )  # fmt: skip
    graph.relate(made, "hasDeclaredLicense", [graph.licence(one) for one in data.licences[:1]] or [NO_ASSERTION])
    graph.relate(made, "hasConcludedLicense", [NO_ASSERTION])
    return made


def _package(graph: _Graph, one: Dependency, name: str) -> str:
    return graph.add(
        "software_Package", name, name=one.name, software_packageVersion=one.version, software_packageUrl=package_purl(one),
        software_primaryPurpose="library", comment=f"wanted: {one.wanted or 'any version'} ({one.origin})",
    )  # fmt: skip
