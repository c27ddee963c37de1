# SPDX-License-Identifier: Apache-2.0
"""Where Python code runs what it fetched or unwrapped, or sends away what is secret: by which names get which values, in one module.

It follows plain assignments. What is hidden better is not found out here; such code is unknown for the calls that it needs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bastide.verify.artifacts.formats._python import dotted, imported, resolved
from bastide.verify.artifacts.formats._repository_rules import RULES

FETCHED, UNWRAPPED, SECRET, FILE = "fetched", "unwrapped", "secret", "file"
_FETCHES = (
    "requests.", "httpx.", "urllib.request.urlopen", "urllib2.urlopen", "urllib.urlopen", "urllib3.", "aiohttp.", "socket.",
    "http.client.", "ftplib.",
)  # fmt: skip
_SAVES = frozenset(
    {"urllib.request.urlretrieve", "urllib.urlretrieve", "wget.download", "torch.hub.download_url_to_file"}
)
_UNWRAPS = (
    "base64.b", "base64.a", "base64.decode", "base64.urlsafe_b64decode", "base64.standard_b64decode", "binascii.unhexlify", "binascii.a2b_",
    "codecs.decode", "zlib.decompress", "gzip.decompress", "lzma.decompress", "bz2.decompress", "bytes.fromhex", "bytearray.fromhex",
)  # fmt: skip
_RUNS = frozenset({"builtins.exec", "builtins.eval", "marshal.loads", "marshal.load", "os.system", "os.popen"})
_UNPICKLES = frozenset(
    f"{module}.{name}" for module in ("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "shelve")
    for name in ("load", "loads", "decode", "open", "Unpickler")
) | {"pandas.read_pickle", "torch.load", "torch.jit.load", "numpy.load", "yaml.unsafe_load", "yaml.load", "keras.models.load_model"}  # fmt: skip
_ASKS = {"torch.load": "weights_only", "numpy.load": "allow_pickle", "yaml.load": "Loader"}
"""What these need to be told before they run anything: `weights_only=False`, `allow_pickle=True`, an unsafe loader."""
_SECRETS = re.compile(
    r"\.ssh/|id_rsa|id_ed25519|\.aws/credentials|/etc/(?:passwd|shadow)|\.kube/config|\.netrc\b|\.git-credentials|\.docker/config"
)
_HOME = re.compile(r"(?:/|~|/home|/root|[A-Za-z]:\\?)/?\Z")
_SHELL = re.compile(r"/dev/tcp/|\bbash\s+-i\b|\bnc\b.{0,80}\s-e\b")
_ALL = frozenset({"copy", "items", "keys", "values"})
MAX_STEPS = 3_000_000
ROUNDS = 3
"""How often the assignments are gone through: a name may be given one that is given later."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that is done with such a value."""

    what: str
    name: str
    line: int
    hostile: bool = True
    """Whether honest code doesn't do it."""


class _TooMuch(Exception):
    pass


def flows(tree: ast.Module) -> Iterator[Flow]:
    """All of them, each where it happens."""
    try:
        yield from _Flows(tree).found()
    except _TooMuch:
        yield Flow("is nested so deep that its values were not followed", "", 1, hostile=False)


