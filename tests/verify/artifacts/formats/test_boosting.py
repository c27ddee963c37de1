# SPDX-License-Identifier: Apache-2.0
"""Trees of XGBoost, LightGBM and CatBoost are numbers: safe when every number stays inside of its list, unknown else."""

import json
import struct
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

TREE = {
    "base_weights": [0.1, -0.5, 0.5], "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
    "default_left": [0, 0, 0], "id": 0, "left_children": [1, -1, -1], "loss_changes": [9.0, 0.0, 0.0], "parents": [2147483647, 0, 0],
    "right_children": [2, -1, -1], "split_conditions": [0.2, -0.5, 0.5], "split_indices": [1, 0, 0], "split_type": [0, 0, 0],
    "sum_hessian": [9.0, 4.0, 5.0], "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "3", "size_leaf_vector": "1"},
}  # fmt: skip
XGBOOST: dict[str, Any] = {
    "learner": {
        "attributes": {},
        "feature_names": ["a", "b"],
        "gradient_booster": {
            "model": {
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"},
                "tree_info": [0],
                "trees": [TREE],
            },
            "name": "gbtree",
        },
        "learner_model_param": {"base_score": "0.5", "num_class": "0", "num_feature": "2", "num_target": "1"},
        "objective": {"name": "binary:logistic"},
    },
    "version": [3, 0, 0],
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    made: Any = deepcopy(XGBOOST)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return made


def ubj(value: Any) -> bytes:
    """As XGBoost writes it."""
    if isinstance(value, dict):
        return b"{" + b"".join(_length(key) + ubj(part) for key, part in value.items()) + b"}"
    if isinstance(value, list) and value and all(isinstance(part, float) for part in value):
        return b"[$d#L" + struct.pack(f">q{len(value)}f", len(value), *value)
    if isinstance(value, list) and value and all(isinstance(part, int) for part in value):
        return b"[$l#L" + struct.pack(f">q{len(value)}i", len(value), *value)
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubj, value))
    return b"S" + _length(value) if isinstance(value, str) else b"l" + struct.pack(">i", value)


def _length(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text)) + text.encode()


def text_of(trees: int = 2) -> bytes:
    """A model of LightGBM."""
    tree = (
        "num_leaves=3\nnum_cat=0\nsplit_feature=0 1\nsplit_gain=2 1\nthreshold=0.5 0.25\ndecision_type=2 2\nleft_child=-1 -2\nright_child=1 -3\n"
        "leaf_value=1 2 3\nleaf_weight=1 1 1\nleaf_count=1 1 1\ninternal_value=0 0\ninternal_weight=0 0\ninternal_count=3 2\n"
        "is_linear=0\nshrinkage=1\n\n\n"
    )
    blocks = [f"Tree={number}\n{tree}" for number in range(trees)]
    head = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\nobjective=regression\nfeature_names=a b\n"
    sizes = f"tree_sizes={' '.join(str(len(block)) for block in blocks)}\n\n"
    return (
        head
        + sizes
        + "".join(blocks)
        + "end of trees\n\nparameters:\n[boosting: gbdt]\nend of parameters\n\npandas_categorical:null\n"
    ).encode()


def table(*fields: bytes, form: str = "I") -> bytes:
    """A table of a FlatBuffer whose fields point to what follows it."""
    count = len(fields)
    head = 4 + 2 * count
    out = struct.pack(f"<HH{count}H", head, 4 + 4 * count, *(4 + 4 * at for at in range(count)))
    pad = b"\0" * (-len(out) % 4)
    out = pad + out
    at = len(out)
    body = b""
    pointers = []
    for field in fields:
        pointers.append(4 * (count - len(pointers)) + len(body))
        body += field + b"\0" * (-len(field) % 4)
    return struct.pack("<I", at + 4) + out + struct.pack("<i", head) + struct.pack(f"<{count}I", *pointers) + body


