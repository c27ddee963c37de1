# SPDX-License-Identifier: Apache-2.0
"""Files in object stores, on the web and on hubs, through `fsspec`: `s3://`, `gs://`, `az://`, `https://`, `hf://`, ...

The packages that speak to a store are the user's choice; without them the error says which one is missing.
"""

from __future__ import annotations

import mmap
import multiprocessing
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bastide.errors import UsageError
from bastide.verify.artifacts.interface import Buffer
from bastide.verify.artifacts.ranges import AT_ONCE, Ranges
from bastide.verify.process import allow_address_space

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?:::[a-z0-9+.-]+)*://", re.IGNORECASE)
_WEB = ("http", "https")
_STAMPS = (
    "ETag",
    "etag",
    "e_tag",
    "md5Hash",
    "crc32c",
    "content_md5",
    "sha256",
    "blob_id",
    "oid",
    "LastModified",
    "Last-Modified",
    "last_modified",
    "mtime",
    "updated",
)
"""What stores say of an object that changes with its content."""
LARGEST = 1 << 38
"""Bytes of a file whose size nobody says beforehand."""


def is_remote(location: str) -> bool:
    """Whether it is an address of a store; a local file of that name comes first."""
    return bool(_SCHEME.match(location)) and not Path(location).exists()


def find(location: str) -> list[str]:
    """The addresses of the files below one, in order, or itself. Raises `UsageError` when there is nothing there."""
    # In a process of its own: stores start threads, and processes that are forked beside threads can hang.
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as beside:
        found, why = beside.submit(_listed, location).result()
    if why:
        raise UsageError(f"{location}: {why}")
    return found


def _listed(location: str) -> tuple[list[str], str]:
    """The files, or why there are none."""
    try:
        fs, path = _store(location)
        found = [location] if _is_web(fs) else [fs.unstrip_protocol(name) for name in sorted(fs.find(path))]
    except UsageError as problem:
        return [], str(problem).removeprefix(f"{location}: ")
    except Exception as problem:  # noqa: BLE001 - each store raises errors of its own
        return [], f"can't be listed: {_why(problem)}"
    return found, "" if found else "there is no such file or folder"


@dataclass(frozen=True, slots=True)
class Remote:
    """A file in a store."""

    location: str
    size: int | None
    stamp: str
    """What the store says of this version; '' when it says nothing."""
    _fs: Any
    _path: str

    def ranges(self) -> Ranges | None:
        """Its bytes, fetched as they are asked for; None where the store gives only all of them."""
        if not self.size:
            return None
        try:
            file = self._fs.open(self._path, "rb", cache_type="none")
            ranges = Ranges(self.size, _Fetcher(file).fetch)
            ranges[self.size - 1]
        except Exception:  # noqa: BLE001 - each store raises errors of its own; what is wrong shows when all is asked for
            return None
        return ranges

    def download(self) -> Buffer:
        """All its bytes, in a temporary file without a name. Raises `OSError`."""
        try:
            # Without blocks a web server is asked once, for all of it.
            blocks = {"block_size": 0} if _is_web(self._fs) else {}
            with self._fs.open(self._path, "rb", **blocks) as source, tempfile.TemporaryFile() as file:
                for piece in _pieces(source):
                    file.write(piece)
                    if file.tell() > LARGEST:
                        raise OSError(0, f"more than {LARGEST} bytes")
                file.flush()
                size = file.tell()
                allow_address_space(size)
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError:
            raise
        except Exception as problem:  # noqa: BLE001 - each store raises errors of its own
            raise OSError(0, _why(problem)) from None

    def unchanged(self) -> bool:
        """Whether it is still the version that was opened. Raises `OSError`."""
        again = open_remote(self.location)
        return (again.size, again.stamp) == (self.size, self.stamp)


class _Fetcher:
    def __init__(self, file: Any) -> None:
        self._file = file

    def fetch(self, start: int, stop: int) -> bytes:
        try:
            self._file.seek(start)
            return bytes(self._file.read(stop - start))
        except Exception as problem:  # noqa: BLE001 - each store raises errors of its own
            raise OSError(0, _why(problem)) from None


def open_remote(location: str) -> Remote:
    """What a store says of a file. Raises `OSError`, and `UsageError` when the package for the store is missing."""
    fs, path = _store(location)
    try:
        info = fs.info(path)
    except Exception as problem:  # noqa: BLE001 - each store raises errors of its own
        raise OSError(0, _why(problem)) from None
    if info.get("type") == "directory":
        raise OSError(0, "a folder")
    size = info.get("size")
    stamp = " ".join(f"{name}={info[name]}" for name in _STAMPS if info.get(name))
    ranged = isinstance(size, int) and info.get("partial", True)
    return Remote(location, size if ranged else None, stamp, fs, path)


def _store(location: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise UsageError(
            f"{location}: reading from stores needs the extra `remote`: pip install 'bastide[remote]'"
        ) from None
    try:
        fs, path = url_to_fs(location)
    except ImportError as missing:
        raise UsageError(f"{location}: the package for this store isn't there: {missing}") from None
    except Exception as problem:  # noqa: BLE001 - each store raises errors of its own
        raise UsageError(f"{location}: {_why(problem)}") from None
    return fs, str(path)


def _is_web(fs: Any) -> bool:
    protocol = fs.protocol
    return any(name in _WEB for name in ((protocol,) if isinstance(protocol, str) else protocol))


def _pieces(source: Any) -> Iterator[bytes]:
    while piece := source.read(AT_ONCE):
        yield piece


def _why(problem: Exception) -> str:
    if isinstance(problem, FileNotFoundError):
        # `fsspec` says so too when no server answers.
        return "there is no such file, or nothing answers there"
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
