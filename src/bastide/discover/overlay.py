# SPDX-License-Identifier: Apache-2.0
"""One thing that is told twice, by people and by a tool that worked it out: what was written stays, what it leaves open is filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bastide.discover.model import REST, State, Value, plain_key


def laid_over(declared: Value, shown: Sequence[Value]) -> Value:
    """What is declared, at its place, with what is shown where it is open. What is shown twice and differs says nothing."""
    if isinstance(declared.data, Mapping) and all(isinstance(s.data, Mapping) for s in shown):
        return replace(declared, data=_attributes(declared.data, [s.data for s in shown]))
    if isinstance(declared.data, tuple) and all(
        isinstance(s.data, tuple) and len(s.data) == len(declared.data) for s in shown
    ):
        return replace(declared, data=tuple(map(laid_over, declared.data, zip(*(s.data for s in shown), strict=True))))
    first = shown[0]
    if declared.state in (State.KNOWN, State.DEFAULT) or not first.known or not _agree(shown):
        return declared
    refs = tuple(dict.fromkeys((*declared.refs, *first.refs)))
    return replace(first, place=declared.place, refs=refs)


def _attributes(declared: Mapping[str, Value], shown: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Attributes by name, whatever its case. What is shown is all there is, so nothing stands for what could not be read."""
    found: dict[str, Value] = {}
    written = {plain_key(name): name for name in declared if name != REST}
    others = [{plain_key(name): (name, value) for name, value in all_.items()} for all_ in shown]
    for key in dict.fromkeys((*written, *(key for all_ in others for key in all_))):
        there = [all_[key][1] for all_ in others if key in all_]
        name = written.get(key) or next(all_[key][0] for all_ in others if key in all_)
        value = _attribute(declared.get(name), there, everywhere=len(there) == len(others))
        if value is not None:
            found[name] = value
    return found


def _attribute(declared: Value | None, shown: Sequence[Value], *, everywhere: bool) -> Value | None:
    if declared is not None:
        return laid_over(declared, shown) if shown and everywhere else declared
    if all(s.known and s.data is None for s in shown):
        return None
    return shown[0] if everywhere and _agree(shown) else replace(shown[0], state=State.CONDITIONAL)


def _agree(values: Sequence[Value]) -> bool:
    first = values[0].plain()
    return all(v.known and v.plain() == first for v in values)


def referring(value: Value, instead: Mapping[str, tuple[str, ...]]) -> Value:
    """The same with other references in place of some."""
    if isinstance(value.data, Mapping):
        value = replace(value, data={k: referring(v, instead) for k, v in value.data.items()})
    elif isinstance(value.data, tuple):
        value = replace(value, data=tuple(referring(v, instead) for v in value.data))
    if not any(ref in instead for ref in value.refs):
        return value
    return replace(value, refs=tuple(new for ref in value.refs for new in instead.get(ref, (ref,))))
