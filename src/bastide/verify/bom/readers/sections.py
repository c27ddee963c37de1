# SPDX-License-Identifier: Apache-2.0
"""The text of a model card: headings and labels that mean fields, lists in them, and tables of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bastide.verify.bom.draft import Draft
from bastide.verify.bom.knowledge import Field, field_named, terms, words
from bastide.verify.bom.model import Dependency, Metric, Origin

LINES = 50_000
_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_LABEL = re.compile(r"[ \t]*(?:[-*+][ \t]+)?(?:\*\*|__)([^*_:]{1,80}?):?(?:\*\*|__)[ \t]*:?[ \t]*(.*)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+(.*)")
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(?:[.,][0-9]{1,20})?(?:[eE][-+]?[0-9]{1,3})?[ \t]?%?")
_VERSION = re.compile(r"([A-Za-z][A-Za-z _-]{1,40}?):? v?([0-9][0-9A-Za-z.+]{0,40})")
_RESULT = re.compile(r"- ([A-Za-z0-9][^:]{0,60}): (-?[0-9][0-9.e%+-]{0,20})\s*")
_COLUMNS = {
    "type": {"metric", "metrics", "measure"}, "value": {"value", "score", "result", "results"},
    "slice": {"slice", "group", "split", "subset", "condition", "subgroup"}, "dataset": {"dataset", "data set", "benchmark", "data"},
    "threshold": {"threshold", "decision threshold"},
}  # fmt: skip


@dataclass(slots=True)
class _Section:
    meant: Field | None
    level: int
    line: int
    lines: list[tuple[int, str]] = field(default_factory=list)


def read_sections(draft: Draft, text: str, file: str, above: int) -> None:
    """All that headings and labels say. above: lines of the file before the text."""
    lines = _without_comments(text).split("\n")
    if len(lines) > LINES:
        draft.folder.unread.append(f"{file}: has more than {LINES} lines; the others were not read")
    for section in _sections(draft, lines[:LINES], file, above):
        if section.meant is None:
            continue
        if section.meant.id.startswith("evaluation."):
            _tables(draft, section, file)
        for line, value in _values(section):
            draft.say(section.meant.id, value, Origin(file, line))
            if section.meant.id == "dependencies":
                _version(draft, value, Origin(file, line))
    _trainer_results(draft, lines[:LINES], file, above)
    _introduction(draft, lines[:LINES], file, above)


def _version(draft: Draft, value: str, origin: Origin) -> None:
    """`Pytorch 2.2.1`, as training libraries write it."""
    if found := _VERSION.fullmatch(value):
        name = terms().flavours.get(found[1].lower(), found[1].lower())
        draft.depends(Dependency(name, origin, found[2], f"=={found[2]}"))


def _trainer_results(draft: Draft, lines: list[str], file: str, above: int) -> None:
    """Results that Transformers' trainer writes: a list after a sentence that is always the same."""
    begins = (n for n, line in enumerate(lines) if line.startswith("It achieves the following results on the"))
    for number in range((at := next(begins, len(lines))) + 1, min(at + 50, len(lines))):
        found = _RESULT.fullmatch(lines[number])
        if found is None:
            return
        draft.metric(Metric(found[1], found[2], Origin(file, number + above + 1), slice="evaluation set"))


def _introduction(draft: Draft, lines: list[str], file: str, above: int) -> None:
    """The title as the name and the paragraph under it as the description, where nothing else says them."""
    title = next((n for n, line in enumerate(lines) if line.startswith("# ")), None)
    if title is None:
        return
    name = re.sub(r"^(?:model card (?:for|of)|model:?)[ ]", "", _plain(lines[title][2:]), flags=re.IGNORECASE)
    if not draft.has("name") and _meant(name) is None:
        draft.say("name", name, Origin(file, title + above + 1, "the title"))
    for number in range(title + 1, min(title + 30, len(lines))):
        line = lines[number].strip()
        if line.startswith("#"):
            return
        if line and not line.startswith(("[", "!", "<", "|", ">", "```", "-", "*")):
            if not draft.has("description"):
                draft.say("description", _plain(line), Origin(file, number + above + 1, "the first paragraph"))
            return


def _without_comments(text: str) -> str:
    """Without HTML comments, but with their line breaks."""
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0:
        end = text.find("-->", begin)
        parts += [text[at:begin], "\n" * text.count("\n", begin, len(text) if end < 0 else end)]
        at = len(text) if end < 0 else end + 3
    return "".join((*parts, text[at:]))


def _sections(draft: Draft, lines: list[str], file: str, above: int) -> Iterator[_Section]:
    """Each heading that means a field with its text; a heading without a meaning belongs to the one above it."""
    current = _Section(None, 0, above)
    fence = ""
    for number, line in enumerate(lines, above + 1):
        if mark := re.match(r"[ \t]*(```|~~~)", line):
            fence = "" if fence == mark[1] else fence or mark[1]
        heading = None if fence else _HEADING.match(line)
        if heading is not None:
            meant = _meant(heading[2])
            level = len(heading[1])
            if meant is not None or level <= current.level:
                yield current
                current = _Section(meant, level, number)
                continue
        elif not fence and (label := _LABEL.match(line)) and (meant := _meant(label[1])) and label[2].strip():
            draft.say(meant.id, _plain(label[2]), Origin(file, number))
            continue
        if current.meant is not None:
            current.lines.append((number, line))
    yield current


def _meant(heading: str) -> Field | None:
    plain = re.sub(r"^[\W\d_]+", "", re.sub(r"\[optional\]|[#*_`]", "", heading[:200], flags=re.IGNORECASE))
    return field_named(plain)


def _values(section: _Section) -> Iterator[tuple[int, str]]:
    """The whole text, or for fields of many values each paragraph and each item."""
    if section.meant is None or not section.meant.many:
        first = next((line for line, text in section.lines if text.strip()), section.line)
        yield first, _plain("\n".join(text for _, text in section.lines if not text.lstrip().startswith("|")))
        return
    line, words_ = section.line, list[str]()
    for number, text in [*section.lines, (0, "")]:
        item = _ITEM.match(text)
        if (item or not text.strip()) and words_:
            yield line, _plain(" ".join(words_))
            words_ = []
        if item:
            line, words_ = number, [item[1]]
        elif text.strip() and not text.lstrip().startswith("|"):
            line = line if words_ else number
            words_.append(text.strip())


def _plain(text: str) -> str:
    """Without the marks of Markdown that only change how it looks, and without placeholders in brackets."""
    return re.sub(r"\[More Information Needed\]|\*\*|__|`", "", text, flags=re.IGNORECASE).strip()


def _tables(draft: Draft, section: _Section, file: str) -> None:
    """Rows of tables that have a column of metrics and one of values."""
    columns: dict[str, int] = {}
    for number, line in section.lines:
        if "|" not in line:
            columns = {}
            continue
        cells = [_plain(cell) for cell in line.strip().strip("|").split("|")[:50]]
        if not columns:
            columns = {
                what: n for n, cell in enumerate(cells) for what, names in _COLUMNS.items() if words(cell) in names
            }
            continue
        if not {"type", "value"} <= columns.keys() or max(columns.values()) >= len(cells):
            continue
        row = {what: cells[n] for what, n in columns.items()}
        if _NUMBER.match(row["value"]):
            draft.metric(Metric(row["type"][:200], row["value"][:200], Origin(file, number), *(
                row.get(what, "")[:200] for what in ("dataset", "slice", "threshold"))))  # fmt: skip
