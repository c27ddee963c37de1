# SPDX-License-Identifier: Apache-2.0
"""Which file a function of AWS Lambda runs: what that file does, the function does. Pure.

A function names its handler (`app.handler`, `src/chat.main`) and the folder of its code, relative to the template, the module or the
folder in which the tool is called. A file is taken only when no other one is meant as well.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
_FOLDERS = ("code_uri", "code", "source_dir", "source_file", "source_path", "entry")
_ASSET = (".from_asset", ".fromAsset")


def with_handlers(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; the files that functions run are part of those."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    files = {posixpath.splitext(r.place.file)[0]: r for r in given if r.type in _CODE}
    runs: dict[str, set[str]] = defaultdict(set)
    for function in given:
        if function.type in _FUNCTIONS and (file := _file(function, index, files)) is not None:
            runs[file.id].add(function.id)
    for resource in given:
        functions = runs.get(resource.id, ())
        yield replace(resource, part_of=next(iter(functions))) if len(functions) == 1 else resource


def _file(function: Resource, index: dict[str, Resource], files: dict[str, Resource]) -> Resource | None:
    modules = [h.data.rpartition(".")[0] for h in function.find("handler") if isinstance(h.data, str)]
    for folder in _folders(function, index):
        stem = posixpath.splitext(folder)[0] if folder.endswith((".py", ".js", ".ts", ".mjs")) else ""
        for module in [stem] if stem else [posixpath.join(folder, m) for m in modules]:
            for base in _bases(function.place.file):
                path = posixpath.normpath(posixpath.join(base, module))
                found = files.get(path) or files.get(path.replace(".", "/") if not path.startswith(".") else path)
                if found is not None:
                    return found
    return None


def _folders(function: Resource, index: dict[str, Resource]) -> Iterator[str]:
    """Where its code lies: said by itself, by the archive that is made of it, or by the asset of a construct."""
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


def _relative(value: Value) -> bool:
    return isinstance(value.data, str) and bool(value.data) and not value.data.startswith(("/", "s3:", "http"))


def _bases(file: str) -> Iterator[str]:
    """The folder of a file and those above it."""
    folder = posixpath.dirname(file)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""
