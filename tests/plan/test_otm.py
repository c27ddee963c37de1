# SPDX-License-Identifier: Apache-2.0
"""OTM in and out: nothing is lost either way, whatever the document or the plan holds."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from bastide.errors import PlanError
from bastide.plan.canonical import canonical
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.otm import export_otm, guesses, import_otm
from bastide.plan.otm_words import _TYPES, FALLBACK, guess_kind, guess_trust
from bastide.plan.save import dump
from bastide.plan.vocabulary import Vocabulary
from bastide.plan.yamlfile import parse
from tests.plan.strategies import VOCABULARY, _json, json_values, plans, text

SMALL = """\
otmVersion: 0.2.0
project: {name: Shop, id: Shop 1, owner: ops, description: null, tags: [a], attributes: {cmdb: 7}}
representations: [{name: Picture, id: p, type: diagram, size: {width: 10, height: 10}}]
assets:
  - {name: Orders, id: ORDERS, risk: {confidentiality: 80, integrity: 70, availability: 10, comment: why}}
  - {name: Catalogue, id: Katalog ä, risk: {confidentiality: 0, integrity: 10, availability: 10}, attributes: null}
trustZones:
  - {id: Net, name: Internet, type: internet, risk: {trustRating: 10}, representations: [{representation: p, id: b}]}
  - {id: app, name: App, risk: {trustRating: 70.5}}
  - {id: inner, name: inner, risk: {trustRating: 90}, parent: {trustZone: app}}
  - {id: pod, name: Pod, risk: {trustRating: 90}, parent: {component: host}}
components:
  - {id: host, name: Host, type: vm, parent: {trustZone: app}}
  - {id: app, name: Same id as a zone, type: web-service, parent: {component: host}, tags: [java, null]}
  - id: "2"
    name: ""
    type: Postgres-Database
    parent: {component: app}
    assets: {processed: [ORDERS, null], stored: [ORDERS]}
    threats: [{threat: t, state: exposed, mitigations: [{mitigation: m, state: required}]}]
  - {id: Browser, name: Browser, type: web-client, parent: {trustZone: Net}, description: "", attributes: {a: {b: [1]}}}
dataflows:
  - {id: Browser->app, name: call, source: Browser, destination: app, bidirectional: true, assets: [ORDERS, Katalog ä]}
  - {id: 'app->2', name: 'app->2', source: app, destination: "2", bidirectional: false, tags: []}
  - {id: x y, name: again, source: app, destination: "2", bidirectional: null, attributes: {}}
