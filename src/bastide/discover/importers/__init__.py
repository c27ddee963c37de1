# SPDX-License-Identifier: Apache-2.0
"""The importers that come with Bastide, one technology a module. Others come by the entry point group `bastide.importers`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from bastide.discover.interface import Importer


@cache
def importers() -> tuple[Importer, ...]:
    """All importers, those of other packages last."""
    from bastide.discover.importers.compose import Compose
    from bastide.discover.importers.env_file import EnvFiles
    from bastide.discover.importers.github_actions import GitHubActions
    from bastide.discover.importers.mcp import McpConfigurations
    from bastide.discover.importers.n8n import N8n

    own: tuple[Importer, ...] = (Compose(), EnvFiles(), GitHubActions(), McpConfigurations(), N8n())
    return own + tuple(point.load()() for point in entry_points(group="bastide.importers"))
