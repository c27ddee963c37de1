# SPDX-License-Identifier: Apache-2.0
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import LimitError
from bastide.recognise.normalise import hidden_text, normalise, printable

ANY = st.text(st.characters(exclude_categories=())) | st.text(
    "a\u0435\u200bÀﬁ\uff21\ud800e\u0301\U000e0041\ufe0f 한\u1100\u1161\n", max_size=40
)


def tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(c)) for c in text)


def test_printable_ascii_is_itself() -> None:
    """Nothing is copied when there is nothing to do."""
    text = "Hello,\n\tworld ~!"
    view = normalise(text)
    assert view.text is text
    assert view.folded is text


@settings(max_examples=500)
@given(ANY)
def test_any_text_has_a_normal_form(text: str) -> None:
    """Whatever comes in, lone surrogates too: it is UTF-8, folding keeps positions, and every span lies in the original."""
    view = normalise(text)
    assert view.text.encode() == view.data
    assert len(view.text) == len(view.folded)
    places = [view.span(i, i + 1) for i in range(len(view.text))]
    assert all(0 <= span.start < span.end <= len(text) for span in places)
    assert places == sorted(places, key=lambda span: span.start)
    assert len(view.text) == view.position(len(text)) or not view.text


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cf", "Cc", "Mn", "Me", "Mc"), max_codepoint=0x2FFF), max_size=60)
)
def test_it_is_nfkc(text: str) -> None:
    """Where nothing is invisible or combining, the normal form is NFKC of each character."""
    folded = "".join(unicodedata.normalize("NFKC", c) for c in text)
    assert all(c in folded or unicodedata.category(c) in ("Cf", "Lo", "Lm", "Mn") for c in normalise(text).text)


@given(st.text("abc é\u200b\u2060ﬁ\uff21\u00ad", max_size=40), st.data())
def test_positions_go_both_ways(text: str, data: st.DataObject) -> None:
    """The start of a span, taken back to the normal form, is the position that it came from, or the beginning of the same character."""
    view = normalise(text)
    if view.text:
        place = data.draw(st.integers(0, len(view.text) - 1))
        start = view.span(place, place + 1).start
        assert view.span(view.position(start), view.position(start) + 1).start == start


def test_lookalikes_are_folded_for_comparing_only() -> None:
    """Cyrillic and accented letters read as ASCII in `folded`, and stay what they are in `text`."""
    view = normalise("Ign\u043er\u0435 àll")
    assert (view.text, view.folded) == ("Ign\u043er\u0435 àll", "Ignore all")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hidden/tag-characters", "Hi" + tags("do evil")),
        ("hidden/variation-selectors", "😀" + "".join(chr(0xFE00 + n) for n in (6, 9, 7, 2))),
        ("hidden/zero-width", "a" + "\u200b\u200c" * 4 + "b"),
        ("hidden/bidi-override", "abc\u202edef"),
        ("hidden/split-words", "i\u200bg\u200bn\u200bore"),
    ],
)
def test_hidden_text_is_a_finding(name: str, text: str) -> None:
    """Characters that carry a message unseen are reported, with where they stand."""
    [found] = normalise(text).hidden
    assert found.detector == name
    assert found.spans[0].start < found.spans[0].end


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧‍👦 ❤️ ☎️", "نمی‌خواهم", "🏴" + tags("gbeng") + "\U000e007f", "co\u00adoperate", "\ufeffHello"]
)
def test_ordinary_invisible_characters_are_none(text: str) -> None:
    """Emoji sequences, flags, Persian joiners, a soft hyphen and a byte order mark are no findings."""
    assert normalise(text).hidden == ()


def test_a_hidden_message_is_decoded() -> None:
    """The text in tag characters is there to be scanned and shown."""
    assert hidden_text("a" + tags("obey me")) == "obey me"
    assert "obey me" in normalise("a" + tags("obey me")).hidden[0].why


def test_growth_is_bounded() -> None:
    """A text of characters that become many is refused."""
    with pytest.raises(LimitError):
        normalise("\ufdfa" * 5000)


def test_shown_text_is_one_short_line() -> None:
    """What is quoted in explanations has no line breaks, nothing invisible and an end."""
    assert printable("a\nb\u202ec") == "a b c"
    assert len(printable("x" * 500)) == 80
