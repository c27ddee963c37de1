# SPDX-License-Identifier: Apache-2.0
"""What Terraform would make of a root, as far as its files say."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from bastide.discover.importers.terraform import Terraform
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource, State, Value


def reading(**files: str) -> Reading:
    """The reading of files in memory; `__` in a name is `/`, `_tf` is `.tf`."""
    named = {k.replace("__", "/").replace("_tfvars", ".tfvars").replace("_tf", ".tf"): v for k, v in files.items()}
    tree = Tree(tuple(sorted(named)), named.get, {f: len(t) for f, t in named.items()})
    return Terraform().read(tree, [f for f in tree.files if f.endswith(".tf")])


def one(text: str, type_: str = "x_y") -> Resource:
    """The only resource of a type in a file."""
    (found,) = (r for r in reading(main_tf=text).resources if r.type == type_)
    return found


def value(expression: str, before: str = "") -> Value:
    """An expression as the attribute of a resource."""
    return one(f'{before}\nresource "x_y" "r" {{\n  v = {expression}\n}}\n').body.data["v"]


@pytest.mark.parametrize(
    ("expected", "expression"),
    [
        ("a", '"a"'),
        ("pre-b-post", '"pre-${"b"}-post"'),
        (3, "1 + 2"),
        (True, "!false && 2 > 1"),
        ("yes", 'true ? "yes" : "no"'),
        ([1, 2, 3], "concat([1], [2, 3])"),
        (["A", "B"], '[for s in ["a", "", "b"] : upper(s) if s != ""]'),
        ({"a": 1, "b": 3}, "merge({a = 1, b = 2}, {b = 3})"),
        ({"A": 1}, '{for k, v in {a = 1} : upper(k) => v}'),
        ("b", 'lookup({a = "b"}, "a", "c")'),
        ("c", 'lookup({a = "b"}, "x", "c")'),
        ("x", 'coalesce(null, "", "x")'),
        (2, "length([1, 2])"),
        ({"Statement": [{"Action": "s3:*"}]}, 'jsonencode({Statement = [{Action = "s3:*"}]})'),
        ({"a": [1]}, "jsondecode(\"{\\\"a\\\": [1]}\")"),
        ("a,b", 'join(",", ["a", "b"])'),
        ([1, 2], "[{n = 1}, {n = 2}][*].n"),
        (None, "null"),
        ("line\nnext\n", "<<-EOT\n    line\n    next\n  EOT"),
    ],
)  # fmt: skip
def test_expressions(expected: Any, expression: str) -> None:
    """Literals, operators, conditions, loops, splats, functions, texts."""
    found = value(expression)
    assert (found.plain(), found.state) == (expected, State.KNOWN)


def test_states_of_variables() -> None:
    """A default may be overridden: conditional. What `terraform.tfvars` says is known. Without either, unknown, with its name."""
    assert value("var.a", 'variable "a" { default = "d" }').state is State.CONDITIONAL
    unknown = value("var.a", 'variable "a" {}')
    assert (unknown.state, unknown.refs) == (State.UNKNOWN, ("var:a",))
    files = {
        "main_tf": 'variable "a" { default = "d" }\nresource "x_y" "r" { v = var.a }',
        "terraform_tfvars": 'a = "given"',
    }
    (resource,) = reading(**files).resources
    assert resource.body.data["v"].plain() == "given"


def test_an_unknown_condition_with_one_known_side() -> None:
    """What can only be one thing or nothing is that thing, conditionally."""
    found = value('var.on ? "a" : null', 'variable "on" {}')
    assert (found.data, found.state) == ("a", State.CONDITIONAL)


def test_what_count_turns_off_is_not_there() -> None:
    """Zero: gone. Unknown: there, conditionally. Two: one stands for both."""
    text = 'variable "n" {}\n' + "".join(
        f'resource "x_y" "r{i}" {{ count = {c} }}\n' for i, c in enumerate(["0", "var.n", "2"])
    )
    found = {r.name: r.body.state for r in reading(main_tf=text).resources}
    assert found == {"r1": State.CONDITIONAL, "r2": State.KNOWN}


def test_for_each_tells_instances_apart() -> None:
    """By key; of a set, by element."""
    text = 'resource "x_y" "r" {\n for_each = {a = 1, b = 2}\n v = each.value\n}\nresource "x_z" "s" {\n for_each = toset(["p"])\n v = each.key\n}\n'
    found = {r.id: r.body.data["v"].plain() for r in reading(main_tf=text).resources}
    assert found == {'.: x_y.r["a"]': 1, '.: x_y.r["b"]': 2, '.: x_z.s["p"]': "p"}


def test_modules_are_read_through_their_callers() -> None:
    """Arguments, outputs, defaults; the called folder is no root, and a resource knows where it was called for."""
    module = 'variable "v" {}\nvariable "d" { default = "dd" }\nresource "x_y" "r" {\n  v = var.v\n  d = var.d\n}\noutput "o" { value = x_y.r.v }\n'
    root = 'module "m" {\n  source = "./inner"\n  v      = "given"\n}\nresource "x_z" "user" { got = module.m.o }\n'
    found = {r.id: r for r in reading(main_tf=root, inner__main_tf=module).resources}
    inner = found[".: module.m.x_y.r"]
    assert (inner.body.data["v"].plain(), inner.body.data["d"].plain(), str(inner.place), str(inner.via[0])) == (
        "given",
        "dd",
        "inner/main.tf:3",
        "main.tf:1",
    )
    user = found[".: x_z.user"].body.data["got"]
    assert (user.data, user.refs) == ("given", (".: module.m.x_y.r",))


def test_references_are_kept() -> None:
    """An attribute that only the provider knows is unknown and says whose it is; one that is written is known and says it too."""
    text = 'resource "x_a" "a" { name = "n" }\nresource "x_y" "r" {\n  arn  = x_a.a.arn\n  name = x_a.a.name\n}\n'
    body = one(text).body
    assert (body.data["arn"].known, body.data["arn"].refs) == (False, (".: x_a.a",))
    assert (body.data["name"].data, body.data["name"].refs) == ("n", (".: x_a.a",))


def test_dynamic_blocks() -> None:
    """Known: its blocks. Unknown: the block is unknown, not absent."""
    text = (
        'variable "x" {}\nresource "x_y" "r" {\n dynamic "b" {\n  for_each = ["p", "q"]\n'
        '  content { v = b.value }\n }\n dynamic "c" {\n  for_each = var.x\n  content {}\n }\n}\n'
    )
    body = one(text).body
    assert [v.data for v in body.find("b.v")] == ["p", "q"]
    assert [v.known for v in body.find("c.anything")] == [False]


def test_modules_of_registries_are_listed() -> None:
    """With their arguments; what is in them isn't known."""
    (found,) = reading(main_tf='module "m" {\n  source  = "org/thing/aws"\n  version = "1.2.3"\n}\n').resources
    assert (found.type, found.body.plain()) == ("module/org/thing/aws", {"source": "org/thing/aws", "version": "1.2.3"})


