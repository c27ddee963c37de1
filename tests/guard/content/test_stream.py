# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.guard.content.leakage import Leakage
from bastide.guard.content.redact import Vault
from bastide.guard.content.stream import Check, StreamScanner
from bastide.guard.model import Outcome
from bastide.recognise.model import Detection, Span
from tests.guard.content.support import AWS, CANARY, cut, feed, scanner

SCANNER = scanner(topics_denied={"horses": ("horse racing",)})
SHELL = scanner(output="shell")
KEY = "-----BEGIN RSA PRIV" + "ATE KEY-----\n" + "q7RtZp2xLm9/\n" * 150 + "-----END RSA PRIV" + "ATE KEY-----"
PARTS = st.sampled_from(
    [AWS, KEY, CANARY, CANARY[::-1], "<script>alert(1)</script>", "`<script>`", "\n```\n", "\n~~~\n", "```", "horse  racing",
     "<EMAIL_1>", "<EMAIL_2>", "<EMAIL_", "1>", "password: Tr0ub4dor&3x", "AKIA", "-----BEGIN PRIV" + "ATE KEY-----", "é\u200b", "\u200d" * 30,
     "\ud800", "ﬁ", "word ", "text " * 150, "x" * 700, "https://a.test/" + "y" * 600, "![a](https://e.test/?q=1)", "[x](javascript:a)", "\n", " "]
)  # fmt: skip
TEXTS = st.lists(PARTS | st.text(max_size=30), max_size=12).map("".join)
SIZES = st.lists(st.integers(1, 900), max_size=5)


def vault() -> Vault:
    result = Vault()
    result.hide("EMAIL", "ann@example.org")
    return result


def links(text: str) -> list[Detection]:
    """A check as another part of the guard would plug in: images from a foreign host."""
    found, at = [], text.find("![a](https://e.test")
    while at >= 0:
        end = text.find(")", at)
        if end < 0:
            break
        found.append(Detection("exfiltration/image", 0.9, (Span(at, end + 1),), "an image"))
        at = text.find("![a](https://e.test", end)
    return found


def settled(text: str) -> int:
    at = text.rfind("![")
    return at if at >= 0 and ")" not in text[at:] else len(text)


@settings(max_examples=200, deadline=None)
@given(TEXTS, SIZES)
def test_any_cutting_gives_what_the_whole_gives(text: str, sizes: list[int]) -> None:
    """What goes on, the outcome and the findings don't depend on how an answer is cut, and are those of the whole."""
    whole = StreamScanner(SCANNER._answers, vault(), [Check(links, settled)], 8192)
    at_once = feed(whole, [text])
    stream = SCANNER.stream(vault(), [Check(links, settled)])
    released = feed(stream, cut(text, sizes))
    assert whole.verdict == stream.verdict
    if not whole.blocked:
        assert at_once == released


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc .\n\u00e9\u4e2d😀", max_size=3000), SIZES)
def test_a_clean_answer_goes_on_unchanged(text: str, sizes: list[int]) -> None:
    """When nothing is found, what goes on is what came, to the character."""
    stream = SCANNER.stream()
    assert text == feed(stream, cut(text, sizes))
    assert stream.verdict.outcome is Outcome.ALLOW


