# SPDX-License-Identifier: Apache-2.0
"""HDF5, as Keras and others write it: whole models in an attribute, links and storage in other files, filters from plug-ins."""

from __future__ import annotations

from collections import Counter

from bastide.verify.artifacts.formats._hdf5 import (
    MAX_OBJECTS,
    SHARED,
    Attribute,
    Kind,
    Link,
    Part,
    attribute,
    dense,
    external_files,
    filters,
    link,
    old_links,
    parts,
    virtual,
)
from bastide.verify.artifacts.formats._hdf5_bytes import Broken, Bytes, find_signature, open_bytes
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.formats.keras_config import judge_config
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

BUILT_IN = frozenset([0, 1, 2, 3, 4, 5, 6, 32000])
"""Filters of the library itself, and h5py's LZF."""
CONFIGS = frozenset({"model_config", "training_config", "optimizer_config", "metadata", "config"})
REPORTED = 20
MAX_PICKLES = 20_000


class Hdf5Reader:
    """Reads HDF5 files."""

    format = "hdf5"

    def claims(self, source: Source) -> bool:
        """By the signature, where the library looks for it."""
        return find_signature(source.data) >= 0 or source.extension in ("h5", "hdf5")

    def read(self, source: Source, scan: Scan) -> str:
        """All objects; returns `keras-h5` for a Keras model."""
        start = find_signature(source.data)
        if start < 0:
            scan.malformed("hdf5/no-header", "has no signature of HDF5: loaders refuse it", 0)
            return self.format
        if start:
            scan.malformed(
                "hdf5/user-block",
                f"has {start} bytes before it, which can be another file and were not judged as such",
                0,
            )
        walk = _Walk(scan)
        try:
            file, root = open_bytes(source.data, start)
        except Broken as problem:
            walk.broken(problem)
            return self.format
        walk.read(file, root)
        return "keras-h5" if walk.keras else self.format


