# SPDX-License-Identifier: Apache-2.0
"""Checks bills before they are written: CycloneDX by its official JSON schemas, SPDX by the classes that SPDX makes of its own model (SHACL)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from bastide.errors import BastideError, UsageError

_CHUNK = 200
"""Components that are checked at once: the schema wants them unique, which is compared pair by pair."""


def check_cyclonedx(document: dict[str, Any]) -> None:
    """Raises `BastideError` when the document isn't valid, which is a defect of ours; `UsageError` without the extra `bom`."""
    validator = cyclonedx_validator(document["specVersion"])
    from cyclonedx.exception import MissingOptionalDependencyException

    for part in _parts(document):
        try:
            problem = validator.validate_str(json.dumps(part))
        except MissingOptionalDependencyException:
            raise UsageError(MISSING) from None
        if problem is not None:
            raise BastideError(f"the bill would not be valid, please report it: {str(problem.data)[:300]}")
    refs = list(_refs(document))
    if len(refs) != len(set(refs)):
        raise BastideError("the bill would not be valid, please report it: the same bom-ref twice")


def cyclonedx_validator(version: str) -> Any:
    """The library's validator. Raises `UsageError` without the extra `bom`."""
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise UsageError(MISSING) from None
    return JsonStrictValidator({"1.6": SchemaVersion.V1_6, "1.7": SchemaVersion.V1_7}[version])


MISSING = "CycloneDX and SPDX need the extra `bom`: pip install 'bastide[bom]'"


def _parts(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with its long lists cut, and documents with what was cut off."""
    first = copy.copy(document)
    head = {key: document[key] for key in ("bomFormat", "specVersion")}
    first["components"] = [dict(one) for one in document.get("components", ())]
    for one in first["components"]:
        files = one.get("components", [])
        one.update({"components": files[:_CHUNK]} if files else {})
        for at in range(_CHUNK, len(files), _CHUNK):
            yield {**head, "components": files[at : at + _CHUNK]}
    rest = first["components"][_CHUNK:]
    first["components"] = first["components"][:_CHUNK]
    for at in range(0, len(rest), _CHUNK):
        yield {**head, "components": rest[at : at + _CHUNK]}
    yield first


def _refs(node: Any) -> Iterator[str]:
    stack = [node]
    while stack:
        at = stack.pop()
        if isinstance(at, dict):
            if isinstance(at.get("bom-ref"), str):
                yield at["bom-ref"]
            stack.extend(at.values())
        elif isinstance(at, list):
            stack.extend(at)


def check_spdx(document: dict[str, Any]) -> None:
    """Raises `BastideError` when the document isn't valid, which is a defect of ours; `UsageError` without the extra `bom`."""
    try:
        from spdx_python_model import v3_0_1 as spdx  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        raise UsageError(MISSING) from None
    found = spdx.SHACLObjectSet()
    try:
        spdx.JSONLDDeserializer().deserialize_data(document, found)
        problems = [f"`{id}` is not in it" for id in sorted(found.link())]
        # Properties that have to be there are only missed when it is written again.
        spdx.JSONLDSerializer().serialize_data(found)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        problems = [str(problem)]
    if problems:
        raise BastideError(f"the bill would not be valid, please report it: {problems[0][:300]}")
