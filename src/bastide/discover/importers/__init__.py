# SPDX-License-Identifier: Apache-2.0
"""The importers that come with Bastide, one technology a module. Others come by the entry point group `bastide.importers`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from bastide.discover.interface import Importer


@cache
def importers() -> tuple[Importer, ...]:
    """All importers, those of other packages last."""
    from bastide.discover.importers.arm import Arm
    from bastide.discover.importers.azd import AzureDeveloper
    from bastide.discover.importers.bicep import Bicep
    from bastide.discover.importers.cloudformation import CloudFormation
    from bastide.discover.importers.compose import Compose
    from bastide.discover.importers.dependencies import Dependencies
    from bastide.discover.importers.dockerfile import Dockerfiles
    from bastide.discover.importers.env_file import EnvFiles
    from bastide.discover.importers.github_actions import GitHubActions
    from bastide.discover.importers.helm import Helm
    from bastide.discover.importers.kubernetes import Kubernetes
    from bastide.discover.importers.litellm import LiteLlm
    from bastide.discover.importers.mcp import McpConfigurations
    from bastide.discover.importers.model_files import ModelFiles
    from bastide.discover.importers.n8n import N8n
    from bastide.discover.importers.openapi import OpenApi
    from bastide.discover.importers.python import Python
    from bastide.discover.importers.serverless import Serverless
    from bastide.discover.importers.terraform import Terraform
    from bastide.discover.importers.typescript import TypeScript

    roots = code_roots()
    packages = frozenset(r.removeprefix("js:") for r in roots if r.startswith("js:"))
    own: tuple[Importer, ...] = (
        Python(frozenset(r for r in roots if not r.startswith("js:"))),
        Arm(),
        AzureDeveloper(),
        Bicep(),
        CloudFormation(),
        Compose(),
        Dependencies(),
        Dockerfiles(),
        EnvFiles(),
        GitHubActions(),
        Helm(),
        Kubernetes(),
        LiteLlm(),
        McpConfigurations(),
        ModelFiles(),
        N8n(),
        OpenApi(),
        Serverless(),
        Terraform(),
        TypeScript(packages),
    )
    return own + tuple(point.load()() for point in entry_points(group="bastide.importers"))


@cache
def code_roots() -> frozenset[str]:
    """Packages of which the catalogue knows calls or classes: `openai`, `js:@langchain/openai`, `js:@langchain/*`."""
    from bastide.discover.types import load_types

    names = {
        pattern.partition("/")[2]
        for type_ in load_types()
        for pattern in type_.types
        if pattern.startswith(("call/", "definition/"))
    }
    python = {n.partition(".")[0] for n in names if not n.startswith("js:")} - {"", "*"}
    return frozenset(python | {f"js:{_package(n.removeprefix('js:'))}" for n in names if n.startswith("js:")})


def _package(name: str) -> str:
    """The package of a qualified name of JavaScript; `@langchain/*` when the name leaves it open."""
    first, slash, rest = name.partition("/")
    if not name.startswith("@"):
        return first.partition(".")[0]
    second = rest.partition("/")[0].partition(".")[0]
    return f"{first}{slash}{'*' if '*' in second else second}"
