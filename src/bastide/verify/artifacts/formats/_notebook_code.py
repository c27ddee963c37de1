# SPDX-License-Identifier: Apache-2.0
"""Code in the cells of a notebook: Python, and what IPython gives to a shell."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bastide.verify.artifacts.formats._code_flow import flows
from bastide.verify.artifacts.formats._dependencies import trusted
from bastide.verify.artifacts.formats._python import imports_do

MAX_CODE = 1 << 20
_PYTHON = re.compile(r"python[\d.]*")
MAX_COMMAND = 10_000
"""Characters of a command that are searched for what nobody means well with."""
_SHELL = re.compile(r"(?P<indent>\s*)(?:[\w, ]+=\s*)?(?:!!?|%(?:sx|sc|system)\b)(?P<command>.*)")
_CALLED = re.compile(r"get_ipython\(\)\.(?:system|system_raw|getoutput)\((?P<command>.*)\)")
"""What IPython makes of a line for the shell; exported notebooks have it in place of the line."""
_MAGIC = re.compile(r"(?P<indent>\s*)(?:[\w, ]+=\s*)?(?:%|\?|[\w.]+\?\??\s*\Z)")
_BLOCK = re.compile(r"\s*%%(?P<name>\w+\!?|\!)(?P<rest>[^\n]*)\n?(?P<body>.*)\Z", re.DOTALL)
SHELLS = frozenset({"bash", "sh", "script", "sx", "system", "cmd", "powershell", "pwsh", "ruby", "perl", "!", "!!"})
PYTHON = frozenset({"time", "timeit", "capture", "prun", "python", "python3", "pypy", "memit", "mprun"})
"""Magics whose cell is Python all the same."""
SCRIPTS = frozenset({"javascript", "js", "html", "HTML", "svg", "SVG"})
FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "notebook" / "commands.yaml"
USUAL = frozenset(msgspec.yaml.decode(FILE.read_bytes(), type=dict[str, list[str]])["usual"])
"""Commands that honest notebooks use."""
_ODD = re.compile(
    r"\|\s*(?:sudo\s+)?(?:ba|z|da|k)?sh\b|\|\s*(?:python|perl|ruby|node)\w*|/dev/tcp/|\bbase64\s+(?:-d|--decode)|\bnc\b.*\s-e\b|\$\(|`|\beval\b|\bcrontab\b|\.ssh/|/etc/(?:passwd|shadow)"
    r"|-exec\b|-delete\b|\b(?:wget|curl)\b.*\bchmod\s+\+x|\bnohup\b|\bmkfifo\b|\bxargs\b"
)
LOW = ("network", "deletes", "pickle.", "cloudpickle.", "dill.")
"""What honest notebooks do all the time."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cell."""

    cell: int
    number: int
    """From 0."""
    text: str


@dataclass(frozen=True, slots=True)
class Harm:
    """What a cell does when it is run."""

    line: Line
    what: str
    evidence: str
    grave: bool
    hostile: bool = False
    """Whether honest notebooks don't do it."""


_HOSTILE = re.compile(
    r"/dev/tcp/|\bnc\b.*\s-e\b|\bbash\s+-i\b|\bmkfifo\b.*\bnc\b|authorized_keys|\|\s*crontab\b|\bbase64\s+(?:-d|--decode)\b.*\|\s*(?:sudo\s+)?(?:ba|z)?sh\b"
    r"|\brm\s+-[a-z]*[rf][a-z]*\s+(?:--no-preserve-root\s+)?[\"']?(?:/|~/?|\$HOME/?|/\*|~/\*)[\"']?(?:\s|\Z)"
    r"|http://(?!localhost|127\.|\[::1)\S+.*(?:\|\s*(?:sudo\s+)?(?:(?:ba|z|da)?sh|python3?|perl)\b|\bchmod\s+(?:\+x|7\d\d))"
    r"|http://(?!localhost|127\.|\[::1)\S+.*-O\s+(\S+).*(?:;|&&)\s*(?:ba|z)?sh\s+\1"
)
"""Shells for others, code that a decoder hands to a shell or that comes by an unencrypted connection, deleting everything, what stays behind."""
_INDEX = re.compile(r"(?:--index-url|--extra-index-url|\s-i)[= ]\s*[\"']?(\S+?)[\"']?(?:\s|\Z)")


