# SPDX-License-Identifier: Apache-2.0
"""The configuration of a Keras model, as in `.keras` files and in the attributes of `.h5` files.

Keras makes an object for everything that has a `class_name`: it looks for it in its own classes, in what the program has registered, and, in
versions up to 3.8, in any module that can be imported. Then `from_config` of the class runs, and functions are called when the model is built.
So each name is judged by what the most trusting version does with it. CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9905,
CVE-2025-9906, CVE-2025-12058, CVE-2025-49655.
"""

from __future__ import annotations

import builtins
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bastide.verify.artifacts.archives.documents import objects
from bastide.verify.artifacts.formats._marshalled import whole
from bastide.verify.artifacts.formats.keras_code import decoded, words_of
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.knowledge import Standing, load_knowledge

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "keras" / "classes.yaml"
_KERAS = re.compile(
    r"(?:tensorflow\.(?:python\.)?)?(?:tf_)?keras(?:\.(?:src|api|_tf_keras|_v[12]|keras))*(?:\.|\Z)(.*)"
)
PARTS = frozenset([
    "", "layers", "activations", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "models", "ops", "random",
    "dtype_policies", "quantizers", "engine", "mixed_precision", "feature_column", "legacy_tf_layers", "legacy", "backend",
])  # fmt: skip
"""Parts of Keras of which a model is made."""
OUTSIDE = frozenset(
    [
        "utils",
        "saving",
        "config",
        "export",
        "datasets",
        "preprocessing",
        "callbacks",
        "wrappers",
        "distribution",
        "applications",
    ]
)
"""Parts of Keras that are tools: they fetch and read files, load other models, change settings."""
DEEP = frozenset({"utils", "saving", "config", "export"})
"""Such parts also within others."""
WITH_TOOLS = frozenset({"", "models", "backend", "layers", "optimizers", "legacy"})
"""Parts of a model in which functions aren't, as elsewhere, what a model is made of."""
HUBS = frozenset({"keras_hub", "keras_nlp", "keras_cv"})
_TOOL = re.compile(
    r"(?:load|save|get_file|fetch|download|deserialize|serialize|model_from|clone_|from_preset|from_json|enable_|disable_|set_)"
)
HOLDS_CODE = frozenset({"Lambda", "__lambda__"})
FUNCTIONS = ("function", "output_shape", "mask")
"""Settings of a `Lambda` that are functions: old versions unmarshal each of them."""
LOADS_FILES = {
    "TFSMLayer": "loads a TensorFlow model from a path or address in the file",
    "TorchModuleWrapper": "loads a pickle that is in the file",
}
PATHS = ("vocabulary", "vocabulary_file", "vocab_file", "merges", "proto", "filepath", "file_path", "preset")
"""Settings that are a path or an address when they are a text."""
TENSORFLOW_TOOLS = re.compile(
    r"\b(?:py_function|numpy_function|py_func|eager_py_func|read_file|write_file|load_op_library|load_library|matching_files|save|restore|saved_model"
    r"|io|gfile|raw_ops|import_graph_def|TFRecord\w*|FixedLengthRecord\w*|print|WriteFile|ReadFile|PyFunc|EagerPyFunc|MatchingFiles|Restore\w*|Save\w*)\b"
)


def is_config(document: Any) -> bool:
    """Whether a document is the description of a model, as `model.to_json()` writes it."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("class_name"), str)
        and isinstance(document.get("config"), dict | list)
    )


def judge_config(config: Any, scan: Scan) -> None:
    """Reports everything in a configuration that a loader would run, fetch or need."""
    for place in objects(config):
        name = place.get("class_name")
        if isinstance(name, str):
            _Judged(place, name, scan).judge()
        elif isinstance(name, dict | list):
            scan.malformed("keras/config", "a `class_name` is no text; Keras refuses it")


@cache
def _classes() -> frozenset[str]:
    """The names of Keras's own classes, in small letters: old versions don't look at the case of optimizers' names."""
    known = msgspec.yaml.decode(FILE.read_bytes(), type=dict[str, list[str]])
    return frozenset(name.lower() for names in known.values() for name in names)


