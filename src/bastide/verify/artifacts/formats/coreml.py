# SPDX-License-Identifier: Apache-2.0
"""Core ML: models as protocol buffers (`.mlmodel`), and the list of files of a package. Layers of one's own are code of the app that loads it.

Layout after `mlmodel/format/*.proto` of coremltools.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.formats.protobuf import BYTES, VARINT, Field, Message, NotProtobuf
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

PIPELINES = {200: 1, 201: 1, 202: 0}
"""Kinds of pipelines, and in which field of theirs the pipeline stands; 0: they are it."""
NETWORKS = frozenset({303, 403, 500})
PROGRAM, CUSTOM, LINKED, SERIALIZED = 502, 555, 556, 3000
KINDS = frozenset({
    *range(300, 305), *range(400, 405), 501, 560, *range(600, 611), 900, *range(2000, 2007), *PIPELINES, *NETWORKS,
    PROGRAM, CUSTOM, LINKED, SERIALIZED,
})  # fmt: skip
CUSTOM_LAYER = 500
SENTINEL = 0xDEADBEEF
"""Begins what is told of each list of numbers in a file of weights."""
LINE = 64
BLOB = "@model_path/"
"""How a program names its own folder of weights."""
MAX_DEPTH = 16
REPORTED = 20
COMPILED = ("coremldata", "model.")
"""Beginnings of the names of files in a compiled model that say what is computed."""


class CoremlReader:
    """Reads Core ML models, and manifests of their packages."""

    format = "coreml"

    def claims(self, source: Source) -> bool:
        """By the extension; a manifest by its name and key."""
        base = source.name.replace("\\", "/").rpartition("/")[2]
        return (
            source.extension == "mlmodel"
            or (base == "Manifest.json" and b'"itemInfoEntries"' in source.head(1 << 16))
            or _compiled(source)
        )

    def read(self, source: Source, scan: Scan) -> None:
        """All layers and operations, and paths."""
        if _compiled(source):
            scan.unread(
                "a part of a compiled Core ML model; compile it yourself from a package or `.mlmodel` that was scanned"
            )
            return
        if source.extension == "json":
            _manifest(bytes(source.data), scan)
            return
        try:
            _Model(scan).model(Message(source.data), 0)
        except NotProtobuf as problem:
            scan.malformed(
                "coreml/broken", f"is no Core ML model ({problem}); what comes behind was not read", problem.offset
            )


class CoremlWeightsReader:
    """Reads the weights beside a program: lists of numbers, each behind what is told of it."""

    format = "coreml-weights"

    def claims(self, source: Source) -> bool:
        """By the version in the header and the mark of the first list."""
        head = source.head(LINE + 4)
        return head[4:8] == b"\2\0\0\0" and head[LINE:] == SENTINEL.to_bytes(4, "little")

    def read(self, source: Source, scan: Scan) -> None:
        """Where each list lies."""
        count, at = int.from_bytes(source.head(4), "little"), LINE
        for _ in range(count):
            told = bytes(source.data[at : at + 24])
            size, start = int.from_bytes(told[8:16], "little"), int.from_bytes(told[16:24], "little")
            if (
                len(told) < 24
                or int.from_bytes(told[:4], "little") != SENTINEL
                or not at < start <= start + size <= source.size
            ):
                scan.malformed("coreml/broken", "a list of weights isn't where it should be: loaders refuse it", at)
                return
            at = -(-(start + size) // LINE) * LINE
        if at < source.size:
            scan.malformed("coreml/data-behind", "bytes stand behind the weights, which no loader reads", at)


def _compiled(source: Source) -> bool:
    """Whether it lies in what Apple's compiler makes of a model; the list of its weights is read as in packages."""
    folders, _, base = source.name.replace("\\", "/").rpartition("/")
    return any(name.endswith(".mlmodelc") for name in folders.split("/")) and base.startswith(COMPILED)


def _manifest(data: bytes, scan: Scan) -> None:
    try:
        document = parse_json(data).value
    except NotJson as problem:
        scan.malformed("coreml/broken", f"is no JSON: {problem.why}", problem.at)
        return
    entries = document.get("itemInfoEntries") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or document.get("rootModelIdentifier") not in entries:
        scan.malformed("coreml/broken", "doesn't say which model is loaded", 0)
    for entry in entries.values() if isinstance(entries, dict) else ():
        path = entry.get("path") if isinstance(entry, dict) else None
        if isinstance(path, str) and leads_out(path):
            scan.add(
                "coreml/path", Tier.EXECUTES, Severity.HIGH, "has the loader read outside of the package. Don't load it",
                max(0, data.find(path.encode("utf-8", "surrogatepass"))), path[:200],
            )  # fmt: skip


