# SPDX-License-Identifier: Apache-2.0
"""Files with weights, by their names and first bytes: what format they have. Shards, and what stands with a `config.json`, are one model.

Pointers of Git LFS (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md) count like the files that they stand for. `bastide scan` looks inside.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Reading, Resource, Value
from bastide.discover.readers.json_ import read_json

_FORMATS: Mapping[str, str] = {
    "safetensors": "safetensors", "gguf": "gguf", "onnx": "onnx", "pt": "pickle", "pth": "pickle", "ckpt": "pickle", "bin": "pickle", "pkl": "pickle",
    "pickle": "pickle", "joblib": "pickle", "keras": "keras", "h5": "keras", "hdf5": "keras", "tflite": "other", "mlmodel": "other",
}  # fmt: skip
"""Ending -> format, in the words of the plan."""
_SAFEST = ("safetensors", "gguf", "onnx", "other", "keras", "pickle")
"""What loaders take when there are several."""
_TESTS = re.compile(r"(?:\A|/)(?:tests?|testing|testdata|test[-_]data|fixtures?|__tests__|mocks?)/", re.IGNORECASE)
_HUB = re.compile(
    r"(?:pytorch_model|model|adapter_model|diffusion_pytorch_model|tf_model|consolidated|ggml-model)[\w.-]*\.(?:bin|h5)\Z"
)
_HINT = re.compile(
    r"model|classif|regress|weight|checkpoint|ckpt|estimator|predictor|vectori[sz]er|clf|pipeline|network",
    re.IGNORECASE,
)
_SHARD = re.compile(r"[-_.](?:\d{5}-of-\d{5}|part\d+|shard\d+)(?=\.)")
_STATE = re.compile(r"(?:optimizer|scheduler|rng_state\w*|scaler|training_args|trainer_state)\.(?:pt|pth|bin|pkl)\Z")
"""What training leaves beside weights."""
_CONFIG = ("config.json", "adapter_config.json", "model_index.json")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[^\n]*\n)*?oid (sha256:[0-9a-f]{64})\nsize (\d{1,15})"
)


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    format: str
    size: int
    oid: str = ""


class ModelFiles:
    """By ending; for endings that others use too, by name or first bytes as well. What tests use isn't the system's."""

    name = "model-files"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (first bytes are no text)
        """By name."""
        name = posixpath.basename(path)
        ending = name.rpartition(".")[2].lower()
        if ending not in _FORMATS or _TESTS.search(path):
            return False
        if ending == "bin":
            return bool(_HUB.match(name))
        return bool(_HINT.search(path)) if ending in ("pkl", "pickle", "h5", "hdf5", "joblib") else True

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The models of all files."""
        groups: dict[str, list[_File]] = defaultdict(list)
        there = frozenset(tree.files)
        for path in files:
            if (file := _file(tree, path)) is not None:
                groups[_group(path, there)].append(file)
        names: dict[str, int] = defaultdict(int)
        for key in groups:
            names[posixpath.basename(key)] += 1
        found = tuple(
            _resource(key, group, tree, names[posixpath.basename(key)] == 1) for key, group in sorted(groups.items())
        )
        return Reading(found, (), frozenset(files))


def _file(tree: Tree, path: str) -> _File | None:
    """What a file is; None for what only has such a name (`.pth` is also a list of folders)."""
    head, ending = tree.head(path), path.rpartition(".")[2].lower()
    if pointer := _POINTER.match(head):
        return _File(path, _FORMATS[ending], int(pointer[2]), pointer[1].decode())
    format_ = _of_bytes(head, ending)
    return _File(path, format_, tree.sizes.get(path, 0)) if format_ else None


def _of_bytes(head: bytes, ending: str) -> str:
    """The format that the first bytes show, whatever the name says; '' when it is none of them."""
    if re.match(rb"\x80[\x01-\x05]", head):
        return "pickle"
    if head.startswith(b"PK\x03\x04"):
        return "keras" if ending == "keras" else "pickle"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if head.startswith(b"GGUF"):
        return "gguf"
    if ending == "safetensors":
        return "safetensors" if head[8:9] == b"{" else ""
    if ending == "tflite":
        return "other" if head[4:8] == b"TFL3" else ""
    # Neither protobuf nor what joblib compresses begins with anything of its own.
    binary = b"\0" in head or bool(re.search(rb"[\x01-\x08\x0e-\x1f]", head))
    return _FORMATS[ending] if binary and ending in ("onnx", "mlmodel", "joblib", "pkl", "pickle") else ""


def _group(path: str, there: frozenset[str]) -> str:
    folder, name = posixpath.split(path)
    if any(posixpath.join(folder, config) in there for config in _CONFIG):
        return folder or posixpath.splitext(_SHARD.sub("", name))[0]
    return posixpath.join(folder, _SHARD.sub("", name))


def _resource(key: str, files: list[_File], tree: Tree, alone: bool) -> Resource:
    weights = [f for f in files if not _STATE.search(f.path)] or files
    format_ = min((f.format for f in weights), key=_SAFEST.index)
    main = next(f for f in weights if f.format == format_)
    place = Place(main.path, 1 if main.oid else 0)
    body = {
        "format": Value(format_, place),
        "files": Value(tuple(Value(posixpath.basename(f.path), Place(f.path)) for f in files), place),
        "size": Value(sum(f.size for f in files), place),
        "large-file-storage": Value(bool(main.oid), place),
        **_configured(posixpath.dirname(main.path), tree),
    }
    if main.oid:
        body["digest"] = Value(main.oid, place)
    name = posixpath.basename(key)
    stem = name if any(f.path.startswith(key + "/") for f in files) else posixpath.splitext(name)[0]
    return Resource(
        f"{key}: model",
        f"model-file/{format_}",
        stem,
        Value(body, place),
        place,
        tuple(_names(key, alone)),
        scope=posixpath.dirname(key),
    )


def _configured(folder: str, tree: Tree) -> dict[str, Value]:
    """What the configuration beside says: whether it is an adapter, of what, and whether it names code of its own."""
    found: dict[str, Value] = {}
    for config in _CONFIG:
        path = posixpath.join(folder, config)
        text = tree.read(path) if path in tree.sizes else None
        root = read_json(text, path)[0] if text is not None else None
        if root is None or not isinstance(root.data, Mapping):
            continue
        for key, name in (
            ("auto_map", "custom-code"),
            ("base_model_name_or_path", "base-model"),
            ("model_type", "architecture"),
        ):
            if key in root.data:
                value = root.data[key]
                found.setdefault(name, Value(True, value.place) if key == "auto_map" else value)
        if config == "adapter_config.json":
            found["adapter"] = Value(True, root.place)
    return found


def _names(key: str, alone: bool) -> Iterator[str]:
    """How code may name it: by its path, from any folder above."""
    parts = key.split("/")
    for start in range(len(parts)):
        if start < len(parts) - 1 or alone:
            yield "file:" + "/".join(parts[start:])
