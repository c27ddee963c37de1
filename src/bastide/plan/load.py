# SPDX-License-Identifier: Apache-2.0
"""Reads a plan: YAML, includes and defaults in; one frozen `Plan` or all errors at once out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bastide.errors import Diagnostic, PlanError, did_you_mean
from bastide.plan import elements
from bastide.plan.canonical import canonical_bytes
from bastide.plan.model import Component, Plan, Source
from bastide.plan.vocabulary import Vocabulary
from bastide.plan.yamlfile import Document, Node, parse, read_text

FORMAT = 1
MAX_INCLUDES = 100
MAX_ELEMENTS = 200_000
SECTIONS = ("data", "zones", "identities", "components", "flows", "controls")
HEADERS = ("bastide", "system", "name", "owner", "purpose", "exposure", "include", "defaults")
EXPOSURES = ("public", "partners", "internal")


def load_plan(path: Path, vocabulary: Vocabulary) -> Plan:
    """Reads a plan file and the files it includes.

    Includes are taken from the folder of the plan or below it only. Raises `PlanError` with every problem found.
    """
    return _load(parse(read_text(path), str(path)), vocabulary, path)


def parse_plan(text: str, vocabulary: Vocabulary, file: str = "bastide.yaml") -> Plan:
    """A plan from text; `include` is an error here, since there is no folder to look in."""
    return _load(parse(text, file), vocabulary, None)


def plan_from_node(root: Node, vocabulary: Vocabulary) -> Plan:
    """A plan from a YAML document that was parsed already; `include` is an error."""
    return _load(root, vocabulary, None)


@dataclass(slots=True)
class _Sources:
    """The root document and the included ones, with their sections merged."""

    documents: list[Document] = field(default_factory=list)
    sections: dict[str, list[Node]] = field(default_factory=dict)

    def problems(self) -> list[Diagnostic]:
        unique = {id(d): d for d in self.documents}.values()
        found = {(p.location, p.message): p for d in unique for p in d.problems}
        return sorted(found.values(), key=lambda p: (p.location.file, p.location.line, p.location.column))


def _load(root: Node, vocabulary: Vocabulary, path: Path | None) -> Plan:
    sources = _Sources()
    if not root.is_map:
        raise PlanError(
            root.diagnostic(
                f"a plan is a mapping, found {root.describe()}", "begin with `bastide: 1` and `system: name`"
            )
        )
    _collect(root, sources, path, is_root=True)
    header = _header(root)
    builder = elements.Builder(vocabulary, _defaults(root))
    plan = Plan(
        **header,
        data=builder.data(sources.sections.get("data", ())),
        zones=builder.zones(sources.sections.get("zones", ())),
        identities=builder.identities(sources.sections.get("identities", ())),
        components=builder.components(sources.sections.get("components", ())),
        flows=builder.flows(sources.sections.get("flows", ())),
        claims=builder.claims(sources.sections.get("controls", ())),
        location=root.location,
    )
    builder.check_references(plan)
    if problems := sources.problems():
        raise PlanError(problems)
    plan = replace(plan, components=_inherit(plan, vocabulary))
    if builder.count > MAX_ELEMENTS:
        raise PlanError(Diagnostic(f"has more than {MAX_ELEMENTS} elements", root.location))
    return with_digest(plan)


def _inherit(plan: Plan, vocabulary: Vocabulary) -> dict[str, Component]:
    """The components, with what they take from their zones."""
    inherited = [a for a in vocabulary.attributes["component"].values() if a.from_zone]
    found = dict(plan.components)
    for component in plan.components.values():
        kind = vocabulary.kinds[component.kind]
        facts = dict(component.facts)
        for attribute in inherited:
            if attribute.name not in facts and attribute.applies_to(kind):
                zones = (z.facts.get(attribute.name) for z in plan.zone_chain(component.zone))
                fact = next((f for f in zones if f and f.known), None)
                if fact is not None:
                    facts[attribute.name] = replace(fact, source=Source.ASSUMED)
        if len(facts) > len(component.facts):
            found[component.id] = replace(component, facts=facts)
    return found


def with_digest(plan: Plan) -> Plan:
    """The plan with its digest computed anew."""
    return replace(plan, digest="sha256:" + hashlib.sha256(canonical_bytes(plan)).hexdigest())


def _collect(
    root: Node, sources: _Sources, path: Path | None, is_root: bool, seen: frozenset[Path] = frozenset()
) -> None:
    """Gathers the sections of a document and of those it includes, depth first."""
    sources.documents.append(root.document)
    if not root.is_map:
        root.problem(f"an included file is a mapping, found {root.describe()}")
        return
    allowed = (*HEADERS, *SECTIONS)
    for key, key_node, value in root.items():
        if key.startswith("x-"):
            continue
        if key not in allowed:
            key_node.problem(f"unknown key `{key}`", did_you_mean(key, allowed))
        elif not is_root and key in HEADERS and key not in ("bastide", "include"):
            key_node.problem(f"`{key}` belongs in the main file", "an included file has sections only")
        elif key in SECTIONS and value.value is not None:
            sources.sections.setdefault(key, []).append(value)
    include = root.get("include")
    if include is not None and include.value is not None:
        for item in include.value if include.is_list else [include]:
            _include(item, sources, path, seen)


def _include(item: Node, sources: _Sources, path: Path | None, seen: frozenset[Path]) -> None:
    if not isinstance(item.value, str):
        item.problem(f"`include` takes file names, found {item.describe()}")
        return
    if path is None:
        item.problem("`include` works only in plans that are read from a file")
        return
    folder = path.resolve().parent
    try:
        target = (folder / item.value).resolve()
    except (OSError, ValueError, RuntimeError):
        item.problem("isn't a usable file name")
        return
    top = min((p.parent for p in (*seen, path.resolve())), key=lambda p: len(p.parts))
    if not target.is_relative_to(top):
        item.problem("leads out of the plan's folder", "only files beside or below the plan are read")
    elif target in seen or target == path.resolve():
        item.problem("includes itself, directly or through another file")
    elif len(sources.documents) > MAX_INCLUDES:
        item.problem(f"more than {MAX_INCLUDES} included files")
    else:
        try:
            text = read_text(target)
            node = parse(text, str(path.parent / item.value))
        except PlanError as problem:
            first = problem.diagnostics[0]
            item.problem(f"`{item.value}`: {first.message}", f"at {first.location}" if first.location.line else "")
            return
        _collect(node, sources, target, is_root=False, seen=seen | {path.resolve()})


def _header(root: Node) -> dict[str, Any]:
    version = root.get("bastide")
    if version is None:
        root.problem("`bastide: 1` is missing", "it names the version of the format; write it as the first line")
    elif version.value != FORMAT:
        version.problem(f"format {version.describe()} is not known", f"this version reads `bastide: {FORMAT}`")
    system = root.get("system")
    identifier = elements.identifier(system, "the system's id") if system is not None else ""
    if system is None:
        root.problem("`system:` is missing", "give the system a short id, such as `system: support-assistant`")
    exposure = elements.text(root.get("exposure"))
    if exposure and exposure not in EXPOSURES:
        node = root.get("exposure") or root
        node.problem(f"`{exposure[:60]}` is no exposure", did_you_mean(exposure, EXPOSURES))
    owner = root.get("owner")
    return {
        "id": identifier,
        "name": elements.text(root.get("name")),
        "purpose": elements.text(root.get("purpose")),
        # Nothing, an empty text and an empty mapping all say that no owner is named.
        "owner": (owner.plain_data() or None) if owner is not None else None,
        "exposure": exposure,
        "extensions": elements.extensions(root),
    }


def _defaults(root: Node) -> Mapping[str, Node]:
    node = root.get("defaults")
    if node is None or node.value is None:
        return {}
    if not node.is_map:
        node.problem(
            f"`defaults` is a mapping, found {node.describe()}", "such as `defaults: {components: {zone: app}}`"
        )
        return {}
    known = ("components", "flows", "data", "identities", "zones")
    found: dict[str, Node] = {}
    for key, key_node, value in node.items():
        if key not in known:
            key_node.problem(f"unknown key `{key}` in defaults", did_you_mean(key, known))
        elif not value.is_map:
            value.problem(f"expected a mapping, found {value.describe()}")
        else:
            found[key] = value
    return found
