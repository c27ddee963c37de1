# SPDX-License-Identifier: Apache-2.0
"""Environments of conda, and MLflow's `python_env.yaml`."""

from __future__ import annotations

import re

from bastide.verify.artifacts.formats._dependencies import Dependencies
from bastide.verify.artifacts.formats._yaml import Node, Parsed
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier

_EXACT = re.compile(r"[\w.-]+\s*={1,2}\s*[0-9][^*<>,|]*\Z")
LOADED = frozenset(
    {
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "DYLD_INSERT_LIBRARIES",
        "BASH_ENV",
        "PATH",
    }
)
"""Variables by which programs run other code."""


def environment(document: Node, parsed: Parsed, scan: Scan) -> None:
    """What is installed from where, and which variables are set."""
    found = Dependencies(scan)
    for channel in _items(document, "channels"):
        found.index(channel.text or "", parsed.offset(channel.at))
    for item in [*_items(document, "dependencies"), *_items(document, "build_dependencies")]:
        if item.text is not None:
            _package(item, parsed, found)
        for one in _items(item, "pip"):
            found.line(one.text or "", parsed.offset(one.at))
    variables = document.get("variables")
    for key, _ in variables.pairs if variables else ():
        if key.text in LOADED:
            found.add(
                "variable", Tier.POLICY, Severity.MEDIUM, "sets a variable by which programs run other code",
                parsed.offset(key.at), key.text or "",
            )  # fmt: skip
    found.close()


def _items(document: Node, key: str) -> list[Node]:
    node = document.get(key)
    return node.items if node else []


def _package(item: Node, parsed: Parsed, found: Dependencies) -> None:
    text, at = (item.text or "").strip(), parsed.offset(item.at)
    channel, separator, spec = text.rpartition("::")
    if separator and "://" in channel:
        found.index(channel, at)
    if spec.startswith(("-", ".", "/")) or "@" in spec or "://" in spec:
        found.line(spec, at)
    elif spec:
        # A version with one `=` fits all that begin so; conda's own locks have a build behind it.
        found.requirement(re.sub(r"(?<![=<>!~])=(?!=)", "==", spec, count=1), at, pinned=bool(_EXACT.match(spec)))