def inner(*fields: bytes) -> bytes:
    """A table that begins where it is pointed to: what tells its fields stands behind it."""
    count = len(fields)
    body = b""
    pointers = []
    for field in fields:
        pointers.append(4 * (count - len(pointers)) + len(body))
        body += field + b"\0" * (-len(field) % 4)
    size = 4 + 4 * count + len(body)
    fit = struct.pack(f"<HH{count}H", 4 + 2 * count, 4 + 4 * count, *(4 + 4 * at for at in range(count)))
    return struct.pack("<i", -size) + struct.pack(f"<{count}I", *pointers) + body + fit


def ints(*values: int) -> bytes:
    return struct.pack(f"<I{len(values)}i", len(values), *values)


def word(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def cbm(
    sizes: bytes = ints(2), starts: bytes = ints(0), version: str = "FlabuffersModel_v1", behind: bytes = b""
) -> bytes:
    core = table(word(version), inner(ints(1), ints(0, 1), sizes, starts), ints())
    return b"CBM1" + struct.pack("<I", len(core)) + core + behind


def binary(nodes: int = 3, left: int = 1, feature: int = 1, behind: bytes = b"") -> bytes:
    """XGBoost's old form."""
    learner = struct.pack("<f6I", 0.5, 2, 0, 1, 0, 1, 7) + b"\0" * 108
    names = b"".join(struct.pack("<Q", len(name)) + name for name in (b"binary:logistic", b"gbtree"))
    model = struct.pack("<4iq", 1, 1, 2, 0, 0) + b"\0" * 136
    rows = [(-1, left, 2, feature | 1 << 31, 0), (0, -1, -1, 0, 0), (0, -1, -1, 0, 0)]
    tree = (
        struct.pack("<2i", 1, nodes) + b"\0" * 140 + b"".join(struct.pack("<3iIi", *row) for row in rows) + b"\0" * 48
    )
    return (
        b"binf"
        + learner
        + names
        + model
        + tree
        + struct.pack("<i", 0)
        + struct.pack("<QQ", 1, 1)
        + b"a"
        + struct.pack("<Q", 1)
        + b"b"
        + behind
    )


CATBOOST = {
    "features_info": {"float_features": []},
    "model_info": {},
    "oblivious_trees": [
        {"leaf_values": [0, 1], "splits": [{"border": 0.5, "float_feature_index": 0, "split_type": "FloatFeature"}]}
    ],
    "scale_and_bias": [1, [0]],
}
SEEDS = {
    "m.json": json.dumps(XGBOOST).encode(),
    "m.ubj": ubj(XGBOOST),
    "m.model": binary(),
    "m.txt": text_of(),
    "m.cbm": cbm(),
    "cat.json": json.dumps(CATBOOST, indent=2).encode(),
}
FORMATS = {
    "m.json": "xgboost",
    "m.ubj": "xgboost",
    "m.model": "xgboost",
    "m.txt": "lightgbm",
    "m.cbm": "catboost",
    "cat.json": "catboost",
}


@pytest.mark.parametrize("name", SEEDS)
def test_whole_models_are_safe(name: str) -> None:
    """In each form."""
    report = scan_bytes(SEEDS[name], name)
    assert (report.verdict, report.format, report.findings) == (Verdict.SAFE, FORMATS[name], ())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("num_feature",), "1"),
        (("left_children",), [3, -1, -1]),
        (("right_children",), [-2, -1, -1]),
        (("right_children",), ["x", -1, -1]),
        (("split_indices",), [2, 0, 0]),
        (("split_conditions",), [0.5]),
        (("tree_param",), {"num_nodes": "4294967297"}),
        (("tree_param",), {"num_nodes": "-1"}),
        (("categories_nodes",), [1]),
        (("tree_info",), [0, 0]),
        (("num_trees",), "99999999999"),
        (("name",), "mine"),
    ],
)
def test_numbers_of_xgboost_stay_inside(path: tuple[str, ...], value: Any) -> None:
    """Children, features, categories, counts; in JSON and in UBJSON."""
    places = {
        "num_feature": ("learner", "learner_model_param", "num_feature"),
        "tree_info": ("learner", "gradient_booster", "model", "tree_info"),
        "num_trees": ("learner", "gradient_booster", "model", "gbtree_model_param", "num_trees"),
        "name": ("learner", "gradient_booster", "name"),
    }
    model = changed(*places.get(path[0], ("learner", "gradient_booster", "model", "trees", 0, path[0])), to=value)
    assert (Verdict.UNKNOWN, {"xgboost/broken"}) == judged(json.dumps(model).encode(), "m.json")
    assert (Verdict.UNKNOWN, {"xgboost/broken"}) == judged(ubj(model), "m.ubj")


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (SEEDS["m.ubj"] + b"x", "data-behind"),
        (SEEDS["m.ubj"][:-1], "broken"),
        (SEEDS["m.json"][:-1], "broken"),
        (b"{L\0\0\0\0\0\0\0\x07learner[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff", "broken"),
        (b"{L\0\0\0\0\0\0\0\x07learner[$Z#L\0\0\xff\xff\xff\xff\xff\xff", "broken"),
        (b"{L\0\0\0\0\0\0\0\x07learner" + b"[" * 1000, "broken"),
        (SEEDS["m.ubj"][:-1] + _length("version") + b"Z}", "repeated-key"),
        (binary(nodes=4), "broken"),
        (binary(nodes=2**30), "broken"),
        (binary(left=3), "broken"),
        (binary(feature=2), "broken"),
        (binary(behind=b"x"), "data-behind"),
    ],
)
def test_absurd_models_of_xgboost_are_unknown(data: bytes, id: str) -> None:
    """Lengths that no file has, depth, ends that come too early, and too late."""
    verdict, found = judged(data, "m.ubj")
    assert Verdict.UNKNOWN is verdict
    assert f"xgboost/{id}" in found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"left_child=-1 -2", b"left_child=-1 -4"),
        (b"left_child=-1 -2", b"left_child=-1 99"),
        (b"split_feature=0 1", b"split_feature=0 2"),
        (b"threshold=0.5 0.25", b"threshold=0.5     "),
        (b"num_leaves=3", b"num_leaves=9"),
        (b"num_leaves=3", b"num_leaves=x"),
        (b"right_child=1 -3", b"right_child=1 +x"),
        (b"leaf_value=1 2 3\n", b"leaf_value=1 2 3 4\n"),
        (b"end of trees", b"end of threes"),
        (b"Tree=1", b"Tree 1"),
        (b"parameters:", b"para\0meters"),
    ],
)
def test_numbers_of_lightgbm_stay_inside(old: bytes, new: bytes) -> None:
    """Children, features, sizes."""
    verdict, found = judged(text_of().replace(old, new, 1), "m.txt")
    assert Verdict.UNKNOWN is verdict
    assert {"lightgbm"} == {id.partition("/")[0] for id in found}