threats: [{name: T, id: t, risk: {likelihood: 50, impact: 100}, cwes: [CWE-79]}]
mitigations: [{name: M, id: m, riskReduction: 50}]
somethingNew: [1, {a: null}]
"""


def read(document: str) -> Plan:
    return import_otm(document, "model.yaml", VOCABULARY)


def plain(document: str) -> dict[str, Any]:
    found: dict[str, Any] = parse(document, "model.yaml").plain_data()
    return found


@pytest.fixture(scope="module")
def validator(framework_data: Path) -> Draft7Validator:
    return Draft7Validator(json.loads((framework_data / "frameworks/raw/otm/otm_schema.json").read_text("utf-8")))


# -- OTM -> plan -> OTM --------------------------------------------------------------------------------------
def test_a_document_comes_back_whole() -> None:
    plan = read(SMALL)
    assert export_otm(plan) == plain(SMALL)
    assert export_otm(parse_plan(dump(plan), VOCABULARY)) == plain(SMALL)


@pytest.mark.parametrize("name", ["EXAMPLE.yaml", "EXAMPLE.json"])
def test_the_example_of_the_standard_comes_back_whole(name: str, framework_data: Path) -> None:
    document = (framework_data / "frameworks/raw/otm" / name).read_text("utf-8")
    plan = import_otm(document, name, VOCABULARY)
    assert export_otm(plan) == plain(document)
    assert export_otm(parse_plan(dump(plan), VOCABULARY)) == plain(document)
    assert {c.id: c.kind for c in plan.components.values()} == {
        "web-client": "actor.user",
        "web-service": "app.api",
        "customer-database": "data.database",
        "class-customerdatabase": "app.api",
    }


def test_what_a_plan_can_say_is_said_in_its_own_words() -> None:
    plan = read(SMALL)
    assert (plan.id, plan.name, plan.owner) == ("shop-1", "Shop", "ops")
    assert list(plan.data) == ["orders", "katalog-a"]
    assert list(plan.zones) == ["net", "app", "inner", "pod"]
    assert list(plan.components) == ["host", "app-component", "2", "browser"]
    database = plan.components["2"]
    assert (database.kind, database.holds, database.name) == ("data.database", ("orders",), "")
    host_zone = plan.components["host"].zone
    assert host_zone is not None
    assert plan.zones[host_zone].name == "App"
    assert {c.zone for c in plan.components.values() if c.id != "browser"} == {host_zone}
    assert plan.zones["pod"].parent == host_zone
    assert [f.both_ways for f in plan.flows.values()] == [True, False, False]
    assert plan.data["katalog-a"].value("class") == "public"
    assert plan.data["orders"].value("class") is None


def test_guesses_are_listed_and_can_be_confirmed() -> None:
    plan = read(SMALL)
    found = set(guesses(plan))
    assert ("browser", "kind") in found
    assert ("net", "trust") in found
    assert ("katalog-a", "class") in found
    assert not any(id == "orders" for id, _ in found)
    confirmed = parse_plan(dump(plan).replace("guessed: [kind]", "guessed: []"), VOCABULARY)
    assert not any(key == "kind" for _, key in guesses(confirmed))
    again = {c["id"]: c for c in export_otm(confirmed)["components"]}
    assert again["Browser"]["attributes"] == {"a": {"b": [1]}, "bastide.kind": "actor.user"}
    assert again["Browser"]["type"] == "web-client"


def test_an_edit_of_the_plan_wins_and_the_rest_of_the_original_stays() -> None:
    plan = read(SMALL)
    edited = dump(plan).replace("kind: data.database", "kind: data.vector-store\n    tenancy: shared")
    edited = edited.replace("name: Browser", "name: Customer").replace("holds: orders", "holds: katalog-a")
    found = export_otm(parse_plan(edited, VOCABULARY))
    was = plain(SMALL)
    parts, before = ({c["id"]: c for c in d["components"]} for d in (found, was))
    assert parts["2"]["type"] == "data.vector-store"
    assert parts["2"]["attributes"] == {"bastide.tenancy": "shared"}
    assert parts["2"]["assets"] == {"processed": ["ORDERS", None], "stored": ["Katalog ä"]}
    assert parts["2"]["threats"] == before["2"]["threats"]
    assert parts["2"]["parent"] == before["2"]["parent"]
    assert parts["Browser"]["name"] == "Customer"
    assert parts["Browser"]["attributes"] == {"a": {"b": [1]}}
    assert found["threats"] == was["threats"]


_numbers = st.one_of(st.integers(0, 100), st.floats(0, 100))


_names = st.one_of(
    st.sampled_from(["a", "b", "A b", "a->b", "unzoned", "system", "1", "x"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6),
)
_NULLABLE = ["description", "attributes", "representations", "tags", "extra"]


@st.composite
def _part(draw: st.DrawFn, id: str, **fields: Any) -> dict[str, Any]:
    found = {"id": id, "name": draw(text), **draw(st.dictionaries(st.sampled_from(_NULLABLE), st.none(), max_size=3))}
    found |= fields
    if draw(st.booleans()):
        found["attributes"] = draw(st.dictionaries(_names, json_values, max_size=2))
    if draw(st.booleans()):
        found["description"] = draw(text)
    return found


@st.composite
def _zones(draw: st.DrawFn, ids: list[str]) -> list[dict[str, Any]]:
    found = []
    for n, id in enumerate(ids):
        inside = n > 0 and draw(st.booleans())
        parent = {"parent": {"trustZone": draw(st.sampled_from(ids[:n]))}} if inside else {}
        found.append(draw(_part(id, risk={"trustRating": draw(_numbers)}, **parent)))
    return found


@st.composite
def _components(draw: st.DrawFn, ids: list[str], zones: list[str], assets: list[str]) -> list[dict[str, Any]]:
    types = st.one_of(text, st.sampled_from(["database", "ai.agent", "llm"]))
    some = st.lists(st.sampled_from([*assets, None]), max_size=3)
    optional = {
        "assets": st.one_of(st.none(), st.fixed_dictionaries({}, optional={"stored": some, "processed": some})),
        "tags": st.lists(st.one_of(st.none(), text), max_size=3),
    }
    found = []
    for n, id in enumerate(ids):
        parent = {"trustZone": draw(st.sampled_from(zones))}
        if n and draw(st.booleans()):
            parent = {"component": draw(st.sampled_from(ids[:n]))}
        extra = draw(st.fixed_dictionaries({}, optional=optional))
        found.append(draw(_part(id, parent=parent, type=draw(types), **extra)))
    return found


@st.composite
def _flows(draw: st.DrawFn, components: list[str], assets: list[str]) -> list[dict[str, Any]]:
    optional = {
        "bidirectional": st.sampled_from([True, False, None]),
        "assets": st.lists(st.sampled_from([*assets, None]), max_size=3),
    }
    found = []
    for id in draw(st.lists(_names, max_size=3, unique=True)) if components else []:
        ends = {e: draw(st.sampled_from(components)) for e in ("source", "destination")}
        found.append(draw(_part(id, **ends, **draw(st.fixed_dictionaries({}, optional=optional)))))
    return found


@st.composite
def otm_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents that fit the OTM schema, with ids and texts of any sort."""
    assets, zones, components = (draw(st.lists(_names, max_size=3, unique=True)) for _ in range(3))
    zones = zones or ["z"]
    risk = st.fixed_dictionaries(dict.fromkeys(("confidentiality", "integrity", "availability"), _numbers))
    lists = {
        "assets": [draw(_part(id, risk=draw(risk))) for id in assets],
        "trustZones": draw(_zones(zones)),
        "components": draw(_components(components, zones, assets)),
        "dataflows": draw(_flows(components, assets)),
    }
    found = {"otmVersion": draw(st.sampled_from(["0.1.0", "0.2.0"])), "project": draw(_part(draw(_names)))}
    for key, value in lists.items():
        if value or draw(st.booleans()):
            found[key] = value or draw(st.sampled_from([[], None]))
    return {**found, **draw(st.dictionaries(st.sampled_from(["threats", "new"]), json_values, max_size=2))}


