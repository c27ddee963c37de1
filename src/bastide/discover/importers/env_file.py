# SPDX-License-Identifier: Apache-2.0
"""Files with environment variables: `.env`, `.env.example`, `app.env`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Reading, Resource, Value

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]{0,127})\s*=\s*(.*)\Z")
_COMMENT = re.compile(r"\s#.*\Z")
LINES = 10_000


class EnvFiles:
    """Each file is one resource of type `env-file` whose attributes are its variables."""

    name = "env-file"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """`.env`, `.env.*` and `*.env`; templates too, because people copy them as they are."""
        name = PurePosixPath(path).name
        return name == ".env" or name.startswith((".env.", "env.")) or name.endswith((".env", ".env.example"))

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The variables of the files."""
        found = []
        for file in files:
            if (text := tree.read(file)) is not None:
                body = Value(read_env(text, file), Place(file, 1))
                found.append(Resource(f"{file}: env", "env-file", PurePosixPath(file).name, body, Place(file, 1)))
        return Reading(tuple(found), read=frozenset(files))


def read_env(text: str, file: str) -> dict[str, Value]:
    """The variables of a text, as Docker reads them: quotes are taken off, nothing is expanded."""
    found = {}
    for number, line in enumerate(text.split("\n")[:LINES], 1):
        if (match := _LINE.match(line.rstrip("\r"))) is not None:
            found[match[1]] = Value(_unquoted(match[2].strip()), Place(file, number))
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return _COMMENT.sub("", text).strip() if not text.startswith("#") else ""
