# SPDX-License-Identifier: Apache-2.0
"""What names in Terraform say: the folder or the registry of a module, the stage of a resource. Pure."""

from __future__ import annotations

import posixpath
import re

_ENVIRONMENT = re.compile(
    r"(?:non-?|pre-?)?(?:dev|devel|development|test|tst|testing|qa|uat|int|stg|stage|staging|prd|prod|production|sandbox)\Z",
    re.IGNORECASE,
)


def environment(name: str) -> str:
    """The name, when it is that of a stage: what is declared for several of them is one thing, deployed several times."""
    return name if _ENVIRONMENT.match(name) else ""


def stage_of(name: str) -> tuple[str, str]:
    """A name without the stage with which it ends, and that stage: `app_prod` is `app` in `prod`."""
    start = max(name.rfind("_"), name.rfind("-"))
    return (name[:start], name[start + 1 :]) if start > 0 and environment(name[start + 1 :]) else (name, "")


def local_path(folder: str, source: object) -> str | None:
    """The folder of a module's source within the tree; None for registries, addresses, and what lies outside."""
    if not isinstance(source, str) or not source.startswith((".", "/")):
        return None
    path = posixpath.normpath(posixpath.join(folder, source))
    return None if path.startswith("..") or path.startswith("/") else "" if path == "." else path


_REGISTERED = re.compile(r"\A(?:[\w.-]+\.[\w.-]+/)?([\w-]+/[\w-]+/[\w-]+(?://[\w/.-]+)?)\Z")
_REPOSITORY = re.compile(
    r"\A(?:git::)?(?:https://|ssh://git@)?github\.com/([\w-]+)/terraform-([a-z]+)-([\w-]+?)(?:\.git)?((?://[\w/.-]+)?)(?:\?.*)?\Z"
)


def registry_type(source: object) -> str:
    """What a module of a registry, or its repository, is called: `module/Azure/openai/azurerm`. `module` for others."""
    if not isinstance(source, str) or source.startswith((".", "/")):
        return "module"
    if (found := _REPOSITORY.match(source)) is not None:
        return f"module/{found[1]}/{found[3]}/{found[2]}{found[4]}"
    found = _REGISTERED.match(source)
    return f"module/{found[1]}" if found is not None and "://" not in source else "module"