@settings(max_examples=120)
@given(document=otm_documents())
def test_any_document_comes_back_whole(document: dict[str, Any]) -> None:
    written = _json(document)
    plan = read(written)
    assert export_otm(plan) == document
    assert export_otm(parse_plan(dump(plan), VOCABULARY)) == document


# -- plan -> OTM -> plan -------------------------------------------------------------------------------------
@settings(max_examples=100)
@given(plan=plans)
def test_any_plan_comes_back_whole(plan: Plan) -> None:
    document = export_otm(plan)
    again = read(_json(document))
    assert canonical(again) == canonical(plan)
    assert again.digest == plan.digest
    assert export_otm(again) == document


@settings(max_examples=60)
@given(plan=plans)
def test_exports_fit_the_schema_of_otm(plan: Plan, validator: Draft7Validator) -> None:
    assert [e.json_path for e in validator.iter_errors(export_otm(plan))] == []


def test_the_examples_come_back_whole(examples: Path, vocabulary: Vocabulary) -> None:
    for path in sorted(examples.glob("*/bastide.yaml")):
        plan = parse_plan(path.read_text("utf-8"), vocabulary)
        document = export_otm(plan)
        assert read(json.dumps(document)).digest == plan.digest
        assert {c["type"] for c in document["components"]} == {c.kind for c in plan.components.values()}


def test_components_in_no_zone_get_one_on_the_way() -> None:
    plan = parse_plan("bastide: 1\nsystem: s\ncomponents: {a: app.api}\nzones: {unzoned: {}}", VOCABULARY)
    document = export_otm(plan)
    assert document["components"][0]["parent"] == {"trustZone": "unzoned-zone"}
    assert document["trustZones"][1] == {
        "id": "unzoned-zone",
        "name": "In no zone",
        "risk": {"trustRating": 0},
        "attributes": {"bastide.synthetic": True},
    }
    assert read(json.dumps(document)).digest == plan.digest


@settings(max_examples=80)
@given(plan=plans, hostile=json_values, key=st.sampled_from(["set", "without", "guessed", "project", "set.name", ""]))
def test_what_people_write_under_x_otm_never_breaks_an_export(plan: Plan, hostile: Any, key: str) -> None:
    document = copy.deepcopy(canonical(plan))
    value = {"set": {"name": hostile, "parent": hostile, "risk": hostile, "assets": hostile, "tags": hostile}}
    value = {**value, key: hostile} if key else hostile
    for part in [document, *document.get("components", {}).values(), *document.get("zones", {}).values()]:
        part["x-otm"] = value
    found = export_otm(parse_plan(_json(document), VOCABULARY))
    assert len(found["components"]) == len(plan.components)
    again = read(_json(found))
    assert {c.id: c.kind for c in again.components.values()} == {c.id: c.kind for c in plan.components.values()}


# -- words ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("web-client", "actor.user"),
        ("web-service", "app.api"),
        ("database", "data.database"),
        ("Amazon S3", "data.object-store"),
        ("CD-V2-LLM", "ai.model.endpoint"),
        ("vector database", "data.vector-store"),
        ("ai-agent", "ai.agent"),
        ("api-gateway", "app.gateway"),
        ("", "app.api"),
        ("code-class", "app.api"),
    ],
)
def test_types_become_the_nearest_kind(type: str, kind: str) -> None:
    assert guess_kind(type) == kind


def test_every_kind_that_is_guessed_exists() -> None:
    assert {kind for kind, _ in _TYPES} | {FALLBACK} <= set(VOCABULARY.kinds)


def test_more_trust_never_means_less() -> None:
    levels = VOCABULARY.attributes["zone"]["trust"].values
    found = [levels.index(guess_trust(r)) for r in range(101)]
    assert found == sorted(found)