class _Walk:
    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._counts: Counter[str] = Counter()
        self.keras = False
        self._pickled = False
        """Whether PyTables keeps objects in it, as pandas does for columns of texts: it unpickles them when they are read."""

    def read(self, file: Bytes, root: int) -> None:
        waiting: list[tuple[int, str]] = [(root, "/")]
        seen: set[int] = set()
        while waiting:
            header, path = waiting.pop()
            if header in seen:
                continue
            seen.add(header)
            if len(seen) > MAX_OBJECTS:
                self._scan.unread(f"more than {MAX_OBJECTS} objects", file.base + header)
                return
            try:
                for part in parts(file, header):
                    waiting += self._part(file, part, path)
            except Broken as problem:
                self.broken(problem)
        if self._pickled:
            self._objects(file)

    def _objects(self, file: Bytes) -> None:
        """Arrays of objects have each as a pickle in a heap that all of them share."""
        try:
            for number, (at, size) in enumerate(file.shared_objects()):
                if number >= MAX_PICKLES:
                    self._scan.unread(f"more than {MAX_PICKLES} pickled objects", at)
                    return
                if size > 1:
                    self._scan.into(f"object at {at}.pkl", memoryview(file.data)[at : at + size])
        except Broken as problem:
            self.broken(problem)

    def broken(self, problem: Broken) -> None:
        """Something that can't be read on."""
        if not self._few("broken"):
            return
        if problem.unread:
            self._scan.unread(str(problem), problem.offset)
        else:
            self._scan.malformed("hdf5/broken", f"{problem}; what comes behind was not read", problem.offset)

    def _part(self, file: Bytes, part: Part, path: str) -> list[tuple[int, str]]:
        """Judges a message; returns the objects it links to."""
        at = file.base + part.address
        if part.flags & SHARED:
            if part.kind in (Kind.ATTRIBUTE, Kind.LINK, Kind.EXTERNAL_FILES, Kind.FILTERS, Kind.LAYOUT):
                raise Broken("a message that stands elsewhere in the file", at, unread=True)
            return []
        match part.kind:
            case Kind.SYMBOL_TABLE:
                return self._links(list(old_links(file, part)), path, at)
            case Kind.LINK:
                return self._links([link(file, part.address)], path, at)
            case Kind.LINK_INFO:
                return self._links([link(file, place) for place in dense(file, part, 8, 4)], path, at)
            case Kind.ATTRIBUTE:
                self._attribute(attribute(file, part.address), path, file.base)
            case Kind.ATTRIBUTE_INFO:
                for place in dense(file, part, 2, 0):
                    self._attribute(attribute(file, place), path, file.base)
            case _:
                self._storage(file, part, path, at)
        return []

    def _storage(self, file: Bytes, part: Part, path: str, at: int) -> None:
        if part.kind == Kind.EXTERNAL_FILES:
            for name in external_files(file, part):
                self._reaches(
                    "external-storage",
                    "a data set's bytes are in another file, which the loader reads",
                    at,
                    f"{path}: {name}",
                )
        elif part.kind == Kind.LAYOUT and (name := virtual(file, part)) is not None:  # type: ignore[assignment]
            self._reaches(
                "virtual", "a data set is put together from other files, which the loader reads", at, f"{path}: {name}"
            )
        elif part.kind == Kind.FILTERS:
            for number in filters(file, part):
                if number not in BUILT_IN and self._few("filter"):
                    self._scan.add(
                        "hdf5/filter", Tier.POLICY, Severity.MEDIUM,
                        f"a data set is read through the filter {number}, which is a plug-in that the library loads", at, path,
                    )  # fmt: skip

    def _links(self, links: list[Link], path: str, at: int) -> list[tuple[int, str]]:
        objects = []
        for found in links:
            if found.kind == 0:
                objects.append((found.target, f"{path.rstrip('/')}/{found.name}"[:500]))
            elif found.kind == 64:
                self._reaches(
                    "external-link",
                    "a link leads into another file, which the loader reads",
                    at,
                    f"{found.name}: {found.text}",
                )
            elif found.kind > 1:
                self._reaches("unknown-link", "a link of a kind for which the library loads a plug-in", at, found.name)
        return objects

    def _attribute(self, found: Attribute, path: str, base: int) -> None:
        at, value = base + found.address, found.value
        if value is None:
            if found.name in CONFIGS:
                self._scan.unread(f"the attribute `{found.name}`, which is no text", at)
            return
        text = value.rstrip(b"\0")
        if text.lstrip()[:1] == b"{" and (found.name in CONFIGS or b"class_name" in text):
            self._config(found.name, text, at)
        elif found.name == "model_config":
            self._scan.malformed("hdf5/config", "the configuration of the model is no object: Keras refuses it", at)
        elif found.name == "PSEUDOATOM" and text.startswith(b"object"):
            self._pickled = True
        elif value[:1] == b"\x80" or (text.endswith(b".") and b"\n" in text):
            # PyTables unpickles such attributes.
            self._scan.into(f"{path}@{found.name}", text)

    def _config(self, name: str, text: bytes, at: int) -> None:
        self.keras = self.keras or name == "model_config"
        try:
            document = parse_json(text)
        except NotJson as problem:
            self._scan.malformed(
                "hdf5/config", f"the configuration of the model can't be read ({problem.why}): it was not judged", at
            )
            return
        for key in document.repeated[:REPORTED]:
            self._scan.malformed("hdf5/repeated-key", "the configuration of the model has a key twice", at, key)
        below = self._scan.below(name)
        if below is not None:
            judge_config(document.value, below)

    def _reaches(self, id: str, message: str, at: int, evidence: str) -> None:
        if self._few(id):
            self._scan.add(f"hdf5/{id}", Tier.EXECUTES, Severity.HIGH, f"{message}. Don't load it", at, evidence[:200])

    def _few(self, id: str) -> bool:
        self._counts[id] += 1
        return self._counts[id] <= REPORTED
