# SPDX-License-Identifier: Apache-2.0
"""What a command that fetches and starts a program starts: `npx -y @scope/server-files@1.2.0 /data`. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from bastide.discover.model import Resource, State, Value

_RUNNERS: Mapping[str, frozenset[str]] = {
    "npx": frozenset({"-c", "--call", "-w", "--workspace", "--registry"}),
    "bunx": frozenset(),
    "uvx": frozenset(
        {"--with", "--python", "-p", "--index-url", "--index", "--extra-index-url", "--directory", "--env-file"}
    ),
    "pipx": frozenset({"--pip-args", "--index-url", "--python"}),
}
"""Programs that fetch what they start, with their options that take a value."""
_ALSO: Mapping[tuple[str, ...], str] = {
    ("pnpm", "dlx"): "npx", ("yarn", "dlx"): "npx", ("npm", "exec"): "npx", ("uv", "tool", "run"): "uvx", ("pipx", "run"): "pipx",
}  # fmt: skip
_NAMES = frozenset({"-p", "--package", "--from", "--spec"})
"""Options that name the package (`-p` is another thing for uvx)."""
_SHELLS = frozenset({"cmd", "cmd.exe", "/c", "env", "sudo"})
_FILES = re.compile(r"file-?system|(?:\A|[/-])(?:mcp-)?files?(?:-server|-mcp)?(?:[@=]|\Z)")
_ALL = re.compile(
    r"(?:/|[A-Za-z]:[\\/]*|~|\$\{?(?:env:)?HOME\}?|%USERPROFILE%|/(?:home|Users|root)|/(?:home|Users)/[^/]+)[/\\]?\Z"
)


def started(resource: Resource) -> Mapping[str, Value]:
    """`$runner` and `$package` of a resource that starts a program, and `$reach` of a server for files: `everything` or `some`."""
    words = _words(resource)
    runner, rest = _runner(words)
    if not runner:
        return {}
    found = {"$runner": Value(runner, words[0].place)}
    skip = False
    for number, word in enumerate(rest):
        text = word.data if isinstance(word.data, str) else None
        name, equals, given = (text or "").partition("=")
        if skip:
            skip = False
        elif text is not None and text.startswith("-"):
            if name in _NAMES and name not in _RUNNERS[runner]:
                package = Value(given, word.place) if equals else next(iter(rest[number + 1 :]), word)
                return {**found, "$package": package}
            skip = name in _RUNNERS[runner] and not equals
        else:
            found["$package"] = word
            if text is not None and _FILES.search(text.lower()):
                found |= _reach(rest[number + 1 :])
            return found
    return found


def _words(resource: Resource) -> list[Value]:
    for command, arguments in (("command", "args"), ("params.command", "params.args"), ("0", "args"), ("0", "1")):
        first = [v for v in resource.find(command) if v.data is not None or v.refs]
        if not first or not isinstance(first[0].data, str):
            continue
        words = [*first, *resource.find(arguments)]
        if len(words) == 1 and " " in first[0].data:
            words = [Value(part, first[0].place) for part in first[0].data.split()]
        return words
    return []


def _runner(words: list[Value]) -> tuple[str, list[Value]]:
    while words and isinstance(words[0].data, str) and words[0].data.lower() in _SHELLS:
        words = words[1:]
    texts = [str(w.data) for w in words[:3]]
    for longer, runner in _ALSO.items():
        if tuple(texts[: len(longer)]) == longer:
            return runner, words[len(longer) :]
    first = re.sub(r"\.(?:cmd|exe)\Z", "", posixpath.basename(texts[0].replace("\\", "/"))) if texts else ""
    return (first, words[1:]) if first in _RUNNERS else ("", [])


def _reach(folders: list[Value]) -> Mapping[str, Value]:
    for folder in folders:
        if isinstance(folder.data, str) and _ALL.match(folder.data):
            return {"$reach": Value("everything", folder.place)}
    unknown = next((f for f in folders if f.data is None), None)
    if unknown is not None:
        return {"$reach": Value(None, unknown.place, State.UNKNOWN)}
    return {"$reach": Value("some", folders[0].place)} if folders else {}
