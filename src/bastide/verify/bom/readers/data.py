# SPDX-License-Identifier: Apache-2.0
"""Data sets that are described beside the model: Croissant, and cards of data sets in the form of Hugging Face."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from bastide.verify.bom.documents import Unreadable, Value, read_yaml
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.model import Dataset, Use
from bastide.verify.bom.readers.card import split_front

MOST_FILES = 50
_CROISSANT = {
    "description": "description", "url": "url", "version": "version", "dataCollection": "collection", "dataCollectionType": "collection",
    "dataPreprocessingProtocol": "preprocessing", "dataAnnotationProtocol": "preprocessing", "dataBiases": "bias", "dataSocialImpact": "bias",
    "personalSensitiveInformation": "personal", "dataUseCases": "intended-use", "dataLimitations": "noise", "isAccessibleForFree": "availability",
    "creator": "owner", "publisher": "custodian", "maintainer": "steward", "dataReleaseMaintenancePlan": "update",
}  # fmt: skip
_CARD = {"size categories": "size", "annotations creators": "preprocessing", "source datasets": "collection", "description": "description",
         "classification": "classification", "personal": "personal", "version": "version", "homepage": "url",
         "task categories": "intended-use"}  # fmt: skip


def read_data(draft: Draft) -> None:
    """Descriptions anywhere in the folder, as many as are read."""
    files = [name for name in draft.folder.sizes if _described(PurePosixPath(name))]
    if len(files) > MOST_FILES:
        draft.folder.unread.append(f"has {len(files)} descriptions of data sets; {MOST_FILES} were read")
    for name in files[:MOST_FILES]:
        if name.lower().endswith(".json"):
            value = draft.json(name)
            if value is not None and any(key == "@context" for key, _ in value.items()):
                _croissant(draft, value)
        else:
            _card(draft, name)


def _described(path: PurePosixPath) -> bool:
    name = path.name.lower()
    if name == "croissant.json" or name.endswith((".croissant.json", "-croissant.json")):
        return True
    below = len(path.parts) > 1 and re.fullmatch(r"data|datasets?", path.parts[0].lower()) is not None
    return name in ("dataset_card.md", "datacard.md", "data_card.md") or (below and name == "readme.md")


def _use(draft: Draft, name: str) -> list[Use]:
    """What the card says it was used for; training where only the description lies beside the model and nobody says."""
    have = draft.datasets.get(name)
    return list(have.uses) if have is not None else [Use.TRAINED]


def _croissant(draft: Draft, value: Value) -> None:
    name = _same(draft, _text(_property(value, "name")))
    if draft.dataset(name, _use(draft, name), value.origin) is None:
        return
    for key, what in _CROISSANT.items():
        for one in _property(value, key).each():
            draft.describe(name, what, _text(one), one.origin)
    for one in _property(value, "license").each():
        draft.data_licence(name, _text(one), one.origin)
    hashes = [_text(_property(file, "sha256")).lower() for file in _property(value, "distribution").each()]
    known = tuple(dict.fromkeys(one for one in hashes if re.fullmatch(r"[0-9a-f]{64}", one)))
    have = draft.datasets[name]
    draft.datasets[name] = Dataset(have.name, have.uses, have.origin, have.fields, have.licences, known)


def _property(node: Value, key: str) -> Value:
    """A property, whatever prefix it is written with."""
    for name, value in node.items():
        if name == key or re.split(r"[:/#]", name)[-1] == key:
            return value
    return Value(None, node.origin)


def _text(value: Value) -> str:
    if isinstance(value.raw, dict):
        return next((one for key in ("name", "url", "@id", "@value") if (one := _property(value, key).text)), "")
    if isinstance(value.raw, list):
        return ", ".join(filter(None, (_text(one) for one in value.each())))
    return value.text


def _card(draft: Draft, name: str) -> None:
    front, _, _ = split_front(draft.folder.text(name) or "")
    if not front:
        return
    try:
        value, _ = read_yaml(front, shown(name), 1)
    except Unreadable as problem:
        draft.folder.unread.append(f"{shown(name)}: its front matter {problem}")
        return
    folder = PurePosixPath(name).parent.name
    title = _same(
        draft,
        value.get("pretty_name", "name").text or (folder if folder not in ("data", "dataset", "datasets") else ""),
    )
    if draft.dataset(title, _use(draft, title), value.origin) is None:
        return
    for key, one in value.items():
        if what := _CARD.get(key.replace("_", " ")):
            for said in one.each():
                draft.describe(title, what, said.text, said.origin)
    for said in value.get("license", "licence").each():
        draft.data_licence(title, said.text, said.origin)


def _same(draft: Draft, title: str) -> str:
    """The name under which the model's card names a data set: `owner/squad` for SQuAD."""

    def plain(text: str) -> str:
        return "".join(re.findall(r"[a-z0-9]+", text.rpartition("/")[2].lower()))

    return next((name for name in draft.datasets if plain(title) and plain(name) == plain(title)), title)