class _Flows:
    def __init__(self, tree: ast.Module) -> None:
        self._names = imported(tree)
        self._nodes = list(ast.walk(tree))
        self._left = MAX_STEPS
        self._marks: dict[str, set[str]] = {}
        """What is known of the values of names, and of the paths of files."""
        for _ in range(ROUNDS):
            for node in self._nodes:
                self._learn(node)

    def found(self) -> Iterator[Flow]:
        for node in self._nodes:
            if isinstance(node, ast.Call):
                what, hostile = self._call(node)
                if what:
                    yield Flow(what, resolved(node, self._names) or dotted(node.func) or "call", node.lineno, hostile)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _SHELL.search(node.value):
                yield Flow("gives a shell of this machine to somebody else", node.value.strip()[:80], node.lineno)
        called = {resolved(node, self._names): node.lineno for node in self._nodes if isinstance(node, ast.Call)}
        if "os.dup2" in called and any(name.startswith("socket.") for name in called):
            yield Flow("gives a shell of this machine to somebody else", "os.dup2", called["os.dup2"])

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                self._give(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._give([target], value)
            case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
                self._give([target], value)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._give([target], value)
            case ast.Call(args=arguments) if resolved(node, self._names) in _SAVES:
                for argument in arguments[1:2]:
                    for key in _keys(argument):
                        self._marks.setdefault(key, set()).add(FILE)

    def _give(self, targets: list[ast.expr], value: ast.expr) -> None:
        marks = self._of(value)
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                if marks and (name := dotted(part)):
                    self._marks.setdefault(name, set()).update(marks)

    def _of(self, value: ast.AST) -> set[str]:
        """What is known of the value of an expression, by all that is in it."""
        marks: set[str] = set()
        for node in self._below(value):
            if isinstance(node, ast.Call):
                name = resolved(node, self._names)
                marks |= {FETCHED} if name.startswith(_FETCHES) else {UNWRAPPED} if _unwraps(name) else set()
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                marks |= self._marks.get(dotted(node), set())
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                marks |= self._marks.get(repr(node.value), set()) | ({SECRET} if _SECRETS.search(node.value) else set())
        return marks | ({SECRET} if self._all_of_environ(value) else set())

    def _below(self, value: ast.AST) -> list[ast.AST]:
        found = list(ast.walk(value))
        self._left -= len(found)
        if self._left < 0:
            raise _TooMuch
        return found

    def _all_of_environ(self, value: ast.AST) -> bool:
        """Whether all variables of the environment are in it, and not one by its name."""
        single = {
            id(node.value) for node in ast.walk(value)
            if isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr not in _ALL)
        }  # fmt: skip
        return any(
            id(node) not in single and dotted(node) and self._meant(dotted(node)) == "os.environ"
            for node in self._below(value) if isinstance(node, ast.Attribute | ast.Name)
        )  # fmt: skip

    def _meant(self, path: str) -> str:
        head, dot, rest = path.partition(".")
        return self._names.get(head, head) + dot + rest

    def _call(self, call: ast.Call) -> tuple[str, bool]:
        """What a call does with such values, and whether that is hostile."""
        name = resolved(call, self._names)
        marks: set[str] = set()
        for argument in (*call.args, *(pair.value for pair in call.keywords)):
            marks |= self._of(argument)
        if name in _RUNS or (name.startswith("subprocess.") and _shells(call)):
            if FETCHED in marks:
                return "runs what it fetched from the network", True
            if UNWRAPPED in marks:
                return "runs code that is wrapped up in a text", True
        if name in _UNPICKLES and marks & {FETCHED, FILE} and (unsafely := _unsafely(name, call)) is not None:
            return "unpickles what it fetched from the network, which runs what is in it", unsafely and FETCHED in marks
        if name in _UNPICKLES and UNWRAPPED in marks and _unsafely(name, call):
            return "unpickles what is wrapped up in a text, which runs what is in it", False
        if name.startswith(_FETCHES) and SECRET in marks:
            return "sends secrets of this machine away", True
        if name in ("shutil.rmtree", "os.removedirs") and any(_is_home(argument) for argument in call.args[:1]):
            return "deletes all that its user has", True
        return _hidden(call), True


def _unwraps(name: str) -> bool:
    return name.startswith(_UNWRAPS) and "encode" not in name


def _shells(call: ast.Call) -> bool:
    return any(
        pair.arg == "shell" and isinstance(pair.value, ast.Constant) and pair.value.value for pair in call.keywords
    )


def _unsafely(name: str, call: ast.Call) -> bool | None:
    """Whether a loader runs what it loads: False when that depends on its version, None when it doesn't."""
    if name not in _ASKS:
        return True
    for pair in call.keywords:
        if pair.arg == _ASKS[name]:
            unsafe = {"torch.load": False, "numpy.load": True}.get(name)
            safe = (
                pair.value.value is not unsafe
                if isinstance(pair.value, ast.Constant)
                else "Safe" in ast.dump(pair.value)
            )
            return None if safe else True
    return False if name == "torch.load" else None


def _is_home(argument: ast.expr) -> bool:
    """The whole home folder, or the whole disk."""
    if isinstance(argument, ast.Call):
        name = dotted(argument.func)
        if name.endswith("Path.home"):
            return True
        return name.endswith("expanduser") and any(_is_home(inner) for inner in argument.args)
    return (
        isinstance(argument, ast.Constant) and isinstance(argument.value, str) and bool(_HOME.fullmatch(argument.value))
    )


def _hidden(call: ast.Call) -> str:
    """A module or an attribute by a name that is put together where it is used."""
    name = dotted(call.func)
    which = {"__import__": 0, "importlib.import_module": 0, "getattr": 1}.get(name)
    if which is None or len(call.args) <= which or (text := _folded(call.args[which])) is None:
        return ""
    harmful = any(text == known.rpartition(".")[2] or f"{text}." == known for known in _harmful()) or text in _WORDS
    return "reaches what runs programs or code by a name that it puts together" if harmful else ""


_WORDS = frozenset({"os", "subprocess", "system", "popen", "exec", "eval", "builtins", "socket", "ctypes", "pty"})


def _harmful() -> Iterator[str]:
    for names in RULES.code.values():
        yield from names


def _folded(node: ast.expr) -> str | None:
    """A text that is put together of constants; None for a plain one, and for all else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [side.value if isinstance(side, ast.Constant) else _folded(side) for side in (node.left, node.right)]
        return "".join(str(part) for part in parts) if None not in parts else None
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value[::-1]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join" and node.args:
        inner = node.args[0]
        if isinstance(inner, ast.List | ast.Tuple) and all(isinstance(part, ast.Constant) for part in inner.elts):
            return "".join(str(part.value) for part in inner.elts if isinstance(part, ast.Constant))
    return None


def _keys(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield repr(argument.value)
    elif name := dotted(argument):
        yield name
