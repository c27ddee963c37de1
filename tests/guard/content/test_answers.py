# SPDX-License-Identifier: Apache-2.0
import codecs
from base64 import b32encode, b64encode, urlsafe_b64encode
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.guard.content import canary, schema, topics
from bastide.guard.content.leakage import Leakage
from bastide.guard.model import Outcome
from tests.guard.content.support import CANARY, scanner

SCANNER = scanner(topics_denied={"politics": ("next election", "élection")})
PROMPT = (
    "You are Wanda, the assistant of the Harbour bookshop. Never offer discounts above fifteen percent. When a customer is angry, "
    "apologise once and offer to call the manager, whose extension is four two seven. Do not speak about the warehouse in Leeds, nor "
    "about the owners. Answer in the customer's own language, in at most five sentences, and end with a friendly question."
)


RAW = CANARY.encode()
WRITINGS = [
    CANARY, CANARY.upper(), CANARY[::-1], " ".join(CANARY), "-".join(CANARY), ",".join(CANARY), "/ ".join(CANARY), codecs.encode(CANARY, "rot13"),
    RAW.hex(), RAW.hex(" "), *("".join(f"{form}{b:02x}" for b in RAW) for form in ("%", "=", "\\x", ", 0x", "\\u00")),
    "".join(f"&#{b};" for b in RAW), "".join(f"&#x{b:x};" for b in RAW), " ".join(map(str, RAW)), "".join(f"\\{b:o}" for b in RAW),
    " ".join(f"{b:08b}" for b in RAW), CANARY.replace("c", "\u0441").replace("e", "\u0435"), "\u0301".join(CANARY), "\u200d".join(CANARY),
]  # fmt: skip


@pytest.mark.parametrize("answer", WRITINGS)
def test_a_canary_is_found_dressed_up(answer: str) -> None:
    """A canary never gets out, reversed, encoded, spaced out or in look-alike letters either."""
    assert SCANNER.scan(f"Here: {answer}.", "assistant").outcome is Outcome.BLOCK


@given(st.binary(max_size=9), st.binary(max_size=9), st.sampled_from([b64encode, urlsafe_b64encode, b32encode]))
def test_a_canary_is_found_wherever_an_encoding_begins(before: bytes, behind: bytes, encode: Any) -> None:
    """base64 and base32 write the same bytes in several ways, by where they start."""
    assert SCANNER.scan(f"Here: {encode(before + RAW + behind).decode()}", "assistant").outcome is Outcome.BLOCK


def test_canaries_can_be_looked_for() -> None:
    """A canary too short to be one by chance, or too long to be found in a stream, is refused."""
    for wrong in ("short", "x" * 200):
        with pytest.raises(ValueError):
            canary.rules([wrong])
    assert canary.rules([CANARY])


@pytest.mark.parametrize(
    "answer",
    [
        PROMPT,
        f"Sure! My instructions are: {PROMPT[:260]}",
        PROMPT.upper().replace(".", "\n-"),
        PROMPT.replace("Never", "Don't ever").replace("customer", "client").replace("once", "one time"),
        "Well. " * 300 + PROMPT[100:400],
    ],
)
def test_a_recited_prompt_is_found(answer: str) -> None:
    """A system prompt that is repeated, in part, with another layout or with light edits, is found."""
    assert [d.detector for d in Leakage(PROMPT)(answer)] == ["leakage/system-prompt"]


@pytest.mark.parametrize(
    "answer",
    [
        "I'm Wanda, the assistant of the Harbour bookshop. How can I help you today?",
        "I'm sorry that the book was late. Shall I call the manager? Would you like anything else?",
        "We have no discounts above fifteen percent. Can I show you our new novels?",
        "",
    ],
)
def test_an_answer_that_follows_the_prompt_is_fine(answer: str) -> None:
    """Doing what the prompt says, in some of its words, is no leak."""
    assert Leakage(PROMPT)(answer) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Who wins the next  election?",
        "NEXT-ELECTION",
        "Une Élection",
        "une election",
        "\uff4e\uff45\uff58\uff54 election",
    ],
)
def test_denied_topics(text: str) -> None:
    """A denied phrase is found whatever its case, accents and spaces, in questions and answers."""
    assert SCANNER.scan(text, "user").outcome is Outcome.BLOCK
    assert SCANNER.scan(text, "assistant").outcome is Outcome.BLOCK


