# SPDX-License-Identifier: Apache-2.0
"""Plans and states of Terraform: alone, and over the files that they come from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bastide.discover.importers.terraform import Terraform
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource, State


def entry(address: str, values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A resource as `terraform show -json` has it."""
    kind, name = address.partition("[")[0].split(".")[-2:]
    mode = "data" if ".data." in f".{address}" else "managed"
    return {"address": address, "mode": mode, "type": kind, "name": name, "values": values or {}, **more}


def plan(*resources: dict[str, Any], **more: Any) -> str:
    """A plan as `terraform show -json` prints it."""
    values = {"root_module": {"resources": list(resources)}}
    return json.dumps({"format_version": "1.2", "terraform_version": "1.9.0", "planned_values": values, **more})


def kept(*resources: dict[str, Any]) -> str:
    """A state file, as Terraform keeps it."""
    return json.dumps({"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "x", "resources": resources})


def instance(kind: str, name: str, *attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A resource in a state file."""
    found = [{"attributes": each} for each in attributes]
    return {"mode": "managed", "type": kind, "name": name, "instances": found, **more}


def read(files: dict[str, str]) -> Reading:
    """The reading of files in memory, those that the importer wants."""
    importer = Terraform()
    tree = Tree(tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()})
    return importer.read(tree, [f for f in tree.files if importer.wants(f, lambda f=f: files[f][:4096])])  # type: ignore[misc]


def found(files: dict[str, str]) -> dict[str, Resource]:
    """The resources of files in memory by id."""
    reading = read(files)
    assert not reading.problems
    return {r.id: r for r in reading.resources}


def test_a_plan_is_no_second_system() -> None:
    """What the files declare keeps its place; what they leave open has the plan's value."""
    declared = 'variable "m" {}\nresource "x_y" "a" {\n  fixed = "f"\n  open = var.m\n  inner { deep = var.m }\n}\n'
    shown = entry("x_y.a", {"fixed": "other", "open": "o", "inner": [{"deep": 3}], "default": False, "null": None})
    (a,) = found({"infra/main.tf": declared, "infra/tfplan.json": plan(shown)}).values()
    assert a.id == "infra: x_y.a"
    assert str(a.place) == "infra/main.tf:2"
    assert a.body.plain() == {"fixed": "f", "open": "o", "inner": [{"deep": 3}], "default": False}
    assert str(a.body.data["open"].place) == "infra/main.tf:4"
    assert a.body.data["open"].refs == ("var:m",)


def test_a_plan_belongs_to_the_root_that_declares_it() -> None:
    """Also when it lies elsewhere; one that nothing declares is on its own."""
    files = {"infra/main.tf": 'resource "x_y" "a" {}\n', "plans/app.json": plan(entry("x_y.a"), entry("x_y.new"))}
    assert set(found(files)) == {"infra: x_y.a", "infra: x_y.new"}
    assert set(found({**files, "plans/app.json": plan(entry("x_y.other"))})) == {
        "infra: x_y.a",
        "plans/app.json: x_y.other",
    }


def test_plans_of_several_stages_that_differ_say_nothing() -> None:
    """The variable's default stays what it is by default."""
    declared = 'variable "n" { default = 1 }\nresource "x_y" "a" {\n  n = var.n\n  same = var.n\n}\n'
    dev, prod = (plan(entry("x_y.a", {"n": n, "same": 7, "only": n})) for n in (2, 3))
    (a,) = found({"main.tf": declared, "dev.tfplan.json": dev, "prod.tfplan.json": prod}).values()
    assert (a.body.data["n"].data, a.body.data["n"].state) == (1, State.CONDITIONAL)
    assert (a.body.data["same"].data, a.body.data["same"].state) == (7, State.KNOWN)
    assert a.body.data["only"].state is State.CONDITIONAL


def test_keys_that_only_the_plan_knows() -> None:
    """A block for the keys of a variable is one resource for each key, and who refers to it refers to all."""
    declared = 'variable "k" {}\nresource "x_y" "a" {\n  for_each = var.k\n  name = each.key\n}\n'
    declared += 'resource "x_y" "b" { list = [for a in x_y.a : a.id] \n one = x_y.a["p"].id }\n'
    shown = [entry(f'x_y.a["{k}"]', {"name": k}) for k in ("p", "q")]
    all_ = found({"main.tf": declared, "tfplan.json": plan(*shown, entry("x_y.b"))})
    assert set(all_) == {'.: x_y.a["p"]', '.: x_y.a["q"]', ".: x_y.b"}
    assert all_['.: x_y.a["q"]'].body.plain() == {"name": "q"}
    assert set(all_[".: x_y.b"].body.data["one"].refs) == {'.: x_y.a["p"]', '.: x_y.a["q"]'}


def test_instances_of_a_count_are_alike() -> None:
    """One stands for them, in a module too."""
    all_ = found({"tfplan.json": plan(entry("module.m[0].x_y.a[0]"), entry("module.m[0].x_y.a[1]"))})
    assert list(all_) == ["tfplan.json: module.m.x_y.a"]


def test_what_a_plan_cannot_know_yet_is_unknown() -> None:
    """And what is marked as sensitive; what it leaves out beside them is surely absent."""
    shown = entry("x_y.a", {"b": [{"secret": "s", "v": 1}]}, sensitive_values={"b": [{"secret": True}]})
    changes = [{"address": "x_y.a", "change": {"after_unknown": {"arn": True, "b": [{"v": False}]}}}]
    (a,) = found({"tfplan.json": plan(shown, resource_changes=changes)}).values()
    assert a.body.data["arn"].state is State.UNKNOWN
    (secret,) = a.find("b.secret")
    assert (secret.state, secret.data) == (State.UNKNOWN, None)
    assert [v.data for v in a.find("b.v")] == [1]
    assert not a.find("absent")


def test_references_are_those_of_the_configuration() -> None:
    """Through variables and outputs of modules, into blocks."""
    inner = {
        "outputs": {"arn": {"expression": {"references": ["x_y.role.arn", "x_y.role"]}}},
        "resources": [
            {
                "mode": "managed",
                "type": "x_y",
                "name": "user",
                "expressions": {"b": [{"v": {"references": ["var.in"]}}]},
            }
        ],
    }
    configuration = {
        "root_module": {
            "module_calls": {"m": {"module": inner, "expressions": {"in": {"references": ["x_y.top.id", "x_y.top"]}}}},
            "resources": [
                {
                    "mode": "managed",
                    "type": "x_y",
                    "name": "top",
                    "expressions": {"r": {"references": ["module.m.arn"]}},
                }
            ],
        }
    }
    module = {"resources": [entry("module.m.x_y.role"), entry("module.m.x_y.user", {"b": [{"v": "x"}]})]}
    values = {"root_module": {"resources": [entry("x_y.top")], "child_modules": [module]}}
    all_ = found({"p.json": plan(planned_values=values, configuration=configuration)})
    assert all_["p.json: x_y.top"].body.data["r"].refs == ("p.json: module.m.x_y.role",)
    (v,) = all_["p.json: module.m.x_y.user"].find("b.v")
    assert (v.data, v.refs) == ("x", ("p.json: x_y.top",))


def test_a_state_refers_by_value() -> None:
    """An ARN, or a short name where the attribute says of what; of things that share it, the one that they belong to."""
    all_ = found(
        {
            "a.tfstate": kept(
                instance("aws_s3_bucket", "docs", {"id": "docs", "arn": "arn:aws:s3:::docs"}),
                instance("aws_s3_bucket_policy", "docs", {"id": "docs", "bucket": "docs"}),
                instance("aws_sqs_queue", "docs", {"name": "docs"}),
                instance("x_y", "u", {"source": "arn:aws:s3:::docs/*", "title": "docs", "bucket": "docs"}),
            )
        }
    )
    bucket = ("a.tfstate: aws_s3_bucket.docs",)
    user = all_["a.tfstate: x_y.u"].body.data
    assert user["source"].refs == user["bucket"].refs == bucket
    assert user["title"].refs == ()
    assert all_["a.tfstate: aws_s3_bucket_policy.docs"].body.data["bucket"].refs == bucket


def test_a_state_file_as_it_is_kept() -> None:
    """Modules, keys, data sources, documents in texts; sensitive values and replaced instances are left out."""
    path = [{"type": "get_attr", "value": "inner"}, {"type": "index", "value": {"value": 0, "type": "number"}}]
    secret = {"attributes": {"inner": ["s", "t"], "policy": '{\n"a":\n[1]}'}, "sensitive_attributes": [path]}
    replaced = {"attributes": {}, "deposed": "00000001"}
    keyed = {"index_key": "k", "attributes": {"v": 1}}
    shown = kept(
        instance("x_y", "a", module="module.m", instances=[secret, replaced]),
        instance("x_y", "b", mode="data", instances=[keyed]),
    )
    all_ = found({"terraform.tfstate": shown})
    a, b = all_["terraform.tfstate: module.m.x_y.a"], all_['terraform.tfstate: data.x_y.b["k"]']
    assert a.body.plain() == {"inner": [None, "t"], "policy": {"a": [1]}}
    assert {v.place.line for _, v in a.body.leaves()} == {1}
    assert (b.type, b.name) == ("data.x_y", 'b["k"]')


def test_a_plan_and_a_state_of_one_root_are_one() -> None:
    """Also when the files that they come from aren't there."""
    shown = kept(instance("x_y", "a", {"v": 1}))
    assert list(found({"p.json": plan(entry("x_y.a", {"v": 1})), "terraform.tfstate": shown})) == ["p.json: x_y.a"]


@pytest.mark.parametrize("address", ["", "a", "x_y.other", "module.", 'module.m["].x_y.a', "[0]"])
def test_addresses_that_are_none(address: str) -> None:
    """Nothing is raised, whatever stands there."""
    read({"p.json": plan({"address": address, "type": "x_y", "name": "a", "values": {}})})


def test_modules_that_refer_in_a_circle() -> None:
    """The way ends."""
    inner = {"outputs": {"o": {"expression": {"references": ["var.v"]}}}, "resources": []}
    calls = {
        "m": {
            "module": inner,
            "expressions": {"v": {"references": ["module.m.o", *(f"module.m.o[{n}]" for n in range(99))]}},
        }
    }
    written = [{"mode": "managed", "type": "x_y", "name": "a", "expressions": {"r": {"references": ["module.m.o"]}}}]
    configuration = {"root_module": {"module_calls": calls, "resources": written}}
    assert len(found({"p.json": plan(entry("x_y.a"), configuration=configuration)})) == 1


def test_a_broken_state_is_said() -> None:
    """With the file."""
    reading = read({"s.tfstate": '{"version": 4, "terraform_version": "1", "serial": 1, "resources": ['})
    assert [str(p.place) for p in reading.problems] == ["s.tfstate"]