@pytest.mark.parametrize("before", [0, 1, 63, 64, 400, 511, 512, 513, 2000])
@pytest.mark.parametrize("bad", [CANARY, "<script>alert(1)</script>", "horse racing"])
def test_nothing_of_what_is_blocked_goes_on(before: int, bad: str) -> None:
    """Text before a blocked part goes on, of the part itself not one character, wherever it stands."""
    text = "x " * (before // 2) + bad + " and more" * 100
    stream = SCANNER.stream()
    released = feed(stream, cut(text, [7]))
    assert stream.blocked
    assert text[: text.index(bad)].startswith(released)
    assert stream.push("more") + stream.finish() == ""


def test_a_secret_is_replaced_in_a_stream() -> None:
    """A key that arrives character by character is replaced, and what surrounds it goes on."""
    text = "The key is " + AWS + ", keep it. " + KEY + " Bye."
    released = feed(SCANNER.stream(), list(text))
    assert released == "The key is [redacted: secret/aws-access-key], keep it. [redacted: secret/private-key] Bye."


def test_placeholders_are_restored_across_chunks() -> None:
    """A placeholder that is split over chunks becomes the value again; one that isn't known stays."""
    text = "x " * 400 + "Write to <EMAIL_1> or <EMAIL_7>. " + "y " * 400
    released = feed(SCANNER.stream(vault()), list(text))
    assert text.replace("<EMAIL_1>", "ann@example.org") == released


def test_most_of_a_long_answer_goes_on_before_its_end() -> None:
    """No more than the hold-back and a step stay behind while an answer streams."""
    stream, released = SCANNER.stream(), 0
    for sent in range(1, 401):
        released += len(stream.push("ten chars."))
        assert sent * 10 - released <= 512 + 64


def test_what_never_ends_is_stopped_as_unscanned() -> None:
    """An answer whose end of a finding never comes isn't held back for ever, and never passed on unread."""
    stream = SCANNER.stream()
    released = feed(stream, ["-----BEGIN PRIV" + "ATE KEY-----\n"] + ["A" * 64 + "\n"] * 400)
    assert (released, stream.blocked, stream.verdict.scanned) == ("", True, False)


def test_code_that_is_shown_is_no_attack() -> None:
    """In markdown, a script in a code block or code span is shown, not run; outside it is blocked."""
    shown = "Look:\n```html\n<script>alert(1)</script>\n```\nand `<script>` too. " + "word " * 300
    assert SCANNER.scan(shown, "assistant").outcome is Outcome.ALLOW
    assert SCANNER.scan(shown + "\n<script>alert(1)</script>", "assistant").outcome is Outcome.BLOCK
    assert SCANNER.scan("an `open tick <script>alert(1)</script>", "assistant").outcome is Outcome.BLOCK
    assert scanner(output="html").scan(shown, "assistant").outcome is Outcome.BLOCK


def test_leakage_is_found_in_a_stream() -> None:
    """A system prompt that is recited after a long answer is stopped before it is out."""
    prompt = (
        "You are Wanda, the assistant of the Harbour bookshop. Never offer discounts above fifteen percent. When a customer is angry, "
        "apologise once and offer to call the manager, whose extension is four two seven. Do not speak about the warehouse in Leeds."
    )
    stream = SCANNER.stream(checks=[Check(Leakage(prompt))])
    released = feed(stream, cut("We sell books. " * 100 + prompt, [9]))
    assert stream.blocked
    assert "fifteen percent" not in released


@pytest.mark.slow
def test_streams_take_linear_time() -> None:
    """Four times the text takes about four times as long, also for text made to match again and again."""
    for unit in ("word ", "AKIA", "<", "a@", "```\n", "1 ", "é"):
        times = []
        for size in (20_000, 80_000):
            text = (unit * size)[:size]
            start = time.perf_counter()
            feed(SCANNER.stream(vault()), cut(text, [20]))
            times.append(time.perf_counter() - start)
        assert times[1] < 12 * times[0]


def test_a_check_says_what_stands_instead() -> None:
    """What a plugged-in check takes out is replaced by what it says, with the part that was there in hand."""
    check = Check(links, settled, lambda detection, part: f"[{detection.detector} of {len(part)}]")
    assert (
        feed(SCANNER.stream(checks=[check]), list("Look ![a](https://e.test/?q=1) here"))
        == "Look [exfiltration/image of 25] here"
    )


def smuggled(text: str) -> str:
    """The text in tag characters."""
    return "".join(chr(0xE0000 + ord(c)) for c in text)


@given(st.integers(0, 1200), SIZES)
def test_what_nobody_sees_is_taken_out_of_answers(before: int, sizes: list[int]) -> None:
    """A message in tag characters would go wherever a person copies the answer; a flag made of them stays."""
    wales = "\U0001f3f4" + smuggled("gbwls") + "\U000e007f"
    text = "x" * before + f" Hello {wales}.{smuggled('the account is 4471')} Bye" + " y" * 400
    stream = SCANNER.stream()
    assert text.replace(smuggled("the account is 4471"), "") == feed(stream, cut(text, sizes))
    assert [d.detector for d in stream.verdict.detections] == ["hidden/tag-characters"]
