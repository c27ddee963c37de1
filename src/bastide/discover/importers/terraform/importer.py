# SPDX-License-Identifier: Apache-2.0
"""Which folders are roots, what they are given, and what they declare; plans and states in JSON as the better truth."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from bastide.discover.importers.terraform.evaluate import Budget, Evaluator
from bastide.discover.importers.terraform.module import Folder, Instance
from bastide.discover.importers.terraform.names import environment, local_path, stage_of
from bastide.discover.importers.terraform.overlay import overlaid, root_of
from bastide.discover.importers.terraform.shown import Showing, plain_address, read_showing
from bastide.discover.interface import Tree
from bastide.discover.model import REST, Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.hcl import Body, read_hcl
from bastide.errors import LimitError


class Terraform:
    """`*.tf` by root module. A folder that another root calls is read through its callers only, with what they give it."""

    name = "terraform"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """`*.tf`, and JSON that is the plan or the state of Terraform, shown or as it is kept."""
        if path.endswith((".tf", ".tofu")):
            return True
        begin = head() if path.endswith((".json", ".tfstate")) else ""
        return '"terraform_version"' in begin and ('"format_version"' in begin or '"serial"' in begin)

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all roots."""
        problems: list[Problem] = []
        folders = _folders(tree, [f for f in files if f.endswith((".tf", ".tofu"))], problems)
        by_root = {root: _read_root(tree, folders, root, problems) for root in _roots(folders)}
        found: list[Resource] = []
        for root, showings in _showings(tree, files, by_root, problems).items():
            found += overlaid(by_root.get(root, []), root, showings)
        found = [_named_inside(resource) for resource in _variants(found)]
        return Reading(tuple(found), tuple(dict.fromkeys(problems)), frozenset(files))


# --- folders and roots ------------------------------------------------------------------------------------------------
def _folders(tree: Tree, files: Sequence[str], problems: list[Problem]) -> dict[str, Folder]:
    found: dict[str, Folder] = {}
    for file in files:
        if (text := tree.read(file)) is None:
            continue
        body, wrong = read_hcl(text, file)
        problems += wrong
        folder = found.setdefault(posixpath.dirname(file), Folder(posixpath.dirname(file), []))
        folder.blocks += [(file, b) for b in body.blocks]
        for block in body.blocks:
            if block.type == "variable" and block.labels:
                folder.variables.setdefault(block.labels[0], (file, block))
            elif block.type == "locals":
                folder.local_values |= {k: (file, block.body, k) for k in block.body.attributes}
    return found


def _roots(folders: Mapping[str, Folder]) -> list[str]:
    """The folders that nobody calls. In a circle of callers the first is one."""
    called: dict[str, set[str]] = defaultdict(set)
    for path, folder in folders.items():
        for file, block in folder.of("module"):
            source = block.body.attributes.get("source")
            if source is not None:
                value = Evaluator(file, lambda _, place: Value(None, place, State.UNKNOWN), Budget()).value(source[0])
                inner = local_path(path, value.data)
                if inner is not None and inner in folders and inner != path:
                    called[inner].add(path)
    roots = [path for path in folders if not called[path]]
    return roots or sorted(folders)[:1]


def _read_root(tree: Tree, folders: Mapping[str, Folder], root: str, problems: list[Problem]) -> list[Resource]:
    arguments: dict[str, Callable[[], Value]] = {}
    budget = Budget()
    for file in _variable_files(tree, root):
        text = tree.read(file)
        body, wrong = read_hcl(text, file) if text is not None else (Body(), [])
        problems += wrong
        evaluator = Evaluator(file, lambda _, place: Value(None, place, State.UNKNOWN), budget)
        arguments |= {name: partial(evaluator.value, node) for name, (node, _) in body.attributes.items()}
    instance = Instance(tree, folders, folders[root], arguments, "", root, budget, problems)
    try:
        return list(instance.resources())
    except (LimitError, RecursionError) as error:
        problems.append(
            Problem(Place(folders[root].blocks[0][0]), f"this root could not be evaluated: {str(error)[:100]}")
        )
        return []


