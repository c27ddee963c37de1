# SPDX-License-Identifier: Apache-2.0
"""A folder to what is in it: the one place where walking, reading, resolving and judging come together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bastide.catalog.load import load_vocabulary
from bastide.catalog.model import Catalog
from bastide.discover.action_groups import with_action_groups
from bastide.discover.actors import with_actors
from bastide.discover.amplify import with_amplify
from bastide.discover.apis import with_apis
from bastide.discover.baselines import Judge, load_baselines, weaknesses
from bastide.discover.collections import with_collections
from bastide.discover.constructs import with_constructs
from bastide.discover.fargate import with_fargate
from bastide.discover.handlers import with_handlers
from bastide.discover.hosted import with_hosted
from bastide.discover.images import with_images
from bastide.discover.importers import code_roots, importers
from bastide.discover.interface import Importer, Limits, Tree, together
from bastide.discover.libraries import PREFIX, libraries, unused
from bastide.discover.local import with_local
from bastide.discover.model import Place, Problem, Reading, Resource
from bastide.discover.plan import located, to_plan
from bastide.discover.programs import CODE, with_programs
from bastide.discover.resolve import resolve
from bastide.discover.result import Discovery, SourceFile
from bastide.discover.rights import with_rights
from bastide.discover.sam import with_sam
from bastide.discover.settings import with_settings
from bastide.discover.states import with_states
from bastide.discover.synthesized import with_synthesized
from bastide.discover.tree import Folder
from bastide.discover.types import load_types
from bastide.discover.wires import with_wires
from bastide.errors import Diagnostic, InputError, Location
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.save import dump

STEPS: tuple[Callable[[list[Resource]], Iterable[Resource]], ...] = (
    with_amplify,
    with_fargate,
    with_constructs,
    with_synthesized,
    with_sam,
    with_states,
    with_wires,
    with_action_groups,
    with_rights,
    with_collections,
    with_handlers,
    with_apis,
    with_hosted,
    with_images,
    with_settings,
    with_local,
)
"""What is made of the resources as read before they are interpreted, in this order."""


def discover(root: Path, limits: Limits | None = None, packs: tuple[Path, ...] = ()) -> Discovery:
    """What the files of a folder say about the system. Nothing is executed or fetched.

    Raises:
        InputError: there is no such folder.
        KnowledgeError: a pack is wrong.
    """
    folder = Folder(root, limits)
    tree = folder.tree()
    reading = read(tree, importers())
    needed = [r for r in reading.resources if r.type.startswith(PREFIX)]
    rest = [r for r in reading.resources if not r.type.startswith(PREFIX)]
    placed = rest
    for step in STEPS:
        placed = list(step(placed))
    programs = with_programs(placed, tree.files, needed)
    components, flows = with_actors(*resolve(programs, load_types(packs)))
    without_use = unused(needed, (r for r in rest if r.type in CODE), code_roots())
    by_id = {c.id: c for c in components}
    judged = list(Judge(by_id, flows, load_vocabulary(packs)).judge(load_baselines(packs)))
    return Discovery(
        by_id,
        tuple(flows),
        tuple(sorted({*reading.problems, *folder.problems, *without_use})),
        tuple(weaknesses(judged, by_id)),
        tuple((j.baseline.id, j.element) for j in judged if j.state == "pass"),
        reading.read,
        libraries(needed),
        _sources(reading, folder),
    )


def _sources(reading: Reading, folder: Folder) -> tuple[SourceFile, ...]:
    by: dict[str, list[str]] = {}
    for file, importer in reading.by:
        by.setdefault(file, []).append(importer)
    return tuple(SourceFile(file, folder.digest(file), tuple(sorted(by[file]))) for file in sorted(by))


def plan_of(root: Path, catalog: Catalog, packs: tuple[Path, ...] = ()) -> tuple[Plan, Discovery]:
    """The plan of a repository that nobody described, and what it was made from. Its parts stand at their places in the repository.

    Raises `InputError` when nothing is found there: an empty plan would look harmless.
    """
    found = discover(root, packs=packs)
    if not found.components:
        unread = sum(p.hides for p in found.problems)
        rest = f"; {unread} files could not be read (`bastide discover` lists them)" if unread else ""
        hint = "name the folder with the code or deployment files, or write a plan (`bastide init`)"
        message = f"holds no bastide.yaml, and nothing of a system was found in it{rest}"
        raise InputError(Diagnostic(message, Location(str(root)), hint=hint))
    name = root.resolve().name or "system"
    plan = parse_plan(
        dump(to_plan(found, catalog.vocabulary, name, load_baselines(packs))), catalog.vocabulary, str(root)
    )
    return located(plan, found), found


def read(tree: Tree, all_: Sequence[Importer]) -> Reading:
    """Everything that importers read in a tree. A defect of one importer hides nothing of what others read."""
    readings = []
    for importer in all_:
        files = [f for f in tree.files if importer.wants(f, lambda f=f: tree.head(f).decode("utf-8", "replace"))]  # type: ignore[misc]
        if not files:
            continue
        try:
            reading = importer.read(tree, files)
            readings.append(replace(reading, by=tuple((file, importer.name) for file in sorted(reading.read))))
        except Exception as error:  # noqa: BLE001 (the edge around plug-ins and hostile files)
            message = f"the importer {importer.name} failed on these files ({type(error).__name__}): please report it"
            readings.append(Reading(problems=(Problem(Place(files[0]), message),)))
    return together(readings)
