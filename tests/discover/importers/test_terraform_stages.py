# SPDX-License-Identifier: Apache-2.0
"""What is deployed for several stages is one thing: by keys, by names, by folders. Keys that lead to one instance, and keys that aren't known."""

from __future__ import annotations

from bastide.discover.importers.terraform import Terraform
from bastide.discover.interface import Tree
from bastide.discover.model import Resource


def resources(files: dict[str, str]) -> list[Resource]:
    """Of some files."""
    tree = Tree(tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()})
    return list(Terraform().read(tree, [f for f in tree.files if f.endswith(".tf")]).resources)


def told(found: list[Resource]) -> set[tuple[str, str, str]]:
    """Scope, name and variant: resources that differ in the last only are one thing."""
    return {(r.scope, r.name, r.variant) for r in found}


KEYED = """\
resource "x_y" "r" {
  for_each = { prod = 1, staging = 2 }
}
resource "x_z" "s" {
  for_each = { prod = 1, staging = 2 }
  to       = x_y.r[each.key].id
}
"""


def test_keys_that_are_stages() -> None:
    """`r["prod"]` and `r["staging"]` are one thing; `r["chat"]` and `r["search"]` are two."""
    assert told(resources({"main.tf": KEYED})) == {("", n, v) for n in "rs" for v in ("prod", "staging")}
    other = resources({"main.tf": 'resource "x_y" "r" {\n for_each = { chat = 1, search = 2 }\n}\n'})
    assert told(other) == {("", 'r["chat"]', ""), ("", 'r["search"]', "")}


def test_a_key_leads_to_one_instance() -> None:
    """With the same key, not to all instances."""
    found = [r for r in resources({"main.tf": KEYED}) if r.type == "x_z"]
    assert [r.find("to")[0].refs for r in found] == [('.: x_y.r["prod"]',), ('.: x_y.r["staging"]',)]


def test_names_that_end_in_stages() -> None:
    """Two of one type that differ in it; an `a_prod` alone is called that."""
    found = resources(
        {"main.tf": 'resource "x_y" "a_dev" {}\nresource "x_y" "a_prod" {}\nresource "x_z" "b_prod" {}\n'}
    )
    assert told(found) == {("", "a", "dev"), ("", "a", "prod"), ("", "b_prod", "")}


def test_folders_that_are_stages() -> None:
    """Roots that differ in the name of a stage; other roots are other systems."""
    text = 'resource "x_y" "a" {}\n'
    found = resources({"infra/main.tf": text, "infra/dev/main.tf": text, "other/main.tf": text})
    assert told(found) == {("infra", "a", "infra"), ("infra", "a", "infra/dev"), ("other", "a", "")}


def test_elements_that_are_not_known() -> None:
    """How many there are isn't what matters: they can't be told apart, so one stands for them."""
    text = 'variable "a" {}\nvariable "b" {}\nresource "x_y" "r" {\n for_each = toset([var.a, var.b])\n v = each.value\n}\n'
    (found,) = resources({"main.tf": text})
    assert (found.name, found.find("v")[0].known) == ("r", False)


def test_products() -> None:
    """All combinations of lists; an unknown list makes all unknown."""
    text = 'locals {\n a = ["x", "y"]\n b = ["p"]\n}\nvariable "c" {}\n'
    made = (
        text
        + 'resource "x_y" "r" {\n for_each = { for p in setproduct(local.a, local.b) : join("-", p) => p[1] }\n v = each.value\n}\n'
    )
    assert {(r.name, r.find("v")[0].data) for r in resources({"main.tf": made})} == {
        ('r["x-p"]', "p"),
        ('r["y-p"]', "p"),
    }
    unknown = text + 'resource "x_y" "r" {\n v = setproduct(local.a, var.c)\n}\n'
    assert not resources({"main.tf": unknown})[0].find("v")[0].known
