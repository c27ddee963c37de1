# SPDX-License-Identifier: Apache-2.0
"""A plan is read whole or refused with every mistake in it, each at its place, as a compiler would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from bastide.errors import PlanError
from bastide.plan import load
from bastide.plan.load import load_plan, parse_plan
from bastide.plan.model import Source
from bastide.plan.vocabulary import Vocabulary
from tests.plan.strategies import NASTY, VOCABULARY

HEAD = "bastide: 1\nsystem: shop\n"
CONTROL = min(VOCABULARY.controls, default="some-control")


TWO_CONTROLS = replace(VOCABULARY, controls=frozenset({"human-approval", "injection-filter"}))


def errors(body: str, head: str = HEAD) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(head + body, TWO_CONTROLS)
    return str(caught.value)


CASES = {
    "no mapping": ("", "- a\n"),
    "header missing": ("", "name: x\n"),
    "other version": ("", "bastide: 2\nsystem: shop\n"),
    "bad system id": ("", "bastide: 1\nsystem: My Shop\n"),
    "unknown section": ("component: {}\n", HEAD),
    "wrong exposure": ("exposure: publik\n", HEAD),
    "unknown kind": ("components:\n  bot: {kind: ai.agnet}\n", HEAD),
    "unknown kind in shorthand": ("components: {bot: ai.agnt}\n", HEAD),
    "no kind": ("components:\n  bot: {zone: app}\n  web:\n", HEAD),
    "unknown attribute": ("components:\n  bot: {kind: ai.agent, autonmy: suggests}\n", HEAD),
    "attribute of another kind": ("components:\n  key: {kind: ops.kms, autonomy: suggests}\n", HEAD),
    "wrong value": ("components:\n  bot: {kind: ai.agent, autonomy: acts-alon}\n", HEAD),
    "wrong boolean": ("components:\n  bot: {kind: ai.agent, logs: maybe}\n", HEAD),
    "wrong word in a list": ("data:\n  d: {contains: [personal, sekrets]}\n", HEAD),
    "mapping as a value": ("data:\n  d: {class: {value: secret, sorce: declared}}\n", HEAD),
    "long form without a value": ("data:\n  d: {class: {source: declared}}\n", HEAD),
    "source of a fact": ("data:\n  d: {class: {value: public, source: assumed}}\n", HEAD),
    "dangling references": (
        """\
data: {prompt: {}}
zones: {app: {}, db: {in: ap}}
identities: {role: {grants: [{on: bott, actions: read}, {actions: [x]}, {on: bot, action: x}]}}
components:
  bot: {kind: ai.agent, zone: ap, runs-as: rolle, holds: [prompt, promt]}
flows:
  - bot -> webb: {data: promtp}
controls:
  - human-approval: {on: [bot -> web, system, app]}
""",
        HEAD,
    ),
    "ids twice": ("data: {a: {}}\nzones: {a: {}}\ncomponents: {a: app.api, a: app.web}\n", HEAD),
    "bad ids": ("zones: {App: {}, 'a b': {}, -x: {}, 'system ': {}}\n", HEAD),
    "zones in a circle": ("zones:\n  a: {in: b}\n  b: {in: c}\n  c: {in: a}\n  d: {in: d}\n  e: {in: a}\n", HEAD),
    "bad flows": (
        "components: {a: app.api, b: app.api}\nflows:\n  - a <- b\n  - a\n  - a ->\n  - {a -> b: {}, b -> a: {}}\n  - 5\n  - a -> b: text\n",
        HEAD,
    ),
    "flows twice": (
        "components: {a: app.api, b: app.api}\nflows:\n  - a -> b\n  - a->b: {}\n  - b -> a: {id: x}\n  - a -> b -> a: {id: y}\n",
        HEAD,
    ),
    "flows as text": ("flows: a -> b\n", HEAD),
    "unknown control": ("controls:\n  - human-aproval: {on: system}\n", HEAD),
    "control without a place": ("controls:\n  - human-approval: {by: x}\n  - human-approval: {on: system, at: x}\n", HEAD),
    "defaults": ("defaults: {component: {}, flows: 3, zones: {trusted: none}}\ncomponents: {a: app.api}\nzones: {z: {}}\n", HEAD),
    "include in a text": ("include: more.yaml\n", HEAD),
    "sections of the wrong form": ("data: [a]\nzones: 3\ncomponents: {a: [1]}\nidentities: {r: {grants: x}}\n", HEAD),
    "names of the wrong form": ("name: [x]\ncomponents: {a: {kind: app.api, tags: [{}, 1], name: {}}}\n", HEAD),
    "YAML": ("data: {a: }}\n", HEAD),
    "duplicate keys and tags": ("name: a\nname: !!str b\nowner: !x c\n", HEAD),
    "a very long line": (f"x-a: {{{', '.join(f'k{n}: 1' for n in range(60))}, k0: 2}}\n", HEAD),
    "everything at once": (
        "exposure: all\ncomponents:\n  a: {kind: app.apu, zone: z}\n  b: {kind: app.api, logs: 7}\nflows:\n  - a -> c: {protocl: x}\n",
        HEAD,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_mistakes_are_shown_in_full(name: str, snapshot: SnapshotAssertion) -> None:
    body, head = CASES[name]
    assert errors(body, head) == snapshot


def test_all_mistakes_of_a_file_come_at_once_and_in_order() -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(HEAD + CASES["everything at once"][0], VOCABULARY)
    found = [(d.location.line, d.location.column) for d in caught.value.diagnostics]
    assert found == sorted(found)
    assert len(found) == 6


def test_a_flood_of_mistakes_is_cut() -> None:
    found = errors("components:\n" + "".join(f"  c{n}: ai.nothing\n" for n in range(150)))
    assert found.endswith("\n... and 50 more")


def test_a_file_full_of_mistakes_is_not_read_to_its_end() -> None:
    zones = "zones:\n" + "".join(f"  zone-{n}: {{}}\n" for n in range(5_000))
    found = errors(zones + "components:\n" + "".join(f"  c{n}: {{zone: zone-{n}x}}\n" for n in range(5_000)))
    assert found.startswith("bastide.yaml: has 200 problems or more; the rest was not read\n")
    assert "did you mean `zone-" in errors(zones + "components: {c: {kind: ai.agent, zone: zone-17x}}\n")


def test_a_whole_plan(vocabulary: Vocabulary) -> None:
    plan = parse_plan(
        HEAD
        + f"""\
