# SPDX-License-Identifier: Apache-2.0
"""Dockerfiles: what the last stage starts, as whom, with which variables, on which base. Nothing is built.

`docker/file` has `image` (the base, through stages), `command`, `entrypoint`, `env`, `args`, `user`, `ports`, in the shape that containers have.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.json_ import read_json

_NAME = re.compile(r"(?:\A|/)(?:(?:Dockerfile|Containerfile)(?:[.-][\w.-]+)?|[\w.-]+\.(?:D|d)ockerfile)\Z")
_IGNORED = re.compile(r"\.(?:dockerignore|md|txt|sh|py|j2|tmpl|template)\Z")
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w*)[\"']?")
_PAIR = re.compile(r"""([A-Za-z_][\w.-]*)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?[-+?]([^}]*))?\})")
_LINES = 20_000
_FROM = re.compile(r"(?:--platform=\S+\s+)?(\S+)(?:\s+[Aa][Ss]\s+(\S+))?")


@dataclass(slots=True)
class _Stage:
    """What a stage has so far; one that begins with another has all of that."""

    image: Value
    env: dict[str, Value] = field(default_factory=dict)
    args: dict[str, Value] = field(default_factory=dict)
    parts: dict[str, Value] = field(default_factory=dict)
    ports: list[Value] = field(default_factory=list)


class Dockerfiles:
    """`Dockerfile`, `Dockerfile.*`, `*.Dockerfile`, `Containerfile`."""

    name = "dockerfile"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """By name."""
        return bool(_NAME.search(path)) and not _IGNORED.search(path)

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The last stage of each."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is not None and (resource := _read(text, file, problems)) is not None:
                found.append(resource)
        return Reading(tuple(found), tuple(problems), frozenset(files))


def _read(text: str, file: str, problems: list[Problem]) -> Resource | None:
    given: dict[str, Value] = {}
    stages: dict[str, _Stage] = {}
    stage: _Stage | None = None
    line = 0
    for line, instruction, rest in _instructions(text, file, problems):
        if instruction == "FROM" and (match := _FROM.match(rest)):
            stage = _stage(match[1], stages, given, Place(file, line))
            stages[str(len(stages))] = stage
            if match[2]:
                stages[match[2].lower()] = stage
        elif instruction == "ARG":
            target = given if stage is None else stage.args
            target |= _arguments(rest, file, line, given)
        elif stage is not None and instruction in _READ:
            _READ[instruction](stage, rest, Place(file, line))
    if stage is None:
        return None
    body = {
        "image": stage.image,
        "env": Value(stage.env, stage.image.place),
        "args": Value(stage.args, stage.image.place),
        "ports": Value(tuple(stage.ports), stage.image.place),
        "folder": Value(posixpath.dirname(file) or ".", stage.image.place),
        **stage.parts,
    }
    name = posixpath.basename(posixpath.dirname(file)) or "image"
    return Resource(
        f"{file}: image", "docker/file", name, Value(body, stage.image.place), stage.image.place, scope=file
    )


def _instructions(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[int, str, str]]:
    """Line, instruction in capitals, and what follows it; lines that continue stay lines, comments between them are empty."""
    escape = "`" if re.match(r"(?:#[^\n]*\n)*#\s*escape\s*=\s*`", text) else "\\"
    lines = text.splitlines()
    if len(lines) > _LINES:
        problems.append(Problem(Place(file), f"has more than {_LINES} lines; the others were not read"))
    number = 0
    lines = lines[:_LINES]
    while number < len(lines):
        start = number
        pieces: list[str] = []
        while number < len(lines):
            written = lines[number].rstrip()
            number += 1
            if written.lstrip().startswith("#") or (pieces and not written.strip()):
                pieces.append("")
                if start == number - 1:
                    break
                continue
            pieces.append(written.removesuffix(escape))
            if not written.endswith(escape):
                break
        found = _INSTRUCTION.match("\n".join(pieces))
        if found is None:
            continue
        for ending in _HEREDOC.findall(found[2]) if found[1].upper() in ("RUN", "COPY", "ADD") else ():
            while number < len(lines) and lines[number].strip() != ending:
                number += 1
            number += 1
        yield start + 1, found[1].upper(), found[2]


