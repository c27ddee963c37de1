# SPDX-License-Identifier: Apache-2.0
"""`azure.yaml` of the Azure Developer CLI: which folder is deployed to which resource (by the tag `azd-service-name`)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

from bastide.discover.interface import Tree
from bastide.discover.model import Problem, Reading, Resource, Value
from bastide.discover.readers.yaml_ import read_yaml


class AzureDeveloper:
    """`azure.yaml`, which has a name and services."""

    name = "azd"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """By name and content."""
        return posixpath.basename(path) in ("azure.yaml", "azure.yml") and "services:" in head()

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """A resource for each service."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            documents, wrong = read_yaml(text, file)
            problems += wrong
            for services in (v for document in documents[:1] for v in document.find("services")):
                found += _services(services, file)
        return Reading(tuple(found), tuple(problems), frozenset(files))


def _services(services: Value, file: str) -> Iterator[Resource]:
    """Those that are built from a folder; what runs a given image has none."""
    for name, service in (services.data if isinstance(services.data, Mapping) else {}).items():
        project = next((v.data for v in service.find("project")), None)
        if not isinstance(project, str) or service.find("image"):
            continue
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(file), project))
        if not folder.startswith(("..", "/")):
            body = Value(
                {**service.data, "folder": Value("" if folder == "." else folder, service.place)}, service.place
            )
            yield Resource(f"{file}: services.{name}", "azd/service", name, body, service.place)
