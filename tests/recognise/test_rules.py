# SPDX-License-Identifier: Apache-2.0
import re._parser as parser
from pathlib import Path

import pytest

from bastide.errors import KnowledgeError, LimitError
from bastide.recognise.normalise import normalise
from bastide.recognise.rules import LONGEST, Matcher, Rule, builtin, example, read_rule


@pytest.mark.parametrize("rule", builtin(), ids=lambda rule: rule.id)
def test_examples(rule: Rule) -> None:
    """Every rule fires on each of its examples and on none of its near misses."""
    matcher = Matcher([rule])
    assert [text for text in map(example, rule.fires) if not matcher.find(normalise(text))] == []
    assert [text for text in map(example, rule.quiet) if matcher.find(normalise(text))] == []


@pytest.mark.parametrize("rule", [rule for rule in builtin() if not rule.open], ids=lambda rule: rule.id)
def test_no_match_is_longer_than_a_stream_holds_back(rule: Rule) -> None:
    """The longest match of each pattern is bounded, unless the rule says that it is open."""
    widths = [parser.parse(p.replace("(?-i:", "(?:").replace("(?-i)", "")).getwidth()[1] for p in rule.patterns]
    assert max(widths) <= LONGEST


def test_ids_are_paths_and_families_are_known() -> None:
    """A rule's id is its path; its first part says what follows from it."""
    assert {"injection", "secret", "personal", "output"} == {rule.id.partition("/")[0] for rule in builtin()}
    assert all(rule.label for rule in builtin() if rule.id.startswith("personal/"))


@pytest.mark.parametrize(
    "text",
    [
        "why: x\ndirections: [user]\npatterns: ['a']\nfires: [a]\nquiet: []",
        "why: x\ndirections: [user]\npatterns: ['a']\nfires: []\nquiet: [b]",
        "why: x\ndirections: [user]\npatterns: ['(a']\nfires: [a]\nquiet: [b]",
        "why: x\ndirections: [nobody]\npatterns: ['a']\nfires: [a]\nquiet: [b]",
        "why: x\ndirections: [user]\npatterns: ['a']\nfires: [a]\nquiet: [b]\ncheck: none-such",
        "why: x\ndirections: [user]\npatterns: ['a']\nfires: [a]\nquiet: [b]\ncolour: red",
        "- [",
    ],
)
def test_a_wrong_rule_does_not_load(tmp_path: Path, text: str) -> None:
    """A rule without both kinds of examples, or with anything wrong, is an error with the file's name."""
    file = tmp_path / "injection" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(KnowledgeError, match=r"mine\.yaml"):
        read_rule(file, tmp_path)


def test_a_rule_is_read(tmp_path: Path) -> None:
    """The id comes from the path, and an example may be written in parts."""
    file = tmp_path / "secret" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("why: x\ndirections: [user]\npatterns: ['ab']\nfires: [[a, b]]\nquiet: [b]")
    rule = read_rule(file, tmp_path)
    assert (rule.id, example(rule.fires[0])) == ("secret/mine", "ab")


def test_too_many_matches_are_not_read() -> None:
    """A text that is all matches is refused, not cut off silently."""
    rule = Rule("x", ("user",), ("a",), ("a",), ("b",))
    assert len(Matcher([rule]).find(normalise("a" * 5000))) == 5000
    with pytest.raises(LimitError):
        Matcher([rule]).find(normalise("a" * 5001))


def test_no_rules_find_nothing() -> None:
    """An empty matcher works."""
    assert Matcher([]).find(normalise("a")) == []


def test_context_before_the_search_is_seen() -> None:
    r"""`\b` at the place where the search begins looks at the character before."""
    rule = Rule("x", ("user",), (r"\bcat",), ("cat",), ("dog",))
    assert Matcher([rule]).find(normalise("xcat"), since=1) == []
    assert len(Matcher([rule]).find(normalise(" cat"), since=1)) == 1
