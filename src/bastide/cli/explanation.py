# SPDX-License-Identifier: Apache-2.0
"""One part of the catalogue explained for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bastide.catalog.model import Catalog, Control, Framework, Refs, Threat
from bastide.cli.screen import Screen, join, text
from bastide.cli.text import plural
from bastide.errors import UsageError, did_you_mean
from bastide.plan.vocabulary import Attribute, Kind


def explanation(catalog: Catalog, id: str) -> str:
    """Everything that is known by this id: a rule, control, kind, attribute, framework or entry of one.

    Raises `UsageError`, with what was probably meant, when there is nothing.
    """
    screen = Screen()
    vocabulary = catalog.vocabulary
    attributes = [group[id] for group in vocabulary.attributes.values() if id in group]
    family = [k for k in vocabulary.kinds.values() if k.is_a(id) and k.id != id]
    found: list[Callable[[], None]] = []
    if id in catalog.threats:
        found.append(lambda: _rule(screen, catalog.threats[id], catalog))
    if id in catalog.controls:
        found.append(lambda: _control(screen, catalog.controls[id], catalog))
    if id in vocabulary.kinds:
        found.append(lambda: _kind(screen, vocabulary.kinds[id], catalog))
    if id in catalog.frameworks:
        found.append(lambda: _framework(screen, catalog.frameworks[id]))
    if catalog.name_of(*_split(id)):
        found.append(lambda: _entry(screen, catalog, *_split(id)))
    found += [lambda a=a: _attribute(screen, a) for a in attributes]  # type: ignore[misc]
    if family and id not in vocabulary.kinds:
        found.append(lambda: _family(screen, id, family))
    if not found:
        raise UsageError(_unknown(catalog, id))
    for n, show in enumerate(found):
        if n:
            screen.add("")
        show()
    return screen.text()


def _split(id: str) -> tuple[str, str]:
    framework, _, entry = id.partition("/")
    return framework, entry


def _unknown(catalog: Catalog, id: str) -> str:
    names = [*catalog.threats, *catalog.controls, *catalog.vocabulary.kinds, *catalog.frameworks]
    names += [name for group in catalog.vocabulary.attributes.values() for name in group]
    framework = catalog.frameworks.get(_split(id)[0])
    if framework is not None:
        names = [f"{framework.id}/{entry}" for entry in framework.entries]
    return f"there is nothing called `{id[:80]}`: {did_you_mean(id, names) or 'see `bastide catalog list`'}"


def _title(screen: Screen, id: str, title: str, what: str) -> None:
    screen.add(join(text(id, "bold"), f"  {title}  ", text(f"({what})", "dim")))


def _rule(screen: Screen, threat: Threat, catalog: Catalog) -> None:
    _title(screen, threat.id, threat.title, "rule")
    screen.add("", text(threat.summary))
    screen.heading("How it goes")
    screen.rows([(f"{n}.", step) for n, step in enumerate(threat.attack, 1)], indent=2)
    for heading, controls in (("What breaks it", threat.breaks), ("What makes it less likely", threat.reduces)):
        if controls:
            screen.heading(heading)
            screen.rows([_placed(id, places, catalog) for id, places in controls.items()], indent=2)
    _refs(screen, threat.refs, catalog)


def _placed(id: str, places: Iterable[str], catalog: Catalog) -> tuple[str, str, str]:
    known = catalog.controls.get(id)
    return id, f"on {', '.join(places)}", known.title if known else ""


def _control(screen: Screen, control: Control, catalog: Catalog) -> None:
    _title(screen, control.id, control.title, f"control, {control.family}")
    screen.add("", text(control.means))
    screen.heading("How to do it")
    screen.add(text(control.how), indent=2)
    where = {"enterprise": "an enterprise control", "platform": "native to the platform"}.get(control.where, "both")
    rows = [("where", where), ("stands on", ", ".join(control.on)), ("cost", f"{control.cost} of 5")]
    screen.add("")
    screen.rows([*rows, *((f"on {cloud}", how) for cloud, how in control.platforms.items())], indent=2)
    screen.heading("What proves it")
    screen.rows([("-", one) for one in control.evidence], indent=2)
    for heading, chosen in (
        ("Breaks", [t for t in catalog.threats.values() if control.id in t.breaks]),
        ("Makes less likely", [t for t in catalog.threats.values() if control.id in t.reduces]),
    ):
        if chosen:
            screen.heading(f"{heading} {plural(len(chosen), 'threat')}")
            screen.rows([(t.id, t.title) for t in chosen], indent=2)
    _refs(screen, control.refs, catalog)


def _kind(screen: Screen, kind: Kind, catalog: Catalog) -> None:
    _title(screen, kind.id, kind.title, "kind of component")
    screen.add("", text(kind.means))
    passes = {
        "blend": "whatever comes in can shape whatever goes out",
        "reply": "answers go to whoever asked",
        "per-data": "stored data comes out as what it went in",
        "none": "passes nothing on",
    }
    screen.add("", text(f"Content: {passes[kind.passes]}."))
    if kind.origin:
        screen.add(text(f"What starts here was written by: {kind.origin}."))
    screen.heading("Attributes")
    for attribute in catalog.vocabulary.attributes_of(kind):
        screen.add("")
        _attribute_lines(screen, attribute, kind.defaults.get(attribute.name))


def _attribute(screen: Screen, attribute: Attribute) -> None:
    _title(screen, attribute.name, "", f"attribute of a {attribute.element}")
    _attribute_lines(screen, attribute, None)
    if attribute.on:
        screen.add(text(f"for {', '.join(attribute.on)}", "dim"), indent=4)


def _attribute_lines(screen: Screen, attribute: Attribute, default: object) -> None:
    values = "yes | no" if attribute.type == "boolean" else " | ".join(attribute.values) or "text"
    if attribute.type == "list":
        values = f"list of {values}"
    screen.add(join(text(attribute.name, "bold"), f": {values}"), indent=2)
    screen.add(text(attribute.means), indent=4)
    assumed = default if default is not None else attribute.unset
    said = (
        f"if not stated: {_said(assumed)}" if assumed is not None else f"if not stated, Bastide asks: {attribute.ask}"
    )
    screen.add(text(said, "dim"), indent=4)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _family(screen: Screen, id: str, kinds: Iterable[Kind]) -> None:
    _title(screen, id, "", "family of kinds; rules may name it")
    screen.rows([(text(k.id, "bold"), k.title) for k in kinds], indent=2)


def _framework(screen: Screen, framework: Framework) -> None:
    _title(screen, framework.id, framework.title, f"framework, {framework.license}")
    screen.add(text(framework.url, "dim"), text(framework.attribution, "dim"), "")
    screen.rows([(e.id, e.group, e.name) for e in framework.entries.values()], indent=2)


def _entry(screen: Screen, catalog: Catalog, framework: str, entry: str) -> None:
    known = catalog.frameworks[framework].entries[entry]
    _title(screen, f"{framework}/{entry}", known.name, f"{known.group} of {catalog.frameworks[framework].title}")
    pairs: tuple[tuple[str, Mapping[str, Threat] | Mapping[str, Control]], ...] = (
        ("Rules", catalog.threats), ("Controls", catalog.controls)
    )  # fmt: skip
    for heading, parts in pairs:
        named = [(id, part.title) for id, part in parts.items() if entry in part.refs.get(framework, ())]
        screen.heading(f"{heading} that name it: {len(named) or 'none'}")
        screen.rows(named, indent=2)


def _refs(screen: Screen, refs: Refs, catalog: Catalog) -> None:
    if refs:
        screen.heading("References")
        rows = [(f"{framework}/{id}", catalog.name_of(framework, id)) for framework, ids in refs.items() for id in ids]
        screen.rows(rows, indent=2)
