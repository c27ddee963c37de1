# SPDX-License-Identifier: Apache-2.0
"""ExecuTorch (`.pte`): a program of operators, and of parts that a device's own library runs.

Layout after `schema/program.fbs` of ExecuTorch, and its extended header.
"""

from __future__ import annotations

import re
from collections import Counter

from bastide.verify.artifacts.formats._flatbuffers import NotFlatbuffer, Table, root
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

_MAGIC = re.compile(rb"ET[0-9]{2}")
EXTENDED = b"eh00"
OPERATORS = frozenset({
    "aten", "prim", "executorch_prim", "quantized_decomposed", "dim_order_ops", "et_copy", "llama", "etvk", "cadence",
    "cortex_m", "mtk_ops", "quantized", "tosa",
})  # fmt: skip
"""Whose operators ExecuTorch's own libraries bring along."""
BACKENDS = frozenset({
    "ArmBackend", "CoreMLBackend", "EthosUBackend", "MPSBackend", "NXPBackend", "NeuropilotBackend", "NeutronBackend",
    "CoreAIBackend", "OpenvinoBackend", "QnnBackend",
    "SamsungBackend",    "EnnBackend", "TOSABackend", "VGFBackend", "VgfBackend", "VulkanBackend", "XnnpackBackend", "MLXBackend",
})  # fmt: skip
"""Libraries of devices that read graphs, and no code of a processor."""
NATIVE = frozenset({"AotInductorBackend", "AotiBackend", "CudaBackend", "MetalBackend"})
"""Those that load a shared library out of the file."""
REPORTED = 20


class ExecutorchReader:
    """Reads ExecuTorch's programs."""

    format = "executorch"

    def claims(self, source: Source) -> bool:
        """By the mark behind the first four bytes, or the extension."""
        return bool(_MAGIC.match(source.head(8)[4:])) or source.extension == "pte"

    def read(self, source: Source, scan: Scan) -> None:
        """Operators, delegates, and where the data lie."""
        if not _MAGIC.match(source.head(8)[4:]):
            scan.malformed("executorch/no-header", "has no mark of ExecuTorch: loaders refuse it", 4)
            return
        try:
            _Program(source, scan).read()
        except NotFlatbuffer as problem:
            scan.malformed("executorch/broken", f"{problem}; what comes behind was not read", problem.offset)


class _Program:
    """Goes through one program."""

    def __init__(self, source: Source, scan: Scan) -> None:
        self._source, self._scan = source, scan
        self._counts: Counter[str] = Counter()

    def _add(self, id: str, severity: Severity, message: str, at: int, evidence: str) -> None:
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            tier = Tier.EXECUTES if severity is Severity.HIGH else Tier.POLICY
            self._scan.add(f"executorch/{id}", tier, severity, message, at, evidence[:200])

    def read(self) -> None:
        """All of it. Raises `NotFlatbuffer`."""
        head = self._source.head(64)
        size, base = self._source.size, 0
        if head[8:12] == EXTENDED:
            size, base = int.from_bytes(head[16:24], "little"), int.from_bytes(head[24:32], "little")
            if not 0 < size <= self._source.size or base > self._source.size:
                self._scan.malformed(
                    "executorch/broken", "its header leads behind the end of the file: loaders refuse it", 16
                )
                return
        program = root(memoryview(self._source.data)[:size])
        for plan in program.tables(1):
            self._plan(plan)
        end = size
        for segment in program.tables(4):
            start, length = base + segment.number(0, "<Q"), segment.number(1, "<Q")
            end = max(end, start + length)
        if end > self._source.size:
            self._scan.malformed(
                "executorch/outside", "data lie behind the end of the file: loaders refuse it", program.at
            )

    def _plan(self, plan: Table) -> None:
        for operator in plan.tables(6):
            name = operator.text(0)
            if name.partition("::")[0] not in OPERATORS:
                self._add(
                    "custom-operator",
                    Severity.MEDIUM,
                    "an operator that the loading program has to bring along: it does what that says",
                    operator.at,
                    name,
                )
        for delegate in plan.tables(7):
            name = delegate.text(0)
            if name in NATIVE:
                self._add(
                    "native-code",
                    Severity.MEDIUM,
                    "a part is machine code, which the backend loads as a library",
                    delegate.at,
                    name,
                )
            elif name not in BACKENDS:
                self._add(
                    "delegate", Severity.MEDIUM, "a part is run by a backend that isn't known here", delegate.at, name
                )
            else:
                self._add(
                    "delegate-known",
                    Severity.LOW,
                    "a part is a graph for a device, which its own library reads",
                    delegate.at,
                    name,
                )
