# SPDX-License-Identifier: Apache-2.0
"""Markdown for pull requests: short, folded, and nothing in a plan becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.report.factory import assessment, finding, rag_agent

from bastide.plan.diff import compare_plans
from bastide.report.markdown import MAX_CHARACTERS, code, escape, render_diff, render_markdown
from bastide.threats.diff import Changes, compare
from bastide.threats.model import Question, Severity

PLAN = rag_agent()
ASSESSMENT = assessment(PLAN)
TAG = re.compile(r"</?(?:details|summary|sub|b)>")


def test_the_whole_report(snapshot) -> None:
    assert render_markdown(PLAN, ASSESSMENT) == snapshot


def test_the_whole_report_with_changes(snapshot) -> None:
    """What is new stands first and is marked."""
    before = replace(
        ASSESSMENT,
        findings=(finding(9, ("kb",), 3, 3), replace(ASSESSMENT.findings[0], path=("kb",)), *ASSESSMENT.findings[2:]),
    )
    text = render_markdown(PLAN, ASSESSMENT, changes=compare(before, ASSESSMENT))
    assert text == snapshot
    assert text.index("<b>new</b>") < text.index("Retrieved documents steer a tool with side effects</summary>")


def test_the_whole_difference(snapshot) -> None:
    after = replace(PLAN, exposure="internal", components={k: v for k, v in PLAN.components.items() if k != "vendor"})
    now = replace(ASSESSMENT, findings=ASSESSMENT.findings[1:])
    assert render_diff(after, compare_plans(PLAN, after), compare(ASSESSMENT, now)) == snapshot


def test_nothing_changed() -> None:
    assert "**Nothing changed**" in render_markdown(PLAN, ASSESSMENT, changes=Changes((), (), ()))
    assert "- nothing" in render_diff(PLAN, compare_plans(PLAN, PLAN), Changes((), (), ()))


def test_it_fits_a_comment() -> None:
    """Ten thousand findings and questions: under GitHub's limit, and it says how many are left out."""
    many = tuple(finding(n, ("vendor", "kb") * 30, 5, 5, message="m" * 500) for n in range(10_000))
    location = ASSESSMENT.questions[0].location
    asked = tuple(
        Question(f"Q-{n}", "e", "a", "q" * 900, "w" * 900, (), Severity.HIGH, 1, location) for n in range(10_000)
    )
    text = render_markdown(PLAN, replace(ASSESSMENT, findings=many, questions=asked), changes=Changes(many, many, ()))
    assert len(text) < MAX_CHARACTERS + 4_000 < 65_536
    assert re.search(r"\.\.\. and 9,?\d\d\d more (open|closed) findings", text)
    assert text.count("<details>") == text.count("</details>")


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["<script>", "</summary></details>", "[a](http://x)", "![](http://x/p.png)", "`x`", "@everyone", "#1 GH-2", "| a |", "**b**",
         "https://evil.example", "www.evil.example", "&lt;b&gt;", "\n# heading", "- [ ] task", "~~~", "a\u202eb", "$x$"]
    ),
)  # fmt: skip


@given(hostile)
def test_text_stays_text(words: str) -> None:
    """No tag, link, mention or code span comes out of a name, inside HTML or outside."""
    evil = replace(ASSESSMENT.findings[0], title=words, message=words, rule=words, path=(words, words))
    text = render_markdown(replace(PLAN, name=words), replace(ASSESSMENT, findings=(evil,), questions=()))
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "<" not in TAG.sub("", outside)
    assert "\u202e" not in text
    assert outside.count("<details>") == outside.count("</details>") == 2
    assert not re.search(r"@\w|\w://|\bwww\.\w", outside)
    # GitHub reads no Markdown in a line that begins with an HTML block.
    assert not re.search(r"(?<!\\)\]\(", re.sub(r"<summary>.*", "", outside))


@given(hostile)
def test_escaping_hides_nothing(words: str) -> None:
    """Undone, the escaped text is the text, with white space folded and marks dropped."""
    shown = escape(words).replace("\u200b", "")
    back = re.sub(r"\\([\\`*_\[\]|~!])", r"\1", shown).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert back.replace("\ufffd", "") == re.sub(
        "[\u202a-\u202e\u2066-\u2069\u200b]", "", " ".join(back.split())
    ).replace("\ufffd", "")
    assert "`" not in code(words)
