# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's SavedModel and frozen graphs: programs of operators. Keras keeps the description of its layers beside them."""

from __future__ import annotations

import re

from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.formats._tensorflow import Graph, objects
from bastide.verify.artifacts.formats.keras_config import judge_config
from bastide.verify.artifacts.formats.protobuf import BYTES, VARINT, Message, NotProtobuf, starts_like
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

NAMES = frozenset({"saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "saved_model.pbtxt"})
SAVED = {1: VARINT, 2: BYTES}
FROZEN = {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}\Z")
_INDEX_END = bytes.fromhex("57fb808b247547db")
"""Last bytes of the table that says which variable is where."""


class SavedModelReader:
    """Reads SavedModels, frozen graphs, and what lies beside them."""

    format = "saved-model"

    def claims(self, source: Source) -> bool:
        """By the names that TensorFlow looks for; another `.pb` file by its fields."""
        if _base(source) in NAMES:
            return True
        head = source.head(2)
        if source.extension == "pb":
            return starts_like(source.data, FROZEN, 1) or starts_like(source.data, SAVED, 2)
        return (
            head == b"\x08\x01"
            and source.head(3)[2:] == b"\x12"
            and starts_like(source.data, SAVED, 2)
            and not source.extension
        )

    def read(self, source: Source, scan: Scan) -> str:
        """Every operator of every graph and function."""
        base = _base(source)
        if base == "saved_model.pbtxt":
            scan.unread("a SavedModel as text; save it in the binary form")
            return self.format
        message = Message(source.data)
        try:
            if base == "fingerprint.pb":
                _checked(message)
            elif base == "keras_metadata.pb":
                for node in message.messages(1):
                    _keras(node.texts(5), scan)
            elif base == "saved_model.pb" or starts_like(source.data, SAVED, 2):
                _saved(message, scan)
            else:
                _frozen(message, scan)
                return "tensorflow-graph"
        except NotProtobuf as problem:
            scan.malformed("saved-model/broken", f"{problem}; what comes behind was not read", problem.offset)
        return self.format


class TensorflowVariablesReader:
    """The variables of TensorFlow's models and checkpoints: bytes of tensors, and a table of them."""

    format = "tensorflow-variables"

    def claims(self, source: Source) -> bool:
        """By the end of the table, and the names of the other files."""
        if source.extension == "index":
            return bool(source.data[-8:] == _INDEX_END)
        return bool(_SHARD.search(_base(source)))

    def read(self, source: Source, scan: Scan) -> None:
        """Numbers: nothing in them is looked at by a loader."""


def _base(source: Source) -> str:
    return source.name.replace("\\", "/").rpartition("/")[2]


def _checked(message: Message) -> None:
    for _ in message.fields():
        pass


def _frozen(message: Message, scan: Scan) -> None:
    Graph(scan, "tensorflow").graph(message)
    _checked(message)


def _saved(message: Message, scan: Scan) -> None:
    graphs = list(message.messages(2))
    if not graphs:
        scan.malformed("saved-model/no-graph", "holds no graph: it is no SavedModel", 0)
    for meta in graphs:
        judge = Graph(scan, "saved-model")
        for graph in meta.messages(2):
            judge.graph(graph)
        for asset in meta.messages(6):
            name = asset.last_text(2)
            if leads_out(name):
                scan.add(
                    "saved-model/path", Tier.EXECUTES, Severity.HIGH, "has the loader read a file outside of the model's folder",
                    asset.start, name[:200],
                )  # fmt: skip
        for graph in meta.messages(7):
            _keras(objects(graph), scan)


def _keras(texts: list[str], scan: Scan) -> None:
    """The layers, as JSON texts."""
    for text in texts:
        if not text.lstrip().startswith("{"):
            continue
        try:
            document = parse_json(text.encode("utf-8", "surrogatepass"))
        except NotJson as problem:
            scan.malformed("saved-model/metadata", f"Keras's description of a layer can't be read ({problem.why})")
            continue
        below = scan.below("keras-metadata")
        if below is not None:
            judge_config(document.value, below)
