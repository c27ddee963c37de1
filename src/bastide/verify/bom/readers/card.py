# SPDX-License-Identifier: Apache-2.0
"""Model cards: `README.md` in the form of Hugging Face (front matter and text), and cards in YAML with the same keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bastide.errors import Diagnostic, InputError, Location
from bastide.verify.bom.documents import Unreadable, Value, read_yaml
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.knowledge import field_named, terms, words
from bastide.verify.bom.model import Dependency, Metric, Origin, Relation, Use
from bastide.verify.bom.readers.sections import read_sections

_CARDS = ("README.md", "MODEL_CARD.md", "modelcard.md", "model_card.md")
_LARGEST = 8 << 20
_RELATIONS = {
    "finetune": Relation.FINETUNE, "finetuned": Relation.FINETUNE, "fine tune": Relation.FINETUNE, "adapter": Relation.ADAPTER,
    "lora": Relation.ADAPTER,
    "quantized": Relation.QUANTIZED, "quantised": Relation.QUANTIZED, "quantization": Relation.QUANTIZED, "merge": Relation.MERGE,
    "merged": Relation.MERGE,
}  # fmt: skip
_DATA = (
    "description", "classification", "personal", "collection", "preprocessing", "bias", "owner", "steward", "custodian", "url",
    "version", "size",
         "anonymisation", "intended-use", "availability", "type", "noise")  # fmt: skip


def read_card(draft: Draft) -> None:
    """The card that lies in the folder."""
    for name in draft.folder.named(*_CARDS):
        text = draft.folder.text(name)
        if text is None:
            continue
        front, rest, above = split_front(text)
        if front:
            try:
                value, odd = read_yaml(front, shown(name), 1)
            except Unreadable as problem:
                draft.folder.unread.append(f"{shown(name)}: its front matter {problem}")
            else:
                draft.folder.unread += odd
                take_card(draft, value)
        read_sections(draft, rest, shown(name), above)


def read_own_card(draft: Draft, path: Path) -> None:
    """A card in YAML that the call names. Raises `InputError` when it isn't one."""
    place = Location(str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise InputError(Diagnostic(f"has more than {_LARGEST >> 20} MiB", place))
        value, odd = read_yaml(raw.decode("utf-8-sig"), shown(str(path)))
    except (OSError, UnicodeDecodeError, Unreadable) as problem:
        raise InputError(Diagnostic(f"is no card that can be read: {str(problem)[:200]}", place)) from None
    if not isinstance(value.raw, dict):
        raise InputError(Diagnostic("is no card: a mapping of fields is wanted", place))
    draft.folder.unread += odd
    take_card(draft, value)


def split_front(text: str) -> tuple[str, str, int]:
    """(front matter, the rest, lines before the rest)."""
    if not text.startswith(("---\n", "---\r\n")):
        return "", text, 0
    end = re.compile(r"^---[ \t]*\r?$", re.MULTILINE).search(text, 4)
    if end is None:
        return "", text, 0
    return text[text.index("\n") + 1 : end.start()], text[end.end() :], text.count("\n", 0, end.end())


def take_card(draft: Draft, card: Value) -> None:
    """All keys of a card in YAML; keys that mean nothing here are left out."""
    for key, value in card.items():
        if (special := _SPECIAL.get(words(key))) is not None:
            special(draft, value, card)
        elif (meant := field_named(key)) is not None:
            take_field(draft, meant.id, value)


def take_field(draft: Draft, id: str, value: Value) -> None:
    """A field from a text, a list of texts, or a list of mappings (`group`, `harms`, `mitigation` …)."""
    for one in value.each():
        parts = {words(key): part.text for key, part in one.items() if part.text}
        text = one.text or "; ".join(f"{key}: {part}" for key, part in parts.items())
        draft.say(id, text, one.origin, parts)


def _licence(draft: Draft, value: Value, card: Value) -> None:
    named = card.get("license_name", "licence_name").text
    url = card.get("license_link", "licence_link").text
    for one in value.each():
        # `other` says only that it is none of the usual ones.
        draft.licence((named or url) if one.text in ("other", "") else one.text, one.origin, url)


def _bases(draft: Draft, value: Value, card: Value) -> None:
    said = _RELATIONS.get(words(card.get("base_model_relation").text), Relation.BASE)
    for one in value.each():
        if isinstance(one.raw, dict):
            relation = _RELATIONS.get(words(one.get("relation").text), said)
            draft.ancestor(one.get("name").text, relation, one.origin, one.get("revision", "version").text)
        else:
            name, _, revision = one.text.partition("@")
            draft.ancestor(name, said, one.origin, revision)


def _datasets(draft: Draft, value: Value, _: Value) -> None:
    for one in value.each():
        name = one.text or one.get("name", "id").text
        uses = (
            [Use.TESTED]
            if words(one.get("use").text) in ("tested", "tested on", "test", "evaluation")
            else [Use.TRAINED]
        )
        if draft.dataset(name, uses, one.origin) is None:
            continue
        for what in _DATA:
            for said in one.get(what, what.replace("-", "_")).each():
                draft.describe(name, what, said.text, said.origin)
        for said in one.get("license", "licence").each():
            draft.data_licence(name, said.text, said.origin)


def _metrics(draft: Draft, value: Value, _: Value) -> None:
    """Names of metrics, or metrics with values."""
    for one in value.each():
        if one.text:
            draft.metric(Metric(one.text[:200], "", one.origin))
        elif isinstance(one.raw, dict):
            _metric(draft, one, dataset=one.get("dataset").text, slice=one.get("slice", "group", "split").text)


def _metric(draft: Draft, one: Value, dataset: str, slice: str) -> None:
    between = [bound.text for bound in one.get("confidence-interval", "confidence_interval").each()]
    lower, upper = between if len(between) == 2 else (one.get("lower").text, one.get("upper").text)
    kind = one.get("type", "metric", "name").text
    values = [("", one.get("value", "score"))]
    if isinstance(values[0][1].raw, dict):
        values = list(values[0][1].items())
    for name, value in values:
        draft.metric(
            Metric(
                f"{kind} {name}".strip()[:200], value.text[:200], one.origin, dataset[:200], slice[:200],
                one.get("threshold", "decision-threshold").text[:100], lower[:100], upper[:100],
            )
        )  # fmt: skip


def _index(draft: Draft, value: Value, _: Value) -> None:
    """`model-index`: results by task and data set."""
    for model in value.each():
        draft.say("name", model.get("name").text, model.origin)
        for result in model.get("results").each():
            task, data = result.get("task").get("type"), result.get("dataset")
            draft.say("task", task.text, task.origin)
            listed = data.get("type").text
            title = listed if listed in draft.datasets else data.get("name", "type").text
            if title:
                draft.dataset(title, [Use.TESTED], data.origin)
            draft.describe(title, "url", _hub_data(listed), data.origin)
            if revision := data.get("revision").text:
                draft.describe(title, "version", revision, data.origin)
            slice = " ".join(filter(None, (data.get("config").text, data.get("split").text)))
            for metric in result.get("metrics").each():
                _metric(draft, metric, title, slice)


def _hub_data(name: str) -> str:
    return (
        f"https://huggingface.co/datasets/{name}"
        if re.fullmatch(r"[\w.-]{1,100}(/[\w.-]{1,100})?", name, re.ASCII)
        else ""
    )


def _emissions(draft: Draft, value: Value, _: Value) -> None:
    if not isinstance(value.raw, dict):
        draft.say(
            "training.energy",
            f"{value.text} g CO2 equivalent" if value.text else "",
            value.origin,
            {"co2 g": value.text},
        )
        return
    parts = {words(key): one.text for key, one in value.items() if one.text}
    if grams := parts.pop("emissions", ""):
        parts["co2 g"] = grams
    draft.say("training.energy", "; ".join(f"{key}: {text}" for key, text in parts.items()), value.origin, parts)
    if hardware := parts.get("hardware used"):
        draft.say("training.compute", hardware, value.origin)


def _task(draft: Draft, value: Value, _: Value) -> None:
    for one in value.each():
        draft.say("task", one.text, one.origin)
        ways = terms().tasks.get(one.text, ((), ()))
        for name, modalities in zip(("inputs", "outputs"), ways, strict=True):
            for modality in modalities:
                draft.say(name, modality, Origin(one.origin.file, one.origin.line, "by its task"))


def _library(draft: Draft, value: Value, _: Value) -> None:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value.text):
        draft.depends(Dependency(value.text, value.origin))


def _ignored(*_: object) -> None:
    """A key that is read with another one."""


_SPECIAL: Mapping[str, Callable[[Draft, Value, Value], None]] = {
    "license": _licence, "licence": _licence, "license name": _ignored, "license link": _ignored, "base model": _bases, "base models": _bases,
    "lineage": _bases, "base model relation": _ignored, "datasets": _datasets, "metrics": _metrics, "model index": _index,
    "co2 eq emissions": _emissions,
    "pipeline tag": _task, "task": _task, "library name": _library, "tags": _ignored,
}  # fmt: skip