@pytest.mark.parametrize(
    "data",
    [
        cbm(sizes=ints(3)),
        cbm(starts=ints(-1)),
        cbm(starts=ints(1, 2)),
        cbm(version="FlabuffersModel_v9"),
        cbm(behind=b"x"),
        cbm()[:-20],
        b"CBM1\xff\xff\xff\xff",
        json.dumps(CATBOOST | {"oblivious_trees": [{"leaf_values": [1], "splits": [1]}]}).encode(),
        json.dumps(CATBOOST | {"oblivious_trees": [{"leaf_values": [1], "splits": [1] * 10**4}]}).encode(),
        json.dumps(CATBOOST | {"oblivious_trees": {}}).encode(),
    ],
)
def test_numbers_of_catboost_stay_inside(data: bytes) -> None:
    """Trees that lead out of their splits, and what is cut off."""
    assert Verdict.UNKNOWN is judged(data, "m.json" if data[:1] == b"{" else "m.cbm")[0]


@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 40),
)
@settings(max_examples=600, deadline=None)
def test_no_byte_makes_a_reader_fail(name: str, changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever is changed, and wherever it is cut off."""
    data = bytearray(SEEDS[name])
    for at, value in changes:
        data[at % len(data)] = value
    report = scan_bytes(bytes(data[: len(data) - cut]), name)
    assert [f for f in report.findings if "defect" in f.message] == []
