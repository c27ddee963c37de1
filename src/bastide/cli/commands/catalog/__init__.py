# SPDX-License-Identifier: Apache-2.0
"""`bastide catalog`: what Bastide knows."""

from __future__ import annotations

import click

from bastide.cli.group import LazyGroup

_HERE = "bastide.cli.commands.catalog"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": f"{_HERE}.list_:list_",
        "show": f"{_HERE}.show:show",
        "coverage": f"{_HERE}.coverage:coverage",
        "lint": f"{_HERE}.lint:lint",
    },
)
def catalog() -> None:
    """What Bastide knows: rules, controls, kinds, attributes, frameworks.

    \b
    Examples:
      bastide catalog list controls
      bastide catalog show ai.agent
      bastide catalog coverage
    """
