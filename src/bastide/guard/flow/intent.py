# SPDX-License-Identifier: Apache-2.0
"""Did the user ask for such an action? Provenance tells where values come from, not whether the call was wanted at all.

A tool's name begins with what it does (`send_email`, `removeUser`). Verbs are grouped by what they do; the user asked for an action when
one of the user's own messages has a word of the tool's group. The words are those of everyday requests in six languages. In a language
that they don't cover nothing is recognised: `Asked.UNKNOWN`, which is enough for values that the user wrote and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from bastide.guard.flow.leaves import name_parts


class Asked(IntEnum):
    """How surely the user asked for an action of this kind."""

    NO = 0
    """The user asked for other things."""
    UNKNOWN = 1
    """No word of the user's says what to do, or the tool's name doesn't; or only the thing is named."""
    YES = 2


_GROUPS: dict[str, tuple[str, str]] = {
    # group: exact English words (usual endings are added), beginnings of words in other languages
    "send": (
        "send sent resend email mail message dm notify tell inform write reply respond answer forward post publish announce share report "
        "submit contact ping text tweet comment invite remind deliver ask",
        "schick send verschick antwort schreib benachricht teile envoy envoi écri répon transmet mand envi escrib respond invia scriv "
        "rispond inoltr",
    ),
    "pay": (
        "pay paid payment transfer wire refund reimburse remit donate tip spend buy purchase transaction bill invoice settle repay "
        "charge debit credit money deposit withdraw compensate",
        "überweis zahl bezahl erstatt spend kauf virement pay rembours verse achet pag transfer reembols devolv paga rimbors bonific",
    ),
    "create": (
        "create add make new schedule set setup append insert write generate draft save store upload record register open book plan "
        "put note remind compose build start log enter file attach place invite organize organise arrange prepare",
        "erstell anleg hinzufüg trag eintrag speicher buch plan neu cré ajout enregistr planif crea añad agreg guard program aggiung "
        "salv prenot",
    ),
    "delete": (
        "delete remove erase cancel drop clear trash discard purge unsubscribe revoke uninvite kick terminate destroy wipe empty rid "
        "clean close unshare deactivate dismiss",
        "lösch entfern stornier absag kündig supprim annul effac enlev elimin borr cancel quit rimuov disdic",
    ),
    "change": (
        "update change modify edit adjust set move reschedule postpone rename replace correct fix reset mark assign enable disable "
        "switch upgrade shift raise lower increase decrease turn amend revise complete delay swap configure control toggle dim unlock lock",
        "änder aktualis anpass verschieb ersetz setz chang modif déplac mett actualiz cambi muev mover ajust aggiorn spost",
    ),
    "reserve": (
        "book reserve reservation booking order rent hire buy purchase rental",
        "buch reservier bestell miet réserv command lou reserv alquil compr prenot ordin noleggi",
    ),
    "share": ("share grant give access permission invite publish send open collaborate", "teil freigeb gewähr partag accord compart conced condivid"),
    "invite": ("invite add include onboard bring", "einlad lade hinzufüg invit ajout añad aggiung"),
    "run": (
        "run execute deploy start stop restart launch trigger apply install build call invoke activate turn switch reboot shutdown kill "
        "approve merge",
        "ausführ start stopp exécut lanc ejecut inici esegu avvi",
    ),
}  # fmt: skip
_ANY_VERB = frozenset(["place", "make", "do", "perform", "submit", "process", "issue", "create", "start", "execute"])
"""Verbs that leave it to the next word what is done: `place_order`, `make_payment`."""
_WRITING = frozenset({"create", "change"})
"""`Update the file` may mean to write it anew."""
_PAY_NOUNS = frozenset(
    ["money", "payment", "payments", "transaction", "refund", "invoice", "bill", "funds", "transfer"]
)
_ENDING = r"(?:s|es|d|ed|ing|n|en|r|er|ion|ions|ation|ations|ment|ments|ning|ting|ted|ned|ly)?"
_NO_THINGS = (
    "user users data info information item items file files with from into list this that your document set get"
)
_GENERIC = frozenset(_NO_THINGS.split())


def _pattern(exact: str, stems: str) -> re.Pattern[str]:
    words = sorted({w[:-1] if w.endswith("e") and len(w) > 3 else w for w in exact.split()})
    plain = "|".join(f"{w}e?" for w in words)
    return re.compile(rf" (?:(?:{plain}){_ENDING}|(?:{'|'.join(s for s in stems.split() if len(s) > 3)})\w*) ")


_PATTERNS = {group: _pattern(*both) for group, both in _GROUPS.items()}


def groups_of(text_words: str) -> frozenset[str]:
    """The groups of actions that a text speaks of; the text as `words.words` gives it."""
    spaced = text_words.replace(" ", "  ")
    return frozenset(group for group, pattern in _PATTERNS.items() if pattern.search(spaced))


@lru_cache(maxsize=4096)
def groups_of_tool(name: str) -> frozenset[str]:
    """The groups that a tool's name belongs to: those of the first word that has one, and paying when it is about money."""
    parts = name_parts(name)
    found: frozenset[str] = frozenset()
    for part in parts:
        own = frozenset(g for g, (exact, _) in _GROUPS.items() if part in exact.split())
        found |= own
        if own and part not in _ANY_VERB:
            break
    if not found & {"delete", "change"} and _PAY_NOUNS.intersection(parts):
        found |= {"pay"}
    return found


def asked(tool: str, user_words: Iterable[str]) -> Asked:
    """Whether the user's messages (as `words.words` gives them) ask for an action like this tool's."""
    wanted = groups_of_tool(tool)
    if wanted & _WRITING:
        wanted |= _WRITING
    said: frozenset[str] = frozenset()
    nouns = [p for p in name_parts(tool) if len(p) >= 4 and p not in _GENERIC]
    named = False
    for text in user_words:
        said |= groups_of(text)
        named = named or any(f" {n[:5]}" in text for n in nouns)
    if wanted & said:
        return Asked.YES
    if not wanted:
        return Asked.YES if named else Asked.UNKNOWN
    if not said or (named and "delete" not in wanted):
        return Asked.UNKNOWN
    return Asked.NO
