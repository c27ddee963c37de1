# SPDX-License-Identifier: Apache-2.0
"""XGBoost's old binary form, which versions before 3.1 read: fixed records one after the other."""

from __future__ import annotations

import struct
from array import array

from bastide.verify.artifacts.interface import Buffer, Scan, Source

MARK = b"binf"
_LEARNER = 136
_MODEL, _LINEAR, _TREE, _NODE, _STATISTICS = 160, 136, 148, 20, 16
BOOSTERS = (b"gbtree", b"gblinear", b"dart")
DELETED = 1 << 31


class _Broken(Exception):
    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


class _Stream:
    """Bytes that are read one after the other."""

    def __init__(self, data: Buffer, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> int:
        """Goes on; returns where it was. Raises `_Broken`."""
        start = self.at
        if count > len(self.data) - start:
            raise _Broken(f"{count} bytes are announced and {len(self.data) - start} are left", start)
        self.at += count
        return start

    def number(self, form: str) -> int:
        return int(struct.unpack_from("<" + form, self.data, self.take(struct.calcsize(form)))[0])

    def text(self) -> bytes:
        length = self.number("Q")
        at = self.take(length)
        return bytes(self.data[at : at + min(length, 1000)])


def begins(head: bytes) -> bool:
    """Whether objective and booster stand where the form has them; it has no mark of its own in old versions."""
    at = _LEARNER + (len(MARK) if head.startswith(MARK) else 0)
    try:
        stream = _Stream(head, at)
        return stream.text().isascii() and stream.text() in BOOSTERS
    except _Broken:
        return False


def read(source: Source, scan: Scan) -> None:
    """All records to the end of the file."""
    start = len(MARK) if source.head(4) == MARK else 0
    stream = _Stream(source.data, start + _LEARNER)
    features, attributes, metrics = (struct.unpack_from("<I", source.data, start + at)[0] for at in (4, 12, 16))
    try:
        stream.text()
        booster = stream.text()
        if booster == b"gblinear":
            stream.take(_LINEAR)
            stream.take(4 * stream.number("Q"))
        else:
            _trees(stream, features)
        if booster == b"dart" and stream.at < source.size:
            stream.take(4 * stream.number("Q"))
        if attributes:
            for _ in range(_few(stream.number("Q"), stream)):
                stream.text()
                stream.text()
        if metrics:
            for _ in range(_few(stream.number("Q"), stream)):
                stream.text()
    except _Broken as problem:
        scan.malformed(
            "xgboost/broken", f"{problem}: loaders refuse it, or read memory that isn't theirs", problem.offset
        )
        return
    if stream.at < source.size and bytes(source.data[stream.at : stream.at + 1 << 16]).strip(b"\0"):
        scan.malformed("xgboost/data-behind", "bytes stand behind the model, which no loader reads", stream.at)


def _few(count: int, stream: _Stream) -> int:
    if count > (len(stream.data) - stream.at) // 8:
        raise _Broken(f"{count} texts are announced", stream.at - 8)
    return count


def _trees(stream: _Stream, features: int) -> None:
    at = stream.take(_MODEL)
    trees = struct.unpack_from("<i", stream.data, at)[0]
    if not 0 <= trees <= (len(stream.data) - stream.at) // _TREE:
        raise _Broken(f"{trees} trees are announced", at)
    for _ in range(trees):
        _tree(stream, features)
    stream.take(4 * trees)


def _tree(stream: _Stream, features: int) -> None:
    at = stream.take(_TREE)
    nodes = struct.unpack_from("<i", stream.data, at + 4)[0]
    if nodes < 1:
        raise _Broken(f"a tree of {nodes} nodes", at)
    start = stream.take(nodes * _NODE)
    values = array("i", bytes(stream.data[start : start + nodes * _NODE]))
    left, right, splits = values[1::5], values[2::5], values[3::5]
    stream.take(nodes * _STATISTICS)
    if min(left) < -1 or min(right) < -1 or max(left) >= nodes or max(right) >= nodes:
        raise _Broken("a node's children lead out of the tree", start)
    inner = [split & 0x7FFF_FFFF for split, below in zip(splits, left, strict=True) if below >= 0]
    if inner and max(inner) >= max(features, 1):
        raise _Broken("a node asks for a feature that isn't there", start)
