# SPDX-License-Identifier: Apache-2.0
"""MLflow's `MLmodel`: which module loads the model, which of its files are code or pickles, and whether all lie in its folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bastide.verify.artifacts.formats._notebook_code import hostile, shell
from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.formats._targets import CONFIGURATION, harmful
from bastide.verify.artifacts.formats._yaml import Node
from bastide.verify.artifacts.formats._yaml_tags import Found
from bastide.verify.artifacts.model import Severity, Tier

PATHS = frozenset({
    "data", "path", "model_path", "model_data", "model_file", "python_model", "pickled_model", "code", "conda", "virtualenv", "env", "resources",
    "pipeline", "saved_model_dir", "extra_files", "requirements_file", "context_path", "components",
})  # fmt: skip
"""Keys of flavours whose values loaders join to the model's folder.

`artifact_path` isn't one: it says where the model was logged, since MLflow 3 as an address."""
PICKLES = frozenset({"pickle", "cloudpickle", "joblib", "dill"})


def model(document: Node) -> Iterator[Found]:
    """What loading the model does.

    All mappings are looked at: flavours may be put together of others with `<<`.
    """
    for mapping in document.below():
        if not mapping.pairs:
            continue
        yield from _loader(mapping)
        yield from _code(mapping)
        yield from _pickle(mapping)
        for key, value in mapping.pairs:
            if key.text in PATHS:
                yield from _path(value)


def _loader(flavour: Node) -> Iterator[Found]:
    node = flavour.get("loader_module")
    if node is None or node.text is None or node.text.partition(".")[0] in CONFIGURATION.flavours:
        return
    python = node.text.partition(".")[0] in sys.stdlib_module_names
    if python or harmful(f"{node.text}.x"):
        what = "has MLflow load it by a module that is no loader of models. Don't load it"
        yield Found("mlflow/loader", Tier.EXECUTES, Severity.HIGH, what, node.at, node.text)
    else:
        what = "has MLflow load it by a module that isn't its own: that code decides what happens"
        yield Found("mlflow/loader", Tier.POLICY, Severity.MEDIUM, what, node.at, node.text)


def project(document: Node) -> Iterator[Found]:
    """`MLproject`: what `mlflow run` gives to a shell."""
    for mapping in document.below():
        command = mapping.get("command")
        if command is None or not command.text:
            continue
        if hostile(command.text):
            what = "is a command that nobody means well with, and `mlflow run` gives it to a shell. Don't run it"
            yield Found("mlflow/command", Tier.EXECUTES, Severity.HIGH, what, command.at, command.text)
        else:
            severity = Severity.LOW if shell(command.text) else Severity.MEDIUM
            what = "is a command that `mlflow run` gives to a shell"
            yield Found("mlflow/command", Tier.POLICY, severity, what, command.at, command.text)


def _code(flavour: Node) -> Iterator[Found]:
    code, script = flavour.get("code"), flavour.get("model_code_path")
    if script is not None and script.text and script.text not in ("null", "~"):
        yield Found(
            "mlflow/model-code",
            Tier.POLICY,
            Severity.MEDIUM,
            "is code that MLflow runs to load it: read it before",
            script.at,
            script.text,
        )
    if code is not None and code.text and code.text not in ("null", "~"):
        yield Found(
            "mlflow/code-paths",
            Tier.POLICY,
            Severity.MEDIUM,
            "puts a folder of its own on the path of Python modules: read what is there",
            code.at,
            code.text,
        )


def _pickle(flavour: Node) -> Iterator[Found]:
    for key in ("python_model", "pickled_model"):
        node = flavour.get(key)
        if node is not None and node.text and not node.text.endswith(".py"):
            yield _unpickles(node)
        elif node is not None and node.text:
            yield Found(
                "mlflow/model-code",
                Tier.POLICY,
                Severity.MEDIUM,
                "is code that MLflow runs to load it: read it before",
                node.at,
                node.text,
            )
    kind = flavour.get("serialization_format")
    if kind is not None and kind.text in PICKLES and flavour.get("pickled_model") is None:
        yield _unpickles(kind)


def _unpickles(node: Node) -> Found:
    return Found(
        "mlflow/pickle",
        Tier.POLICY,
        Severity.LOW,
        "is loaded as a pickle: what that does is said where that file is scanned",
        node.at,
        node.text or "",
    )


def _path(value: Node) -> Iterator[Found]:
    for node in [value, *value.items, *(below for _, below in value.pairs)]:
        if node.text and leads_out(node.text):
            yield Found(
                "mlflow/path",
                Tier.EXECUTES,
                Severity.HIGH,
                "has MLflow read outside of the model's folder. Don't load it",
                node.at,
                node.text,
            )
