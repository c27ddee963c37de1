# SPDX-License-Identifier: Apache-2.0
"""What it means that a configuration has something called by its dotted name: hydra's `_target_`, tags of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path

import msgspec

from bastide.verify.artifacts.pickles.knowledge import Standing, load_knowledge

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "configuration" / "rules.yaml"


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; what each list holds stands there."""

    packages: frozenset[str]
    harmless: frozenset[str]
    reading: frozenset[str]
    takes: frozenset[str]
    harmful: Mapping[str, list[str]]
    through: frozenset[str]
    tags: Mapping[str, str]
    java: list[str]
    flavours: frozenset[str]


CONFIGURATION = msgspec.yaml.decode(FILE.read_bytes(), type=Configuration)


class Call(Enum):
    """What is known of something that a configuration names."""

    HARMFUL = "does harm"
    KNOWN = "of a library that is known, or known itself"
    CLASS = "a class that isn't known"
    UNKNOWN = "not known"


def harmful(name: str) -> str:
    """What calling something does that is known to do harm; '' for everything else."""
    entry = load_knowledge().entry(name)
    return entry.why if entry.standing is Standing.REFUSED else ""


@lru_cache(4096)
def judge(path: str) -> tuple[Call, str]:
    """What calling this is, and of a harmful one what it does."""
    parts = path.split(".")
    if len(parts) == 1:
        # MONAI looks for its own classes by their bare names, and then among Python's builtins; hydra takes no such name.
        effect = harmful(f"builtins.{path}")
        return (Call.HARMFUL, effect) if effect else (Call.KNOWN, "")
    if path in CONFIGURATION.reading:
        return Call.UNKNOWN, ""
    harmless = any(path == name or path.startswith(name + ".") for name in CONFIGURATION.harmless)
    if effect := _beyond(parts) or ("" if harmless else harmful(path) or _listed(path)):
        return Call.HARMFUL, effect
    if harmless:
        return Call.KNOWN, ""
    hidden = any(part.startswith("__") for part in parts)
    if not hidden and (
        parts[0] in CONFIGURATION.packages or load_knowledge().entry(path).standing in (Standing.CALL, Standing.CLASS)
    ):
        return Call.KNOWN, ""
    return (Call.CLASS if parts[-1].lstrip("_")[:1].isupper() else Call.UNKNOWN), ""


def _beyond(parts: list[str]) -> str:
    """What a module does that is reached through another: `random._os.system`."""
    for at in range(1, len(parts) - 1):
        if parts[at].lstrip("_") in CONFIGURATION.through:
            return harmful(".".join([parts[at].lstrip("_"), *parts[at + 1 :]]))
    return ""


def _listed(path: str) -> str:
    for effect, names in CONFIGURATION.harmful.items():
        if any(path == name or (name.endswith(".") and path.startswith(name)) for name in names):
            return effect
    return ""
