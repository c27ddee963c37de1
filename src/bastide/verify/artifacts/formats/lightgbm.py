# SPDX-License-Identifier: Apache-2.0
"""LightGBM: trees as a text. Nothing in it runs; numbers that lead out of a list are what can do harm.

Layout after `src/boosting/gbdt_model_text.cpp` and `src/io/tree.cpp` of LightGBM.
"""

from __future__ import annotations

from collections.abc import Iterator

from bastide.verify.artifacts.interface import Scan, Source

BEGINS = (b"tree\n", b"tree\r\n")
MAX_HEAD = 64 << 20
REPORTED = 20
_LEAVES = frozenset({b"leaf_value", b"leaf_weight", b"leaf_count", b"leaf_const", b"num_features"})
_SPLITS = frozenset({
    b"split_feature", b"split_gain", b"threshold", b"decision_type", b"left_child", b"right_child",
    b"internal_value", b"internal_weight", b"internal_count",
})  # fmt: skip


class _Broken(Exception):
    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


class LightgbmReader:
    """Reads LightGBM's models."""

    format = "lightgbm"

    def claims(self, source: Source) -> bool:
        """By the first two lines."""
        head = source.head(100)
        return head.startswith(BEGINS) and b"\nversion=" in head

    def read(self, source: Source, scan: Scan) -> None:
        """The head, each tree, and what follows them."""
        data = bytes(source.data) if source.size <= 1 << 30 else None
        if data is None:
            scan.unread("more than 1 GiB of text")
            return
        try:
            _model(data)
        except _Broken as problem:
            scan.malformed(
                "lightgbm/broken", f"{problem}: loaders refuse it, or read memory that isn't theirs", problem.offset
            )
        behind = data.find(b"\0")
        if behind >= 0:
            scan.malformed("lightgbm/data-behind", "bytes that are no text", behind)


def _model(data: bytes) -> None:
    first = data.find(b"\nTree=")
    end = data.find(b"\nend of trees")
    if end < 0:
        raise _Broken("has no end of its trees", len(data))
    head = dict(_pairs(data[: first if 0 <= first < end else end]))
    features = _number(head.get(b"max_feature_idx", b""), 0)
    sizes = [_number(size, 0) for size in head.get(b"tree_sizes", b"").split()]
    at, trees = first + 1, 0
    while 0 < at <= end:
        following = data.find(b"\nTree=", at, end)
        stop = following + 1 if following >= 0 else end + 1
        if trees < len(sizes) and sizes[trees] != stop - at:
            raise _Broken(f"tree {trees} has {stop - at} bytes, and {sizes[trees]} are announced", at)
        _tree(data[at:stop], at, features)
        trees += 1
        at = following + 1
    if b"tree_sizes" in head and trees != len(sizes):
        raise _Broken(f"announces {len(sizes)} trees and has {trees}", first + 1)


def _pairs(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in text.split(b"\n"):
        key, equals, value = line.rstrip(b"\r").partition(b"=")
        if equals:
            yield key, value


def _number(text: bytes, at: int) -> int:
    digits = text.strip()
    if not digits.removeprefix(b"-").isdigit() or len(digits) > 12:
        raise _Broken(f"{digits[:40]!r} is no number", at)
    return int(digits)


def _tree(text: bytes, at: int, features: int) -> None:
    parts = dict(_pairs(text))
    leaves = _number(parts.get(b"num_leaves", b""), at)
    if leaves < 1:
        raise _Broken(f"a tree of {leaves} leaves", at)
    for key in (_LEAVES | _SPLITS) & parts.keys():
        wanted = leaves - (key in _SPLITS)
        count = len(parts[key].split())
        # A tree of one leaf has no splits; old versions leave out what they don't know.
        if count not in (wanted, 0) or (
            count == 0
            and wanted
            and key in (b"left_child", b"right_child", b"split_feature", b"threshold", b"leaf_value")
        ):
            raise _Broken(f"`{key.decode()}` has {count} entries for {leaves} leaves", at)
    for key in (b"left_child", b"right_child"):
        _within(parts.get(key, b""), -leaves, leaves - 1, at)
    _within(parts.get(b"split_feature", b""), 0, features + 1, at)
    if leaves > 1 and not {b"left_child", b"right_child", b"split_feature", b"threshold"} <= parts.keys():
        raise _Broken("a tree without its splits", at)


def _within(text: bytes, least: int, most: int, at: int) -> None:
    try:
        numbers = list(map(int, text.split()))
    except ValueError:
        raise _Broken("a list of numbers has something else in it", at) from None
    if numbers and (min(numbers) < least or max(numbers) >= most):
        raise _Broken("a number leads out of the tree or its features", at)
