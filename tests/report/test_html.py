# SPDX-License-Identifier: Apache-2.0
"""The report: complete without a script, closed to the network, and honest about what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from html.parser import HTMLParser

import factory
import pytest
from test_svg import HOSTILE, named

from bastide.catalog.load import load_catalog
from bastide.catalog.model import Catalog
from bastide.errors import Location
from bastide.plan.model import Plan
from bastide.report import view
from bastide.report.html import render_html
from bastide.threats.diff import Changes, compare
from bastide.threats.model import (
    Assessment,
    ControlOption,
    ControlState,
    FindingState,
    Question,
    Rating,
    Severity,
    Term,
)

VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Tag:
    name: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """Tags and visible text of a page; complains about tags that don't nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self.words: list[str] = []
        self.blocks: dict[str, list[str]] = {"style": [], "script": []}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(Tag(tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.blocks:
            self.blocks[self._open[-1]].append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, **attributes: str) -> list[Tag]:
        wanted = {k.replace("_", "-"): v for k, v in attributes.items()}
        return [t for t in self.tags if all(t.attributes.get(k) == v for k, v in wanted.items())]


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return load_catalog()


def page(plan: Plan | None = None, assessment: Assessment | None = None, changes: Changes | None = None) -> Page:
    plan = plan or factory.rag_agent()
    made = assessment or factory.assessment(plan)
    return Page(render_html(plan, made, catalog(), changes=changes, generated="23 November 2026"))


def test_the_header_says_what_whose_and_how_bad() -> None:
    text = page().text
    for words in (
        "Support assistant", "Answers customers", "team: support-eng", "23 November 2026",
        "12 components, 12 flows",
        "1 critical", "2 high", "1 medium", "1 low", "2 open questions",
    ):  # fmt: skip
        assert words in text, words


def test_every_finding_has_its_box_in_the_section_of_its_state() -> None:
    made = page()
    boxes = [t for t in made.tags if t.name == "details" and t.attributes.get("class") == "finding"]
    findings = factory.assessment().findings
    assert [b.attributes["id"] for b in boxes] == [f.id for f in findings]
    for box, finding in zip(boxes, findings, strict=True):
        assert json.loads(box.attributes["data-path"]) == list(finding.path)
        assert finding.title in made.text
    sections = [t.attributes["data-state"] for t in made.tags if t.attributes.get("class") == "state"]
    assert sections == ["open", "mitigated", "accepted", "false-positive"]


def test_a_path_is_told_hop_by_hop() -> None:
    text = page().text
    assert "Vendor Third-party author · Internet" in text
    assert "sends Knowledge base (not encrypted)" in text
    assert "makes a call with orders (encrypted)" in text
    assert "answers with orders (encrypted)" in text, "against the direction of the arrow"
    assert "enters another zone" in text


def test_the_rating_is_shown_as_a_sum() -> None:
    text = page().text
    assert "5 \N{MULTIPLICATION SIGN} 5 = 25: critical (from 20)" in text
    assert "+1 the attacker needs no account" in text


def test_a_sum_that_was_bounded_says_so() -> None:
    terms = (Term(3, "seen in real attacks"), Term(1, "no account"), Term(1, "acts alone"), Term(1, "more"))
    finding = factory.finding(1, ("web",), 5, 5, rating=Rating(5, 5, (Term(5, "worst"),), terms))
    plan = factory.rag_agent()
    text = page(plan, replace(factory.assessment(plan), findings=(finding,))).text
    assert "adds up to 6; bounded to 5" in text


def test_controls_say_whether_they_break_or_reduce_and_whether_they_are_there() -> None:
    made = page()
    assert "Each of these breaks the path:" in made.text
    assert "These only make it less likely:" in made.text
    assert catalog().controls["human-approval"].title in made.text
    assert "by aws.bedrock-guardrails" in made.text
    every = tuple(ControlOption("human-approval", "refund", state, True) for state in ControlState)
    finding = factory.finding(1, ("web",), 4, 4, controls=every)
    shown = page(assessment=replace(factory.assessment(), findings=(finding,))).text
    for word in ("missing", "not known", "claimed", "implemented", "verified"):
        assert f"on Refund tool {word}" in shown


def test_frameworks_are_named_and_linked() -> None:
    made = page()
    framework = catalog().frameworks["owasp-llm:2025"]
    assert made.all(href=framework.url)
    assert f"LLM01 {framework.entries['LLM01'].name}" in made.text


def test_an_address_that_is_not_of_the_web_is_not_linked() -> None:
    known = catalog()
    bad = replace(known.frameworks["owasp-llm:2025"], url="javascript:alert(1)")
    odd = replace(known, frameworks={"owasp-llm:2025": bad})
    plan = factory.rag_agent()
    html = render_html(plan, factory.assessment(plan), odd, generated="today")
    assert "javascript:" not in html


def test_decisions_show_who_why_and_until_when() -> None:
    text = page().text
    assert "accepted by support-eng, until 2027-03-31: Memory ends with the session; reviewed." in text
    assert "false-positive by support-eng: It is a managed service." in text


def test_an_expired_acceptance_is_pointed_out() -> None:
    made = factory.assessment()
    assert "An acceptance of this finding has expired" not in page().text
    text = page(assessment=replace(made, expired=(made.findings[0].id,))).text
    assert text.count("An acceptance of this finding has expired") == 1


def test_the_set_of_controls_and_the_ranking_count_paths() -> None:
    text = page().text
    assert "2 of 4 paths" in text
    assert "in the set" in text
    assert "No control in the catalogue breaks 1 finding" in text


def test_no_hardening_no_section() -> None:
    made = page(assessment=replace(factory.assessment(), hardening=None))
    assert not made.all(id="controls")


def test_questions_show_what_hangs_on_them() -> None:
    plan = factory.rag_agent()
    question = Question(
        "Q-1", "web", "authentication", "Who may call `web`?", "It decides 2 findings.",
        ("B-0000000001", "B-00000000ff"), Severity.HIGH, 9, Location("bastide.yaml", 22, 3),
    )  # fmt: skip
    made = page(plan, replace(factory.assessment(plan), questions=(question,)))
    assert "Who may call web ?" in made.text
    assert made.all(href="#B-0000000001")
    assert "B-00000000ff" not in made.text, "a number that leads nowhere helps nobody"


def test_changes_since_last_time() -> None:
    new = factory.assessment()
    gone = factory.finding(99, ("web",), 3, 3, title="Something that was fixed")
    old = replace(new, findings=(gone, replace(new.findings[1], rating=factory.rating(2, 3)), *new.findings[2:]))
    text = page(changes=compare(old, new)).text
    assert "Something that was fixed" in text
    assert "score 6 (medium) → 16 (high)" in text
    assert not page().all(id="changes")


def test_parts_show_facts_with_their_source_and_labels() -> None:
    text = page().text
    assert "Content of third-party authors can get here" in text
    assert "acts-alone declared bastide.yaml:24" in text
    assert "not known encrypted-at-rest" in text


def test_nothing_is_loaded_and_only_the_own_blocks_may_run() -> None:
    made = page()
    policy = made.all(http_equiv="Content-Security-Policy")[0].attributes["content"]
    for kind in ("style", "script"):
        blocks = made.blocks[kind]
        assert len(blocks) == 1
        digest = base64.b64encode(hashlib.sha256(blocks[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in made.tags:
        assert "src" not in tag.attributes
        assert "style" not in tag.attributes
        assert tag.name != "link"
        assert not any(name.startswith("on") for name in tag.attributes)
    assert "@import" not in made.blocks["style"][0]
    assert "url(" not in made.blocks["style"][0]


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_stay_text(word: str) -> None:
    plan = replace(named(word), purpose=word, owner={word: word}, exposure=word, digest=word)
    made = factory.finding(
        1, (f"{word}0", word, f"{word}1", "gone"), 4, 4,
        title=word, message=f"`{word}`", reasons=(word, f"`{word}`"), rule=word,
        controls=(ControlOption(word, word, ControlState.REQUIRED, True, by=word),), refs={word: (word,)},
    )  # fmt: skip
    html = render_html(plan, Assessment(word, word, (made,), (), None), catalog(), generated=word)
    result = Page(html)
    assert len(result.blocks["script"]) == 1
    assert not any(t.name in ("img", "iframe", "object") for t in result.tags)
    assert not any(name.startswith("on") for t in result.tags for name in t.attributes)
    html.encode("utf-8")


def check_links(made: Page) -> None:
    ids = [t.attributes["id"] for t in made.tags if "id" in t.attributes]
    assert len(ids) == len(set(ids))
    links = {t.attributes["href"][1:] for t in made.tags if t.attributes.get("href", "").startswith("#")}
    assert links <= set(ids)


def test_ids_are_unique_and_links_within_the_page_lead_somewhere() -> None:
    check_links(page(changes=compare(factory.assessment(), factory.assessment())))


def test_an_empty_plan_is_reported_as_such() -> None:
    text = page(Plan(id="nothing"), Assessment("nothing", "", (), (), None)).text
    assert "No rule found anything in this plan." in text


@pytest.mark.slow
def test_a_large_system_stays_small_and_says_what_is_left_out() -> None:
    plan = factory.big_plan(500, 1500)
    count = view.FULL + view.LISTED + 7
    html = render_html(plan, factory.big_assessment(plan, count), catalog(), generated="today")
    made = Page(html)
    check_links(made)
    boxes = [t for t in made.tags if t.attributes.get("class") == "finding"]
    lines = [t for t in made.tags if t.attributes.get("class") == "finding line"]
    assert (len(boxes), len(lines)) == (view.FULL, view.LISTED)
    assert f"lists all {count}" in made.text
    assert "7 more open findings are not shown here." in made.text
    assert f"{2000 - view.PARTS} more parts are not described here" in made.text
    assert len(html) < 8_000_000


def test_states_without_findings_have_no_section() -> None:
    made = replace(factory.assessment(), findings=factory.assessment().open)
    states = {t.attributes["data-state"] for t in page(assessment=made).tags if "data-state" in t.attributes}
    assert states == {FindingState.OPEN}


def test_the_same_input_gives_the_same_bytes() -> None:
    plan = factory.rag_agent()
    first = render_html(plan, factory.assessment(plan), catalog(), generated="today")
    assert first == render_html(factory.rag_agent(), factory.assessment(), catalog(), generated="today")
