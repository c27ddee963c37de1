# SPDX-License-Identifier: Apache-2.0
"""The readers, one file each."""

from bastide.verify.artifacts.formats.chat_template import ChatTemplateReader
from bastide.verify.artifacts.formats.compressed import CompressedReader
from bastide.verify.artifacts.formats.gguf import GgufReader
from bastide.verify.artifacts.formats.numpy import NumpyReader
from bastide.verify.artifacts.formats.pickle import PickleReader
from bastide.verify.artifacts.formats.safetensors import SafetensorsReader
from bastide.verify.artifacts.formats.sevenzip import SevenZipReader
from bastide.verify.artifacts.formats.tar import TarReader
from bastide.verify.artifacts.formats.zip import ZipReader
from bastide.verify.artifacts.interface import Reader

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
)
"""In the order in which they are asked; a file can be of several formats at once."""
