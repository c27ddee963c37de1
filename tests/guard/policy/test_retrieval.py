# SPDX-License-Identifier: Apache-2.0
"""Retrievals stay inside the caller's tenant and clearance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import Denied
from bastide.guard.model import CLASSES, Action, Caller, Meaning
from bastide.guard.policy.retrieval import recheck, restrict

ANNA = Caller("assistant", user="anna", tenant="t1", clearance=CLASSES.index("internal"))


def search(**more: Any) -> Meaning:
    """A search tool."""
    return Meaning("search", "kb", Action.RETRIEVE, **more)


BOTH = search(tenant_field="tenant", class_field="class")


@pytest.mark.parametrize(
    ("path", "given_", "sent"),
    [
        ("tenant", {"query": "x"}, {"query": "x", "tenant": "t1"}),
        ("tenant", {"tenant": "t2"}, {"tenant": "t1"}),
        (
            "filter.tenant",
            {"filter": {"lang": "en", "tenant": ["t1", "t2"]}},
            {"filter": {"lang": "en", "tenant": "t1"}},
        ),
        ("filter.meta.tenant", {}, {"filter": {"meta": {"tenant": "t1"}}}),
        ("where.tenant", {"where": None}, {"where": {"tenant": "t1"}}),
        ("", {"tenant": "t2"}, {"tenant": "t2"}),
    ],
)
def test_the_tenant_is_written_into_the_filter(path: str, given_: dict[str, Any], sent: dict[str, Any]) -> None:
    """Whatever the model wrote there, the caller's own tenant replaces it."""
    before = json.dumps(given_)
    assert restrict(given_, ANNA, search(tenant_argument=path)) == sent
    assert json.dumps(given_) == before


@pytest.mark.parametrize(
    "given_",
    [{"filter": "tenant = 't2' or 1 = 1"}, {"filter": {"$or": [{}]}}, {"filter": {"SHOULD": []}}, {"filter": []}],
)
def test_a_filter_that_can_not_be_held_to_the_tenant_is_refused(given_: dict[str, Any]) -> None:
    """Text, alternatives and lists could let other tenants' data through."""
    with pytest.raises(Denied):
        restrict(given_, ANNA, search(tenant_argument="filter.tenant"))


def test_a_caller_without_a_tenant_searches_nothing() -> None:
    """No tenant is no wildcard."""
    with pytest.raises(Denied, match="credential names none"):
        restrict({}, Caller("assistant"), search(tenant_argument="tenant"))
    assert recheck([{"tenant": ""}], Caller("assistant"), search(tenant_field="tenant")).result == []


ITEM = {"tenant": "t1", "class": "internal", "text": "mine"}


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (ITEM, True),
        ({**ITEM, "tenant": "t2"}, False),
        ({**ITEM, "tenant": ["t1"]}, True),
        ({**ITEM, "tenant": ["t1", "t2"]}, False),
        ({**ITEM, "tenant": True}, False),
        ({**ITEM, "class": "confidential"}, False),
        ({**ITEM, "class": "Internal"}, False),
        ({**ITEM, "class": 1}, False),
        ({"tenant": "t1"}, False),
        ({"class": "public"}, False),
        ({"metadata": {"tenant": "t1", "class": "public"}}, True),
        ({"tenant": "t1", "class": "public", "metadata": {"tenant": "t2"}}, False),
        ("t1", False),
        (None, False),
        ([ITEM], False),
    ],
)
def test_items_of_others_and_over_the_clearance_are_taken_out(item: Any, kept: bool) -> None:
    """An item stays only when it says that it is the caller's and not too sensitive."""
    found = recheck([ITEM, item], ANNA, BOTH)
    assert (found.result, found.dropped) == ([ITEM, item] if kept else [ITEM], int(not kept))


@pytest.mark.parametrize(
    ("result", "left"),
    [
        ({"results": [ITEM, {}], "summary": "made of all"}, {"results": [ITEM]}),
        ({"hits": {"hits": [ITEM, {}], "total": 2}}, {"hits": {"hits": [ITEM]}}),
        ({"result": [{}]}, {"result": []}),
        (json.dumps([ITEM, {}]), json.dumps([ITEM])),
        (json.dumps([ITEM], indent=3), json.dumps([ITEM], indent=3)),
        (json.dumps({"items": [ITEM], "answer": "made of all"}), json.dumps({"items": [ITEM]})),
        (ITEM, ITEM),
        ({"tenant": "t2", "class": "public"}, {}),
        ({"ids": [["a"]], "documents": [["theirs"]], "metadatas": [[{"tenant": "t1"}]]}, {"documents": []}),
    ],
)
def test_results_come_in_several_shapes(result: Any, left: Any) -> None:
    """Lists, lists in an object, JSON as text, one item; what stands beside a list goes."""
    assert recheck(result, ANNA, BOTH).result == left


@pytest.mark.parametrize("result", ["plain text", '"text"', "[" * 100_000, 7, None, [{}] * 10_001])
def test_what_can_not_be_checked_is_refused(result: Any) -> None:
    """Text without structure may hold anybody's data."""
    with pytest.raises(Denied) as caught:
        recheck(result, ANNA, BOTH)
    assert caught.value.code == "unchecked"


def test_a_tool_without_fields_is_not_checked() -> None:
    """Only tools about which the settings name a field are checked."""
    assert recheck("plain text", ANNA, search()).result == "plain text"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["t1", "t2", "public", "restricted"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tenant", "class", "results", "hits", "metadata", "text"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def others(value: Any) -> bool:
    """Whether one of the items says that it is another tenant's."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(i, dict) and isinstance(i.get("tenant"), str) and i["tenant"] != "t1" for i in items)


@given(json_values)
def test_nothing_of_others_is_left(result: Any) -> None:
    """For any result: either it is refused, or no top item says that it is another's; and checking again keeps as many."""
    try:
        first = recheck(result, ANNA, BOTH)
    except Denied:
        return
    assert not others(first.result)
    try:
        again = recheck(first.result, ANNA, BOTH)
        assert again.kept == first.kept
    except Denied:
        raise AssertionError("what was kept can't be checked again") from None
