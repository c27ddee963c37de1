# SPDX-License-Identifier: Apache-2.0
"""Rules as data: `knowledge/content/**.yaml`. The path of a file is the id of its rule, and all rules of a direction are matched in one pass.

Patterns are RE2's (linear time on any input; R. Cox, "Regular Expression Matching in the Wild", 2010), case-insensitive unless they say
`(?-i)`, and match at most `LONGEST` characters unless the rule says that it is `open`, so that streams know how much to hold back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec
import re2  # type: ignore[import-untyped]
import yaml
from msgspec import Struct

from bastide.errors import Diagnostic, KnowledgeError, LimitError, Location
from bastide.recognise.model import Direction
from bastide.recognise.normalise import KNOWLEDGE, Normalised
from bastide.recognise.validators import VALIDATORS

LONGEST = 480
"""Characters that a pattern may match at most."""
_MEMORY = 32 * 1024 * 1024
"""Bytes for the states of one set; RE2 starts afresh when they are used up, which costs time but no match."""
_MOST = 5_000
"""Matches of one text; more is not read."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """Something to look for, with the sentences that show when it fires and when not."""

    why: str
    directions: tuple[Direction, ...]
    patterns: tuple[str, ...]
    """When one has a group, the group is what was found and the rest its context."""
    fires: tuple[str | tuple[str, ...], ...]
    """Examples; one written as a list is joined, so that no file holds what looks like a credential."""
    quiet: tuple[str | tuple[str, ...], ...]
    """Near misses."""
    weight: float = 0.9
    """Probability that a text in which it fires is an attack (or the thing itself)."""
    id: str = ""
    check: str = ""
    """Name of a validator that every match has to pass."""
    label: str = ""
    """Placeholder that stands for it after redaction, such as EMAIL."""
    view: Literal["plain", "folded"] = "plain"
    open: bool = False
    """Whether a match may be longer than `LONGEST` (a key block)."""
    references: tuple[str, ...] = ()


class Finding(Struct, frozen=True, gc=False):
    """A match of a rule. Positions are in the normalised text."""

    rule: Rule
    start: int
    """Of the value."""
    end: int
    begin: int
    """Of the whole match, context included."""
    stop: int
    """End of the whole match: where the search for the same pattern goes on."""
    valid: bool = True
    """Whether it passed its rule's validator."""


def read_rule(path: Path, root: Path) -> Rule:
    """The rule of a file; its id is its path under `root`.

    Raises:
        KnowledgeError: it isn't what a rule is, a pattern or validator is wrong, or it has no examples of both kinds.
    """
    place = Location(str(path))
    try:
        raw = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
        rule = msgspec.convert(raw, Rule)
    except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise KnowledgeError(Diagnostic(f"not a rule: {error}", place)) from None
    if not (rule.fires and rule.quiet):
        raise KnowledgeError(Diagnostic("a rule needs examples that fire and some that don't", place))
    if rule.check and rule.check not in VALIDATORS:
        raise KnowledgeError(Diagnostic(f"no validator `{rule.check}`", place, hint=", ".join(VALIDATORS)))
    rule = msgspec.structs.replace(rule, id=path.relative_to(root).with_suffix("").as_posix())
    for pattern in rule.patterns:
        try:
            compiled(pattern)
        except re2.error as error:
            raise KnowledgeError(Diagnostic(f"pattern `{pattern}`: {error}", place)) from None
    return rule


@cache
def builtin(*ids: str) -> tuple[Rule, ...]:
    """The rules that ship with the package, in the order of their ids: all, or those whose ids fit globs (each rule takes a millisecond)."""
    files = {path for id in ids or ("*/**/*",) for path in KNOWLEDGE.glob(f"{id}.yaml")}
    return tuple(read_rule(path, KNOWLEDGE) for path in sorted(files))


def example(text: str | tuple[str, ...]) -> str:
    """An example as one text."""
    return text if isinstance(text, str) else "".join(text)


@cache
def compiled(pattern: str) -> re2._Regexp:
    """The pattern, case-insensitive, without messages on standard error."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


@lru_cache(maxsize=32)
def matcher(rules: tuple[Rule, ...]) -> Matcher:
    """The matcher of some rules; scanners with the same rules share it, because making one takes a tenth of a second."""
    return Matcher(rules)


class Matcher:
    """Several rules as one automaton."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._patterns: list[tuple[Rule, re2._Regexp, Callable[[str], bool] | None]] = []
        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        options.max_mem = _MEMORY
        self._set = re2.Set.SearchSet(options)
        for rule in rules:
            for pattern in rule.patterns:
                self._set.Add(pattern)
                self._patterns.append((rule, compiled(pattern), VALIDATORS.get(rule.check)))
        if self._patterns:
            self._set.Compile()

    def find(
        self, text: Normalised, since: int = 0, after: Mapping[int, int] | None = None
    ) -> list[tuple[int, Finding]]:
        """Every match with the number of its pattern; the matches of one pattern don't overlap.

        Matches start at `since` or later, and at `after[pattern]` or later; what stands before is still seen as context (`\\b`, `^`).
        With `after`, matches that fail their validator are reported too, because the search goes on behind them.

        Raises:
            LimitError: more matches than are read.
        """
        if not self._patterns:
            return []
        hits = self._set.Match(text.data)
        if text.folded is not text.text and text.folded != text.text:
            hits = sorted({*(hits or ()), *(self._set.Match(text.folded) or ())})
        if not hits:
            return []
        found: list[tuple[int, Finding]] = []
        for index in hits:
            start = max(since, after.get(index, 0)) if after else since
            found += [(index, finding) for finding in self._matches(index, text, start, after is not None)]
            if len(found) > _MOST:
                raise LimitError(f"more than {_MOST} matches")
        return found

    def _matches(self, index: int, text: Normalised, since: int, failed: bool) -> Sequence[Finding]:
        rule, pattern, valid = self._patterns[index]
        subject = text.folded if rule.view == "folded" else text.text
        source: str | bytes = text.data if len(text.data) == len(text.text) and subject is text.text else subject
        found = []
        for match in pattern.finditer(source, since):
            group = 1 if pattern.groups and match.start(1) >= 0 else 0
            start, end = match.span(group)
            passed = end > start and (valid is None or valid(subject[start:end]))
            if passed or failed:
                found.append(Finding(rule, start, end, match.start(), match.end(), passed))
                if len(found) > _MOST:
                    raise LimitError(f"more than {_MOST} matches")
        return found
