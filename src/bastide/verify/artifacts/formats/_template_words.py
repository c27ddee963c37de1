# SPDX-License-Identifier: Apache-2.0
"""Words by which chat templates are judged: `knowledge/artifacts/templates/words.yaml`."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "templates" / "words.yaml"


class Words(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The lists of the file, by name; what each holds stands there."""

    functions: frozenset[str]
    methods: frozenset[str]
    harmful: frozenset[str]
    globals: frozenset[str]
    given: frozenset[str]
    by_name: frozenset[str]
    content: frozenset[str]
    routes: frozenset[str]
    kinds: frozenset[str]
    nothing: frozenset[str]
    keeps_content: frozenset[str]
    searches: frozenset[str]
    tests: frozenset[str]
    builds: frozenset[str]
    building_methods: frozenset[str]


WORDS = msgspec.yaml.decode(FILE.read_bytes(), type=Words)
