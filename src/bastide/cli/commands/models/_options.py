# SPDX-License-Identifier: Apache-2.0
"""Options that several commands of `bastide models` share."""

from __future__ import annotations

from pathlib import Path

import click

registry_option = click.option(
    "--registry", type=click.Path(path_type=Path), default=Path("models.db"), show_default=True, metavar="FILE",
    help="The registry.",
)  # fmt: skip
by_option = click.option("--by", help="Who does it; default: the user of the system. It is noted, not proven.")
ledger_option = click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="DIR",
    help="The ledger into which it is written; default: beside the registry (`models.ledger`).",
)  # fmt: skip
