# SPDX-License-Identifier: Apache-2.0
"""The readers, one file each."""

from bastide.verify.artifacts.formats.chat_template import ChatTemplateReader
from bastide.verify.artifacts.formats.compressed import CompressedReader
from bastide.verify.artifacts.formats.gguf import GgufReader
from bastide.verify.artifacts.formats.hdf5 import Hdf5Reader
from bastide.verify.artifacts.formats.numpy import NumpyReader
from bastide.verify.artifacts.formats.onnx import OnnxReader
from bastide.verify.artifacts.formats.pickle import PickleReader, is_none
from bastide.verify.artifacts.formats.python_code import PythonCodeReader
from bastide.verify.artifacts.formats.repository import RepositoryReader
from bastide.verify.artifacts.formats.safetensors import SafetensorsReader
from bastide.verify.artifacts.formats.saved_model import SavedModelReader, TensorflowVariablesReader
from bastide.verify.artifacts.formats.sevenzip import SevenZipReader
from bastide.verify.artifacts.formats.tar import TarReader
from bastide.verify.artifacts.formats.tflite import TfliteReader
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
    Hdf5Reader(),
    SavedModelReader(),
    TensorflowVariablesReader(),
    TfliteReader(),
    RepositoryReader(),
    PythonCodeReader(),
)
"""In the order in which they are asked; a file can be of several formats at once."""


def readers_of(source: Source) -> list[Reader]:
    """Those that claim it; what is only called like a pickle and is of another format is none."""
    claimed = [reader for reader in READERS if reader.claims(source)]
    if len(claimed) > 1 and isinstance(claimed[0], PickleReader) and is_none(source):
        return claimed[1:]
    return claimed
