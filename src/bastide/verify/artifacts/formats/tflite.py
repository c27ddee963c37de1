# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite (LiteRT): a graph of built-in operators; others come from TensorFlow (Flex) or from libraries of the program's own.

Layout after `schema.fbs` (tensorflow/compiler/mlir/lite/schema).
"""

from __future__ import annotations

from bastide.verify.artifacts.formats._flatbuffers import NotFlatbuffer, root
from bastide.verify.artifacts.formats._tensorflow import Graph
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

CUSTOM = 32
"""The code of every operator that isn't built in."""
LAST_BUILT_IN = 209
OWN = frozenset({"TFLite_Detection_PostProcess", "Mfcc", "AudioSpectrogram", "NumericVerify", "AggregateStats"})
"""Custom operators that the interpreter registers itself; they compute."""
REPORTED = 20


class TfliteReader:
    """Reads TensorFlow Lite models."""

    format = "tflite"

    def claims(self, source: Source) -> bool:
        """By the mark behind the first four bytes, or the extension."""
        return source.head(8)[4:] == b"TFL3" or source.extension == "tflite"

    def read(self, source: Source, scan: Scan) -> None:
        """The operators, and where the tensors' bytes lie."""
        if source.head(8)[4:] != b"TFL3":
            scan.malformed("tflite/no-header", "has no mark of TensorFlow Lite: loaders refuse it", 4)
            return
        try:
            _read(source, scan)
        except NotFlatbuffer as problem:
            scan.malformed("tflite/broken", f"{problem}; what comes behind was not read", problem.offset)


def _read(source: Source, scan: Scan) -> None:
    model = root(source.data)
    if next(model.tables(2), None) is None:
        scan.malformed("tflite/no-graph", "holds no graph: loaders refuse it", model.at)
    flex = Graph(scan, "tflite")
    reported = 0
    for code in model.tables(1):
        kind = max(code.number(0, "<b"), code.number(3))
        name = code.text(1)
        if kind != CUSTOM and 0 <= kind <= LAST_BUILT_IN:
            continue
        if kind == CUSTOM and name.startswith("Flex"):
            flex.operator(name.removeprefix("Flex"), code.at, name)
        elif name not in OWN or kind != CUSTOM:
            reported += 1
            if reported <= REPORTED:
                scan.add(
                    "tflite/custom-operator", Tier.POLICY, Severity.MEDIUM,
                    "an operator that the loading program has to bring along: it does what that says", code.at, name[:200] or str(kind),
                )  # fmt: skip
    for buffer in model.tables(4):
        offset, size = buffer.number(1, "<Q"), buffer.number(2, "<Q")
        if offset > 1 and offset + size > source.size:
            scan.malformed("tflite/outside", "a tensor's bytes lie behind the end of the file", buffer.at)
            return