def _stage(name: str, stages: Mapping[str, _Stage], given: Mapping[str, Value], place: Place) -> _Stage:
    known = stages.get(name.lower())
    if known is not None:
        return _Stage(known.image, dict(known.env), dict(known.args), dict(known.parts), list(known.ports))
    return _Stage(_filled(name, given, place))


def _filled(text: str, known: Mapping[str, Value], place: Place) -> Value:
    """A text with its variables put in: of arguments with a default, conditionally."""
    refs: list[str] = []
    state = State.KNOWN

    def one(match: re.Match[str]) -> str:
        nonlocal state
        name = match[1] or match[2]
        value = known.get(name)
        refs.append(f"var:{name}")
        if value is not None and isinstance(value.data, str):
            state = State.CONDITIONAL if state is State.KNOWN else state
            return value.data
        if match[3] is not None and match[0][2 + len(name)] in ":-":
            state = State.CONDITIONAL if state is State.KNOWN else state
            return match[3]
        state = State.UNKNOWN
        return ""

    whole = _VARIABLE.sub(one, text)
    if state is State.UNKNOWN:
        return Value(None, place, state, tuple(refs), text[:200])
    return Value(whole, place, state, tuple(refs))


def _plain(text: str) -> str:
    """A word without its quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


def _arguments(rest: str, file: str, line: int, given: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in re.findall(r"(?:\A|\s)([A-Za-z_]\w*)(?=\s|\Z)", rest):
        found[name] = given.get(name) or Value(None, Place(file, line), State.UNKNOWN, (f"var:{name}",))
    for match in _PAIR.finditer(rest):
        place = Place(file, line + rest.count("\n", 0, match.start()))
        found[match[1]] = _filled(_plain(match[2]), {**given, **found}, place)
    return found


def _env(stage: _Stage, rest: str, place: Place) -> None:
    known = {**stage.args, **stage.env}
    pairs = list(_PAIR.finditer(rest))
    if not re.match(r"\s*[A-Za-z_][\w.-]*=", rest):
        name, _, value = rest.strip().partition(" ")
        stage.env[name] = _filled(_plain(value.strip()), known, place)
        return
    for match in pairs:
        where = replace(place, line=place.line + rest.count("\n", 0, match.start()))
        stage.env[match[1]] = _filled(_plain(match[2]), known, where)


def _words(rest: str, stage: _Stage, place: Place) -> Value:
    """The exec form as written, the shell form split like a shell would."""
    text = rest.strip()
    root = read_json(text, place.file, place.line)[0] if text.startswith("[") else None
    if root is not None and isinstance(root.data, tuple):
        return root
    try:
        words = shlex.split(text.replace("\n", " "), comments=False)
    except ValueError:
        words = text.split()
    return Value(tuple(_filled(w, {**stage.args, **stage.env}, place) for w in words), place)


def _command(stage: _Stage, rest: str, place: Place) -> None:
    stage.parts["command"] = _words(rest, stage, place)


def _entrypoint(stage: _Stage, rest: str, place: Place) -> None:
    # An entrypoint resets what earlier stages and bases start.
    stage.parts.pop("command", None)
    stage.parts["entrypoint"] = _words(rest, stage, place)


def _user(stage: _Stage, rest: str, place: Place) -> None:
    stage.parts["user"] = _filled(rest.strip(), {**stage.args, **stage.env}, place)


def _expose(stage: _Stage, rest: str, place: Place) -> None:
    for word in rest.split():
        port = _filled(word.partition("/")[0], {**stage.args, **stage.env}, place)
        number = (
            replace(port, data=int(port.data))
            if isinstance(port.data, str) and port.data.isdecimal() and len(port.data) < 6
            else port
        )
        stage.ports.append(Value({"container": number}, place))


_READ: Mapping[str, Callable[[_Stage, str, Place], None]] = {
    "ENV": _env, "CMD": _command, "ENTRYPOINT": _entrypoint, "USER": _user, "EXPOSE": _expose,
}  # fmt: skip
