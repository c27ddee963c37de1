# SPDX-License-Identifier: Apache-2.0
"""Where the values of a proposed call come from, and whether strangers could have decided them.

A value that decides something is *traced* when it comes from one of these, tried in this order:

1. the user's messages or the system prompt say it (in any usual way of writing it);
2. a trusted result, or a trusted field of a result, has it;
3. it is a constant of the tool's schema;
4. it is *selected*: a short field of a structured result, in a record that the user named (by another field of it), or, where the user left
   the choice open, in any record. Never an account number or a web address; an e-mail address only in a record named by a whole field;
5. it is *derived*: an amount computed from a number of the user's and one known amount; the end of a time that began with a traced one;
6. it is *delegated*: an e-mail address or a day, from a source that the user named (by its address, file or search words) and that speaks
   of another value of the call, which the user named too.

For 2 to 6 no untrusted prose may spell the value (6: no other than that source's), and for 4 to 6 the user must have asked for such an
action (`intent`): an attacker has to spell out what he wants, and wants what the user didn't ask for. What the user named never needs
that, except that the action may not be plainly another. Everything else is untraced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal, DivisionByZero, InvalidOperation
from enum import IntEnum

from bastide.guard.events import ToolCall
from bastide.guard.flow.evidence import Said
from bastide.guard.flow.intent import Asked, asked, groups_of_tool
from bastide.guard.flow.leaves import STRICT, Kind, Leaf, destinations, is_email, is_money, leaves
from bastide.guard.flow.lookup import Lookup, spoken_times
from bastide.guard.flow.words import bare_url, days, is_moment, number, same_day, tokens, widens
from bastide.guard.model import Influence, Label, Meaning, SideEffect, Untraced

SHOWN, SHOWN_LEAVES = 80, 50
_CENT = Decimal("0.01")
_SENDING = {"send", "share", "invite"}
"""What these tools are given, people get to see, whether or not it leaves the system."""


class Origin(IntEnum):
    """How a value is traced, from the surest to not at all."""

    SAID = 0
    KNOWN = 1
    CONSTANT = 2
    ACCEPTED = 3
    """It directs nothing, and no source spells it."""
    SELECTED = 4
    DERIVED = 5
    DELEGATED = 6
    UNTRACED = 9


def influence(
    call: ToolCall, meaning: Meaning, lookup: Lookup, session: Label, constants: Collection[str] = ()
) -> Influence:
    """What may have shaped a proposed call. Pure; takes time linear in the conversation for each value.

    session: the label of all that the model has seen. constants: enum values and defaults of the tool's schema.
    """
    tainted = session.integrity < lookup.level
    found = leaves(call.arguments, meaning.arguments) if call.arguments is not None else None
    if found is None:
        return Influence(session, not tainted, () if not tainted else (_unread(call, session),))
    every = list(found)
    if not tainted and (session.confidentiality == 0 or not meaning.outbound):
        return Influence(session, True)
    label = _label(every, lookup, session)
    if not tainted:
        return Influence(label, True)
    if meaning.side_effect <= SideEffect.READ:
        untraced = _made_up(every, lookup, session) if meaning.outbound else ()
    else:
        untraced = _Trace(call, meaning, lookup, constants).run(every)
    if untraced:
        # A value may stand in trusted text by luck; what may have chosen it is the whole session.
        label = Label(session.integrity, label.confidentiality, label.sources | session.sources)
    return Influence(label, not untraced, untraced)


def _unread(call: ToolCall, session: Label) -> Untraced:
    return Untraced("", _shorten(call.raw or call.name), session.sources)


def _shorten(value: str) -> str:
    return value if len(value) <= SHOWN else f"{value[: SHOWN - 1]}…"


def _made_up(every: Iterable[Leaf], lookup: Lookup, session: Label) -> tuple[Untraced, ...]:
    """Reading from outside changes nothing, but the question can carry data out: unless it is, word for word, what somebody said."""
    strange = (x for x in every if x.kind not in (Kind.FREE, Kind.FLAG, Kind.WHEN, Kind.NUMBER))
    return tuple(
        Untraced(x.path, _shorten(x.value), session.sources)
        for x in strange
        if not _within(x.value, lookup.all) and not lookup.of_user_words(x.value)
    )


def _within(value: str, said: Iterable[Said]) -> bool:
    sought = tokens(value)
    return any(sought in s.tokens for s in said)


def _label(every: Iterable[Leaf], lookup: Lookup, session: Label) -> Label:
    """The join over the values; one that stands nowhere word for word may be made of everything that was seen."""
    label: Label | None = None
    for leaf in every:
        if leaf.kind == Kind.FLAG and leaf.value in ("true", "false"):
            continue
        sought = tokens(leaf.value)
        homes = [s.label for s in lookup.all if s.role != "assistant" and sought in s.tokens]
        if not homes and leaf.kind == Kind.WHEN and is_moment(leaf.value):
            continue
        if not homes and lookup.of_user_words(leaf.value):
            homes = [s.label for s in lookup.instructed]
        own = min(homes, key=lambda h: (h.confidentiality, -h.integrity), default=session)
        label = own if label is None else label.join(own)
    return label or Label(session.integrity, 0, frozenset())


class _Trace:
    """The tracing of one call."""

    def __init__(self, call: ToolCall, meaning: Meaning, lookup: Lookup, constants: Collection[str]) -> None:
        self.call, self.meaning, self.lookup = call, meaning, lookup
        self.constants = frozenset(constants)
        self.asked = asked(call.name, [lookup.user_words])
        self.began: list[Leaf] = []
        """Days and times of this call that are traced already."""

    def run(self, every: list[Leaf]) -> tuple[Untraced, ...]:
        """What isn't traced."""
        deciding = [x for x in every if x.kind not in (Kind.CONTENT, Kind.FREE)]
        origins = {x: self._first(x) for x in sorted(deciding, key=lambda x: (x.kind == Kind.WHEN, "end" in x.name))}
        anchors = [x for x, o in origins.items() if o == Origin.SAID and x.kind in STRICT and len(x.value) >= 3]
        titles = [
            x for x in every if x.kind == Kind.CONTENT and len(x.value) <= SHOWN and self.lookup.in_instructions(x)
        ]
        for leaf, origin in origins.items():
            if origin == Origin.UNTRACED and self._delegated(leaf, anchors, titles):
                origins[leaf] = Origin.DELEGATED
        strange = [x for x, o in origins.items() if o == Origin.UNTRACED]
        missing = [self._untraced(x) for x in strange[:SHOWN_LEAVES]]
        for leaf in every if self.meaning.outbound or groups_of_tool(self.call.name) & _SENDING else ():
            if leaf.kind == Kind.CONTENT:
                missing += self._led_away(leaf)
        if not missing and self.asked < self._needed(origins):
            missing.append(Untraced("", self.call.name, self._strangers()))
        return tuple(missing)

    def _needed(self, origins: Mapping[Leaf, Origin]) -> Asked:
        worst = max(origins.values(), default=Origin.ACCEPTED)
        directed = any(o <= Origin.CONSTANT and x.kind in STRICT for x, o in origins.items())
        sure = worst <= Origin.CONSTANT or (worst == Origin.ACCEPTED and directed)
        return Asked.UNKNOWN if sure and directed else Asked.YES

    def _strangers(self) -> frozenset[str]:
        return frozenset(src for s in self.lookup.untrusted for src in s.label.sources)

    def _untraced(self, leaf: Leaf) -> Untraced:
        sources = self.lookup.in_prose(leaf) | self.lookup.anywhere_untrusted(leaf.value)
        return Untraced(leaf.path, _shorten(leaf.value), sources)

    def _first(self, leaf: Leaf) -> Origin:
        """How a leaf is traced by itself."""
        if leaf.kind == Kind.WHEN and not (leaf.stated and not days(leaf.value)):
            return self._when(leaf)
        if self.lookup.in_instructions(leaf):
            return Origin.SAID
        if leaf.kind in (Kind.NUMBER, Kind.FLAG):
            tiny = leaf.kind == Kind.FLAG and (len(leaf.value) < 2 or leaf.value in ("true", "false"))
            return Origin.ACCEPTED if tiny or not self.lookup.in_prose(leaf) else Origin.UNTRACED
        if widens(leaf.value) and leaf.kind in STRICT:
            return Origin.CONSTANT if leaf.value in self.constants else Origin.UNTRACED
        spelled = bool(self.lookup.in_prose(leaf))
        # A constant of one argument is no reason to send something to it because of what a stranger wrote.
        if leaf.value in self.constants and not (spelled and leaf.kind == Kind.ADDRESS):
            return Origin.CONSTANT
        if not spelled and self.lookup.in_trusted(leaf):
            return Origin.KNOWN
        if self._selected(leaf, spelled):
            return Origin.SELECTED
        if spelled:
            return Origin.UNTRACED
        return Origin.DERIVED if leaf.kind == Kind.AMOUNT and self._derived(leaf) else Origin.UNTRACED

    def _selected(self, leaf: Leaf, spelled: bool) -> bool:
        """Whether it is a field of a result that the user pointed at, or could leave to the model.

        A value that strangers spell has to stand in a record that the user named as surely as can be.
        """
        lookup = self.lookup
        money = is_money(leaf.value)
        for said, atom in lookup.atoms_of(leaf):
            named = lookup.named(said, atom.record, atom.value)
            known = atom.integrity >= lookup.level
            if spelled:
                if named == 2 and (known or leaf.kind == Kind.WHICH) and not money:
                    return True
            elif (
                known
                or (leaf.kind == Kind.WHICH and not money and (named == 2 or not lookup.names_another(said, atom.key)))
                or (leaf.kind == Kind.AMOUNT and named)
                or (is_email(leaf.value) and (named == 2 or lookup.named_alone(leaf.value)))
            ):
                return True
        return False

    def _derived(self, leaf: Leaf) -> bool:
        """Whether an amount is one number of the user's applied to one known amount: a difference, a share, a percentage with a fee."""
        wanted = number(leaf.value)
        if wanted is None:
            return False
        mine = self.lookup.user_numbers()
        plain = [n for n, percent in mine if not percent]
        shares = [n / 100 for n, percent in mine if percent]
        for known in [*self.lookup.known_amounts(), *plain]:
            parts = [known * s for s in shares]
            results = [*parts, *(known + p for p in parts), *(known - p for p in parts)]
            for n in plain:
                results += [known + n, known - n, n - known, known - n / 2, n / 2, *(p + n for p in parts)]
            if any(_close(wanted, r) for r in results):
                return True
        return False

    def _when(self, leaf: Leaf) -> Origin:
        """A day or time: said, or at least spelled by no stranger."""
        lookup, named = self.lookup, days(leaf.value)
        theirs = lookup.prose_days()
        if named and all(same_day(d, lookup.user_days()) for d in named):
            origin = Origin.SAID
        elif any(same_day(d, theirs) for d in named):
            return Origin.KNOWN if self._soon_after(leaf) else Origin.UNTRACED
        else:
            origin = Origin.ACCEPTED
        if leaf.stated and origin == Origin.ACCEPTED:
            return Origin.UNTRACED
        clock = spoken_times(leaf.value)
        foreign = (clock & lookup.times(False)) - lookup.times(True)
        if foreign and not self._soon_after(leaf):
            return Origin.UNTRACED
        self.began.append(leaf)
        return origin

    def _soon_after(self, leaf: Leaf) -> bool:
        """Whether it is the same day as a traced day of this call: the end of what began then."""
        mine = days(leaf.value)
        return "end" in leaf.name and bool(mine) and any(mine == days(b.value) for b in self.began)

    def _delegated(self, leaf: Leaf, anchors: list[Leaf], titles: list[Leaf]) -> bool:
        """Whether the user named a source and something else of this call, and the source says this value beside it."""
        if leaf.kind != Kind.WHEN and not is_email(leaf.value):
            return False
        for said in self.lookup.untrusted:
            if not self.lookup.designated(said):
                continue
            if leaf.kind == Kind.WHEN:
                if any(self.lookup.near_day(said, x.value, leaf.value) for x in (*anchors, *titles)):
                    return True
            elif any(self.lookup.near(said, x.value, leaf.value) for x in anchors if x is not leaf):
                return True
        return False

    def _led_away(self, leaf: Leaf) -> list[Untraced]:
        """Web addresses and account numbers in what is sent, that only strangers have said."""
        found = []
        for value in dict.fromkeys(destinations(leaf.value)):
            there = Leaf(leaf.path, leaf.name, value, Kind.ADDRESS, False)
            if self.lookup.in_instructions(there) or self.lookup.in_trusted(there):
                continue
            bare = bare_url(value).removeprefix("www.")
            if sources := self.lookup.anywhere_untrusted(value) or self.lookup.anywhere_untrusted(bare):
                found.append(Untraced(leaf.path, _shorten(value), sources))
        return found


def _close(a: Decimal, b: Decimal) -> bool:
    try:
        return abs(a - b) < _CENT / 2
    except (InvalidOperation, DivisionByZero):
        return False