name: Shop
owner: {{team: a}}
exposure: public
x-top: 1
defaults: {{components: {{zone: app, logs: true}}, flows: {{encrypted: no, data: d}}}}
data: {{d: {{class: internal, x-d: 2}}, e: {{}}}}
zones: {{app: {{trust: workload}}, net: {{}}}}
identities: {{r: {{grants: [{{on: b, actions: read, x-g: 1}}]}}}}
components:
  a: app.web
  b: {{kind: ai.agent, zone: net, runs-as: r, holds: d, logs: {{value: no, source: discovered, at: "x.tf:1"}}}}
flows:
  - a <-> b -> a: {{protocol: https}}
  - b -> a: {{id: again, data: [e, d, e], encrypted: unknown}}
controls:
  - {CONTROL}: {{on: [a <-> b, system], by: x, source: verified, evidence: e1, x-c: 1}}
  - {CONTROL}: a
""",
        vocabulary,
    )
    assert (plan.name, plan.owner, plan.extensions, plan.data["d"].extensions) == (
        "Shop",
        {"team": "a"},
        {"x-top": 1},
        {"x-d": 2},
    )
    a, b = plan.components["a"], plan.components["b"]
    assert (a.zone, a.value("logs"), b.zone, b.holds, b.runs_as) == ("app", True, "net", ("d",), "r")
    logs = b.facts["logs"]
    assert (logs.value, logs.source, logs.evidence, str(logs.location)) == (
        False,
        Source.DISCOVERED,
        "x.tf:1",
        "bastide.yaml:13:70",
    )
    assert list(plan.flows) == ["a<->b", "b->a", "again"]
    assert [f.data for f in plan.flows.values()] == [("d",), ("d",), ("e", "d")]
    # A default is stated, so it is stronger than what the protocol implies; `unknown` is stronger than both.
    assert [f.value("encrypted") for f in plan.flows.values()] == [False, False, None]
    grant = plan.identities["r"].grants[0]
    assert (grant.on, grant.actions, grant.extensions) == ("b", ("read",), {"x-g": 1})
    first, second = plan.claims
    assert (first.on, first.by, first.source, first.evidence, first.extensions) == (
        ("a<->b", "system"), "x", Source.VERIFIED, "e1", {"x-c": 1},
    )  # fmt: skip
    assert (second.on, second.source) == (("a",), Source.DECLARED)
    assert b.facts["autonomy"].source is Source.ASSUMED
    assert plan.digest.startswith("sha256:")


def test_what_follows_from_another_fact_is_assumed(vocabulary: Vocabulary) -> None:
    plan = parse_plan(
        HEAD + "components: {a: app.api, b: app.api}\nflows: [{a -> b: {protocol: HTTPS}}, {b -> a: {protocol: x}}]",
        vocabulary,
    )
    fact = plan.flows["a->b"].facts["encrypted"]
    assert (fact.value, fact.source) == (True, Source.ASSUMED)
    assert "encrypted" not in plan.flows["b->a"].facts


def test_defaults_may_name_what_is_defined_later(vocabulary: Vocabulary) -> None:
    plan = parse_plan(
        HEAD + "defaults: {components: {runs-as: r}}\ncomponents: {a: app.api}\nidentities: {r: {}}", vocabulary
    )
    assert plan.components["a"].runs_as == "r"


def test_zones_nest_so_deep_and_no_deeper() -> None:
    zones = "zones:\n  z0: {}\n" + "".join(f"  z{n}: {{in: z{n - 1}}}\n" for n in range(1, 51))
    assert parse_plan(HEAD + zones, VOCABULARY)
    assert "zone `z51` lies in more than 50 others" in errors(zones + "  z51: {in: z50}\n")


def test_the_number_of_parts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_ELEMENTS", 3)
    assert "has more than 3 elements" in errors("data: {a: {}, b: {}}\ncomponents: {c: app.api}\nzones: {d: {}}\n")


# -- includes ------------------------------------------------------------------------------------------------
def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return folder / "main.yaml"


def include_errors(path: Path) -> str:
    with pytest.raises(PlanError) as caught:
        load_plan(path, VOCABULARY)
    return str(caught.value).replace(str(path.parent), "FOLDER")


def test_includes_are_merged(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=HEAD + "include: [shared/zones.yaml]\ncomponents: {a: {kind: app.api, zone: app}}\n",
        shared__zones="include: ../data.yaml\nzones: {app: {trust: workload}}\n",
        data="data: {d: {}}\n",
    )
    plan = load_plan(path, VOCABULARY)
    assert (list(plan.zones), list(plan.data)) == (["app"], ["d"])
    assert plan.zones["app"].location.file.endswith("shared/zones.yaml")


@pytest.mark.parametrize(
    ("name", "included"),
    [
        ("missing", "nowhere.yaml"),
        ("out of the folder", "../../../../etc/passwd"),
        ("absolute", "/etc/passwd"),
        ("itself", "main.yaml"),
        ("not YAML", "broken.yaml"),
        ("a folder", "."),
        ("a header in it", "header.yaml"),
        ("no mapping", "list.yaml"),
        ("no name", "[1, {}]"),
        ("a name that no system takes", '"a\\0b"'),
        ("a circle", "circle.yaml"),
        ("defined twice", "twice.yaml"),
        ("mistakes in it", "wrong.yaml"),
    ],
)
def test_bad_includes(name: str, included: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    path = write(
        tmp_path / "plans",
        main=HEAD + f"include: {included}\ndata: {{d: {{}}}}\n",
        broken="a: [\n",
        header="system: other\n",
        list="- a\n",
        circle="include: circle2.yaml\n",
        circle2="include: circle.yaml\n",
        twice="data: {d: {}}\n",
        wrong="data: {e: {clas: public}}\n",
    )
    assert include_errors(path) == snapshot


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("data: {d: {}}\n")
    path = write(tmp_path / "plans", main=HEAD + "include: [link.yaml, linked/secret.yaml]\n")
    (path.parent / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (path.parent / "linked").symlink_to(tmp_path)
    found = include_errors(path)
    assert found.count("leads out of the plan's folder") == 2


def test_the_number_of_includes_is_bounded(tmp_path: Path) -> None:
    names = ", ".join(f"f{n}.yaml" for n in range(120))
    path = write(
        tmp_path, main=HEAD + f"include: [{names}]\n", **{f"f{n}": f"data: {{d{n}: {{}}}}\n" for n in range(120)}
    )
    assert "more than 100 included files" in include_errors(path)


# -- any text ------------------------------------------------------------------------------------------------
REAL = [p.read_text("utf-8") for p in sorted((Path(__file__).parents[2] / "examples").glob("*/bastide.yaml"))[:4]]
REAL += [HEAD + "".join(body for name, (body, _) in CASES.items() if name in ("dangling references", "flows twice"))]
TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "- ",
    "->",
    "<->",
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "unknown",
    "\n",
    "  ",
    "x-a",
    "\t",
    "system",
    "in: a",
    "null",
]


@settings(max_examples=250)
@given(data=st.data())
def test_mutated_plans_raise_nothing_but_plan_errors(data: st.DataObject) -> None:
    found = data.draw(st.sampled_from(REAL))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(found)))
        cut = data.draw(st.sampled_from([0, 0, 1, 3, 40]))
        found = found[:at] + data.draw(st.sampled_from([*TOKENS, *NASTY])) + found[at + cut :]
    try:
        plan = parse_plan(found, VOCABULARY)
    except PlanError as problem:
        message = str(problem)
    else:
        message = f"bastide.yaml:{plan.digest}"
    assert message.startswith("bastide.yaml:")


@settings(max_examples=150)
@given(data=st.data())
def test_mutated_bytes_raise_nothing_but_plan_errors(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = bytearray(data.draw(st.sampled_from(REAL)).encode("utf-8"))
    for _ in range(data.draw(st.integers(1, 5))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_bytes(bytes(found))
    try:
        digest = load_plan(path, VOCABULARY).digest
    except PlanError as problem:
        assert problem.diagnostics  # noqa: PT017
    else:
        assert digest


# -- size ----------------------------------------------------------------------------------------------------
def test_a_chat_of_twelve_components_takes_eighty_lines_at_most(vocabulary: Vocabulary) -> None:
    found = Path(__file__).parents[1] / "data/rag-chat.yaml"
    plan = load_plan(found, vocabulary)
    assert len(plan.components) == 12
    assert len(found.read_text("utf-8").splitlines()) <= 80
    assert {"data.vector-store", "ai.model.endpoint", "ai.retriever"} <= {c.kind for c in plan.components.values()}
