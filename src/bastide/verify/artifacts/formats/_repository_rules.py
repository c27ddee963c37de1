# SPDX-License-Identifier: Apache-2.0
"""What the JSON files around a model make loaders do: `knowledge/artifacts/repository/rules.yaml` says which file is read how."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bastide.verify.artifacts.archives.documents import objects
from bastide.verify.artifacts.formats._json import walk
from bastide.verify.artifacts.formats._targets import CONFIGURATION, Call, harmful, judge
from bastide.verify.artifacts.model import Finding, Severity, Tier

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "repository" / "rules.yaml"
_PATH = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:|^[a-z0-9+.-]+://|\0", re.IGNORECASE)
"""Paths that lead out of their folder."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")


class Rules(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The file; what each list holds stands there."""

    names: Mapping[str, list[str]]
    packages: frozenset[str]
    pipeline_packages: frozenset[str]
    code: Mapping[str, list[str]]


RULES = msgspec.yaml.decode(FILE.read_bytes(), type=Rules)
Found = Iterator[Finding]


def leads_out(path: str) -> bool:
    """Whether a path names something outside of the folder that it stands in: absolute, by `..`, a URL."""
    return bool(_PATH.search(path))


def everywhere(document: Any) -> Found:
    """Keys at which some loader imports code, in whatever file."""
    yield from _taken(document)
    for path, key, value in walk(document):
        if key == "auto_map":
            yield from _auto_map(value)
        elif key == "trust_remote_code" and value is True:
            yield _policy(
                "trusts-remote-code", "asks the loader to run code from the repository: decide that yourself", path
            )
        elif key == "_target_" and isinstance(value, str):
            yield from target(value)
        elif key in ("py/object", "py/reduce", "py/function", "py/type", "py/repr"):
            yield from _jsonpickle(key, value)
        elif key in ("_attn_implementation", "attn_implementation") and isinstance(value, str) and "/" in value:
            yield _runs("external-kernel", "takes the code of its attention from another repository", value)
        elif key == "custom_pipelines" and isinstance(value, dict):
            for pipeline in value.values():
                if isinstance(pipeline, dict) and isinstance(pipeline.get("impl"), str):
                    yield from _code("custom-pipeline", pipeline["impl"])


def _taken(document: Any) -> Found:
    """Functions that hydra looks up by a name beside `_target_`, for others to call."""
    for place in objects(document):
        if str(place.get("_target_")) in CONFIGURATION.takes and isinstance(place.get("path"), str):
            yield from target(place["path"])


def _auto_map(value: Any) -> Found:
    classes = value.values() if isinstance(value, dict) else [value]
    for named in classes:
        for name in named if isinstance(named, list) else [named]:
            if isinstance(name, str):
                yield from _code("auto-map", name)


def _code(id: str, name: str) -> Found:
    """`module.Class` beside the model, or `owner/repository--module.Class` somewhere else."""
    repository, elsewhere, local = name.rpartition("--")
    if elsewhere:
        yield _runs(
            f"{id}-elsewhere",
            f"names code of another repository, `{repository[:100]}`, which can change at any time: loaders run it with trust_remote_code",
            name,
        )
    elif leads_out(local) or "/" in local or "\\" in local or local.startswith("."):
        yield _runs(f"{id}-elsewhere", "names code by a path: loaders run what is there with trust_remote_code", name)
    else:
        yield _policy(id, "names code of the repository, which loaders run with trust_remote_code: read it first", name)


def target(name: str) -> Found:
    """What hydra calls when it is given the configuration (`_target_`)."""
    call, effect = judge(name)
    if call is Call.HARMFUL:
        yield _runs("target", f"has hydra call what {effect}. Don't instantiate it", name, Severity.CRITICAL)
    elif call is not Call.KNOWN:
        yield _policy("target", "has hydra call something that isn't known here when it is instantiated", name)


def _jsonpickle(key: str, value: Any) -> Found:
    named = value if isinstance(value, str) else ""
    reduces = key in ("py/reduce", "py/repr")
    if reduces or harmful(named):
        yield _runs(
            "jsonpickle", "calls what it names when jsonpickle reads it. Don't load it", named or key, Severity.CRITICAL
        )
    else:
        yield _policy("jsonpickle", "makes an object of a class when jsonpickle reads it", named or key)


def adapter(document: Any) -> Found:
    """PEFT: imports `parent_library` for its class; the base model is taken from where the file says."""
    mapping = document.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    if isinstance(library, str) and library.partition(".")[0] not in RULES.packages:
        if harmful(f"{library}.{mapping.get('base_model_class', '')}"):
            yield _runs("parent-library", "has PEFT import a module that runs code", library)
        else:
            yield _policy(
                "parent-library", "has PEFT import a module that isn't known here, and take a class of it", library
            )
    base = document.get("base_model_name_or_path")
    if isinstance(base, str) and re.match(r"[a-z0-9+.-]+://", base, re.IGNORECASE):
        yield _policy("base-elsewhere", "takes its base model from an address", base)
    elif isinstance(base, str) and leads_out(base):
        yield _note("base-local", "names a base model in a folder of the machine on which it was made", base)


def modules(document: Any) -> Found:
    """sentence-transformers: imports the class of each module, and loads it from a folder."""
    for module in document if isinstance(document, list) else []:
        kind, path = (module.get("type"), module.get("path")) if isinstance(module, dict) else (None, None)
        if isinstance(kind, str) and kind.partition(".")[0] != "sentence_transformers":
            if effect := harmful(kind):
                yield _runs("module-type", f"has sentence-transformers load what {effect}", kind, Severity.CRITICAL)
            elif "--" in kind:
                yield from _code("module-type", kind)
            else:
                yield _policy("module-type", "has sentence-transformers import a class that isn't its own", kind)
        if isinstance(path, str) and leads_out(path):
            yield _runs("path", "has the loader read outside of the model's folder", path)


def pipeline(document: Any) -> Found:
    """diffusers: each part of a pipeline is a class of a package, or of code in the repository."""
    for name, part in document.items():
        if name == "_class_name":
            if isinstance(part, list) and part and isinstance(part[0], str):
                yield from _code("custom-pipeline", ".".join(str(p) for p in part))
        elif isinstance(part, list) and len(part) == 2 and isinstance(part[0], str):
            library = part[0]
            if effect := harmful(f"{library}.{part[1]}"):
                yield _runs(
                    "component", f"has diffusers import what {effect}", f"{library}.{part[1]}"[:200], Severity.CRITICAL
                )
            elif library.partition(".")[0] not in RULES.packages | RULES.pipeline_packages:
                yield _policy(
                    "component",
                    "has diffusers take a class of code that isn't known here",
                    f"{library}.{part[1]}"[:200],
                )


def index(document: Any) -> Found:
    """Which file holds which tensor (`model.safetensors.index.json`)."""
    files = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(files, dict):
        return
    for name in dict.fromkeys(value for value in files.values() if isinstance(value, str)):
        if leads_out(name):
            yield _runs("path", "has the loader read weights outside of the model's folder", name)
    if any(not isinstance(value, str) for value in files.values()):
        yield Finding(
            "repository/index", Tier.MALFORMED, Severity.MEDIUM, "the index names files that are no texts: loaders fail"
        )


SETS: Mapping[str, Callable[[Any], Found]] = {"adapter": adapter, "modules": modules, "pipeline": pipeline}


def _runs(id: str, message: str, evidence: str, severity: Severity = Severity.HIGH) -> Finding:
    return Finding(f"repository/{id}", Tier.EXECUTES, severity, message, None, evidence[:200])


def _policy(id: str, message: str, evidence: str) -> Finding:
    return Finding(f"repository/{id}", Tier.POLICY, Severity.MEDIUM, message, None, evidence[:200])


def _note(id: str, message: str, evidence: str) -> Finding:
    return Finding(f"repository/{id}", Tier.POLICY, Severity.LOW, message, None, evidence[:200])
