# SPDX-License-Identifier: Apache-2.0
"""Makes a bill of models: reads each with all readers, and joins those that were made from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bastide.plan.model import Plan
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.evidence import Scanner, Verdicts, digest_of, read_files, read_signatures
from bastide.verify.bom.folder import Limits, list_folder, shown
from bastide.verify.bom.model import Bill, Model, Origin
from bastide.verify.bom.readers.card import read_card, read_own_card
from bastide.verify.bom.readers.config import read_configs
from bastide.verify.bom.readers.data import read_data
from bastide.verify.bom.readers.licences import read_licences
from bastide.verify.bom.readers.packages import read_mlflow, read_packages
from bastide.verify.bom.readers.plan import component_of, read_plan
from bastide.verify.bom.readers.weights import read_weights
from bastide.verify.hub import revision_of

_READERS: tuple[Callable[[Draft], None], ...] = (
    read_card, read_configs, read_mlflow, read_weights, read_packages, read_data, read_licences,
)  # fmt: skip
"""The first one's words come first."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read beside the models."""

    card: Path | None = None
    plan: Plan | None = None
    scan: Verdicts | Scanner | None = None
    limits: Limits = Limits()  # noqa: RUF009 - frozen


def collect(paths: Sequence[Path], sources: Sources = Sources()) -> Bill:
    """The bill of one or more models. Raises `UsageError` when there is nothing at a path, `InputError` when a card or report isn't one."""
    models = [_model(path, sources, alone=len(paths) == 1) for path in dict.fromkeys(paths)]
    models = list(_keyed(models))
    models = [_joined(model, models) for model in models]
    if circle := _circle(models):
        why = f"is said to be made from itself: {' from '.join(circle)}"
        models = [replace(m, unread=(*m.unread, why)) if m.name in circle else m for m in models]
    return Bill(tuple(models), (sources.plan.name or sources.plan.id) if sources.plan else "")


def _model(path: Path, sources: Sources, alone: bool) -> Model:
    folder = list_folder(path, sources.limits)
    draft = Draft(folder)
    if sources.card is not None and alone:
        read_own_card(draft, sources.card)
    for read in _READERS:
        read(draft)
    own = folder.root.stem if folder.single else revision_of(folder.root)[0] or folder.root.name
    base = shown(own) or "model"
    _name(draft, base)
    name = draft.fields["name"][0].value[:200]
    if sources.plan is not None:
        component = component_of(sources.plan, (name, base, path.name), alone)
        if component is None:
            draft.note(f"the plan has no model with this name: {', '.join((name, base))}")
        else:
            read_plan(draft, sources.plan, component)
    files = read_files(draft, sources.scan)
    read_signatures(draft, files)
    return Model(
        key="",
        name=name.replace("\n", " "),
        path=shown(str(path)),
        fields={id: tuple(stated) for id, stated in draft.fields.items() if stated},
        licences=tuple(draft.licences),
        metrics=tuple(draft.metrics),
        ancestors=tuple(draft.ancestors),
        datasets=tuple(draft.datasets.values()),
        dependencies=tuple(sorted(draft.dependencies.values(), key=lambda d: d.name.lower())),
        files=files,
        digest=digest_of(files, folder),
        evidence=tuple(draft.evidence),
        unread=tuple(dict.fromkeys(folder.unread)),
        notes=tuple(dict.fromkeys(draft.notes)),
    )


def _name(draft: Draft, base: str) -> None:
    """The name of the folder or file, where nobody states one."""
    if not draft.has("name"):
        draft.say("name", base, Origin(base, 0, "the name of the folder or file"))
    if not draft.has("name"):
        draft.say("name", f"model {base}", Origin(base))
    if not draft.has("name"):  # a name of which nothing can be shown
        draft.say("name", "a model", Origin("."))


def _keyed(models: Iterable[Model]) -> Iterator[Model]:
    """With keys that are unique in the bill."""
    for number, model in enumerate(models, 1):
        yield replace(model, key=f"model-{number}")


def _joined(model: Model, models: Sequence[Model]) -> Model:
    """With ancestors that are in the same bill tied to them."""

    def known(name: str) -> str:
        last = name.rstrip("/").replace("\\", "/").rpartition("/")[2].lower()
        exact = [m.key for m in models if name in (m.name, m.path)]
        loose = [
            m.key for m in models if last and last in (m.name.rpartition("/")[2].lower(), Path(m.path).name.lower())
        ]
        return next(iter((*exact, *loose)), "")

    return replace(model, ancestors=tuple(replace(one, model=known(one.name)) for one in model.ancestors))


def _circle(models: Sequence[Model]) -> list[str]:
    """Names of models that are made from each other in a circle; empty when there is none."""
    parents = {m.key: [a.model for a in m.ancestors if a.model] for m in models}
    names = {m.key: m.name for m in models}
    left = dict(parents)
    while gone := [key for key, above in left.items() if not any(one in left for one in above)]:
        for key in gone:
            del left[key]
    return [names[key] for key in left]
