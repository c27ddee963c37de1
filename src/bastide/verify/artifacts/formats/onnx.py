# SPDX-License-Identifier: Apache-2.0
"""ONNX: a graph of operators. Standard operators only compute; tensors in other files, and operators of other libraries, reach further.

Schema after `onnx.proto` (onnx/onnx); external tensors as onnx and ONNX Runtime read them (CVE-2022-25882, CVE-2024-5187, CVE-2024-27318).
"""

from __future__ import annotations

import re
from collections import Counter
from math import prod

from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.formats.protobuf import BYTES, VARINT, Message, NotProtobuf, numbers, starts_like
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MODEL = {
    1: VARINT,
    2: BYTES,
    3: BYTES,
    4: BYTES,
    5: VARINT,
    6: BYTES,
    7: BYTES,
    8: BYTES,
    14: BYTES,
    20: BYTES,
    25: BYTES,
    26: BYTES,
}
STANDARD = frozenset(
    ["", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc",
     "com.microsoft.experimental", "com.ms.internal.nhwc"]
)  # fmt: skip
"""Domains of which ONNX Runtime has all operators itself."""
PYTHON = frozenset(["PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp", "PyFunc"])
"""Operators that call Python functions by name."""
WIDTHS = {
    1: 4,
    2: 1,
    3: 1,
    4: 2,
    5: 2,
    6: 4,
    7: 8,
    9: 1,
    10: 2,
    11: 8,
    12: 4,
    13: 8,
    14: 8,
    15: 16,
    16: 2,
    17: 1,
    18: 1,
    19: 1,
    20: 1,
}
"""Bytes of an element of raw data, by type."""
MAX_ELEMENTS = 1 << 40
_WEIGHTS = re.compile(r"\.onnx(?:[._]data(?:[._]\d+)?|\.weights)\Z")
DEPTH = 40
"""Graphs in graphs."""
REPORTED = 20


class OnnxWeightsReader:
    """Tensors beside a model, as numbers one behind the other; which ones, the model says."""

    format = "onnx-weights"

    def claims(self, source: Source) -> bool:
        """By the name that exporters give it. What a reader of pickles would call something for is read as a pickle all the same."""
        return _WEIGHTS.search(source.name.lower()) is not None

    def read(self, source: Source, scan: Scan) -> None:
        """Nothing: any bytes are numbers."""


class OnnxReader:
    """Reads ONNX models."""

    format = "onnx"

    def claims(self, source: Source) -> bool:
        """By the extension, or by the fields of a model that begins with its version."""
        if source.extension == "onnx":
            return True
        return (
            source.size > 1
            and source.head(1) == b"\x08"
            and 1 <= source.data[1] <= 20
            and starts_like(source.data, MODEL, 7)
        )

    def read(self, source: Source, scan: Scan) -> None:
        """All graphs, functions and tensors."""
        try:
            _Model(source, scan).read()
        except NotProtobuf as problem:
            scan.malformed("onnx/broken", f"{problem}; what comes behind was not read", problem.offset)


