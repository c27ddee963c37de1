# SPDX-License-Identifier: Apache-2.0
"""Model files by their names and first bytes."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0f" * 32 + "\nsize 123456\n"
TENSORS = (2).to_bytes(8, "little") + b"{}"


def found(folder: Path, **files: bytes | str) -> Discovery:
    """What is discovered; `__` in a name is `/`, `_o_` is `-`, the last `_` before the ending a dot."""
    for name, content in files.items():
        stem, _, ending = name.replace("__", "/").replace("_o_", "-").rpartition("_")
        path = folder / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return discover(folder)


@pytest.mark.parametrize(
    ("file", "content", "format_"),
    [
        ("model_safetensors", TENSORS, "safetensors"),
        ("model_safetensors", pickle.dumps([1]), "pickle"),
        ("model_pt", pickle.dumps([1]), "pickle"),
        ("model_gguf", b"GGUF\3\0\0\0", "gguf"),
        ("net_onnx", b"\x08\x07\x12\x04", "onnx"),
        ("model_h5", b"\x89HDF\r\n\x1a\n", "keras"),
        ("net_tflite", b"\x1c\0\0\0TFL3", "other"),
        ("weights_joblib", b"\x80\x04\x95", "pickle"),
        ("pytorch_model_bin", POINTER, "pickle"),
        ("model_safetensors", POINTER, "safetensors"),
    ],
)
def test_the_format_is_what_the_bytes_show(file: str, content: bytes | str, format_: str, tmp_path: Path) -> None:
    """A pickle under another name is a pickle; a pointer counts as the file."""
    (model,) = found(tmp_path, **{file: content}).components.values()
    assert (model.kind, model.facts["format"].value) == ("ml.artifact", format_)


def test_a_torch_archive_is_a_pickle(tmp_path: Path) -> None:
    """`torch.save` writes a zip with a pickle in it."""
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    (model,) = discover(tmp_path).components.values()
    assert model.facts["code-on-load"].value is True


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("easy_o_install_pth", "./lib\nimport sys\n"),
        ("firmware_bin", b"\x80\x04\0"),
        ("measurements_h5", b"\x89HDF\r\n\x1a\n"),
        ("cache_pkl", pickle.dumps([1])),
        ("tests__data__model_pt", pickle.dumps([1])),
        ("fixtures__model_safetensors", TENSORS),
        ("model_safetensors", ""),
    ],
)
def test_what_only_looks_like_one_is_none(file: str, content: bytes | str, tmp_path: Path) -> None:
    """Other uses of an ending, and what tests need."""
    assert found(tmp_path, **{file: content}).components == {}


def test_a_folder_with_a_configuration_is_one_model(tmp_path: Path) -> None:
    """Shards, what training left, an old copy as pickle: loaders take the safetensors. Code of its own is said."""
    result = found(
        tmp_path,
        models__chat__config_json='{"model_type": "llama",\n "auto_map": {"AutoModel": "x.Y"}}',
        models__chat__model_o_00001_o_of_o_00002_safetensors=TENSORS,
        models__chat__model_o_00002_o_of_o_00002_safetensors=TENSORS,
        models__chat__pytorch_model_bin=POINTER,
        models__chat__optimizer_pt=POINTER,
    )
    (model,) = result.components.values()
    assert (model.name, model.facts["format"].value, model.facts["remote-code"].value) == ("chat", "safetensors", True)
    assert model.facts["remote-code"].place.line == 2


def test_shards_without_one_are_one_too(tmp_path: Path) -> None:
    """By their numbers."""
    result = found(
        tmp_path, w__big_o_00001_o_of_o_00002_safetensors=TENSORS, w__big_o_00002_o_of_o_00002_safetensors=TENSORS
    )
    assert [c.name for c in result.components.values()] == ["big"]


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    """The base is a model from the hub."""
    result = found(
        tmp_path,
        lora__adapter_config_json='{"base_model_name_or_path": "org/base"}',
        lora__adapter_model_safetensors=TENSORS,
    )
    assert {c.kind for c in result.components.values()} == {"ml.adapter", "ai.model"}


def test_code_loads_the_model_that_it_names(tmp_path: Path) -> None:
    """By its path from some folder above."""
    result = found(
        tmp_path,
        srv__models__chat__config_json="{}",
        srv__models__chat__model_safetensors=TENSORS,
        srv__app_py='from transformers import AutoModel\nAutoModel.from_pretrained("./models/chat")\n',
    )
    assert ("chat", "loads") in {(f.target, f.verb) for f in result.flows}