def _listed(value: Any) -> Any:
    """What is in a tuple; SavedModels write one as an object."""
    return value.get("items") if isinstance(value, dict) and value.get("class_name") == "__tuple__" else value


def _first(value: Any) -> Any:
    """The code of a function that is written with its defaults and its closure."""
    value = _listed(value)
    return value[0] if isinstance(value, list) and value else value


class _Judged:
    """One object of the configuration."""

    def __init__(self, place: dict[str, Any], name: str, scan: Scan) -> None:
        self.place, self.name, self.scan = place, name, scan
        self.module = place.get("module")
        config = place.get("config")
        self.config: dict[str, Any] = config if isinstance(config, dict) else {}
        self.shown = f"{self.module}.{name}" if self.module else name

    def judge(self) -> None:
        if self.name in HOLDS_CODE:
            self._code()
        if self.name == "function":
            self._named(str(self.place.get("config")))
            if isinstance(self.place.get("registered_name"), str) and self.place["registered_name"] != "function":
                self._named(str(self.place["registered_name"]))
        elif not self.name.startswith("__") or self.name == "__typespec__":
            self._named(str(self.place.get("spec_name")) if self.name == "__typespec__" else self.name)
        if self.name in LOADS_FILES:
            self._harm("loads-a-file", f"has a `{self.name}`, which {LOADS_FILES[self.name]}; don't load it")
            self._pickled()
        self._paths()
        self._operator()

    def _named(self, name: str) -> None:
        """A class or function by module and name."""
        module = self.module
        registered = self.place.get("registered_name")
        if module is None or module == "":
            if isinstance(registered, str) and ">" in registered:
                self._custom(registered)
            elif self.name == name and name.lower() not in _classes() and name not in LOADS_FILES:
                self._old(name)
            return
        if not isinstance(module, str):
            self.scan.malformed("keras/config", "a `module` is no text; Keras refuses it")
            return
        if module == "builtins":
            self._builtin(name)
        elif module.split(".", 1)[0] in HUBS:
            self._tool(name, name[:1].isupper())
        elif found := _KERAS.match(module):
            self._of_keras(found[1].split("."), name)
        else:
            self._foreign(module, name)

    def _of_keras(self, parts: list[str], name: str) -> None:
        part = parts[0]
        if part in OUTSIDE or DEEP.intersection(parts):
            self._harm(
                "calls-a-tool",
                f"has `{self.shown}` made or called, which is no part of a model but a tool of Keras; don't load it",
                name,
            )
        elif part not in PARTS:
            self._custom(f"{self.module}.{name}")
        else:
            self._tool(name, part not in WITH_TOOLS or name[:1].isupper() or name[:1] == "_")

    def _tool(self, name: str, plain: bool) -> None:
        if _TOOL.match(name):
            self._harm(
                "calls-a-tool",
                f"has `{self.module}.{name}` called, which is no part of a model but a tool of Keras; don't load it",
                name,
            )
        elif not plain:
            self._custom(f"{self.module}.{name}")

    def _builtin(self, name: str) -> None:
        """Keras writes `builtins` for functions that it knows by their bare names; old versions then look in Python's own."""
        if load_knowledge().entry(f"builtins.{name}").standing is Standing.REFUSED:
            self._harm("runs-code", f"has `{name}` of Python called; don't load it", name)
        elif hasattr(builtins, name) and name not in (
            "abs",
            "max",
            "min",
            "pow",
            "round",
            "sum",
            "any",
            "all",
            "slice",
        ):
            self._harm("calls-python", f"has `{name}` of Python called", name)
        elif not name.isidentifier():
            self._custom(name)

    def _foreign(self, module: str, name: str) -> None:
        path = f"{module}.{name}"
        if load_knowledge().entry(path).standing is Standing.REFUSED:
            self._harm("runs-code", f"has `{path}` called while it is loaded (CVE-2025-1550); don't load it", path)
        elif module.split(".", 1)[0] in sys.stdlib_module_names - {"__main__", "__future__"}:
            self._harm(
                "calls-python", f"has `{path}` of Python's library called while it is loaded (CVE-2025-1550)", path
            )
        else:
            self._custom(path)

    def _custom(self, path: str) -> None:
        self.scan.add(
            "keras/custom-object", Tier.POLICY, Severity.MEDIUM,
            f"needs `{path[:200]}`, whose code isn't in the file; versions up to 3.8 import it on their own", evidence=path[:200],
        )  # fmt: skip

    def _old(self, name: str) -> None:
        """A class that old configurations name alone: Keras's own, or one that the program gives to the loader."""
        if "config" in self.place and not name.startswith("__"):
            self.scan.add(
                "keras/custom-object", Tier.POLICY, Severity.MEDIUM,
                f"needs the class `{name[:200]}`, whose code isn't in the file and not in Keras", evidence=name[:200],
            )  # fmt: skip

    def _code(self) -> None:
        if self.name == "__lambda__":
            self._function(_first(self.config.get("code") or self.config.get("value")), marshalled=True)
            return
        for key in FUNCTIONS:
            self._names_of(self.config.get("module" if key == "function" else f"{key}_module"))
            value = self.config.get(key)
            listed = isinstance(_listed(value), list)
            self._function(_first(value), marshalled=listed or self.config.get(f"{key}_type") == "lambda")

    def _names_of(self, module: Any) -> None:
        """The module whose names old versions give a `Lambda`'s function to use."""
        root = module.split(".", 1)[0] if isinstance(module, str) else ""
        if root not in sys.stdlib_module_names - {"__main__", "__future__"}:
            return
        self._harm(
            "names-a-module",
            f"gives a function of a `Lambda` what is in Python's module `{module[:100]}`; don't load it", module,
        )  # fmt: skip

    def _function(self, value: Any, *, marshalled: bool) -> None:
        """marshalled: whether loaders take it for nothing but code."""
        if not isinstance(value, str) or (value.isidentifier() and len(value) < 60 and not marshalled):
            # A function by name, a shape, or an object that is judged on its own.
            return
        raw = decoded(value)
        words, harmful = words_of(raw)
        if harmful:
            self._harm(
                "code-does-harm", "holds a Python function as code that uses names by which code does harm; it runs when the model is built or used",
                ", ".join(sorted(harmful)),
            )  # fmt: skip
        elif marshalled and not whole(raw):
            self._harm(
                "broken-code", "holds bytes in the place of a Python function that Python never wrote, or not all of it: a loader that reads them can"
                " crash. Don't load it", repr(raw[:40]),
            )  # fmt: skip
        else:
            self.scan.add(
                "keras/holds-code", Tier.EXECUTES, Severity.MEDIUM,
                "holds a Python function as code (`Lambda`); it runs when the model is built or used, and what it does isn't known",
                evidence=", ".join(sorted(words))[:200],
            )  # fmt: skip

    def _pickled(self) -> None:
        for key in ("module", "lora_module"):
            value = self.config.get(key)
            text = (
                value.get("config", {}).get("value")
                if isinstance(value, dict) and isinstance(value.get("config"), dict)
                else value
            )
            if isinstance(text, str) and (raw := decoded(text)):
                self.scan.into("module of TorchModuleWrapper", raw)

    def _paths(self) -> None:
        for key in PATHS:
            value = self.config.get(key)
            if isinstance(value, str) and value:
                self._harm(
                    "reads-a-file",
                    f"has `{self.name}` read a file or address that the configuration names (CVE-2025-12058)",
                    value,
                )

    def _operator(self) -> None:
        """Layers that are one operator of TensorFlow, by name or as a piece of a graph."""
        if self.name in (
            "TFOpLambda",
            "SlicingOpLambda",
            "ClassMethod",
            "InstanceMethod",
            "InstanceProperty",
            "TensorFlowOpLayer",
        ):
            text = " ".join(
                str(self.config.get(k, ""))
                for k in ("function", "node_def", "method_name", "cls_ref", "cls_symbol", "attr_name")
            )[:100_000]
            if found := TENSORFLOW_TOOLS.search(text):
                self._harm("reaches-out", "uses an operator of TensorFlow that reaches files or Python", found[0])

    def _harm(self, id: str, what: str, evidence: str = "") -> None:
        self.scan.add(f"keras/{id}", Tier.EXECUTES, Severity.HIGH, what, evidence=(evidence or self.shown)[:200])
