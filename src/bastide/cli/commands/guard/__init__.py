# SPDX-License-Identifier: Apache-2.0
"""`bastide guard`: the gateway that enforces the plan at run time."""

from __future__ import annotations

import click

from bastide.cli.group import LazyGroup

_HERE = "bastide.cli.commands.guard"


@click.group(
    cls=LazyGroup,
    lazy={
        "serve": f"{_HERE}.serve:serve",
        "check": f"{_HERE}.check:check",
        "replay": f"{_HERE}.replay:replay",
        "policy": f"{_HERE}.policy:policy",
        "explain": f"{_HERE}.explain:explain",
        "key": f"{_HERE}.key:key",
        "approvals": f"{_HERE}.approvals:approvals",
        "mcp": f"{_HERE}.mcp:mcp",
        "pin": f"{_HERE}.pin:pin",
        "demo": f"{_HERE}.demo:demo",
    },
)
def guard() -> None:
    """The gateway in front of models and tools, with the policy that the plan says.

    \b
    Examples:
      bastide guard demo                                what happens without and with it
      bastide guard serve --plan bastide.yaml           start it
      bastide guard policy bastide.yaml                 the policy, compiled from the plan
      bastide guard check --role retrieved page.txt     is this text an attack?
    """
