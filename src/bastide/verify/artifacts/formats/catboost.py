# SPDX-License-Identifier: Apache-2.0
"""CatBoost: trees in a FlatBuffer (`.cbm`), or as JSON. Nothing in them runs; numbers that lead out of a list are what can do harm.

Layout after `catboost/libs/model/flatbuffers/model.fbs`.
"""

from __future__ import annotations

from typing import Any

from bastide.verify.artifacts.formats._flatbuffers import NotFlatbuffer, root
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.interface import Buffer, Scan, Source

MAGIC = b"CBM1"
VERSION = "FlabuffersModel_v1"
PARTS = frozenset({"static_provider_v1", "text_process_v1", "text_process_v2", "embed_process_1"})
"""What may follow the trees: tables of statistics for words and categories."""
JSON_BEGINS = (b'{"features_info":{', b'{"ctr_data":', b'{"oblivious_trees":[{', b'{"model_info":{')
MAX_JSON = 256 << 20


class CatboostReader:
    """Reads CatBoost's models."""

    format = "catboost"

    def claims(self, source: Source) -> bool:
        """By the first bytes, or the first key."""
        head = source.head(200)
        return head.startswith(MAGIC) or (
            source.extension in ("json", "cbm") and b"".join(head.split()).startswith(JSON_BEGINS)
        )

    def read(self, source: Source, scan: Scan) -> None:
        """The trees, and what follows them."""
        if source.head(4) != MAGIC:
            _json(source, scan)
            return
        size = int.from_bytes(source.head(8)[4:], "little")
        if 8 + size > source.size:
            scan.malformed(
                "catboost/broken", f"{size} bytes are announced and {source.size - 8} are left: loaders refuse it", 4
            )
            return
        try:
            _core(source.data, size, scan)
        except NotFlatbuffer as problem:
            scan.malformed("catboost/broken", f"{problem}: loaders refuse it", 8 + problem.offset)


def _core(data: Buffer, size: int, scan: Scan) -> None:
    model = root(memoryview(data)[8 : 8 + size])
    if model.text(0) != VERSION:
        scan.malformed("catboost/version", "is of a version that isn't known here", 8 + model.at, model.text(0)[:80])
        return
    trees = model.table(1)
    if trees is None:
        scan.malformed("catboost/broken", "has no trees: loaders refuse it", 8 + model.at)
        return
    splits, sizes, starts = (trees.integers(index) for index in (1, 2, 3))
    if any(at < 0 or count < 0 or at + count > len(splits) for at, count in zip(starts, sizes, strict=False)) or len(
        starts
    ) != len(sizes):
        scan.malformed(
            "catboost/broken",
            "a tree leads out of the list of splits: loaders read memory that isn't theirs",
            8 + trees.at,
        )
    for information in model.tables(2):
        _ = information.text(0), information.text(1)
    parts = model.texts(3)
    for part in parts:
        if part not in PARTS:
            scan.malformed("catboost/part", "has a part that isn't known here", 8 + size, part[:80])
    if not parts and 8 + size < len(data):
        scan.malformed("catboost/data-behind", "bytes stand behind the model, which no loader reads", 8 + size)


def _json(source: Source, scan: Scan) -> None:
    if source.size > MAX_JSON:
        scan.unread(f"more than {MAX_JSON} bytes of JSON")
        return
    try:
        document = parse_json(bytes(source.data), MAX_JSON).value
    except NotJson as problem:
        scan.malformed("catboost/broken", f"is no JSON: {problem.why}", problem.at)
        return
    trees = document.get("oblivious_trees", document.get("trees")) if isinstance(document, dict) else None
    if not isinstance(trees, list):
        scan.malformed("catboost/broken", "has no trees: loaders refuse it", 0)
        return
    for number, tree in enumerate(trees):
        if "oblivious_trees" in document and not _is_tree(tree):
            scan.malformed(
                "catboost/broken",
                f"tree {number}: its leaves don't fit its splits; loaders read memory that isn't theirs",
                0,
            )
            return


def _is_tree(tree: Any) -> bool:
    splits, leaves = (tree.get("splits"), tree.get("leaf_values")) if isinstance(tree, dict) else (None, None)
    splits = [] if splits is None else splits
    if not isinstance(splits, list) or not isinstance(leaves, list) or len(splits) > 32:
        return False
    return bool(leaves) and len(leaves) % (1 << len(splits)) == 0
