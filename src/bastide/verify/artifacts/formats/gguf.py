# SPDX-License-Identifier: Apache-2.0
"""GGUF: the file of llama.cpp. Its header is read as its own reader does, its chat templates are judged, its tensors are numbers.

Layout after the specification in ggml-org/ggml (`docs/gguf.md`) and the checks of `gguf.cpp`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bastide.verify.artifacts.formats._gguf import SIZES, Broken, Fields, Value
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAX_NAME = 64
"""Bytes of a tensor's name, with the NUL that llama.cpp puts behind it."""
MAX_DIMENSIONS = 4
TEMPLATE = "tokenizer.chat_template"
REPORTED = 10


class GgufReader:
    """Reads GGUF files."""

    format = "gguf"

    def claims(self, source: Source) -> bool:
        """By its first four bytes, or the extension."""
        return source.head(4) == b"GGUF" or source.extension == "gguf"

    def read(self, source: Source, scan: Scan) -> None:
        """Header, metadata with the templates in it, and where the tensors lie."""
        if source.head(4) != b"GGUF":
            scan.malformed("gguf/no-header", "does not begin with `GGUF`: loaders refuse it", 0)
            return
        try:
            _File(source, scan).read()
        except Broken as problem:
            if problem.hostile:
                scan.add(
                    "gguf/overflow", Tier.MALFORMED, Severity.HIGH,
                    f"{problem}: older readers write outside of their memory at it (CVE-2024-21802 and others). Don't load it", problem.offset,
                )  # fmt: skip
            else:
                scan.malformed("gguf/broken", f"{problem}; what comes behind was not read", problem.offset)


class _File:
    def __init__(self, source: Source, scan: Scan) -> None:
        self._source, self._scan = source, scan
        self._fields = Fields(source.data)
        self._reported: dict[str, int] = {}

    def read(self) -> None:
        fields = self._fields
        if fields.version not in (1, 2, 3):
            raise Broken(f"of version {fields.version}, which isn't known here", 4)
        tensors = fields.count("tensors", 24)
        pairs = fields.count("metadata", 13)
        alignment = self._metadata(pairs)
        spans = list(self._tensors(tensors, alignment))
        self._layout(spans, alignment)

    def _metadata(self, pairs: int) -> int:
        seen: set[bytes] = set()
        alignment = 32
        for _ in range(pairs):
            at = self._fields.offset
            key = self._fields.text()
            value = self._fields.value()
            if key in seen:
                self._repeated(key, at)
            seen.add(key)
            name = key.decode("utf-8", "replace")
            if name == "general.alignment":
                alignment = self._alignment(value)
            elif name.startswith(TEMPLATE):
                self._template(name, value)
        return alignment

    def _repeated(self, key: bytes, at: int) -> None:
        name = key.decode("utf-8", "replace")[:200]
        if key.startswith(TEMPLATE.encode()):
            self._scan.add(
                "gguf/repeated-key", Tier.MALFORMED, Severity.HIGH,
                "has a chat template twice, of which readers take different ones: they see different contents", at, name,
            )  # fmt: skip
        else:
            self._bad(
                "repeated-key", "has a metadata key twice: llama.cpp refuses it, others take one of them", at, name
            )

    def _alignment(self, value: Value) -> int:
        number = value.number
        if value.type != 4 or number is None or number <= 0 or number & (number - 1):
            raise Broken(f"has an alignment that is none ({number})", value.offset)
        return number

    def _template(self, name: str, value: Value) -> None:
        if name == "tokenizer.chat_templates":
            return  # The names of those that follow.
        if value.text is None:
            self._bad("template", "has a chat template that is no text", value.offset, name)
        elif (below := self._scan.below(name)) is not None:
            # Late: few files have templates, and Jinja takes a tenth of the start.
            from bastide.verify.artifacts.formats._templates import check_template

            check_template(value.text, below)

    def _tensors(self, count: int, alignment: int) -> Iterator[tuple[int, int, int]]:
        """(offset in the data, bytes, where it is described)."""
        seen: set[bytes] = set()
        for _ in range(count):
            at = self._fields.offset
            name = self._fields.text()
            if len(name) >= MAX_NAME:
                self._bad("tensor", f"a tensor has a name of {len(name)} bytes: llama.cpp refuses it", at)
            if name in seen:
                self._bad(
                    "repeated-tensor", "a tensor stands twice: loaders refuse it, or take one of them", at, _shown(name)
                )
            seen.add(name)
            dimensions = self._fields.number(4)
            if dimensions > MAX_DIMENSIONS:
                raise Broken(f"a tensor has {dimensions} dimensions, not at most {MAX_DIMENSIONS}", at)
            shape = [self._fields.number(4 if self._fields.version == 1 else 8) for _ in range(dimensions)]
            kind, offset = self._fields.number(4), self._fields.number(8)
            size = self._size(kind, shape, at, name)
            if offset % alignment:
                self._bad("alignment", f"a tensor does not begin at a multiple of {alignment} bytes", at, _shown(name))
            yield offset, size, at

    def _size(self, kind: int, shape: list[int], at: int, name: bytes) -> int:
        elements = 1
        for extent in shape:
            elements *= extent
        if elements >= 1 << 63:
            raise Broken(f"a tensor of {elements} elements", at, hostile=True)
        if kind not in SIZES:
            self._bad("unknown-type", f"a tensor is of the type {kind}, which isn't known here", at, _shown(name))
            return 0
        block, size = SIZES[kind]
        row = shape[0] if shape else 1
        if row % block:
            self._bad(
                "tensor",
                f"a tensor's rows of {row} can't be divided into blocks of {block}: llama.cpp refuses it",
                at,
                _shown(name),
            )
        return elements // block * size

    def _layout(self, spans: list[tuple[int, int, int]], alignment: int) -> None:
        begin = -(-self._fields.offset // alignment) * alignment if spans else self._fields.offset
        room = self._source.size - begin
        reached = 0
        for offset, size, at in sorted(spans):
            if offset + size > room:
                self._bad("outside", f"a tensor ends {offset + size - room} bytes behind the end of the file", at)
            if offset < reached:
                self._bad("overlap", "a tensor shares bytes with the one before it: llama.cpp refuses it", at)
            elif offset - reached >= alignment:
                self._bad("hole", f"{offset - reached} bytes before a tensor belong to none, and were not read", at)
            reached = max(reached, offset + size)
        unknown_type = "unknown-type" in self._reported
        if room - reached >= alignment and not unknown_type:
            self._bad("trailing-data", f"{room - reached} bytes behind the last tensor were not read", begin + reached)

    def _bad(self, kind: str, message: str, at: int, evidence: str = "") -> None:
        count = self._reported[kind] = self._reported.get(kind, 0) + 1
        if count <= REPORTED:
            self._scan.malformed(f"gguf/{kind}", message, at, evidence)


def _shown(name: bytes) -> str:
    return name[:200].decode("utf-8", "replace")
