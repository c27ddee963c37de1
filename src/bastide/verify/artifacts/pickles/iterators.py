# SPDX-License-Identifier: Apache-2.0
"""Iterators and getters, as Python pickles them: made of data they only hand data on; made of functions they call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.knowledge import Standing
from bastide.verify.artifacts.pickles.literals import read_literal, shown_call
from bastide.verify.artifacts.pickles.values import UNKNOWN, Imported, Items, Made, Plain, Value

if TYPE_CHECKING:
    from bastide.verify.artifacts.pickles.judge import Judge

Rule = Callable[["Judge", Imported, Value, int], Value]
LAZY = frozenset(
    {"builtins.enumerate", "builtins.filter", "builtins.map", "builtins.reversed", "builtins.zip"}
    | {f"itertools.{name}" for name in ("accumulate", "chain", "compress", "cycle", "islice", "repeat", "zip_longest")}
)
"""What goes through its arguments only when somebody goes through it."""
AT_ONCE = frozenset(f"itertools.{name}" for name in ("combinations", "combinations_with_replacement", "permutations", "product"))  # fmt: skip
"""What takes all of its arguments when it is made."""
ENDLESS = frozenset({"builtins.range", "itertools.count"}) | LAZY | AT_ONCE
"""What can go on for as long as a number says, or for ever."""
_DATA = ENDLESS | {"builtins.iter"}


def costs(judge: Judge, callee: Imported, arguments: Value, offset: int) -> None:
    """Something that fills the memory."""
    judge.put(
        "takes-memory", Tier.MALFORMED, Severity.MEDIUM, offset, shown_call(callee, arguments, judge.machine),
        "takes as much memory as a number in the file says; nobody writes that but to exhaust what loads it",
    )  # fmt: skip


def made_by(value: Value, judge: Judge, names: frozenset[str]) -> bool:
    """Whether a call of one of these made it."""
    return isinstance(value, Made) and isinstance(value.by, Imported) and judge.knowledge.canonical(value.by.path) in names  # fmt: skip


def _data(judge: Judge, value: Value) -> bool:
    return isinstance(value, int | tuple | Plain | Items) or made_by(value, judge, _DATA)


def _refused(judge: Judge, callee: Imported, arguments: Value, offset: int) -> None:
    judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)


def _hands_on(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Goes through its arguments, which have to be data."""
    given = arguments if isinstance(arguments, tuple) else (arguments,)
    if not all(_data(judge, value) for value in given):
        _refused(judge, callee, arguments, offset)
    elif judge.knowledge.canonical(callee.path) in AT_ONCE and any(made_by(value, judge, ENDLESS) for value in given):
        costs(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _applies(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Calls a function for each item: None, or one that may be called whatever it is given."""
    match arguments:
        case (int() as literal, *rest) if judge.machine and read_literal(judge.machine.data, literal) is None:
            harmless = all(_data(judge, value) for value in rest)
        case (Imported() as function, *rest):
            known = judge.knowledge.entry(function.path).standing is Standing.CALL and not judge.special(function)
            harmless = known and all(_data(judge, value) for value in rest)
        case _:
            harmless = False
    if not harmless:
        _refused(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _accumulates(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Has its function behind its data."""
    match arguments:
        case (items, int() as literal, *_) if judge.machine and read_literal(judge.machine.data, literal) is None:
            harmless = _data(judge, items)
        case (items,):
            harmless = _data(judge, items)
        case _:
            harmless = False
    if not harmless:
        _refused(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _iter(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (value,) if isinstance(value, int | tuple | Plain | Items) or made_by(value, judge, frozenset({"builtins.range"})):  # fmt: skip
            # How Python writes the iterators of its containers.
            pass
        case _:
            _refused(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _gets(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Takes attributes, or calls a method, when it is called, which is judged: by plain names that stand in the file, and do no harm."""
    given = arguments if isinstance(arguments, tuple) else ()
    names, rest = (given, ()) if callee.name == "attrgetter" else (given[:1], given[1:])
    if not names or not all(_plain(judge, name) for name in names) or not all(_data(judge, value) for value in rest):
        _refused(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _plain(judge: Judge, name: Value) -> bool:
    text = judge.machine.text(name) if judge.machine else None
    if text is None or text[1]:
        return False
    parts = text[0].split(".")
    harmless = judge.knowledge.harmful_names.isdisjoint(parts)
    return harmless and all(part.isidentifier() and not part.startswith("_") for part in parts)


RULES: dict[str, Rule] = {
    **dict.fromkeys(LAZY | AT_ONCE, _hands_on),
    "builtins.filter": _applies,
    "builtins.iter": _iter,
    "builtins.map": _applies,
    "itertools.accumulate": _accumulates,
    "operator.attrgetter": _gets,
    "operator.methodcaller": _gets,
}
"""By the present name of the callable."""
