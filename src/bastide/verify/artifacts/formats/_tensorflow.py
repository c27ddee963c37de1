# SPDX-License-Identifier: Apache-2.0
"""Operators of TensorFlow's graphs: which compute, and which do something else (`knowledge/artifacts/tensorflow/operators.yaml`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from bastide.verify.artifacts.formats.protobuf import BYTES, Message
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "tensorflow" / "operators.yaml"
CHECKPOINTS = frozenset({"Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints", "Restore", "RestoreV2", "RestoreSlice"})
"""What writes and reads a model's own variables, where the loader says."""
REPORTED = 20


class Operators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; what each list holds stands there."""

    harmful: Mapping[str, list[str]]
    computing: frozenset[str]


@cache
def _operators() -> tuple[Mapping[str, str], frozenset[str]]:
    known = msgspec.yaml.decode(FILE.read_bytes(), type=Operators)
    effects = {name: effect for effect, names in known.harmful.items() for name in names}
    return effects, known.computing


class Graph:
    """Judges the operators of one file's graphs."""

    def __init__(self, scan: Scan, format: str) -> None:
        self._scan, self._format = scan, format
        self._counts: Counter[str] = Counter()
        self._own: set[str] = set()

    def graph(self, graph: Message) -> None:
        """A GraphDef: its nodes, and the functions of its library."""
        for library in graph.messages(2):
            for function in library.messages(1):
                self._own |= {signature.last_text(1) for signature in function.messages(1)}
        for node in graph.messages(1):
            self._node(node, "")
        for library in graph.messages(2):
            for function in library.messages(1):
                name = "".join(signature.last_text(1) for signature in function.messages(1))
                for node in function.messages(3):
                    self._node(node, name)

    def _node(self, node: Message, function: str) -> None:
        kind, name = node.last_text(2), node.last_text(1)
        shown = f"{kind} ({name[:80]})" + (f" in {function[:80]}" if function else "")
        self.operator(kind, node.start, shown)
        if kind == "PrintV2" and self._prints_to_file(node):
            self._add(
                "operator", Tier.EXECUTES, Severity.HIGH, "an operator writes files. Don't load it", node.start, shown
            )
        elif kind in CHECKPOINTS and function and "traced_" not in function:
            self._add(
                "checkpoint", Tier.POLICY, Severity.MEDIUM, "writes or reads a checkpoint when it is called, not when it is saved or loaded",
                node.start, shown,
            )  # fmt: skip

    def operator(self, kind: str, at: int, shown: str) -> None:
        """One operator, by its name."""
        effects, computing = _operators()
        if effect := effects.get(kind):
            self._add(
                "operator",
                Tier.EXECUTES,
                Severity.HIGH,
                f"an operator {effect} when the model is called. Don't load it",
                at,
                shown,
            )
        elif kind not in computing and kind not in self._own:
            self._add(
                "custom-operator", Tier.POLICY, Severity.MEDIUM,
                "an operator of another library: it does what that says, and without it nothing loads the model",
                at, shown,
            )  # fmt: skip

    def _prints_to_file(self, node: Message) -> bool:
        for attribute in node.messages(5):
            if attribute.last_text(1) == "output_stream":
                return any(value.last_text(2).startswith("file://") for value in attribute.messages(2))
        return False

    def _add(self, id: str, tier: Tier, severity: Severity, message: str, at: int, evidence: str) -> None:
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            self._scan.add(f"{self._format}/{id}", tier, severity, message, at, evidence[:200])


def objects(graph: Message) -> list[str]:
    """What Keras notes of the objects of a model (`SavedObjectGraph`), as JSON."""
    found = []
    for node in graph.messages(1):
        for user in node.messages(4):
            found += [user.text(f, 1 << 24) for f in user.fields() if f.number == 3 and f.wire == BYTES]
    return found
