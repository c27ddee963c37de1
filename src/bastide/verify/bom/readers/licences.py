# SPDX-License-Identifier: Apache-2.0
"""Licence files: which licence their text is."""

from __future__ import annotations

from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.knowledge import licence_of_text
from bastide.verify.bom.model import Licence, Origin

_BEGIN = ("license", "licence", "copying")


def read_licences(draft: Draft) -> None:
    """Licence files at the top of the folder."""
    files = [name for name in draft.folder.sizes if "/" not in name and name.lower().startswith(_BEGIN)]
    for name in files[:20]:
        text = draft.folder.text(name)
        if text is None:
            continue
        id = licence_of_text(text)
        origin = Origin(shown(name), 1, "by its text")
        if id:
            draft.licences.append(Licence(id, id, origin, from_text=True))
        else:
            draft.note(f"{shown(name)}: is of a wording that isn't known here; state the SPDX id in the card")
    declared = {one.id for one in draft.licences if one.id and not one.from_text}
    shown_ = {one.id for one in draft.licences if one.from_text}
    if declared and shown_ and not _same(declared, shown_):
        said, texts = ", ".join(sorted(declared)), ", ".join(sorted(shown_))
        draft.note(f"the licence that is declared ({said}) is not that of the licence file ({texts})")


def _same(declared: set[str], texts: set[str]) -> bool:
    """Whether one of them is the other, or the same with `-or-later` instead of `-only`."""

    def plain(ids: set[str]) -> set[str]:
        return {id.removesuffix("-only").removesuffix("-or-later") for id in ids}

    return bool(plain(declared) & plain(texts))
