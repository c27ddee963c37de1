# SPDX-License-Identifier: Apache-2.0
"""The readers, one file each."""

from bastide.verify.artifacts.formats._hdf5_bytes import find_signature
from bastide.verify.artifacts.formats.catboost import CatboostReader
from bastide.verify.artifacts.formats.chat_template import ChatTemplateReader
from bastide.verify.artifacts.formats.compressed import CompressedReader
from bastide.verify.artifacts.formats.coreml import CoremlReader, CoremlWeightsReader
from bastide.verify.artifacts.formats.executorch import ExecutorchReader
from bastide.verify.artifacts.formats.gguf import GgufReader
from bastide.verify.artifacts.formats.hdf5 import Hdf5Reader
from bastide.verify.artifacts.formats.lightgbm import LightgbmReader
from bastide.verify.artifacts.formats.mlflow_module import MlflowModuleReader
from bastide.verify.artifacts.formats.notebook import NotebookReader
from bastide.verify.artifacts.formats.numpy import NumpyReader
from bastide.verify.artifacts.formats.onnx import OnnxReader, OnnxWeightsReader
from bastide.verify.artifacts.formats.paddle import PaddleReader
from bastide.verify.artifacts.formats.pickle import PickleReader, is_none, is_refused
from bastide.verify.artifacts.formats.pmml import PmmlReader
from bastide.verify.artifacts.formats.python_code import PythonCodeReader
from bastide.verify.artifacts.formats.repository import RepositoryReader
from bastide.verify.artifacts.formats.requirements import RequirementsReader
from bastide.verify.artifacts.formats.safetensors import SafetensorsReader
from bastide.verify.artifacts.formats.saved_model import SavedModelReader, TensorflowVariablesReader
from bastide.verify.artifacts.formats.sentencepiece import SentencePieceReader
from bastide.verify.artifacts.formats.sevenzip import SevenZipReader
from bastide.verify.artifacts.formats.tar import TarReader
from bastide.verify.artifacts.formats.tflite import TfliteReader
from bastide.verify.artifacts.formats.xgboost import XgboostReader
from bastide.verify.artifacts.formats.yaml_file import YamlReader
from bastide.verify.artifacts.formats.zip import ZipReader
from bastide.verify.artifacts.interface import Reader, Source

READERS: tuple[Reader, ...] = (
    PickleReader(),
    ZipReader(),
    NumpyReader(),
    CompressedReader(),
    TarReader(),
    SevenZipReader(),
    SafetensorsReader(),
    GgufReader(),
    ChatTemplateReader(),
    OnnxReader(),
    OnnxWeightsReader(),
    Hdf5Reader(),
    SavedModelReader(),
    TensorflowVariablesReader(),
    TfliteReader(),
    CoremlReader(),
    CoremlWeightsReader(),
    ExecutorchReader(),
    PaddleReader(),
    PmmlReader(),
    XgboostReader(),
    LightgbmReader(),
    SentencePieceReader(),
    CatboostReader(),
    RepositoryReader(),
    PythonCodeReader(),
    NotebookReader(),
    RequirementsReader(),
    MlflowModuleReader(),
    YamlReader(),
)
"""In the order in which they are asked; a file can be of several formats at once."""


def readers_of(source: Source) -> list[Reader]:
    """Those that claim it; what is only called like a pickle and is of another format is none."""
    claimed = [reader for reader in READERS if reader.claims(source)]
    if len(claimed) > 1 and isinstance(claimed[0], PickleReader) and is_none(source):
        return claimed[1:]
    return claimed


RANGED = frozenset({"zip", "safetensors", "gguf"})
"""Formats whose readers ask for the parts that they need. The others get all of a file."""
_HEADS = (b"PK\x03\x04", b"GGUF")
_TRIED = 1 << 20


def reads_ranges(source: Source) -> bool:
    """Whether parts of a file are enough to judge it, given as `Ranges`: nothing else could claim it than what is `RANGED`."""
    head = source.head(9)
    if not head.startswith(_HEADS) and not (head[6:8] == b"\0\0" and head[8:9] == b"{"):
        return False
    beginning = Source(source.name, bytes(source.data[:_TRIED]))
    claims = {reader.format for reader in READERS if reader.format not in RANGED and reader.claims(beginning)}
    if "pickle" in claims and is_refused(beginning):
        claims.discard("pickle")
    # HDF5 may begin far behind.
    return not claims and find_signature(source.data) < 0
