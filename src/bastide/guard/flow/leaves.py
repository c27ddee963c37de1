# SPDX-License-Identifier: Apache-2.0
"""The leaves of a call's arguments and what each decides, judged by its name and the shape of its value.

Kinds, from strict to lenient:

- *address*: whom or where outside (an e-mail address, URL, IBAN, telephone number);
- *which*: which thing inside (an id, a file, a channel, a hotel, a person's name);
- *amount*: how much;
- *when*: a day or time; *number* and *flag*: how many, how. Alone they direct nothing, so a value that no source spells is accepted;
- *content*: what is said or stored;
- *free*: nothing that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from bastide.guard.flow.words import days, fold, number, times

MAX_LEAVES, MAX_DEPTH, MAX_VALUE = 1000, 32, 200_000


class Kind(StrEnum):
    """What an argument decides."""

    ADDRESS = "address"
    WHICH = "which"
    AMOUNT = "amount"
    WHEN = "when"
    NUMBER = "number"
    FLAG = "flag"
    CONTENT = "content"
    FREE = "free"


STRICT = frozenset({Kind.ADDRESS, Kind.WHICH, Kind.AMOUNT})


class Leaf(NamedTuple):
    """One value inside the arguments."""

    path: str
    name: str
    """The nearest key above it, in lower case."""
    value: str
    kind: Kind
    stated: bool
    """Whether somebody wrote down that it is a target; a lenient kind isn't lenient then."""


EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
URL = re.compile(
    r"(?:https?|ftp|wss?|data|javascript)://?[^\s<>\"'`)\]}]{1,2000}|\bwww\.[^\s<>\"'`)\]}]{3,500}", re.IGNORECASE
)
_SITE = re.compile(
    r"(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,4}(?:com|net|org|io|co|ai|dev|app|info|biz|xyz|top|site|online|me|link|ly|gl|ru|cn|tk|to|cc|tv|test)"
    r"(?![\w.-]*\w)(?:/[^\s<>\"']{0,500})?",
    re.IGNORECASE,
)
"""An address on the web without a scheme, under endings that files don't have."""
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b")
_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z]{2,24}(?:[:/?#]\S*)?", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z_$][\w.$-]{0,63}")
_DIGITS = re.compile(r"\+?[\d ()/-]{8,24}")

_ADDRESS = (
    "to cc bcc email mail recipient recipients iban account url uri link href webhook endpoint host domain phone "
    "number_to address_to payee beneficiary destination server"
)
_CONTENT = (
    "body content text message subject title description note notes comment comments summary reason html markdown "
    "question prompt caption memo details location remark headline instructions html_body data payload "
    "value_text"
)
_AMOUNT = (
    "amount price total sum cost fee budget balance money payment salary limit_amount value donation tip rate "
    "quantity qty units shares"
)
_WHEN = (
    "date time day start end when deadline due datetime timestamp until from_date to_date month year at begin "
    "expires checkin checkout"
)
_FREE = (
    "page offset limit cursor per_page page_size max_results n top_k sort order_by format language locale timezone "
    "tz verbose dry_run idempotency_key"
)
_FLAG = (
    "type mode kind status priority permission permissions recurring visibility role unit currency enabled all_day "
    "access importance"
)
_NAMES: tuple[tuple[Kind, frozenset[str]], ...] = (
    (Kind.FREE, frozenset(_FREE.split())),
    (Kind.CONTENT, frozenset(_CONTENT.split())),
    (Kind.AMOUNT, frozenset(_AMOUNT.split())),
    (Kind.ADDRESS, frozenset(_ADDRESS.split())),
    (Kind.WHEN, frozenset(_WHEN.split())),
    (Kind.FLAG, frozenset(_FLAG.split())),
)
_COUNTS = frozenset(["quantity", "qty", "units", "shares"])
_SELECTS = frozenset(["id", "ids", "key", "uuid", "name", "names", "no", "nr", "number", "num"])
_RUNS = frozenset(["command", "cmd", "code", "script", "sql", "query", "statement", "expression", "shell", "argv"])
"""What a machine runs: it decides everything, however long it is."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def name_parts(name: str) -> tuple[str, ...]:
    """`newStartTime`, `new-start-time` -> new, start, time."""
    return tuple(p for p in re.split(r"[\W_]+", _CAMEL.sub("_", name[:200]).lower()) if p)


def leaves(arguments: Mapping[str, Any], roles: Mapping[str, str]) -> Iterator[Leaf] | None:
    """Every leaf with its kind; None when there are more than can be judged (then nothing is traced).

    roles: `Meaning.arguments`, argument or dotted path -> target, content or free.
    """
    found: list[Leaf] = []
    todo: list[tuple[str, str, Any, int]] = [("", "", arguments, 0)]
    while todo:
        path, name, node, depth = todo.pop()
        if depth > MAX_DEPTH or len(found) + len(todo) > MAX_LEAVES:
            return None
        if isinstance(node, Mapping):
            todo += [(f"{path}.{k}" if path else str(k), str(k), v, depth + 1) for k, v in node.items()]
            # A key that no schema would have is a value: `{"to": {"eve@x.org": true}}`.
            told = ((str(k), *_judge(path, name, str(k), roles)) for k in node if not _schematic(str(k)))
            found += [Leaf(f"{path}.{k}" if path else k, name.lower(), k, kind, stated) for k, kind, stated in told]
        elif isinstance(node, list | tuple):
            todo += [(f"{path}[{i}]", name, v, depth + 1) for i, v in enumerate(node)]
        elif node is not None and node != "":
            if isinstance(node, str) and len(node) > MAX_VALUE:
                return None
            kind, stated = _judge(path, name, node, roles)
            if not (stated and kind in (Kind.CONTENT, Kind.FREE)) and (inner := _inside(node)) is not None:
                todo.append((path, name, inner, depth + 1))
                continue
            found.append(Leaf(path, name.lower(), node if isinstance(node, str) else _plain(node), kind, stated))
    return iter(sorted(found))


def _schematic(key: str) -> bool:
    return _KEY.fullmatch(key) is not None and _shape(key) is None


def _inside(value: Any) -> Any:
    """The object or list that stands in a text as JSON."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return None
    try:
        return found if isinstance(found := msgspec.json.decode(value), dict | list) else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _judge(path: str, name: str, value: Any, roles: Mapping[str, str]) -> tuple[Kind, bool]:
    if roles:
        dotted = re.sub(r"\[\d+\]", "", path)
        role = roles.get(dotted) or roles.get(dotted.split(".", 1)[0]) or roles.get(name)
        if role == "content":
            return Kind.CONTENT, True
        if role == "free":
            return Kind.FREE, True
        if role == "target":
            kind = judge(name, value)
            return (kind if kind not in (Kind.CONTENT, Kind.FREE, Kind.FLAG, Kind.NUMBER) else Kind.WHICH), True
    return judge(name, value), False


def judge(name: str, value: Any) -> Kind:
    """What an argument decides, by its name and value."""
    if isinstance(value, bool):
        return Kind.FLAG
    text = str(value).strip()
    if (shape := _shape(text)) is not None:
        return shape
    parts = name_parts(name)
    if _RUNS.intersection(parts):
        return Kind.WHICH
    by_name = _by_name(name.lower(), parts)
    if isinstance(value, int | float) or number(text) is not None:
        # One of a thing is what everybody means who says no number.
        one = number(text) == 1 and not _COUNTS.isdisjoint(parts)
        return Kind.NUMBER if one else _of_number(by_name, parts)
    dated = days(text) or (times(text) and len(text) < 12)
    if dated and len(text) <= 40 and by_name not in (Kind.CONTENT, Kind.FREE):
        return Kind.WHEN
    if by_name == Kind.FLAG and (len(text) > 24 or " " in text):
        return Kind.WHICH
    if by_name in (Kind.FLAG, Kind.CONTENT, Kind.FREE):
        return by_name
    # A list of recipients isn't prose, however long it is made.
    prose = by_name is None and (len(text) > 120 or text.count(" ") > 12)
    return Kind.CONTENT if prose and not (EMAIL.search(text) or IBAN.search(text.upper())) else Kind.WHICH


def _shape(text: str) -> Kind | None:
    if len(text) > 2100:
        return None
    if EMAIL.fullmatch(text) or URL.fullmatch(text) or IBAN.fullmatch(text.upper()):
        return Kind.ADDRESS
    if "/" in text and _DOMAIN.fullmatch(text) and "." in text.split("/", 1)[0]:
        return Kind.ADDRESS
    return None


def _by_name(name: str, parts: tuple[str, ...]) -> Kind | None:
    for kind, known in _NAMES:
        if name in known:
            return kind
    if parts and parts[-1] in _SELECTS:
        return Kind.WHICH
    # The last word of a name says what it is: `start_time`, `user_email`, `page_title`; the first may only describe it.
    for part in reversed(parts):
        for kind, known in _NAMES[1:]:
            if part in known or part.rstrip("s") in known:
                return kind
    return None


def _of_number(by_name: Kind | None, parts: tuple[str, ...]) -> Kind:
    if by_name in (Kind.AMOUNT, Kind.ADDRESS, Kind.FREE, Kind.WHICH):
        return Kind.WHICH if by_name == Kind.ADDRESS else by_name
    if by_name == Kind.CONTENT:
        return Kind.CONTENT
    return Kind.WHICH if by_name is None and parts and parts[-1] in ("file", "user", "order", "event") else Kind.NUMBER


def destinations(text: str) -> Iterator[str]:
    """URLs and account numbers inside a text: where a reader of it may be led."""
    text = text[:MAX_VALUE]
    for match in URL.finditer(text):
        yield match[0].rstrip(".,;:!?")
    for match in IBAN.finditer(text):
        yield match[0]
    for match in _SITE.finditer(text):
        yield match[0]


def is_money(value: str) -> bool:
    """Whether it is an account number, where money goes."""
    return bool(IBAN.fullmatch(value.strip().upper())) or bool(_DIGITS.fullmatch(value.strip()) and not days(value))


def is_email(value: str) -> bool:
    """Whether it is an e-mail address."""
    return bool(EMAIL.fullmatch(fold(value.strip())))
