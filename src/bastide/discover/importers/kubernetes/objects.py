# SPDX-License-Identifier: Apache-2.0
"""Objects of Kubernetes' API, as documents declare them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bastide.discover.model import Value

NAMESPACE = "default"
"""Where a release goes that isn't put elsewhere."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object of the API."""

    kind: str
    name: str
    namespace: str
    value: Value
    file: str
    id: str
    scope: str = ""
    """Where short names resolve; by default its folder."""


def objects_of(document: Value, file: str, scope: str = "") -> Iterator[Object]:
    """The objects of a document, those of lists one by one."""
    if not isinstance(document.data, Mapping):
        return
    kind = text_of(document, "kind")
    if kind.endswith("List") and "items" in document.data:
        for item in document.find("items"):
            yield from objects_of(item, file, scope)
        return
    name = (
        text_of(document, "metadata.name")
        or text_of(document, "metadata.generateName").rstrip("-")
        or posixpath.basename(file)
    )
    namespace = text_of(document, "metadata.namespace")
    if kind and "apiVersion" in document.data and kind not in ("Kustomization", "CustomResourceDefinition"):
        where = f"{namespace}/" if namespace else ""
        yield Object(kind, name, namespace, document, file, f"{file}: {where}{kind}/{name}", scope)


def scope_of(one: Object) -> str:
    """Where short names of an object resolve: its release, or its folder."""
    return one.scope or f"kubernetes:{posixpath.dirname(one.file)}"


def text_of(value: Value, path: str) -> str:
    """The first text at a path; ''."""
    return next((str(v.data) for v in value.find(path) if isinstance(v.data, (str, int))), "")