class _Model:
    """Goes through one file's models."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._counts: Counter[str] = Counter()
        self._kinds: Mapping[int, Callable[[Message, int], None]] = {
            PROGRAM: self._program, CUSTOM: self._custom, LINKED: self._linked, SERIALIZED: self._serialized,
            **dict.fromkeys(NETWORKS, self._network),
        }  # fmt: skip

    def _add(self, id: str, message: str, at: int, evidence: str, severity: Severity = Severity.MEDIUM) -> None:
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            tier = Tier.EXECUTES if severity is Severity.HIGH else Tier.POLICY
            self._scan.add(f"coreml/{id}", tier, severity, message, at, evidence[:200])

    def model(self, model: Message, depth: int) -> None:
        """A model; pipelines hold further ones."""
        if depth > MAX_DEPTH:
            self._scan.unread("models in models, deeper than is read", model.start)
            return
        fields = list(model.fields())
        version = [f for f in fields if f.number == 1 and f.wire == VARINT]
        kinds = [f for f in fields if f.number in KINDS and f.wire == BYTES]
        if not version or not kinds:
            self._scan.malformed("coreml/broken", "has no model that Core ML knows", model.start)
        for kind in kinds:
            below = model.below(kind)
            if kind.number in PIPELINES:
                for pipeline in below.messages(PIPELINES[kind.number]) if PIPELINES[kind.number] else [below]:
                    for part in pipeline.messages(1):
                        self.model(part, depth + 1)
            elif kind.number in self._kinds:
                self._kinds[kind.number](below, depth)

    def _custom(self, model: Message, _depth: int) -> None:
        self._add(
            "custom-model",
            "is a class of the app that loads it: that code decides what happens",
            model.start,
            model.last_text(10),
        )

    def _serialized(self, model: Message, _depth: int) -> None:
        self._add("serialized", "is of a kind that only its own library reads", model.start, model.last_text(1))

    def _linked(self, model: Message, _depth: int) -> None:
        for file in model.messages(1):
            for number in (1, 2):
                for parameter in file.messages(number):
                    path = parameter.last_text(1)
                    if leads_out(path):
                        self._add(
                            "path",
                            "has the loader take another model from outside of its folder. Don't load it",
                            file.start,
                            path,
                            Severity.HIGH,
                        )
                    elif number == 1:
                        self._add("linked-model", "takes another model from beside it: scan that too", file.start, path)

    def _network(self, network: Message, _depth: int) -> None:
        for layer in network.messages(1):
            for field in layer.fields():
                if field.number == CUSTOM_LAYER and field.wire == BYTES:
                    name = layer.below(field).last_text(10)
                    self._add(
                        "custom-layer",
                        "a layer is a class of the app that loads it: that code decides what happens",
                        field.offset,
                        name,
                    )

    def _program(self, program: Message, depth: int) -> None:
        for function in program.messages(2):
            for value in function.messages(2):
                for block in value.messages(3):
                    for one in block.messages(2):
                        self._block(one, depth)

    def _block(self, block: Message, depth: int) -> None:
        if depth > 100:
            self._scan.unread("blocks in blocks, deeper than is read", block.start)
            return
        for operation in block.messages(3):
            kind = operation.last_text(1)
            if kind.startswith("custom"):
                self._add(
                    "custom-layer",
                    "an operation is a class of the app that loads it: that code decides what happens",
                    operation.start,
                    kind,
                )
            for field in operation.fields():
                if field.wire == BYTES:
                    self._part(operation, field, depth)

    def _part(self, operation: Message, field: Field, depth: int) -> None:
        below = operation.below(field)
        if field.number == 4:
            self._block(below, depth + 1)
        elif field.number == 5:
            for value in below.messages(2):
                self._value(value)
        elif field.number == 2:
            for argument in below.messages(2):
                for binding in argument.messages(1):
                    for value in binding.messages(2):
                        self._value(value)

    def _value(self, value: Message) -> None:
        for blob in value.messages(5):
            path = blob.last_text(1)
            if leads_out(path.removeprefix(BLOB)):
                self._add(
                    "path",
                    "has the loader read weights outside of the package. Don't load it",
                    blob.start,
                    path,
                    Severity.HIGH,
                )
