# SPDX-License-Identifier: Apache-2.0
"""The schema accepts what the reader accepts and catches a misspelt word in an editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from bastide.catalog.load import load_vocabulary
from bastide.plan.schema import plan_schema
from bastide.plan.yamlfile import parse_documents
from tests.plan.strategies import documents

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = plan_schema(load_vocabulary())
VALIDATOR = Draft202012Validator(SCHEMA)
HEAD: dict[str, Any] = {"bastide": 1, "system": "s"}


def errors(document: Any) -> list[str]:
    return [e.json_path for e in VALIDATOR.iter_errors(document)]


def files() -> list[Path]:
    knowledge = ROOT / "src/bastide/knowledge/threats"
    found = [p for p in knowledge.glob("*/*/*.yaml") if p.name in ("fires.yaml", "quiet.yaml")]
    return [*found, *(ROOT / "examples").glob("*/bastide.yaml")]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_all_plans_of_this_repository_fit() -> None:
    found = files()
    assert len(found) > 20
    for path in found:
        for root in parse_documents(path.read_text("utf-8"), path.name):
            assert errors(root.plain_data()) == [], path


@settings(max_examples=60)
@given(document=documents())
def test_every_valid_plan_fits(document: dict[str, Any]) -> None:
    assert errors({k: v for k, v in document.items() if v != ""}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"component": {}},
        {"exposure": "world"},
        {"components": {"a": {"kind": "ai.agnet"}}},
        {"components": {"a": "ai.agnet"}},
        {"components": {"a": {"kind": "ai.agent", "autonmy": "acts-alone"}}},
        {"components": {"a": {"kind": "ai.agent", "autonomy": "alone"}}},
        {"components": {"a": {"kind": "ops.kms", "autonomy": "acts-alone"}}},
        {"components": {"a": {"zone": "app"}}},
        {"components": {"A B": {"kind": "ai.agent"}}},
        {"components": {"a": {"kind": "ai.agent", "logs": {"value": True, "surce": "declared"}}}},
        {"components": {"a": {"kind": "ai.agent", "logs": {"value": True, "source": "guessed"}}}},
        {"data": {"d": {"class": "secret"}}},
        {"zones": {"z": {"trusted": True}}},
        {"identities": {"i": {"grants": [{"actions": ["read"]}]}}},
        {"flows": ["a <- b"]},
        {"flows": [{"a -> b": {"protocl": "https"}}]},
        {"flows": [{"a -> b": {}, "b -> c": {}}]},
        {"controls": [{"injection-detection": {"at": "a"}}]},
        {"defaults": {"flow": {}}},
    ],
)
def test_mistakes_are_caught(wrong: dict[str, Any]) -> None:
    assert errors({**HEAD, **wrong})


@pytest.mark.parametrize(
    "right",
    [
        {"components": {"a": "ai.agent"}, "x-note": [1]},
        {"components": {"a": {"kind": "ai.agent", "x-note": {}, "logs": {"value": "unknown", "source": "discovered"}}}},
        {
            "flows": [
                "a -> b -> c",
                {"a<->b": None},
                {"b -> c": {"id": "second", "data": "d", "encrypted": "yes"}},
            ]
        },
        {"flows": {"a -> b": {"data": ["d"]}}},
        {"include": "more.yaml", "defaults": {"components": {"zone": "app", "logs": True}}},
    ],
)
def test_shorthands_fit(right: dict[str, Any]) -> None:
    assert errors({**HEAD, **right}) == []


def test_meanings_are_shown() -> None:
    kinds = {entry["const"]: entry for entry in SCHEMA["$defs"]["kind"]["oneOf"]}
    vocabulary = load_vocabulary()
    assert kinds["ai.agent"]["description"] == vocabulary.kinds["ai.agent"].means
    assert set(kinds) == set(vocabulary.kinds)
    for element, attributes in vocabulary.attributes.items():
        for name, attribute in attributes.items():
            assert SCHEMA["$defs"][f"{element}.{name}"]["description"] == attribute.means.strip()
    assert set(SCHEMA["$defs"]["control"]["properties"]) == set(vocabulary.controls)
