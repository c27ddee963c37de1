# SPDX-License-Identifier: Apache-2.0
"""The settings file of a LiteLLM proxy: models with their providers, keys, MCP servers and guardrails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, Value
from bastide.discover.readers.yaml_ import read_yaml

CONFIG = "litellm/config"
_BEGINS = re.compile(r"^(?:model_list|litellm_settings|router_settings)\s*:", re.MULTILINE)
_KEYS = frozenset({"model_list", "litellm_settings"})


class LiteLlm:
    """Each file is one resource `litellm/config`; who runs with it is found out when everything is read."""

    name = "litellm"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """YAML with one of the proxy's own sections at the beginning of a line."""
        return path.endswith((".yaml", ".yml")) and bool(_BEGINS.search(head()))

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The settings of all files."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is not None:
                documents, wrong = read_yaml(text, file)
                problems += wrong
                found += [r for d in documents[:1] if (r := config(d, file, f"{file}: litellm")) is not None]
        return Reading(tuple(found), tuple(problems), frozenset(files))


def config(root: Value, file: str, id_: str) -> Resource | None:
    """A document as settings of a proxy; None when it is something else."""
    if not isinstance(root.data, Mapping) or not _KEYS & set(root.data):
        return None
    place = next((root.data[k].place for k in ("model_list", "litellm_settings") if k in root.data), Place(file, 1))
    return Resource(id_, CONFIG, PurePosixPath(file).stem, root, place, scope=f"litellm:{file}")