def test_syntax_errors_stay_local() -> None:
    """What stands around them is read, and the line is said."""
    found = reading(
        main_tf='resource "x_y" "a" { v = 1 }\n\nresource "x_y" "b" { v = = }\n\nresource "x_y" "c" { v = 2 }\n'
    )
    assert {"a", "c"} <= {r.name for r in found.resources}
    assert [p.place.line for p in found.problems] == [3]


def test_a_plan_in_json_is_read() -> None:
    """`terraform show -json`: the same types, also in child modules."""
    resource = {"address": "module.m.x_y.r", "type": "x_y", "name": "r", "mode": "managed", "values": {"v": True}}
    document = {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"child_modules": [{"resources": [resource]}]}},
    }
    text = json.dumps(document)
    importer = Terraform()
    assert importer.wants("plan.json", lambda: text[:4096])
    (found,) = importer.read(Tree(("plan.json",), lambda _: text, {"plan.json": 1}), ["plan.json"]).resources
    assert (found.id, found.type, found.body.plain()) == ("plan.json: module.m.x_y.r", "x_y", {"v": True})


@pytest.mark.skipif(
    importlib.util.find_spec("tfparse") is None, reason="tfparse, the independent reader, isn't installed"
)
def test_an_independent_reader_finds_the_same_resources(tmp_path: Path) -> None:
    """tfparse (the core of Trivy's reader) and this importer agree on what exists in a root with conditions, loops and modules."""
    from tfparse import load_from_path

    files = {
        "main.tf": 'variable "on" { default = true }\nlocals { names = ["a", "b"] }\nmodule "m" {\n  source = "./inner"\n  on = !var.on\n}\n'
        'resource "aws_s3_bucket" "one" {\n  count  = var.on ? 1 : 0\n  bucket = "x-${local.names[1]}"\n}\n'
        'resource "aws_s3_bucket" "none" { count = var.on ? 0 : 1 }\n',
        "inner/main.tf": 'variable "on" {}\nresource "aws_sqs_queue" "off" { count = var.on ? 1 : 0 }\n'
        'resource "aws_sqs_queue" "q" { name = "q-${var.on}" }\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    theirs = {
        r["__tfmeta"]["path"].partition("[")[0]: r
        for kind in load_from_path(str(tmp_path)).values()
        for r in kind
        if r["__tfmeta"].get("type") == "resource"
    }
    tree = Tree(tuple(sorted(files)), files.get, dict.fromkeys(files, 1))
    ours = {r.id.removeprefix(".: "): r for r in Terraform().read(tree, list(tree.files)).resources}
    assert set(ours) == set(theirs)
    assert ours["aws_s3_bucket.one"].body.plain()["bucket"] == theirs["aws_s3_bucket.one"]["bucket"] == "x-b"


