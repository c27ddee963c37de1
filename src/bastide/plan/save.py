# SPDX-License-Identifier: Apache-2.0
"""Writes a plan as YAML that a person would have written: sections in order, a line for each part if it fits.

Read back it is the same plan, whatever strings it holds: `parse_plan(dump(p))` equals `p` but for positions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bastide.plan.canonical import canonical
from bastide.plan.model import Plan
from bastide.plan.yamlfile import plain_scalar

WIDTH = 120
"""Longest line that flow style may make."""
_ALIGN = 28
"""Names longer than this aren't waited for when the values of a section are lined up."""
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./@+()<>; '-]*[A-Za-z0-9_./@+()>;'-])?\Z")
_OTHER_READERS = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Words that YAML 1.1 readers take for booleans; quoted, so that every tool reads the same."""
_LONGEST_KEY = 900
"""YAML takes no longer key in front of a colon (the limit is 1,024); such keys are written with `? `."""
_SECTIONS = ("data", "zones", "identities", "components")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def dump(plan: Plan) -> str:
    """The plan as text of a `bastide.yaml`.

    Facts that hold by definition aren't written; those that somebody stated are, with their provenance, and
    so is an explicit `unknown`. Comments, includes, anchors and defaults of the file are not part of a plan.
    """
    document = canonical(plan)
    blocks = [list(_header(document))]
    for section in _SECTIONS:
        blocks.append(list(_named(section, document.get(section, {}))))
    for section in ("flows", "controls"):
        blocks.append(list(_listed(section, document.get(section, []))))
    blocks.append([line for key, value in plan.extensions.items() for line in _entry(key, value, 0)])
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def scalar(value: Any) -> str:
    """A scalar in YAML: bare where every reader takes it for the same text, quoted otherwise."""
    if isinstance(value, str):
        bare = _PLAIN.match(value) and isinstance(plain_scalar(value), str) and value.lower() not in _OTHER_READERS
        return value if bare else quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _key(text: str) -> str:
    """A key: as `scalar`, but the format's own `on` stays bare."""
    return text if _PLAIN.match(text) and isinstance(plain_scalar(text), str) else quoted(text)


def quoted(text: str) -> str:
    """The text in double quotes; what YAML holds for unprintable or for a line break is escaped."""
    return _UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:  # half a character: no YAML can hold it
        return "\ufffd"
    return f"\\u{code:04x}"


def _header(document: Mapping[str, Any]) -> Iterator[str]:
    for key in ("bastide", "system", "name", "owner", "purpose", "exposure"):
        if key in document:
            yield from _entry(key, document[key], 0)


def _named(section: str, parts: Mapping[str, Any]) -> Iterator[str]:
    """A section of parts by id, their values lined up."""
    if not parts:
        return
    yield f"{section}:"
    shown = {id: _short(body, section == "components") for id, body in parts.items()}
    width = _width(shown)
    for id, body in shown.items():
        yield from _entry(id, body, 2, width)


def _short(body: Mapping[str, Any], is_component: bool = False) -> Any:
    """The body of a part in shorthand: a single id for a list of one, a kind for a whole component."""
    if is_component and set(body) == {"kind"}:
        return body["kind"]
    one = {key: body[key][0] for key in ("data", "holds") if len(body.get(key, ())) == 1}
    return {**body, **one}


def _width(parts: Mapping[str, Any]) -> int:
    """How wide the names of a section are, so that values on one line begin below each other."""
    names = {_key(id): _flow(body) for id, body in parts.items()}
    fitting = (len(n) for n, body in names.items() if len(n) + len(body) + 4 <= WIDTH)
    return max((length for length in fitting if length <= _ALIGN), default=0)


def _listed(section: str, items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A section of one-key mappings: flows and control claims."""
    for number, item in enumerate(items):
        if number == 0:
            yield f"{section}:"
        ((key, body),) = item.items()
        if not body:
            yield f"  - {scalar(key)}"
            continue
        first, *rest = _entry(key, _short(body), 4)
        yield f"  - {first.lstrip()}"
        yield from rest


def _entry(key: str, value: Any, indent: int, width: int = 0) -> Iterator[str]:
    """`key: value` on one line if it fits, else with the value's own entries below it."""
    pad = " " * indent
    name = _key(key)
    if len(name) > _LONGEST_KEY:
        yield f"{pad}? {name}"
        yield f"{pad}: {_flow(value)}"
        return
    line = f"{pad}{name}: {' ' * (width - len(name))}{_flow(value)}"
    if len(line) > WIDTH:
        line = f"{pad}{name}: {_flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        yield line
        return
    yield f"{pad}{name}:"
    if isinstance(value, dict):
        for inner, body in value.items():
            yield from _entry(inner, body, indent + 2)
    else:
        for item in value:
            yield f"{pad}  - {_flow(item)}"


def _flow(value: Any) -> str:
    """The value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(map(_pair, value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


def _pair(item: tuple[str, Any]) -> str:
    name = _key(item[0])
    mark = "? " if len(name) > _LONGEST_KEY else ""
    return f"{mark}{name}: {_flow(item[1])}"