# -- errors --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("otmVersion: 0.2.0\n", ""), "model.yaml:1:1: this is no Open Threat Model document"),
        (("name: Shop, id", "id"), "model.yaml:2:10: `name` is missing (project)"),
        (("id: ORDERS", "id: 5"), "model.yaml:5:24: `id` is a text, found `5`"),
        (("id: ORDERS", "id: Katalog ä"), "model.yaml:6:27: there is another asset `Katalog ä`"),
        (("source: Browser", "source: Brwser"), "model.yaml:23:44: there is no component `Brwser`"),
        (("parent: {trustZone: Net}", "parent: {trustZone: Nte}"), "model.yaml:21:60: there is no zone `Nte`"),
        (("vm, parent: {trustZone: app}}", "vm, parent: {component: app}}"), "component `host` lies in itself"),
        (("{component: host}, tags", "{component: hst}, tags"), "there is no component `hst`"),
        (
            ("{component: app}\n", "{component: app, trustZone: app}\n"),
            "a parent is one `trustZone` or one `component`",
        ),
        (("stored: [ORDERS]", "stored: [ORDRS]"), "there is no data asset `ORDRS`"),
        (("attributes: {a: {b: [1]}}", "attributes: {bastide.kind: ai.agnet}"), "unknown kind `ai.agnet`"),
        (("attributes: {a: {b: [1]}}", "attributes: {bastide.colour: red}"), "unknown attribute `colour`"),
        (("attributes: {a: {b: [1]}}", "attributes: [1]"), "`attributes` is a mapping, found a list"),
        (("\ncomponents:\n", "\ncomponents: 3\nx:\n"), "`components` is a list, found `3`"),
    ],
)
def test_mistakes_are_shown_in_the_document(change: tuple[str, str], message: str) -> None:
    assert change[0] in SMALL
    with pytest.raises(PlanError) as caught:
        read(SMALL.replace(*change, 1))
    assert message in str(caught.value)
    assert str(caught.value).startswith("model.yaml:")


def test_a_document_nested_too_deep_is_refused() -> None:
    deep = "[" * 45 + "]" * 45
    with pytest.raises(PlanError, match="nested deeper than 44 levels"):
        read(SMALL + f"deep: {deep}\n")
    plan = read(SMALL + f"deep: {deep[1:-1]}\n")
    assert parse_plan(dump(plan), VOCABULARY).digest == plan.digest


def test_json_may_escape_characters_as_two_halves() -> None:
    document = plain(SMALL)
    document["project"]["name"] = "\U0001f600 \\ud83d"
    plan = read(json.dumps(document))
    assert plan.name == "\U0001f600 \\ud83d"
    with pytest.raises(PlanError, match="Unicode"):
        read(json.dumps(document).replace("\\ude00", ""))


def test_long_chains_of_components_take_no_long_time() -> None:
    document = plain(SMALL)
    document["components"] += [
        {"id": f"c{n}", "name": "c", "type": "t", "parent": {"component": f"c{n + 1}" if n < 3000 else "host"}}
        for n in range(3001)
    ]
    plan = read(json.dumps(document))
    assert plan.components["c0"].zone == plan.components["host"].zone
    assert export_otm(plan) == document


@settings(max_examples=100)
@given(data=st.data())
def test_broken_documents_raise_nothing_but_plan_errors(data: st.DataObject) -> None:
    lines = SMALL.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        at = data.draw(st.integers(0, len(line)))
        cut = data.draw(st.integers(0, 6))
        lines[number] = line[:at] + data.draw(text) + line[at + cut :]
    with contextlib.suppress(PlanError):
        export_otm(read("\n".join(lines)))


def test_numbers_of_an_export_follow_the_plan() -> None:
    zones = "".join(f"  z{n}: {{trust: {t}}}\n" for n, t in enumerate(VOCABULARY.attributes["zone"]["trust"].values))
    data = "".join(f"  d{n}: {{class: {c}}}\n" for n, c in enumerate(VOCABULARY.attributes["data"]["class"].values))
    plan = parse_plan(f"bastide: 1\nsystem: s\nzones:\n{zones}  z: {{}}\ndata:\n{data}  d: {{}}\n", VOCABULARY)
    document = export_otm(plan)
    assert [z["risk"]["trustRating"] for z in document["trustZones"]] == [0, 25, 50, 75, 100, 0]
    assert [a["risk"]["confidentiality"] for a in document["assets"]] == [0, 33, 67, 100, 100]


def test_other_formats_are_refused_by_name(framework_data: Path) -> None:
    path = framework_data / "frameworks/raw/owasp-threat-dragon-schemas/tmbom-otm-example.cdx.json"
    with pytest.raises(PlanError, match="this is no Open Threat Model document"):
        import_otm(path.read_text("utf-8"), path.name, VOCABULARY)
