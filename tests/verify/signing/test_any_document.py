# SPDX-License-Identifier: Apache-2.0
"""Whatever a document says, reading it ends in an answer or in `Wrong`; and only in a document that is right it holds."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.signing import predicates
from bastide.verify.signing.bundle import MEDIA_TYPE, read_bundle
from bastide.verify.signing.manifest import from_statement, make_manifest, to_statement
from bastide.verify.signing.model import Outcome, Resource
from bastide.verify.signing.policy import Demand, Range
from bastide.verify.signing.statement import read_statement, write_statement
from bastide.verify.signing.strict import Wrong

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RESOURCES = (Resource("a", "ab" * 32),)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
GOOD: dict[str, dict[str, Any]] = {
    "scan": {
        "scanner": {"engine": "1"}, "finishedOn": "2026-11-22T00:00:00Z", "verdict": "safe",
        "files": [{"path": "a", "sha256": "ab" * 32, "verdict": "safe"}],
    },
    "evaluation": {
        "evaluatedOn": "2026-11-22T00:00:00Z", "metrics": {"f1": 0.9}, "dataset": {"digest": {"sha256": "cd" * 32}},
    },
    "provenance": {
        "buildDefinition": {"resolvedDependencies": [{"uri": "x", "digest": {"sha256": "ab" * 32}}]},
        "runDetails": {"builder": {"id": "b"}, "metadata": {"finishedOn": "2026-11-22T00:00:00Z"}},
    },
}  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    found = inner = copy.deepcopy(document)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return found


@pytest.mark.parametrize("type_", GOOD)
def test_the_good_one_holds(type_: str) -> None:
    demand = Demand(type_, ("x",), max_age=10 * 86400, min_engine="1", metrics={"f1": Range(min=0.9)})
    assert Outcome.HOLDS is predicates.examine(demand, GOOD[type_], RESOURCES, NOW).outcome


@pytest.mark.parametrize("type_", GOOD)
@settings(max_examples=150)
@given(data=st.data())
def test_predicates(type_: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(places(GOOD[type_])[1:]))
    changed = replaced(GOOD[type_], path, data.draw(VALUES))
    demand = Demand(type_, ("x",), max_age=10 * 86400, min_engine="1", metrics={"f1": Range(min=0.9)})
    answer = predicates.examine(demand, changed, RESOURCES, NOW)
    assert answer.reason
    if type_ == "scan" and changed["files"] != GOOD["scan"]["files"]:
        # `findings` and the like may be there; path, digest and verdict may not change.
        assert answer.outcome is not Outcome.HOLDS


@settings(max_examples=300)
@given(data=st.data())
def test_statements(data: st.DataObject) -> None:
    manifest = make_manifest("m", {"a": "ab" * 32, "b/c": "cd" * 32}, ["x"])
    good = json.loads(write_statement(to_statement(manifest)))
    path = data.draw(st.sampled_from(places(good)))
    changed = replaced(good, path, data.draw(VALUES))
    with suppress(Wrong):
        found = from_statement(read_statement(json.dumps(changed).encode()))
        assert manifest.resources == found.resources


@settings(max_examples=300)
@given(data=st.data())
def test_bundles(data: st.DataObject) -> None:
    good = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": "ab"}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": "eA==", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "eA==", "keyid": ""}],
        },
    }  # fmt: skip
    path = data.draw(st.sampled_from(places(good)))
    with suppress(Wrong):
        read_bundle(json.dumps(replaced(good, path, data.draw(VALUES))).encode())
