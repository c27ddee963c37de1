# SPDX-License-Identifier: Apache-2.0
"""XGBoost: trees as numbers, in JSON, UBJSON or its old binary form. Nothing in them runs; numbers that lead out of a list are what can do harm.

Layout after XGBoost's `doc/model.schema` and, of the old form, `src/tree/tree_model.cc` of version 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from bastide.verify.artifacts.formats import _xgboost_binary
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.formats._ubjson import NotUbjson, UbjsonParser
from bastide.verify.artifacts.interface import Scan, Source

MAX_JSON = 256 << 20
REPORTED = 20
_ROW = (
    "base_weights",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
    "default_left",
)
"""Lists of a tree that have one entry for each of its nodes."""


class XgboostReader:
    """Reads XGBoost's models."""

    format = "xgboost"

    def claims(self, source: Source) -> bool:
        """By the first key, or by the names of objective and booster in the old form."""
        head = source.head(4096)
        if head[:1] == b"{":
            return _is_learner(head) or source.extension == "ubj"
        return source.extension == "ubj" or _xgboost_binary.begins(head)

    def read(self, source: Source, scan: Scan) -> None:
        """The trees, and the bytes behind them."""
        if _xgboost_binary.begins(source.head(4096)):
            _xgboost_binary.read(source, scan)
            return
        document = _ubjson(source, scan) if _is_ubjson(source.head(16)) else _json(source, scan)
        if document is not None:
            for number, problem in enumerate(_problems(document)):
                if number < REPORTED:
                    scan.malformed("xgboost/broken", f"{problem}: loaders refuse it, or read memory that isn't theirs")


def _is_learner(head: bytes) -> bool:
    plain = b"".join(head[:200].split())
    return (
        (b'"learner"' in head and plain[:1] == b"{" and b'"gradient_booster"' in head)
        or plain.startswith(b'{"learner":{')
        or b"learner{" in head[:40]
    )


def _is_ubjson(head: bytes) -> bool:
    """An object of UBJSON goes on with the kind of a length, `$` or `#`."""
    return head[:1] == b"{" and head[1:2] in b"iUIlL$#N}" and head[1:2] != b""


def _ubjson(source: Source, scan: Scan) -> Any:
    parser = UbjsonParser(source.data)
    try:
        document = parser.value()
    except NotUbjson as problem:
        scan.malformed("xgboost/broken", f"is no UBJSON: {problem}", problem.offset)
        return None
    for key, at in parser.repeated.items():
        scan.malformed("xgboost/repeated-key", "a key stands twice in an object", at, key)
    if parser.at < source.size:
        scan.malformed("xgboost/data-behind", "bytes stand behind the model, which no loader reads", parser.at)
    return document


def _json(source: Source, scan: Scan) -> Any:
    if source.size > MAX_JSON:
        scan.unread(f"more than {MAX_JSON} bytes of JSON")
        return None
    try:
        document = parse_json(bytes(source.data), MAX_JSON)
    except NotJson as problem:
        scan.malformed("xgboost/broken", f"is no JSON: {problem.why}", problem.at)
        return None
    for key in document.repeated:
        scan.malformed("xgboost/repeated-key", "a key stands twice in an object", evidence=key)
    return document.value


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _count(holder: Any, key: str) -> int:
    """A number that XGBoost writes as text; -1 when it is none."""
    value = _at(holder, key)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _problems(document: Any) -> Iterator[str]:
    learner = _at(document, "learner")
    booster = _at(learner, "gradient_booster")
    name = _at(booster, "name")
    if _at(learner, "generic_param") is not None and _at(booster, "model") is None and _at(booster, "gbtree") is None:
        # Settings without a model (`save_config`).
        return
    features = _count(_at(learner, "learner_model_param"), "num_feature")
    if features < 0:
        yield "has no number of features"
    if name == "gblinear":
        if not isinstance(_at(booster, "model", "weights"), list | array):
            yield "a linear model without weights"
        return
    if name not in ("gbtree", "dart"):
        yield "has no booster that XGBoost knows"
        return
    holder = booster if name == "gbtree" else _at(booster, "gbtree")
    model = _at(holder, "model")
    trees, kinds = _at(model, "trees"), _at(model, "tree_info")
    if not isinstance(trees, list) or not isinstance(kinds, list | array):
        yield "has no trees"
        return
    wanted = _count(_at(model, "gbtree_model_param"), "num_trees")
    if not len(trees) == len(kinds) == wanted:
        yield f"announces {wanted} trees, has {len(trees)}, and {len(kinds)} entries on them"
    for number, tree in enumerate(trees):
        if problem := _tree(tree, features):
            yield f"tree {number}: {problem}"


def _tree(tree: Any, features: int) -> str:
    nodes = _count(_at(tree, "tree_param"), "num_nodes")
    if not 0 < nodes < 1 << 31:
        return "has no number of nodes"
    width = max(1, _count(_at(tree, "tree_param"), "size_leaf_vector"))
    for key in _ROW:
        row = _at(tree, key)
        if row is None and key in ("split_type", "loss_changes", "sum_hessian"):
            continue
        size = len(row) if isinstance(row, list | array) else -1
        if size != nodes and not (
            width > 1 and key in ("base_weights", "loss_changes", "sum_hessian") and size <= nodes * width
        ):
            return f"`{key}` has {size} entries for {nodes} nodes"
    for key, most in (("left_children", nodes), ("right_children", nodes), ("split_indices", max(features, 1))):
        if not _within(tree[key], -1 if "child" in key else 0, most):
            return f"`{key}` leads out of the tree or its features"
    return _categories(tree, nodes)


def _categories(tree: Any, nodes: int) -> str:
    """Where a node's categories lie in the list of all of them."""
    rows = [_at(tree, key) for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes")]
    if all(row is None for row in rows):
        return ""
    if not all(isinstance(row, list | array) for row in rows):
        return "its categories are no lists"
    values, places, starts, sizes = rows
    if not len(places) == len(starts) == len(sizes):
        return "its lists of categories differ in length"
    if (
        not _within(places, 0, nodes)
        or not _within(starts, 0, len(values) + 1)
        or not _within(sizes, 0, len(values) + 1)
    ):
        return "its categories lead out of their list"
    return (
        ""
        if all(a + b <= len(values) for a, b in zip(starts, sizes, strict=True))
        else "its categories lead out of their list"
    )


def _within(row: Any, least: int, most: int) -> bool:
    if not isinstance(row, list | array) or (isinstance(row, list) and not all(type(value) is int for value in row)):
        return False
    return not len(row) or (min(row) >= least and max(row) < most)
