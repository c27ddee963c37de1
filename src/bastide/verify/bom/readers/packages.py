# SPDX-License-Identifier: Apache-2.0
"""Software that a model needs: requirements, conda environments, pyproject, MLflow's `MLmodel`."""

from __future__ import annotations

import re
import tomllib
from pathlib import PurePosixPath
from typing import Any

from bastide.verify.bom.documents import Unreadable, Value, read_json
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.knowledge import terms
from bastide.verify.bom.model import Dependency, Origin

LINES = 10_000
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,100})[ \t]*(?:\[[^\]]{0,200}\])?[ \t]*([^;#@]{0,200})")
_EXACT = re.compile(r"={1,3}[ \t]*([0-9][0-9A-Za-z.+!-]{0,60})[ \t]*(?:=[\w]{1,60})?\Z", re.ASCII)
_FILES = {
    "requirements.txt",
    "conda.yaml",
    "conda.yml",
    "environment.yml",
    "environment.yaml",
    "python_env.yaml",
    "pyproject.toml",
}


def read_packages(draft: Draft) -> None:
    """The requirement files at the top of the folder and one below."""
    for name in list(draft.folder.sizes):
        path = PurePosixPath(name)
        if len(path.parts) > 2 or path.name.lower() not in _FILES:
            continue
        if path.suffix == ".txt":
            _requirements(draft, name)
        elif path.suffix == ".toml":
            _pyproject(draft, name)
        elif (value := draft.yaml(name)) is not None:
            _environment(draft, value)


def _requirements(draft: Draft, name: str) -> None:
    lines = (draft.folder.text(name) or "").splitlines()
    if len(lines) > LINES:
        draft.folder.unread.append(f"{shown(name)}: has more than {LINES} lines; the others were not read")
    for number, line in enumerate(lines[:LINES], 1):
        text = line.split(" #")[0].strip()
        if text.startswith(("-r", "-c", "--requirement", "--constraint")):
            draft.note(f"{shown(name)}:{number}: other requirement files are not followed")
        elif text and not text.startswith(("#", "-")):
            _requirement(draft, text, Origin(shown(name), number))


def _requirement(draft: Draft, text: str, origin: Origin, ecosystem: str = "pypi") -> None:
    if (found := _REQUIREMENT.match(text)) is None:
        draft.note(f"{origin}: is no requirement by name: {shown(text)[:100]}")
        return
    wanted = found[2].strip()
    exact = _EXACT.match(wanted)
    draft.depends(Dependency(found[1], origin, exact[1] if exact else "", wanted, ecosystem))


def _pyproject(draft: Draft, name: str) -> None:
    text = draft.folder.text(name)
    try:
        document: Any = tomllib.loads(text or "")
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        draft.folder.unread.append(f"{shown(name)}: is no TOML: {str(problem)[:200]}")
        return
    project = document.get("project")
    needed = project.get("dependencies") if isinstance(project, dict) else None
    for one in needed[:LINES] if isinstance(needed, list) else ():
        if isinstance(one, str):
            line = (text or "")[: max(0, (text or "").find(one))].count("\n") + 1
            _requirement(draft, one, Origin(shown(name), line))


def _environment(draft: Draft, value: Value) -> None:
    """A conda environment, or MLflow's `python_env.yaml`."""
    if python := value.get("python").text:
        draft.depends(Dependency("python", value.get("python").origin, python, f"=={python}", "generic"))
    for one in value.get("dependencies", "build_dependencies").each():
        for pip in one.get("pip").each():
            _requirement(draft, pip.text, pip.origin)
        text = one.text
        if text and not text.startswith("-"):
            own = text.split("::")[-1]
            is_python = re.match(r"python\b", own) is not None
            _requirement(draft, own, one.origin, "generic" if is_python else "conda")


def read_mlflow(draft: Draft) -> None:
    """`MLmodel`: flavours with their versions, the signature, when and by which run it was made."""
    for name in draft.folder.named("MLmodel"):
        if (value := draft.yaml(name)) is not None:
            _mlmodel(draft, value)


def _mlmodel(draft: Draft, value: Value) -> None:
    for flavour, settings in value.get("flavors").items():
        if flavour != "python_function":
            draft.say("family", flavour, settings.origin)
        _flavour(draft, flavour, settings)
    made = value.get("mlflow_version")
    if made.text:
        draft.depends(Dependency("mlflow", made.origin, made.text, f"=={made.text}"))
    for key, field in (("model_uuid", "version"), ("utc_time_created", "changes")):
        one = value.get(key)
        draft.say(field, one.text if field == "version" else one.text and f"made {one.text}", one.origin)
    run = value.get("run_id")
    draft.say("training.procedure", run.text and f"MLflow run {run.text}", run.origin)
    for key, field in (("inputs", "inputs"), ("outputs", "outputs"), ("params", "hyperparameters")):
        _schema(draft, value.get("signature").get(key), field)


def _flavour(draft: Draft, flavour: str, settings: Value) -> None:
    for key, one in settings.items():
        head, _, tail = key.rpartition("_")
        package = terms().flavours.get(head)
        if tail == "version" and head == "python":
            draft.depends(Dependency("python", one.origin, one.text, f"=={one.text}", "generic"))
        elif tail == "version" and package and re.fullmatch(r"[0-9][\w.+!-]{0,40}", one.text, re.ASCII):
            draft.depends(Dependency(package, one.origin, one.text, f"=={one.text}"))
    if loader := settings.get("loader_module").text:
        draft.note(
            f"{settings.get('loader_module').origin}: flavour {flavour} imports `{shown(loader)[:100]}` when it is loaded"
        )
    for key in ("model_type", "model_class", "pipeline_model_type"):
        draft.say("architecture", settings.get(key).text, settings.get(key).origin)
    draft.say("task", settings.get("task").text, settings.get("task").origin)


def _schema(draft: Draft, said: Value, field: str) -> None:
    """Columns or tensors; MLflow writes them as JSON in a text."""
    if not said.text:
        return
    try:
        columns, _ = read_json(said.text, said.origin.file)
    except Unreadable:
        draft.note(f"{said.origin}: the signature is no JSON")
        return
    for column in columns.each():
        kind = column.get("tensor-spec").get("dtype").text or column.get("type", "dtype").text
        draft.say(field, f"{column.get('name').text} {kind}".strip(), said.origin)
