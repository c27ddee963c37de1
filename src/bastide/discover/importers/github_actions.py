# SPDX-License-Identifier: Apache-2.0
"""GitHub Actions workflows and composite actions: each step is a resource that knows its triggers, permissions and condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, Value
from bastide.discover.readers.placeholders import GITHUB, filled
from bastide.discover.readers.yaml_ import read_yaml


class GitHubActions:
    """Files in `.github/workflows`, and `action.yml`."""

    name = "github-actions"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the path settles it)
        """By path."""
        file = PurePosixPath(path)
        return file.suffix in (".yml", ".yaml") and (".github/workflows/" in f"/{path}" or file.stem == "action")

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The steps and service containers of all jobs."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            documents, wrong = read_yaml(text, file)
            problems += wrong
            for document in documents[:1]:
                if isinstance(document.data, Mapping):
                    found += _workflow(filled(document, GITHUB), file)
        return Reading(tuple(found), tuple(problems), frozenset(files))


def _workflow(root: Value, file: str) -> Iterator[Resource]:
    # YAML 1.1 reads the key `on` as true.
    on = root.data.get("on") or root.data.get("True")
    triggers = Value(tuple(_triggers(on)) if on else (), on.place if on else root.place)
    shared = {"triggers": triggers, "workflow-env": root.data.get("env"), "permissions": root.data.get("permissions")}
    for runs in root.find("runs"):
        yield from _steps(runs, f"{file}: runs", file, shared)
    for jobs in root.find("jobs"):
        for name, job in (jobs.data if isinstance(jobs.data, Mapping) else {}).items():
            if isinstance(job.data, Mapping):
                yield from _job(name, job, file, shared)


def _triggers(on: Value) -> Iterator[Value]:
    if isinstance(on.data, Mapping):
        for event, detail in on.data.items():
            yield Value(event, Place(on.place.file, _key_line(on, event, detail)))
    else:
        yield from on.elements()


def _key_line(on: Value, event: str, detail: Value) -> int:
    return detail.place.line if detail.data is not None or event else on.place.line


def _job(name: str, job: Value, file: str, shared: Mapping[str, Value | None]) -> Iterator[Resource]:
    own = {
        "permissions": "permissions",
        "if": "condition",
        "env": "job-env",
        "runs-on": "runs-on",
        "environment": "environment",
    }
    inherited = dict(shared)
    inherited |= {to: job.data[key] for key, to in own.items() if key in job.data}
    whole = {k: v for k, v in {**job.data, **inherited}.items() if v is not None and k not in ("steps", "if")}
    yield Resource(f"{file}: jobs.{name}", "github/job", name, Value(whole, job.place), job.place, scope=file)
    yield from _steps(job, f"{file}: jobs.{name}", file, inherited)


def _steps(job: Value, prefix: str, file: str, shared: Mapping[str, Value | None]) -> Iterator[Resource]:
    for number, step in enumerate(job.find("steps")):
        if not isinstance(step.data, Mapping):
            continue
        said = next(
            (str(v.data) for key in ("id", "name", "uses") for v in step.find(key) if isinstance(v.data, str)),
            str(number),
        )
        body = {k: v for k, v in {**shared, **step.data}.items() if v is not None}
        uses, run = (next((v for v in step.find(k) if isinstance(v.data, str)), None) for k in ("uses", "run"))
        if uses is not None:
            action, _, version = uses.data.partition("@")
            body["action"] = Value(action, uses.place)
            body["version"] = filled(Value(version, uses.place), GITHUB)
        if run is not None:
            # One line of a script each, with its own place.
            start = run.place.line + ("\n" in run.data)
            lines = enumerate(run.data.split("\n")[:2000])
            body["command"] = Value(tuple(Value(t, Place(file, start + n)) for n, t in lines if t.strip()), run.place)
        place = uses.place if uses is not None else step.place
        yield Resource(
            f"{prefix}.steps.{said}", "github/step", said, Value(body, step.place), place, scope=file, part_of=prefix
        )
