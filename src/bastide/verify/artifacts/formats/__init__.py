# SPDX-License-Identifier: Apache-2.0
"""The readers, one file each."""

from bastide.verify.artifacts.formats.pickle import PickleReader
from bastide.verify.artifacts.interface import Reader

READERS: tuple[Reader, ...] = (PickleReader(),)
"""In the order in which they are asked; a file can be of several formats at once."""