@pytest.mark.parametrize("body", ["{{ {0} }}", "jsonencode({{ {0} }})"])
def test_azapi_resources_are_what_they_name(body: str) -> None:
    """Their type stands in an attribute, and what Bicep would say in `body`."""
    inside = body.format('kind = "OpenAI", properties = { disableLocalAuth = true }')
    head = 'resource "azapi_resource" "ai" {\n  type = "Microsoft.CognitiveServices/accounts@2025-06-01"\n'
    text = f'{head}  name = "ai"\n  parent_id = "g"\n  body = {inside}\n}}\n'
    found = one(text, "Microsoft.CognitiveServices/accounts")
    assert (found.name, found.find("kind")[0].data, found.find("properties.disableLocalAuth")[0].data) == (
        "ai",
        "OpenAI",
        True,
    )
    assert found.find("parent")[0].data == "g"
    assert found.find("properties.disableLocalAuth")[0].place.line == 5


def test_an_azapi_body_that_nobody_knows_is_unknown() -> None:
    text = 'variable "b" {}\nresource "azapi_resource" "ai" {\n  type = "Microsoft.Search/searchServices@2025-05-01"\n  body = var.b\n}\n'
    [unknown] = one(text, "Microsoft.Search/searchServices").find("properties.disableLocalAuth")
    assert not unknown.known


@pytest.mark.parametrize(
    ("first", "step"),
    [
        ('a0 = ["x"]', "a{n} = concat(local.a{m}, local.a{m}, local.a{m})"),
        ('a0 = ["x"]', "a{n} = flatten([local.a{m}, local.a{m}])"),
        ('a0 = ["x"]', "a{n} = [local.a{m}, local.a{m}]"),
        ('a0 = "x"', "a{n} = {{ a = local.a{m}, b = local.a{m} }}"),
    ],
)
def test_lists_that_double_are_cut(first: str, step: str) -> None:
    """One that is made of the one before, twice each time, would need more memory than there is."""
    steps = "\n".join(step.format(n=n, m=n - 1) for n in range(1, 40))
    found = reading(
        main_tf=f'locals {{\n{first}\n{steps}\n}}\nresource "x_y" "r" {{ v = join(",", flatten([local.a39])) }}\n'
    )
    assert found.problems or not found.resources[0].body.data["v"].known


def test_many_resources_in_a_folder_take_no_more_each() -> None:
    """Each was looked for among all."""
    text = "".join(f'resource "x_y" "r{n}" {{ v = 1 }}\n' for n in range(6_000))
    started = time.perf_counter()
    assert len(reading(main_tf=text).resources) == 6_000
    assert time.perf_counter() - started < 10
