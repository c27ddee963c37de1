# SPDX-License-Identifier: Apache-2.0
"""`bastide dataset`: what is in a data set."""

from __future__ import annotations

import click

from bastide.cli.group import LazyGroup


@click.group(cls=LazyGroup, lazy={"check": "bastide.cli.commands.dataset.check:check"})
def dataset() -> None:
    """Data sets: what is in them, and whether they are what they are said to be.

    \b
    Examples:
      bastide dataset check data/
      bastide dataset check train.parquet --against test.parquet --card card.md
    """
