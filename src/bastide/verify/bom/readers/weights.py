# SPDX-License-Identifier: Apache-2.0
"""Headers of weight files: what GGUF and safetensors say about the model in them. Only headers are read."""

from __future__ import annotations

import mmap
import re
import struct
from collections import Counter
from math import prod

from bastide.verify.artifacts.formats._gguf import Broken, Fields
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import shown
from bastide.verify.bom.knowledge import terms
from bastide.verify.bom.model import Origin, Relation, Use

PAIRS = 100_000
_GGUF = {
    "general.name": "name", "general.version": "version", "general.author": "developer", "general.organization": "developer",
    "general.description": "description", "general.architecture": "family", "general.url": "distribution", "general.repo_url": "distribution",
    "general.size_label": "parameters", "general.quantized_by": "developer",
}  # fmt: skip
_MODELSPEC = {
    "modelspec.title": "name", "modelspec.author": "developer", "modelspec.description": "description", "modelspec.architecture": "architecture",
    "modelspec.usage_hint": "instructions", "modelspec.date": "version", "ss_base_model_version": "family",
}  # fmt: skip


def read_weights(draft: Draft) -> None:
    """The headers of the weight files, as many as are read."""
    names = [name for name in draft.folder.sizes if name.lower().endswith((".gguf", ".safetensors"))]
    if len(names) > draft.folder.limits.weights:
        draft.folder.unread.append(
            f"has {len(names)} weight files; the headers of {draft.folder.limits.weights} were read"
        )
    counts: Counter[str] = Counter()
    for name in names[: draft.folder.limits.weights]:
        try:
            if name.lower().endswith(".gguf"):
                _gguf(draft, name)
            else:
                counts += _safetensors(draft, name)
        except (OSError, Broken, NotJson, ValueError, struct.error) as problem:
            draft.folder.unread.append(f"{shown(name)}: its header can't be read: {shown(str(problem))[:200]}")
    if counts:
        first = Origin(shown(next(n for n in names if n.lower().endswith(".safetensors"))), 0, "counted in the headers")
        draft.say("parameters", str(sum(counts.values())), first, {"count": str(sum(counts.values()))})
        for dtype, _ in counts.most_common(4):
            draft.say("precision", dtype, first)


def _safetensors(draft: Draft, name: str) -> Counter[str]:
    with draft.folder.open(name) as stream:
        head = stream.read(8)
        (length,) = struct.unpack("<Q", head)
        if length > min(draft.folder.limits.header, max(0, draft.folder.sizes[name] - 8)):
            raise ValueError(f"a header of {length} bytes")
        header = parse_json(stream.read(length), draft.folder.limits.header).value
    if not isinstance(header, dict):
        raise ValueError("no object")
    metadata = header.pop("__metadata__", None)
    origin = Origin(shown(name))
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        _metadata(draft, str(key), value, origin)
    counts: Counter[str] = Counter()
    for tensor in header.values():
        shape = tensor.get("shape") if isinstance(tensor, dict) else None
        if isinstance(shape, list) and len(shape) <= 16 and all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
            counts[str(tensor.get("dtype"))[:20]] += prod(shape)
    return counts


def _metadata(draft: Draft, key: str, value: object, origin: Origin) -> None:
    if not isinstance(value, str):
        return
    if key in _MODELSPEC:
        draft.say(_MODELSPEC[key], value, origin)
    elif key == "modelspec.license":
        draft.licence(value, origin)
    elif key in ("ss_sd_model_name", "base_model", "modelspec.merged_from"):
        draft.ancestor(value, Relation.MERGE if "merged" in key else Relation.BASE, origin)


def _gguf(draft: Draft, name: str) -> None:
    with draft.folder.open(name) as stream:
        if draft.folder.sizes[name] < 24:
            raise ValueError("shorter than a header")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise ValueError("does not begin with GGUF")
            texts, numbers = _pairs(Fields(data))
    origin = Origin(shown(name))
    for key, field in _GGUF.items():
        draft.say(field, texts.get(key, ""), origin)
    draft.licence(texts.get("general.license", ""), origin, texts.get("general.license.link", ""))
    family = texts.get("general.architecture", "")
    if (longest := numbers.get(f"{family}.context_length")) is not None:
        draft.say("context", str(longest), origin)
    for key in ("block_count", "embedding_length", "attention.head_count", "feed_forward_length"):
        if (number := numbers.get(f"{family}.{key}")) is not None:
            draft.say("hyperparameters", f"{key}: {number}", origin, {key: str(number)})
    kind = terms().gguf.get(numbers.get("general.file_type", -1), "")
    draft.say("precision", kind, origin, {"quantisation": "gguf"})
    _sources(draft, texts, numbers, origin, quantised=bool(kind) and kind not in ("F32", "F16", "BF16"))


def _pairs(fields: Fields) -> tuple[dict[str, str], dict[str, int]]:
    fields.count("tensors", 24)
    count = fields.count("metadata", 13)
    if count > PAIRS:
        raise ValueError(f"{count} values")
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for _ in range(count):
        key = fields.text().decode("utf-8", "replace")[:200]
        value = fields.value()
        if value.text is not None:
            texts.setdefault(key, value.text[:8000].decode("utf-8", "replace"))
        elif value.number is not None:
            numbers.setdefault(key, value.number)
    return texts, numbers


def _sources(draft: Draft, texts: dict[str, str], numbers: dict[str, int], origin: Origin, quantised: bool) -> None:
    relation = Relation.QUANTIZED if quantised else Relation.BASE
    for at in range(min(numbers.get("general.base_model.count", 0), 100)):
        base = f"general.base_model.{at}"
        repository = re.sub(r"^https://huggingface\.co/", "", texts.get(f"{base}.repo_url", ""))
        draft.ancestor(repository or texts.get(f"{base}.name", ""), relation, origin, texts.get(f"{base}.version", ""))
    source = re.sub(
        r"^https://huggingface\.co/",
        "",
        texts.get("general.source.repo_url", texts.get("general.source.huggingface.repository", "")),
    )
    draft.ancestor(source, relation, origin)
    for at in range(min(numbers.get("general.dataset.count", 0), 100)):
        named = texts.get(f"general.dataset.{at}.name", "")
        draft.dataset(named, [Use.TRAINED], origin)
        draft.describe(named, "url", texts.get(f"general.dataset.{at}.repo_url", ""), origin)
