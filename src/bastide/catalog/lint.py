# SPDX-License-Identifier: Apache-2.0
"""Shows that the knowledge is sound: what it refers to exists, what it defines is used, what it says is tidy.

What a single file can get wrong (unknown keys, kinds, attributes, missing tests) is an error of loading; this finds what only the whole can show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bastide.catalog.load import KNOWLEDGE
from bastide.catalog.model import Catalog, Control, Refs, Threat
from bastide.catalog.uses import Uses, role_kinds, uses_of
from bastide.errors import Diagnostic, KnowledgeError, Location, did_you_mean
from bastide.plan.vocabulary import Vocabulary
from bastide.plan.yamlfile import Node, parse, read_text

MAX_TITLE = 80
STRUCTURAL: Mapping[str, str] = {
    "component.trust": "who wrote the content that starts there",
    "component.autonomy": "rates likelihood",
    "component.internet-facing": "rates likelihood",
    "component.safety-critical": "rates impact",
    "component.side-effect": "rates impact",
    "data.class": "rates impact, and is the confidentiality label",
    "data.contains": "rates impact",
    "data.tenants": "rates impact",
    "data.written-by": "who wrote the content of a store",
    "flow.as": "says whether content can act as an instruction",
    "flow.returns": "says whether an answer comes back",
    "flow.trust": "who wrote the content that starts here",
    "flow.verb": "says which way content moves",
    "identity.privilege": "rates impact",
    "zone.trust": "says what is outside, and rates likelihood",
}
"""Attributes that the analysis itself reads, so that no rule has to name them, and what it does with them."""
DESCRIPTIVE: Mapping[str, str] = {
    "component.trained-on": "names the data behind a model, for inventories",
    "data.licence": "for inventories of data sets",
    "data.residency": "for reviews of where data may lie",
    "identity.platform": "tells importers and generators which rights language applies",
    "zone.cloud": "tells importers and generators where a zone is",
}
"""Attributes that say something to people and to other tools, and on which no threat depends."""
_RULE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*\Z")
_CONTROL_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


def lint(catalog: Catalog) -> list[Diagnostic]:
    """Everything that is wrong with the catalogue as a whole, each with its place. Nothing means sound."""
    uses = uses_of(catalog)
    found = [
        *_refs(catalog),
        *_controls(catalog),
        *_places(catalog),
        *_kinds(catalog, uses),
        *_attributes(catalog.vocabulary, uses),
        *_texts(catalog),
    ]
    return sorted(found, key=lambda d: (d.location.file, d.location.line, d.location.column, d.message))


def _refs(catalog: Catalog) -> Iterator[Diagnostic]:
    """Every reference names an entry of a framework that is carried, once; every framework is referred to."""
    named: set[str] = set()
    parts: list[tuple[Refs, Location]] = [(t.refs, t.location) for t in catalog.threats.values()]
    parts += [(c.refs, c.location) for c in catalog.controls.values()]
    for refs, location in parts:
        named |= refs.keys()
        for framework, ids in refs.items():
            yield from _framework_refs(catalog, framework, ids, location)
    for framework in catalog.frameworks.keys() - named if catalog.threats else ():
        name, _, version = framework.partition(":")
        place = Location(str(KNOWLEDGE / "frameworks" / name / f"{version}.yaml"))
        yield _at(place, (), f"framework `{framework}` is carried, but nothing refers to it")


def _framework_refs(catalog: Catalog, framework: str, ids: tuple[str, ...], location: Location) -> Iterator[Diagnostic]:
    known = catalog.frameworks.get(framework)
    if known is None:
        hint = did_you_mean(framework, catalog.frameworks)
        yield _at(location, ("refs", framework), f"there is no framework `{framework}`", hint)
        return
    for id in ids:
        if id not in known.entries:
            hint = did_you_mean(id, known.entries)
            yield _at(location, ("refs", framework), f"`{framework}` has no entry `{id}`", hint)
    for id in sorted({id for id in ids if ids.count(id) > 1}):
        yield _at(location, ("refs", framework), f"`{id}` stands twice")


def _controls(catalog: Catalog) -> Iterator[Diagnostic]:
    """Every control bears on a rule."""
    used = {control for t in catalog.threats.values() for control in (*t.breaks, *t.reduces)}
    for control in catalog.controls.values():
        if control.id not in used:
            yield _at(control.location, (), f"control `{control.id}` is used by no rule")
        if not _CONTROL_ID.match(control.id):
            yield _at(control.location, (), f"`{control.id}` is no id for a control", "lower-case words joined by `-`")
    for threat in catalog.threats.values():
        for control_id in threat.breaks.keys() & threat.reduces.keys():
            yield _at(threat.location, ("reduces", control_id), f"`{control_id}` can't both break and reduce")


def _places(catalog: Catalog) -> Iterator[Diagnostic]:
    """A control that a rule places somewhere can stand there."""
    for threat in catalog.threats.values():
        for key, controls in (("breaks", threat.breaks), ("reduces", threat.reduces)):
            for id, places in controls.items():
                control = catalog.controls.get(id)
                for place in places if control is not None else ():
                    if control is not None and not _can_stand(control, threat, place, catalog.vocabulary):
                        hint = f"it stands on {', '.join(control.on)}"
                        yield _at(threat.location, (key, id), f"control `{id}` can't stand at `{place}`", hint)


def _can_stand(control: Control, threat: Threat, place: str, vocabulary: Vocabulary) -> bool:
    """Whether some part that the place can be is one that the control can stand on."""
    # `data` is both the data assets and the family of stores.
    on_component = any(word not in ("flow", "identity", "zone") for word in control.on)
    role = threat.roles.get(place)
    if role is None:
        # `path`, or the name of a leg: flows, and for whole paths the components too.
        one_flow = any(leg.name == place and leg.kind == "flow" for leg in threat.legs)
        return "flow" in control.on or (on_component and not one_flow)
    if role.element != "component":
        return role.element in control.on
    kinds = role_kinds(role.where, vocabulary)
    return any(kind.is_a(word) for kind in kinds for word in control.on)


def _kinds(catalog: Catalog, uses: Uses) -> Iterator[Diagnostic]:
    """Every kind can be bound by name; what it names in CoSAI's map exists."""
    for kind in catalog.vocabulary.kinds.values():
        family, _, name = kind.id.partition(".")
        place = Location(str(KNOWLEDGE / "kinds" / f"{family}.yaml"))
        if catalog.threats and not uses.kinds & kind.ancestors:
            yield _at(place, (name,), f"kind `{kind.id}` is named by no rule, control or attribute")
        cosai = [f for f in catalog.frameworks.values() if kind.cosai and f.id.startswith("cosai:")]
        if cosai and not any(kind.cosai in f.entries for f in cosai):
            hint = did_you_mean(kind.cosai, (id for f in cosai for id in f.entries))
            yield _at(
                place, (name, "cosai"), f"kind `{kind.id}` names `{kind.cosai}`, which CoSAI's map doesn't have", hint
            )