class _Model:
    def __init__(self, source: Source, scan: Scan) -> None:
        self._scan = scan
        self._message = Message(source.data)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._own: set[tuple[str, str]] = set()
        """Operators that are functions of the model itself."""

    def read(self) -> None:
        fields = list(self._message.fields())
        graphs = [f for f in fields if f.number == 7 and f.wire == BYTES]
        functions = [self._message.below(f) for f in fields if f.number == 25 and f.wire == BYTES]
        if not graphs:
            self._bad("no-graph", "holds no graph: it is no ONNX model", 0)
        elif len(graphs) > 1:
            self._bad("graphs", "holds several graphs, which readers join or take one of", graphs[1].offset)
        self._own = {(function.last_text(10), function.last_text(1)) for function in functions}
        for found in graphs:
            self._graph(self._message.below(found), 0)
        for function in functions:
            self._function(function)
        for training in self._message.messages(20):
            for number in (1, 2):
                for graph in training.messages(number):
                    self._graph(graph, 0)

    def _function(self, function: Message) -> None:
        for node in function.messages(7):
            self._node(node, 0)
        for attribute in function.messages(11):
            self._attribute(attribute, 0)

    def _graph(self, graph: Message, depth: int) -> None:
        if depth > DEPTH:
            raise NotProtobuf("graphs nested deeper than is read", graph.start)
        for found in graph.fields():
            if found.wire != BYTES:
                continue
            if found.number == 1:
                self._node(graph.below(found), depth)
            elif found.number == 5:
                self._tensor(graph.below(found))
            elif found.number == 15:
                self._sparse(graph.below(found))

    def _node(self, node: Message, depth: int) -> None:
        kind = domain = ""
        for found in node.fields():
            if found.wire == BYTES and found.number == 4:
                kind = node.text(found, 200)
            elif found.wire == BYTES and found.number == 7:
                domain = node.text(found, 200)
            elif found.wire == BYTES and found.number == 5:
                self._attribute(node.below(found), depth)
        if (domain, kind) in self._own:
            return
        name = f"{domain}::{kind}" if domain else kind
        if kind in PYTHON or kind.startswith("PyCustomOp"):
            self._runs(
                "python-operator", "an operator calls a Python function by its name. Don't load it", node.start, name
            )
        elif domain not in STANDARD:
            self._policy(
                "custom-operator", "an operator of another library: it does what that says, and without it nothing loads the model",
                node.start, name,
            )  # fmt: skip
        elif kind == "EPContext":
            self._context(node)

    def _context(self, node: Message) -> None:
        """A part that was compiled for one kind of hardware."""
        self._policy(
            "compiled", "holds code compiled for some accelerator, which was not read", node.start, "EPContext"
        )
        for attribute in node.messages(5):
            if attribute.last_text(1) == "ep_cache_context" and leads_out(path := attribute.last_text(4)):
                self._runs("path", "has the loader read a file outside of the model's folder", attribute.start, path)

    def _attribute(self, attribute: Message, depth: int) -> None:
        for found in attribute.fields():
            if found.wire != BYTES:
                continue
            if found.number in (6, 11):
                self._graph(attribute.below(found), depth + 1)
            elif found.number in (5, 10):
                self._tensor(attribute.below(found))
            elif found.number in (22, 23):
                self._sparse(attribute.below(found))

    def _sparse(self, sparse: Message) -> None:
        for found in sparse.fields():
            if found.number in (1, 2) and found.wire == BYTES:
                self._tensor(sparse.below(found))

    def _tensor(self, tensor: Message) -> None:
        dims: list[int] = []
        kind = external = 0
        size: int | None = None
        entries: list[tuple[str, str]] = []
        for found in tensor.fields():
            match found.number:
                case 1:
                    dims += numbers(tensor, found)
                case 2:
                    kind = found.value
                case 9:
                    size = found.end - found.start
                case 13 if found.wire == BYTES:
                    entry = tensor.below(found)
                    entries.append((entry.last_text(1), entry.last_text(2)))
                case 14:
                    external = found.value
        self._size(dims, kind, size, tensor.start)
        if external == 1 or entries:
            self._external(entries, external == 1, tensor.start)

    def _size(self, dims: list[int], kind: int, size: int | None, at: int) -> None:
        elements = prod(dims[:1000])
        if elements > MAX_ELEMENTS:
            self._bad("size", f"a tensor of {elements} elements: no loader has room for it", at)
        elif size is not None and kind in WIDTHS and elements * WIDTHS[kind] != size:
            self._bad("size", f"a tensor of {elements} elements has {size} bytes: loaders refuse it", at)

    def _external(self, entries: list[tuple[str, str]], used: bool, at: int) -> None:
        locations = [value for key, value in entries if key == "location"]
        if used and not locations:
            self._bad("external", "a tensor in another file, without the file's name", at)
        if len(set(locations)) > 1:
            self._bad("external", "a tensor in one of two files, of which readers take different ones", at)
        for location in locations:
            if location.startswith("*/_ORT_MEM_ADDR_/*"):
                self._runs(
                    "memory-address", "has ONNX Runtime read its own memory as a tensor. Don't load it", at, location
                )
            elif leads_out(location):
                self._runs(
                    "path",
                    "has the loader read a file outside of the model's folder as a tensor. Don't load it",
                    at,
                    location,
                )
            elif self._few("external-data", location):
                self._scan.add(
                    "onnx/external-data", Tier.POLICY, Severity.LOW, "a tensor's numbers are in another file", at, location[:200]
                )  # fmt: skip
        for key, value in entries:
            if key in ("offset", "length") and not (value.isdecimal() and len(value) < 16):
                self._bad("external", f"the {key} of a tensor in another file is none", at)

    def _few(self, id: str, evidence: str) -> bool:
        self._counts[id, evidence] += 1
        return self._counts[id, evidence] == 1 and sum(1 for kind, _ in self._counts if kind == id) <= REPORTED

    def _runs(self, id: str, message: str, at: int, evidence: str) -> None:
        if self._few(id, evidence):
            self._scan.add(f"onnx/{id}", Tier.EXECUTES, Severity.HIGH, message, at, evidence[:200])

    def _policy(self, id: str, message: str, at: int, evidence: str) -> None:
        if self._few(id, evidence):
            self._scan.add(f"onnx/{id}", Tier.POLICY, Severity.MEDIUM, message, at, evidence[:200])

    def _bad(self, id: str, message: str, at: int) -> None:
        if self._few(id, message):
            self._scan.malformed(f"onnx/{id}", message, at)
