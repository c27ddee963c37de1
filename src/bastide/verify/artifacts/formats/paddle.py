# SPDX-License-Identifier: Apache-2.0
"""PaddlePaddle: programs of operators as protocol buffers (`.pdmodel`) or as JSON, and their weights (`.pdiparams`). The others are pickles.

Layout after `paddle/fluid/framework/framework.proto`, `lod_tensor.cc`, and the JSON of its new representation (PIR).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from bastide.verify.artifacts.formats._json import NotJson, parse_json, walk
from bastide.verify.artifacts.formats.protobuf import VARINT, Message, NotProtobuf, numbers
from bastide.verify.artifacts.interface import Buffer, Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "paddle" / "operators.yaml"
_PIR = re.compile(rb'\{\s*"base_code"\s*:\s*\{[^{}]{0,200}"magic"\s*:\s*"pir"')
_GRADIENT = re.compile(r"(?:_double|_triple)?_grad(?:_grad)?_?\Z")
WIDTHS = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2, 23: 8, 24: 16, 32: 1, 33: 1}
"""Bytes of a number, by its type."""
MAX_LEVELS = 64
REPORTED = 20


class Operators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; what each list holds stands there."""

    harmful: Mapping[str, list[str]]
    computing: frozenset[str]


@cache
def _operators() -> tuple[Mapping[str, str], frozenset[str]]:
    known = msgspec.yaml.decode(FILE.read_bytes(), type=Operators)
    return {name: effect for effect, names in known.harmful.items() for name in names}, known.computing


class PaddleReader:
    """Reads PaddlePaddle's inference models."""

    format = "paddle"

    def claims(self, source: Source) -> bool:
        """By the extension; the JSON by its beginning."""
        return source.extension in ("pdmodel", "pdiparams") or bool(_PIR.match(source.head(300)))

    def read(self, source: Source, scan: Scan) -> None:
        """All operators, or where each weight lies."""
        if source.extension == "pdiparams":
            _weights(source.data, scan)
        elif source.head(1) == b"{":
            _Program(scan).json(bytes(source.data))
        else:
            _Program(scan).protobuf(source.data)


class _Program:
    """Judges the operators of one program."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._counts: Counter[str] = Counter()

    def protobuf(self, data: Buffer) -> None:
        """The old representation."""
        blocks = 0
        try:
            for block in Message(data).messages(1):
                blocks += 1
                for operator in block.messages(4):
                    self._operator(operator.last_text(3), operator.start, own=False)
        except NotProtobuf as problem:
            self._scan.malformed(
                "paddle/broken", f"is no program ({problem}); what comes behind was not read", problem.offset
            )
            return
        if not blocks:
            self._scan.malformed("paddle/broken", "is no program: it has no block", 0)

    def json(self, data: bytes) -> None:
        """The new one: operators have the number of their dialect before their name, 0 to 2 of which are Paddle's own."""
        try:
            document = parse_json(data).value
        except NotJson as problem:
            self._scan.malformed("paddle/broken", f"is no JSON: {problem.why}", problem.at)
            return
        for _, key, value in walk(document):
            dialect, dot, name = value.partition(".") if key == "#" and isinstance(value, str) else ("", "", "")
            if dot:
                at = max(0, data.find(f'"{value}"'.encode("utf-8", "surrogatepass")))
                self._operator(name.rstrip("_"), at, own=dialect in ("0", "1", "2", "builtin", "pd_op", "cf"))

    def _operator(self, name: str, at: int, own: bool) -> None:
        effects, computing = _operators()
        if effect := effects.get(name):
            self._add(
                "operator",
                Tier.EXECUTES,
                Severity.HIGH,
                f"an operator {effect} when the model is called. Don't load it",
                at,
                name,
            )
        elif not own and name not in computing and _GRADIENT.sub("", name) not in computing:
            self._add(
                "custom-operator", Tier.POLICY, Severity.MEDIUM,
                "an operator of another library: it does what that says, and without it nothing loads the model", at, name,
            )  # fmt: skip

    def _add(self, id: str, tier: Tier, severity: Severity, message: str, at: int, evidence: str) -> None:
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            self._scan.add(f"paddle/{id}", tier, severity, message, at, evidence[:200])


def _weights(data: Buffer, scan: Scan) -> None:
    at = 0
    while at < len(data):
        try:
            end = _weight(data, at)
        except NotProtobuf as problem:
            scan.malformed("paddle/broken", f"{problem}; what comes behind was not read", problem.offset)
            return
        at = end


def _number(data: Buffer, at: int, size: int) -> int:
    raw = bytes(data[at : at + size])
    if len(raw) < size:
        raise NotProtobuf("a weight is cut off", min(at, len(data)))
    return int.from_bytes(raw, "little")


def _weight(data: Buffer, start: int) -> int:
    """Where a weight ends. Raises `NotProtobuf`."""
    levels, at = _number(data, start + 4, 8), start + 12
    if _number(data, start, 4) or levels > MAX_LEVELS:
        raise NotProtobuf("a weight of a version that isn't known", start)
    for _ in range(levels):
        at += 8 + _number(data, at, 8)
    if _number(data, at, 4):
        raise NotProtobuf("a tensor of a version that isn't known", at)
    begin = at + 8
    end = begin + _number(data, at + 4, 4)
    if end > len(data):
        raise NotProtobuf("what describes a weight is cut off", begin)
    end += _size(Message(data, begin, end))
    if end > len(data):
        raise NotProtobuf("a weight lies behind the end of the file", begin)
    return end


def _size(description: Message) -> int:
    """Bytes of a tensor. Raises `NotProtobuf`."""
    width, count = 0, 1
    for field in description.fields():
        if field.number == 1 and field.wire == VARINT:
            width = WIDTHS.get(field.value, 0)
        elif field.number == 2:
            for extent in numbers(description, field):
                count *= extent
    if not width:
        raise NotProtobuf("a weight of a type that isn't known", description.start)
    return count * width
