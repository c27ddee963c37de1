# SPDX-License-Identifier: Apache-2.0
"""`bastide models`: a registry of versions, where they come from, who approved them and what was decided."""

from __future__ import annotations

import click

from bastide.cli.group import LazyGroup

_HERE = "bastide.cli.commands.models"


@click.group(
    cls=LazyGroup,
    lazy={
        "add": f"{_HERE}.add:add",
        "list": f"{_HERE}.list_:list_",
        "show": f"{_HERE}.show:show",
        "approve": f"{_HERE}.approve:approve",
        "promote": f"{_HERE}.promote:promote",
        "retire": f"{_HERE}.retire:retire",
        "history": f"{_HERE}.history:history",
    },
)
def models() -> None:
    """Which models there are, what they were made from, who approved what, and in which stage they are.

    The registry is one SQLite file over models that stay where they are: folders, files, a hub client's cache, MLflow's
    store. Every decision is in the ledger beside it.

    \b
    Examples:
      bastide models add models/support-v2 --name support
      bastide models add mlruns
      bastide models approve support@2 --for production --reason 'review of 12 June'
      bastide models promote support@2 --to production --policy admission.yaml
      bastide models show support
    """