def _attributes(vocabulary: Vocabulary, uses: Uses) -> Iterator[Diagnostic]:
    """Every attribute matters to a rule, a control or the analysis itself."""
    for element, attributes in vocabulary.attributes.items():
        names = uses.attributes.get(element, frozenset())
        implying = {other for a in attributes.values() if a.name in names for other in a.implied_by}
        for name in attributes:
            own = f"{element}.{name}"
            if name not in names | implying and own not in STRUCTURAL and own not in DESCRIPTIVE:
                message = f"attribute `{name}` of a {element} is used by no rule or control"
                yield _at(Location(str(KNOWLEDGE / "attributes" / f"{element}.yaml")), (name,), message)


def _texts(catalog: Catalog) -> Iterator[Diagnostic]:
    """Titles are short and stand alone; sentences end where they should."""
    titles: dict[str, str] = {}
    for threat in catalog.threats.values():
        if not _RULE_ID.match(threat.id):
            yield _at(threat.location, (), f"`{threat.id}` is no id for a rule", "`family/name`, words joined by `-`")
        yield from _title(threat.title, threat.location, titles)
        yield from _sentences(threat.location, "summary", [threat.summary])
        yield from _sentences(threat.location, "attack", threat.attack)
        if threat.finding.rstrip().endswith("."):
            yield _at(threat.location, ("finding",), "`finding` ends without a full stop")
    titles = {}
    for control in catalog.controls.values():
        yield from _title(control.title, control.location, titles)
        yield from _sentences(control.location, "means", [control.means])
        yield from _sentences(control.location, "how", [control.how])


def _title(title: str, location: Location, seen: dict[str, str]) -> Iterator[Diagnostic]:
    if len(title) > MAX_TITLE:
        yield _at(location, ("title",), f"the title has {len(title)} characters, more than {MAX_TITLE}")
    if title.endswith("."):
        yield _at(location, ("title",), "a title ends without a full stop")
    if title[:1] != title[:1].upper():
        yield _at(location, ("title",), "a title begins with a capital")
    if title in seen:
        yield _at(location, ("title",), "another one has this title already", f"at {seen[title]}")
    seen.setdefault(title, str(location))


def _sentences(location: Location, key: str, texts: Iterable[str]) -> Iterator[Diagnostic]:
    for text in texts:
        if text and text[-1] not in ".!?)":
            yield _at(location, (key,), f"`{key}` is made of sentences, which end with a full stop", f"...{text[-40:]}")


def _at(location: Location, keys: Iterable[str], message: str, hint: str = "") -> Diagnostic:
    """A diagnostic at a key of a knowledge file, or at its beginning when the key can't be found."""
    try:
        root = parse(read_text(Path(location.file), KnowledgeError), location.file, KnowledgeError)
    except KnowledgeError:
        return Diagnostic(message, location, hint=hint)
    return _key_node(root, keys).diagnostic(message, hint)


def _key_node(node: Node, keys: Iterable[str]) -> Node:
    found = node
    for key in keys:
        if not node.is_map or node.keys is None or key not in node.keys:
            break
        found, node = node.keys[key], node.value[key]
    return found
