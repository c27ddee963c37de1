# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import LimitError
from bastide.guard.content.cache import ByDigest
from bastide.guard.content.scanner import ContentScanner
from bastide.guard.content.strings import mapped, strings
from bastide.guard.settings import Content

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.binary(max_size=60), max_size=60))
def test_a_cache_is_bounded_by_what_it_holds(texts: list[bytes]) -> None:
    """The texts together never have more bytes than allowed; large ones aren't kept; the value is always that of the text."""
    cache = ByDigest(len, 100)
    for text in texts:
        assert len(text) == cache(text)
        assert sum(size for size, _ in cache._kept.values()) == cache._size <= 100
        assert all(size <= 25 for size, _ in cache._kept.values())


def test_what_comes_again_is_not_made_again() -> None:
    """The most recently used stay."""
    made: list[bytes] = []
    cache = ByDigest(made.append, 8)
    for text in (b"aa", b"bb", b"cc", b"dd", b"aa", b"ee", b"bb"):
        cache(text)
    assert made == [b"aa", b"bb", b"cc", b"dd", b"ee", b"bb"]
    assert len(cache) == 4


def test_a_verdict_with_many_findings_is_not_kept() -> None:
    """Texts that are all findings can't fill the memory."""
    some = ContentScanner(Content(personal="flag"))
    some.scan(" ".join(f"a{n}@ex.org" for n in range(200)), "user")
    assert len(some._cache) == 0
    some.scan("a1@ex.org", "user")
    assert len(some._cache) == 1


@given(JSON)
def test_every_text_inside_of_json_is_seen(value: object) -> None:
    """Keys and strings, each once; nothing is rebuilt where nothing changes, and everything is changed where it does."""
    assert mapped(value, str) is value
    found = strings(value)
    assert strings(mapped(value, lambda text: f"{text}!")) == [f"{text}!" for text in found]


@pytest.mark.parametrize("value", [10**5000, ["x"] * 10_001, {"a": 1, "b": 2}], ids=["number", "many", "keys"])
def test_what_can_not_be_read_is_said(value: object) -> None:
    """A number without end, too many texts, and keys that become the same."""
    with pytest.raises(LimitError):
        mapped(value, lambda _: "same")
