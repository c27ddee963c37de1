# SPDX-License-Identifier: Apache-2.0
"""Which file a function of AWS Lambda runs: what that file does, the function does. Pure.

A function names its handler (`app.handler`, `src/chat.main`) and the folder of its code, relative to the template, the module or the
folder in which the tool is called. A file is taken only when no other one is meant as well.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace

from bastide.discover.model import Resource, Value

_FUNCTIONS = frozenset(
    {
        "AWS::Lambda::Function",
        "AWS::Serverless::Function",
        "aws_lambda_function",
        "module/terraform-aws-modules/lambda/aws",
    }
)
_CODE = frozenset({"python/file", "typescript/file"})
_PLAIN = ("call/", "typescript/", "python/", "definition/", "set/", "dependency/")
"""Resources of code; a file with others declares what is deployed, and isn't deployed itself."""
_FOLDERS = (
    "code_uri",
    "code",
    "source_dir",
    "source_file",
    "source_path",
    "entry",
    "image_uri",
    "Metadata.DockerContext",
)
_ASSET = (".from_asset", ".fromAsset", ".from_image_asset", ".fromImageAsset", ".from_docker_build", ".fromDockerBuild")
_ENDINGS = (".py", ".js", ".ts", ".mjs", ".cjs", ".mts")
_MOST = 20_000
_Index = Mapping[str, Resource]


def with_handlers(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; the files that functions run are part of those, with what these import, and what lies beside them."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    files = {posixpath.splitext(r.place.file)[0]: r for r in given if r.type in _CODE}
    known = {folder for path in {posixpath.dirname(p) for p in files} for folder in _bases(f"{path}/")}
    called: dict[str, list[Resource]] = defaultdict(list)
    for path, file in files.items():
        called[posixpath.basename(path)].append(file)
    runs: dict[str, set[str]] = defaultdict(set)
    folders: dict[str, set[str]] = defaultdict(set)
    for function in given:
        if function.type in _FUNCTIONS:
            run, folder = _code(function, index, files, known)
            run = run or (_only(function, called) if not folder else None)
            if run is not None:
                runs[run.id].add(function.id)
            if folder:
                folders[folder].add(function.id)
    declaring = {r.place.file for r in given if not r.type.startswith(_PLAIN) and r.type not in _CODE}
    for file in files.values():
        if file.id not in runs and file.place.file not in declaring:
            runs[file.id] = _around(file.place.file, folders)
    _through(runs, {f.place.file: f for f in files.values()}, declaring)
    for resource in given:
        functions = runs.get(resource.id, ())
        yield replace(resource, part_of=next(iter(functions))) if len(functions) == 1 else resource


def _through(runs: dict[str, set[str]], files: Mapping[str, Resource], declaring: set[str]) -> None:
    """What a function's file imports runs in the function too."""
    todo = [(f, function) for f in files.values() for function in runs.get(f.id, ())]
    seen = {(f.id, function) for f, function in todo}
    while todo and len(seen) < _MOST:
        file, function = todo.pop()
        for used in file.find("uses"):
            other = files.get(str(used.data))
            if other is not None and other.place.file not in declaring and (other.id, function) not in seen:
                seen.add((other.id, function))
                runs[other.id].add(function)
                todo.append((other, function))


def _around(file: str, folders: Mapping[str, set[str]]) -> set[str]:
    """The functions whose code lies in the innermost folder around a file."""
    folder = posixpath.dirname(file)
    while folder and folder not in folders:
        folder = posixpath.dirname(folder)
    return folders.get(folder, set())


def _code(
    function: Resource, index: _Index, files: Mapping[str, Resource], known: Set[str]
) -> tuple[Resource | None, str]:
    """The file that a function runs, and the folder of its code ('' when that is everything)."""
    modules = [h.data.rpartition(".")[0] for h in function.find("handler") if isinstance(h.data, str)]
    for folder in _folders(function, index):
        stem = posixpath.splitext(folder)[0] if folder.endswith(_ENDINGS) else ""
        for base in _bases(function.place.file):
            for module in [stem] if stem else [posixpath.join(folder, m) for m in modules if m]:
                path = posixpath.normpath(posixpath.join(base, module))
                found = files.get(path) or files.get(path.replace(".", "/") if not path.startswith(".") else path)
                if found is not None:
                    whole = posixpath.normpath(posixpath.join(base, posixpath.dirname(folder) if stem else folder))
                    return found, "" if whole in (".", base) else whole
            whole = posixpath.normpath(posixpath.join(base, folder))
            if not modules and not stem and whole in known:
                return None, "" if whole == "." else whole
    return None, ""


def _only(function: Resource, called: Mapping[str, list[Resource]]) -> Resource | None:
    """Where its code is packed elsewhere, the only file that is called as its handler says."""
    modules = {
        posixpath.basename(h.data.rpartition(".")[0]) for h in function.find("handler") if isinstance(h.data, str)
    }
    found = [f for module in modules for f in called.get(module, ())]
    return found[0] if len(found) == 1 else None


def _folders(function: Resource, index: _Index) -> Iterator[str]:
    """Where its code lies: said by itself, by the archive that is made of it, or by the asset of a construct; else beside what declares it."""
    at = [
        index[r]
        for key in ("filename", "source_code_hash", "code")
        for v in function.find(key)
        for r in v.refs
        if r in index
    ]
    for resource in (function, *at):
        paths = ("0",) if resource.type.endswith(_ASSET) else _FOLDERS
        yield from (v.data for path in paths for v in resource.find(path) if _relative(v))
    if function.type == "AWS::Serverless::Function" and not function.find("code_uri"):
        yield "."


def _relative(value: Value) -> bool:
    return isinstance(value.data, str) and bool(value.data) and not value.data.startswith(("/", "s3:", "http"))


def _bases(file: str) -> Iterator[str]:
    """The folder of a file and those above it."""
    folder = posixpath.dirname(file).strip("/")
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""
