# SPDX-License-Identifier: Apache-2.0
"""Protocol buffers without their schema: the fields of a message, bounded, as every implementation reads them.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bastide.verify.artifacts.interface import Buffer

VARINT, FIXED64, BYTES, GROUP, END, FIXED32 = range(6)
MAX_FIELDS = 4_000_000
"""Of one file; more are unknown."""
MAX_GROUPS = 100


class NotProtobuf(Exception):
    """What can't be read on."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


@dataclass(slots=True)
class Budget:
    """Fields that are still read of a file."""

    left: int = field(default=MAX_FIELDS)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a number, or the bytes from `start` to `end` of the file."""

    number: int
    wire: int
    value: int
    """Of a VARINT, else 0."""
    offset: int
    """Where its tag stands."""
    start: int
    end: int


class Message:
    """A message in a file, from `start` to `end`."""

    def __init__(self, data: Buffer, start: int = 0, end: int | None = None, budget: Budget | None = None) -> None:
        self.data, self.start, self.end = data, start, len(data) if end is None else end
        self.budget = budget or Budget()

    def fields(self) -> Iterator[Field]:
        """All fields in their order. Raises `NotProtobuf`."""
        at = self.start
        while at < self.end:
            self.budget.left -= 1
            if self.budget.left < 0:
                raise NotProtobuf(f"more than {MAX_FIELDS} fields", at)
            found, at = self._field(at, MAX_GROUPS)
            yield found

    def below(self, found: Field) -> Message:
        """The message that a field of bytes holds."""
        return Message(self.data, found.start, found.end, self.budget)

    def messages(self, number: int) -> Iterator[Message]:
        """All messages in fields of one number."""
        return (self.below(f) for f in self.fields() if f.number == number and f.wire == BYTES)

    def text(self, found: Field, limit: int = 1 << 16) -> str:
        """What a field holds as text, at most so much of it."""
        return bytes(self.data[found.start : min(found.end, found.start + limit)]).decode("utf-8", "replace")

    def texts(self, number: int) -> list[str]:
        """All texts in fields of one number."""
        return [self.text(f) for f in self.fields() if f.number == number and f.wire == BYTES]

    def last_text(self, number: int) -> str:
        """The text of a field that stands once; of several, the last counts."""
        return ["", *self.texts(number)][-1]

    def _field(self, at: int, groups: int) -> tuple[Field, int]:
        offset = at
        tag, at = self.varint(at)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number < 1 << 29:
            raise NotProtobuf(f"a field of the number {number}", offset)
        if wire == VARINT:
            value, end = self.varint(at)
            return Field(number, wire, value, offset, at, end), end
        if wire == BYTES:
            length, at = self.varint(at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        elif wire == GROUP:
            return self._group(number, offset, at, groups)
        else:
            raise NotProtobuf(f"a field of the kind {wire}", offset)
        end = at + length
        if end > self.end:
            raise NotProtobuf(f"a field of {length} bytes ends behind what holds it", offset)
        return Field(number, wire, 0, offset, at, end), end

    def _group(self, number: int, offset: int, start: int, groups: int) -> tuple[Field, int]:
        """Old groups, which end with a tag; they are skipped as readers do with what they don't know."""
        at = start
        while groups:
            tag, after = self.varint(at)
            if tag & 7 == END:
                if tag >> 3 != number:
                    break
                return Field(number, GROUP, 0, offset, start, at), after
            self.budget.left -= 1
            if self.budget.left < 0:
                break
            _, at = self._field(at, groups - 1)
        raise NotProtobuf("a group without its end", offset)

    def varint(self, at: int) -> tuple[int, int]:
        """A number of seven bits a byte, and where it ends. Raises `NotProtobuf`."""
        value = shift = 0
        data, end = self.data, self.end
        for position in range(at, min(at + 10, end)):
            byte = data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
            shift += 7
        raise NotProtobuf("a number without its end", at)


def numbers(message: Message, found: Field) -> list[int]:
    """Whole numbers of a repeated field, packed or not; at most 1000."""
    if found.wire == VARINT:
        return [found.value]
    values: list[int] = []
    packed = message.below(found)
    at = packed.start
    while at < packed.end and len(values) < 1000:
        value, at = packed.varint(at)
        values.append(value)
    return values


def starts_like(data: Buffer, expected: dict[int, int], needed: int, look: int = 200) -> bool:
    """Whether the first fields are those of a kind of message (number -> wire), and a needed one is among them."""
    message = Message(data)
    seen: set[int] = set()
    try:
        for count, found in enumerate(message.fields()):
            if expected.get(found.number) != found.wire:
                return False
            seen.add(found.number)
            if needed in seen or count >= look:
                break
    except NotProtobuf:
        # Cut off, maybe; what was there fits.
        return len(seen) > 1
    return needed in seen
