# SPDX-License-Identifier: Apache-2.0
"""Rows that occur more than once, exactly or nearly; rows of the test split that are in the training split; the same text with two labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from bastide.verify.datasets.fingerprint import MINIMA
from bastide.verify.datasets.model import Finding, Place, Severity
from bastide.verify.datasets.partial import Partial
from bastide.verify.datasets.splits import AGAINST, CODES, name_of

_AGREE = 12
"""Of sixteen minima that must agree: about three quarters of the text."""
_MANY, _SOME = 0.05, 0.005
Array = Any
Where = Callable[[tuple[int, int]], Place]


class Leak(NamedTuple):
    """Rows of one split that are in another."""

    exact: int
    near: int
    first: tuple[int, int]
    twin: tuple[int, int]


class Twins(NamedTuple):
    """What was found out about rows that are like others."""

    rows: int
    """That were compared."""
    exact: int
    """Rows that repeat an earlier one."""
    near: int
    """Rows that are nearly an earlier one, without the exact ones."""
    leaked: Mapping[tuple[str, str], Leak]
    """By two splits: rows of the second that are in the first."""
    conflicts: int
    """Rows whose text also occurs with another label."""
    conflict: tuple[int, int]
    repeated: tuple[int, int]
    similar: tuple[int, int]
    comparable: int = 0
    """Rows long enough for a near comparison."""


def compare(total: Partial) -> Twins:
    """Compares the fingerprints of all rows."""
    hashes = np.frombuffer(total.hashes, dtype="<u8")
    owners = np.frombuffer(total.owners, dtype="<u4").reshape(-1, 4)
    signs = np.frombuffer(total.signatures, dtype="<u2").reshape(-1, MINIMA)
    mine = owners[:, 2] != CODES[AGAINST]
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(fresh) - 1
    repeats = np.zeros(len(order), dtype=bool)
    repeats[order] = ~fresh
    repeats &= mine
    pairs = _near(signs, np.flatnonzero(signs.any(axis=1)), group)
    close = np.zeros(len(order), dtype=bool)
    own = mine[pairs[:, 0]] & mine[pairs[:, 1]]
    close[pairs[own, 1]] = True
    close &= ~repeats
    conflicts = _conflicts(order, fresh, owners)
    return Twins(
        int(mine.sum()),
        int(repeats.sum()),
        int(close.sum()),
        _leaks(group, owners, pairs),
        len(conflicts),
        _owner(owners, conflicts),
        _owner(owners, np.flatnonzero(repeats)),
        _owner(owners, np.flatnonzero(close)),
        int((signs.any(axis=1) & mine).sum()),
    )


def _owner(owners: Array, rows: Array) -> tuple[int, int]:
    return (int(owners[rows[0], 0]), int(owners[rows[0], 1])) if len(rows) else (0, 0)


def _near(signs: Array, able: Array, group: Array) -> Array:
    """Pairs of rows, the earlier first, whose minima mostly agree and which aren't equal."""
    found: list[Array] = []
    for band in range(4):
        keys = np.ascontiguousarray(signs[able, band * 4 : band * 4 + 4]).view("<u8").ravel()
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = (
            np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
            if len(keys)
            else np.zeros(0, np.int64)
        )
        sizes = np.diff(np.append(starts, len(order)))
        # Each row against the first of its bucket and against the one before it.
        heads = np.repeat(starts, sizes)
        at = np.arange(len(order))
        for other in (heads, np.maximum(at - 1, heads)):
            keep = other < at
            left, right = able[order[other[keep]]], able[order[at[keep]]]
            alike = (group[left] != group[right]) & ((signs[left] == signs[right]).sum(axis=1) >= _AGREE)
            found.append(np.stack((left[alike], right[alike]), axis=1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)
    pairs.sort(axis=1)
    return np.unique(pairs, axis=0)


def _leaks(group: Array, owners: Array, pairs: Array) -> dict[tuple[str, str], Leak]:
    """Rows that two splits share; training data comes first, then validation, then test, then what it is held against."""
    splits = owners[:, 2]
    present = [code for code in CODES.values() if (splits == code).any()]
    found: dict[tuple[str, str], Leak] = {}
    for i, one in enumerate(present):
        for other in present[i + 1 :]:
            there = np.zeros(int(group.max()) + 1, dtype=bool)
            there[group[splits == one]] = True
            exact = np.flatnonzero((splits == other) & there[group])
            # Pairs across the two, the row of the second split last.
            turned = np.where((splits[pairs[:, 0]] == other)[:, None], pairs[:, ::-1], pairs)
            across = turned[(splits[turned[:, 0]] == one) & (splits[turned[:, 1]] == other)]
            across = across[~np.isin(across[:, 1], exact)]
            near = np.unique(across[:, 1])
            if len(exact):
                twin = np.flatnonzero((splits == one) & (group == group[exact[0]]))
                found[name_of(one), name_of(other)] = Leak(
                    len(exact), len(near), _owner(owners, exact), _owner(owners, twin)
                )
            elif len(near):
                found[name_of(one), name_of(other)] = Leak(
                    0, len(near), _owner(owners, across[:, 1]), _owner(owners, across[:, 0])
                )
    return found


def _conflicts(order: Array, fresh: Array, owners: Array) -> Array:
    """Rows with a label whose text also has another one."""
    labels = owners[order, 3]
    starts = np.flatnonzero(fresh)
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    known = np.where(labels == 0, np.uint32(0xFFFFFFFF), labels)
    lowest, highest = np.minimum.reduceat(known, starts), np.maximum.reduceat(labels, starts)
    differ = (highest > 0) & (lowest < highest)
    sizes = np.diff(np.append(starts, len(order)))
    return np.sort(order[np.repeat(differ, sizes) & (labels > 0)])


def judge(twins: Twins, where: Where, texts: bool) -> Iterator[Finding]:
    """Findings of a comparison. texts: whether rows hold texts; few short fields are the same by nature."""
    if not twins.rows:
        return
    if twins.exact:
        share = twins.exact / twins.rows
        severity = Severity.MEDIUM if share >= _MANY and texts else Severity.LOW
        message = "rows repeat an earlier one: models learn by heart what they see often, and numbers come out too good; keep one of each"
        yield Finding(
            "dataset/duplicates", severity, message, place=where(twins.repeated), count=twins.exact, rate=share
        )
    if twins.near:
        share = twins.near / twins.rows
        severity = Severity.MEDIUM if share >= _MANY else Severity.LOW
        message = "rows are nearly the same as an earlier one (about three quarters of the text): keep one of each kind"
        yield Finding(
            "dataset/near-duplicates", severity, message, place=where(twins.similar), count=twins.near, rate=share
        )
    for (one, other), leak in twins.leaked.items():
        yield from _leak(one or "the rest", other, leak, (where(leak.first), where(leak.twin)), texts)
    if twins.conflicts:
        share = twins.conflicts / twins.rows
        severity = Severity.MEDIUM if share >= _SOME and texts else Severity.LOW
        message = (
            "rows have the same content and different labels: one of the labels is wrong; look at them before training"
        )
        yield Finding(
            "dataset/conflicting-labels",
            severity,
            message,
            place=where(twins.conflict),
            count=twins.conflicts,
            rate=share,
        )


def _leak(one: str, other: str, leak: Leak, places: tuple[Place, Place], texts: bool) -> Iterator[Finding]:
    name = "the test data" if other == AGAINST else f"`{other}`"
    kind = f"{one}/{other}"
    if leak.exact:
        severity = Severity.HIGH if texts else Severity.MEDIUM
        message = (
            f"rows of {name} are in `{one}` too: what is measured on them is memory; take them out of one of the two"
        )
        evidence = f"{places[0]} is {places[1]}"
        yield Finding(
            "dataset/leakage", severity, message, place=places[0], count=leak.exact, evidence=evidence, kind=kind
        )
    if leak.near:
        evidence = "" if leak.exact else f"{places[0]} is nearly {places[1]}"
        message = f"rows of {name} are nearly in `{one}`: look at them, and split by document, author or time instead of by row"
        yield Finding(
            "dataset/near-leakage",
            Severity.MEDIUM,
            message,
            place=places[0],
            count=leak.near,
            evidence=evidence,
            kind=kind,
        )