def hostile(command: str) -> bool:
    """Whether a command for the shell is one that nobody means well with."""
    return _HOSTILE.search(command[:MAX_COMMAND]) is not None


def shell(command: str) -> bool:
    """Whether a command for the shell is one that notebooks use all the time."""
    command = command.strip()
    if _ODD.search(command) or any(not trusted(url) for url in _INDEX.findall(command) if "pip" in command):
        return False
    words = [
        part.split()
        for part in re.split(r"&&|\|\||[;|\n]", command)
        if part.strip() and not part.strip().startswith("#")
    ]
    return all(_is_usual(part[1:] if part[0] == "sudo" and part[1:] else part) for part in words)


def _is_usual(words: list[str]) -> bool:
    """Python is, with a script or a module, whose code is elsewhere as that of an import is; not with code."""
    if _PYTHON.fullmatch(words[0]):
        return (
            words[1:2] == ["-m"]
            or words[1:] in (["--version"], ["-V"])
            or any(word.endswith(".py") for word in words[1:3])
        )
    return words[0] in USUAL


class Code:
    """The code of all cells, taken as one module: a name imported in one is used in the next."""

    def __init__(self) -> None:
        self.harms: list[Harm] = []
        self.scripts: list[Line] = []
        """Cells that put a script into the page when they are run."""
        self._module: list[tuple[str, Line]] = []

    def cell(self, index: int, source: str, python: bool) -> None:
        """A cell of code."""
        block = _BLOCK.match(source)
        if block is None:
            self._lines(index, source, python, 0)
        elif block["name"] in SHELLS:
            self._command(block["body"] or block["rest"], Line(index, 0, source.partition("\n")[0]))
        elif block["name"] in SCRIPTS:
            self.scripts.append(Line(index, 0, source.partition("\n")[0]))
        elif block["name"] in PYTHON:
            self._lines(index, block["body"], python, 1)

    def _command(self, command: str, line: Line) -> None:
        usual = shell(command)
        self.harms.append(
            Harm(line, "gives a command to the shell", " ".join(command.split())[:200], not usual, hostile(command))
        )

    def _lines(self, index: int, source: str, python: bool, first: int) -> None:
        made: list[tuple[str, Line]] = []
        for number, text in enumerate(source.split("\n"), first):
            line = Line(index, number, text)
            if found := _SHELL.match(text):
                self._command(found["command"], line)
                made.append((found["indent"] + "pass", line))
            elif found := _MAGIC.match(text):
                made.append((found["indent"] + "pass", line))
            else:
                if found := _CALLED.search(text):
                    self._command(found["command"].strip("rbf'\" "), line)
                made.append((text, line))
        if python and _parsed("\n".join(text for text, _ in made)) is not None:
            self._module += made
        elif python:
            self.harms += _guessed(made)

    def close(self) -> Iterator[Harm]:
        """All harms, after what Python there is was looked at."""
        tree = _parsed("\n".join(text for text, _ in self._module))
        for harm in imports_do(tree) if tree else ():
            line = self._module[harm.line - 1][1]
            usual = (harm.command and shell(harm.command)) or any(
                word in harm.effect or harm.name.startswith(word) for word in LOW
            )
            yield Harm(line, harm.effect, harm.name, not usual, hostile(harm.command))
        for flow in flows(tree) if tree else ():
            yield Harm(self._module[flow.line - 1][1], flow.what, flow.name, True, flow.hostile)
        yield from self.harms


def _parsed(text: str) -> ast.Module | None:
    if len(text) > MAX_CODE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = compile(text, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _guessed(lines: list[tuple[str, Line]]) -> Iterator[Harm]:
    """Code that isn't Python as it is known here: by the words in it."""
    for text, line in lines:
        if found := re.search(r"\b(?:os\.system|os\.popen|subprocess\.\w+|exec|eval|pty\.spawn)\s*\(", text):
            yield Harm(
                line,
                "may run a program or code, in a cell that can't be read as Python here",
                found.group().rstrip("( "),
                True,
            )
