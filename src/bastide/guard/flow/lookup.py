# SPDX-License-Identifier: Apache-2.0
"""Looking values up in what was said: by the user, in trusted results, in records, in what strangers wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from itertools import islice

from bastide.guard.flow.evidence import Atom, Said, names
from bastide.guard.flow.leaves import Kind, Leaf, is_money, leaves, name_parts
from bastide.guard.flow.words import Day, bare_url, compact, days, fold, number, same_day, times, tokens, widens, words

_TINY = 3
_NUMBERED = "id ids no nr num number numero # nummer"
_COMMON = (
    "about after before email emails event events file files first meeting message money other please their there these thing "
    "update user users which would"
)
_GENERIC = frozenset(_COMMON.split())
_LINKING = frozenset(
    [
        "a", "an", "and", "at", "by", "de", "der", "die", "du", "el", "en", "et", "for", "im", "in", "la", "le", "of", "on", "or",
        "the", "to", "und", "von",
    ]
)  # fmt: skip
"""Words that say nothing by themselves. Not all short ones: cut into pieces, anything consists of those."""
_NEAR = 240
MAX_TERMS = 200
_ORDINALS = ("st", "nd", "rd", "th")


class Lookup:
    """What was said in a conversation, in the ways in which `provenance` asks about it."""

    def __init__(self, said: Iterable[Said], level: int) -> None:
        """level: the integrity from which on something is trusted."""
        self.level = level
        self.all = list(said)
        self.trusted = [s for s in self.all if s.trusted]
        self.instructed = [s for s in self.trusted if s.role != "tool"]
        self.users = [s for s in self.trusted if s.role == "user"] or self.instructed
        self.untrusted = [s for s in self.all if not s.trusted and s.role != "assistant"]

    @cached_property
    def user_words(self) -> str:
        """All that the user wrote, as loose words."""
        return "".join(s.words for s in self.users)

    @cached_property
    def user_tokens(self) -> str:
        """All that the user wrote, as whole tokens."""
        return "".join(s.tokens for s in self.users)

    def in_instructions(self, leaf: Leaf) -> bool:
        """Whether the user or the system prompt says this value."""
        return _said_by(self.instructed, leaf)

    def in_trusted(self, leaf: Leaf) -> bool:
        """Whether a trusted result, or a trusted field of a result, has this value."""
        if _said_by((s for s in self.trusted if s.role == "tool" and not s.echoes(leaf.value)), leaf):
            return True
        return any(a.integrity >= self.level for _, a in self.atoms_of(leaf))

    def atoms_of(self, leaf: Leaf) -> list[tuple[Said, Atom]]:
        """The fields of results that have exactly this value."""
        found = list(self._by_tokens.get(tokens(leaf.value), ()))
        amount = number(leaf.value) if leaf.kind == Kind.AMOUNT else None
        if amount is not None:
            found += [(s, a) for n, s, a in self._by_number if n == amount]
        return [(s, a) for s, a in found if a.integrity < self.level or not s.echoes(leaf.value)]

    @cached_property
    def _by_tokens(self) -> dict[str, list[tuple[Said, Atom]]]:
        found: dict[str, list[tuple[Said, Atom]]] = {}
        for said in self.all:
            for atom in said.atoms:
                found.setdefault(atom.tokens, []).append((said, atom))
        return found

    @cached_property
    def _by_number(self) -> list[tuple[Decimal, Said, Atom]]:
        every = ((s, a) for s in self.all for a in s.atoms if a.value[:1].isdigit() or a.value[:1] in "-+$€£")
        return [(n, s, a) for s, a in every if (n := number(a.value)) is not None]

    def in_prose(self, leaf: Leaf) -> frozenset[str]:
        """The sources in whose untrusted prose the value is spelled out, however it is punctuated."""
        amount = number(leaf.value)
        if amount is not None and leaf.kind in (Kind.AMOUNT, Kind.NUMBER):
            return _sources(s for s in self.untrusted if any(n == abs(amount) for n, _ in s.numbers))
        sought, tight = words(leaf.value), compact(leaf.value)
        if not sought.strip():
            return frozenset()
        if is_tiny(sought.strip()):
            if sought not in self._all_prose:
                return frozenset()
            return _sources(s for s in self.untrusted if numbered(sought.strip(), leaf.name, s.prose_words))
        found: frozenset[str] = frozenset()
        if sought in self._all_prose:
            alone = f"\n{sought}\n"
            spelling = (s for s in self.untrusted if s.prose_words.count(sought) > s.prose_words.count(alone))
            found = _sources(spelling)
        if not found and len(tight) >= 8 and any(c.isdigit() for c in tight):
            found = _sources(s for s in self.untrusted if tight in s.prose_compact)
        return found

    @cached_property
    def _all_prose(self) -> str:
        return "".join(s.prose_words for s in self.untrusted)

    def anywhere_untrusted(self, value: str) -> frozenset[str]:
        """The sources in which a value occurs at all."""
        sought = words(value)
        if not sought.strip() or sought not in self._all_untrusted:
            return frozenset()
        return _sources(s for s in self.untrusted if sought in s.words)

    @cached_property
    def _all_untrusted(self) -> str:
        return "\n".join(s.words for s in self.untrusted)

    def named(self, said: Said, record: int, besides: str) -> int:
        """How surely the user named a record by one of its other fields: 2 by a whole field, 1 by a word of one, 0 not."""
        return max((n for a, n in self._named_atoms(said) if a.record == record and a.value != besides), default=0)

    def named_alone(self, address: str) -> bool:
        """Whether the user named the person of an e-mail address (`Alice` for alice@corp.org) and no other address fits that name."""
        for name in words(address.partition("@")[0]).split():
            if len(name) >= 3 and name.isalpha() and f" {name} " in self.user_words:
                fitting = {t for t in self._by_tokens if "@" in t and f" {name} " in words(t.partition("@")[0])}
                return fitting == {tokens(address)}
        return False

    def names_another(self, said: Said, key: str) -> bool:
        """Whether the user named, by a whole field, a record of a result that has such a key too."""
        named = {a.record for a, n in self._named_atoms(said) if n == 2}
        return bool(named) and any(a.key == key and a.record in named for a in said.atoms)

    def _named_atoms(self, said: Said) -> list[tuple[Atom, int]]:
        if (known := self._named.get(id(said))) is None:
            known = [(a, n) for a in said.atoms if (n := self._how_named(a.value))]
            self._named[id(said)] = known
        return known

    @cached_property
    def _named(self) -> dict[int, list[tuple[Atom, int]]]:
        return {}

    def _how_named(self, value: str) -> int:
        if len(value) < 4 or not any(c.isalpha() for c in value):
            return 0
        if value not in _GENERIC and any(len(n.strip()) >= 4 and n in self.user_tokens for n in names(value)):
            return 2
        if "@" in value:
            return 0
        own = (w for w in words(value).split() if len(w) >= 5 and w.isalpha() and w not in _GENERIC)
        return int(any(f" {w} " in self.user_words for w in own))

    def designated(self, said: Said) -> bool:
        """Whether the user named this result's source: every text in the question that it answers is the user's, and there is one."""
        found = leaves(said.question, {})
        texts = [leaf for leaf in found if len(leaf.value) >= 4] if found is not None else []
        return bool(texts) and all(_said_by(self.users, t) for t in texts)

    def of_user_words(self, value: str) -> bool:
        """Whether every word of a text is one that the user or the system prompt used: it carries nothing else."""
        found = words(value).split()
        return (
            bool(found)
            and len(found) <= 100
            and all(w in _LINKING or f" {w} " in self._instructed_words for w in found)
        )

    @cached_property
    def _instructed_words(self) -> str:
        return "".join(s.words for s in self.instructed)

    def near(self, said: Said, anchor: str, value: str) -> bool:
        """Whether a text has both close together."""
        text, a, v = said.words, words(anchor), words(value)
        at = text.find(v)
        return at >= 0 and a in text[max(0, at - _NEAR) : at + len(v) + _NEAR]

    def near_day(self, said: Said, anchor: str, value: str) -> bool:
        """Whether a text names the day of a value (the month may be left out) and speaks of the anchor."""
        wanted = days(value)
        if words(anchor) not in said.words or not wanted:
            return False
        bare = {d.day for d in wanted}
        return any(same_day(d, said.days) for d in wanted) or any(
            f" {b}{e} " in said.prose_words for b in bare for e in _ORDINALS
        )

    def user_numbers(self) -> list[tuple[Decimal, bool]]:
        """Numbers that the user wrote, and whether each is a percentage."""
        return sorted({n for s in self.users for n in s.numbers})[:12]

    def known_amounts(self) -> list[Decimal]:
        """Numbers in trusted fields and in records that the user named."""
        found = {
            n
            for s in self.all
            for a in s.atoms
            if a.value[:1].isdigit()
            and (n := number(a.value)) is not None
            and (a.integrity >= self.level or self.named(s, a.record, a.value))
        }
        return sorted(islice(found, MAX_TERMS))

    def user_days(self) -> frozenset[Day]:
        """Days that trusted texts and trusted fields name."""
        return self._days(True)

    def prose_days(self) -> frozenset[Day]:
        """Days that untrusted prose names."""
        return self._days(False)

    def _days(self, trusted: bool) -> frozenset[Day]:
        if trusted:
            atoms = (
                days(a.value) for s in self.all for a in s.atoms if a.integrity >= self.level and a.value[:1].isdigit()
            )
            return frozenset().union(*(s.days for s in self.trusted), *atoms)
        return frozenset().union(*(s.days for s in self.untrusted))

    def times(self, trusted: bool) -> frozenset[tuple[int, int]]:
        """Times of day in trusted texts, or in untrusted prose."""
        return frozenset().union(*(s.times for s in (self.trusted if trusted else self.untrusted)))


def _said_by(said: Iterable[Said], leaf: Leaf) -> bool:
    """Whether one of some texts says a value, in any usual way of writing it, as a whole."""
    value = leaf.value
    if leaf.kind in (Kind.ADDRESS, Kind.WHICH) and widens(value):
        pattern = re.compile(rf"(?<!\S){re.escape(fold(value))}(?![^\s.,;:!?])")
        return any(pattern.search(fold(s.text)) is not None for s in said)
    if leaf.kind in (Kind.AMOUNT, Kind.NUMBER) and (wanted := number(value)) is not None:
        if leaf.kind == Kind.AMOUNT:
            return any(wanted in s.amounts for s in said)
        return any(n == wanted for s in said for n, _ in s.numbers)
    if is_money(value) and leaf.kind in (Kind.ADDRESS, Kind.WHICH):
        pattern = _spaced(value)
        return any(pattern.search(fold(s.text)) is not None for s in said)
    sought = tokens(value)
    if not sought.strip():
        return False
    if is_tiny(sought.strip()):
        return any(sought in s.tokens and numbered(sought.strip(), leaf.name, s.tokens) for s in said)
    if leaf.kind != Kind.ADDRESS:
        one, many = sought, f"{sought.rstrip()}s "
        return any(one in s.tokens or (many in s.tokens and one.strip()[-1].isalpha()) for s in said)
    bare = bare_url(value)
    return any(sought in s.tokens or (bare in s.tokens and bare in s.addresses) for s in said)


def is_tiny(value: str) -> bool:
    """Whether a value is so short that it stands in many texts by luck: a letter, or up to two digits."""
    return len(value) < 2 or (len(value) < _TINY and not value.isalpha())


def _sources(said: Iterable[Said]) -> frozenset[str]:
    return frozenset(source for s in said for source in s.label.sources or {"?"})


def numbered(value: str, name: str, text: str) -> bool:
    """Whether a text says a very short value as the number of a thing (`event 5`, `id: 13`, `#7`), and not by luck."""
    nouns = {*_NUMBERED.split(), *(p for p in name_parts(name) if len(p) > 2)}
    before = text.split()
    return any(
        token.strip(":#'\"") == value
        and (token.startswith("#") or nouns & {w.strip(":#'\"") for w in before[max(0, i - 3) : i]})
        for i, token in enumerate(before)
    )


def _spaced(value: str) -> re.Pattern[str]:
    """An account number with or without spaces between its characters, as a whole token."""
    return re.compile(r"(?<!\w)" + r"[ .\-]?".join(map(re.escape, compact(value)[:64].lower())) + r"(?!\w)")


def spoken_times(value: str) -> frozenset[tuple[int, int]]:
    """The times of day in a value, midnight left out: dates are often written with it."""
    return times(value) - {(0, 0), (23, 59)}