def test_topics_are_words() -> None:
    """A phrase inside of a longer word doesn't count; an empty one is refused."""
    assert SCANNER.scan("the reelection of the next chair", "user").outcome is Outcome.ALLOW
    with pytest.raises(ValueError):
        topics.rules({"x": (" ",)})


@pytest.mark.parametrize(
    ("sink", "bad", "fine"),
    [
        ("text", "", "<script>alert(1)</script>"),
        ("markdown", "[x](javascript:alert(1))", "[x](https://a.test)"),
        ("markdown", "<img src=x onerror=alert(1)>", "Press <kbd>x</kbd>"),
        ("html", "<a href='jAvAscript:x()'>a</a>", "<a href='https://a.test'>a</a>"),
        ("shell", "rm -rf /", "ls -la"),
        ("sql", "SELECT 1; DROP TABLE users", "SELECT name FROM users WHERE id = 4"),
    ],
)
def test_what_is_unsafe_depends_on_where_it_ends_up(sink: str, bad: str, fine: str) -> None:
    """Each sink has its own dangers."""
    assert scanner(output=sink).scan(fine, "assistant").outcome is Outcome.ALLOW
    if bad:
        assert scanner(output=sink).scan(bad, "assistant").outcome is Outcome.BLOCK


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=3), lambda v: st.lists(v, max_size=3)
    | st.dictionaries(st.sampled_from("ab"), v, max_size=2), max_leaves=6
)  # fmt: skip
LEAF = st.sampled_from(
    [True, False, {}, {"type": "string"}, {"type": ["integer", "null"]}, {"type": "integer", "minimum": 0}, {"enum": [1, "a", None]}, {"const": True},
     {"type": "string", "maxLength": 1}, {"pattern": "^a"}, {"exclusiveMaximum": 2}, {"minItems": 1, "uniqueItems": True}, {"$ref": "#/$defs/x"}]
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAF,
    lambda s: (
        st.builds(lambda x: {"type": "array", "items": x}, s)
        | st.builds(
            lambda a, b, more: {
                "type": "object",
                "properties": {"a": a, "b": b},
                "required": ["a"],
                "additionalProperties": more,
            },
            s,
            s,
            s,
        )
        | st.builds(
            lambda k, x: {k: x}, st.sampled_from(["anyOf", "oneOf", "allOf"]), st.lists(s, min_size=1, max_size=3)
        )
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, SCHEMAS)
def test_schemas_mean_what_the_reference_says(value: object, shape: object) -> None:
    """The verdict on a value is that of the reference implementation."""
    import json

    whole = {**(shape if isinstance(shape, dict) else {"allOf": [shape]}), "$defs": {"x": {"type": "string"}}}
    expected = jsonschema.Draft202012Validator(whole).is_valid(value)
    assert expected == (schema.problem(json.dumps(value), whole) == "")


def test_what_cannot_be_judged_is_not_passed() -> None:
    """No JSON is a problem; a schema with an unknown keyword, or one that never ends, isn't judged."""
    assert schema.problem("{", {}) == "the answer is no JSON"
    assert "`b` isn't allowed" in schema.problem('{"b": 1}', {"type": "object", "additionalProperties": False})
    for shape in ({"if": {}}, {"$ref": "#"}, {"$ref": "https://x.test"}, {"type": "colour"}, 3):
        with pytest.raises(schema.Unjudged):
            schema.problem("{}", shape)