def _variable_files(tree: Tree, root: str) -> list[str]:
    """`terraform.tfvars` and `*.auto.tfvars`, in the order in which Terraform takes them."""
    own = [f for f in tree.files if posixpath.dirname(f) == root]
    automatic = [f for f in own if f.endswith(".auto.tfvars")]
    return [f for f in own if PurePosixPath(f).name == "terraform.tfvars"] + sorted(automatic)


def _variants(resources: list[Resource]) -> Iterator[Resource]:
    """What several roots make of one block of a shared module are variants of it."""
    roots: dict[tuple[Place, str, str], set[str]] = defaultdict(set)
    for resource in resources:
        roots[resource.place, resource.type, resource.name].add(resource.scope)
    stages = _stages({r.scope for r in resources})
    resources = list(_without_suffix(resources))
    for resource in resources:
        if len(roots[resource.place, resource.type, resource.name]) > 1:
            yield replace(resource, variant=resource.scope, scope=posixpath.dirname(resource.place.file))
        elif resource.scope in stages:
            yield replace(resource, variant=resource.variant or resource.scope, scope=stages[resource.scope])
        else:
            yield resource


def _without_suffix(resources: Sequence[Resource]) -> Iterator[Resource]:
    """`app_dev` and `app_prod` of one type are one thing; an `app_prod` alone is called that."""
    split = {r.id: stage_of(r.name) for r in resources}
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    for resource in resources:
        name, stage = split[resource.id]
        named[resource.type, name].add(stage)
    for resource in resources:
        name, stage = split[resource.id]
        several = stage and len(named[resource.type, name] - {""}) > 1
        yield replace(resource, name=name, variant=resource.variant or stage) if several else resource


def _stages(roots: set[str]) -> dict[str, str]:
    """Roots that differ in the name of a stage only (`infra/dev`, `infra/prod`, `infra`): root -> what they have in common."""
    common = {r: "/".join(part for part in r.split("/") if not environment(part)) for r in roots}
    several = {c for c, n in Counter(common.values()).items() if n > 1}
    return {r: c for r, c in common.items() if c in several}


def _named_inside(resource: Resource) -> Resource:
    """`azapi` resources as what they are: their type stands in an attribute, their attributes in `body`."""
    if not resource.type.startswith(("azapi_resource", "azapi_update_resource")):
        return resource
    kind = next((str(v.data) for v in resource.find("type") if isinstance(v.data, str)), "")
    if "/" not in kind or not isinstance(resource.body.data, Mapping):
        return resource
    given = resource.body.data.get("body")
    inner = given.data if given is not None and isinstance(given.data, Mapping) else {}
    outer = {key: value for key, value in resource.body.data.items() if key not in ("type", "body")}
    if given is not None and not given.known:
        outer[REST] = given
    if "parent_id" in outer:
        outer["parent"] = outer["parent_id"]
    return replace(resource, type=kind.partition("@")[0], body=replace(resource.body, data={**outer, **inner}))


# --- plans and states ---------------------------------------------------------------------------------------------------
def _showings(
    tree: Tree, files: Sequence[str], by_root: Mapping[str, Sequence[Resource]], problems: list[Problem]
) -> dict[str, list[Showing]]:
    """Each root with its plans and states; one that belongs to none is a root of its own, called like the file."""
    found: dict[str, list[Showing]] = {root: [] for root in by_root}
    declared = {root: frozenset(plain_address(r.id.partition(": ")[2]) for r in all_) for root, all_ in by_root.items()}
    for file in files:
        text = tree.read(file) if file.endswith((".json", ".tfstate")) else None
        showing = read_showing(text, file) if text is not None else None
        if isinstance(showing, str):
            problems.append(Problem(Place(file), showing))
        elif showing is not None:
            root = root_of(showing, declared, posixpath.dirname(file))
            root = file if root is None else root
            found.setdefault(root, []).append(showing)
            declared.setdefault(root, showing.addresses)
    return found
