# SPDX-License-Identifier: Apache-2.0
"""The command `bastide`."""

from __future__ import annotations

import gc

import click

from bastide import __version__
from bastide.cli.group import Edge

_COMMANDS = "bastide.cli.commands"


@click.group(
    cls=Edge,
    lazy={
        "init": f"{_COMMANDS}.init:init",
        "discover": f"{_COMMANDS}.discover:discover",
        "drift": f"{_COMMANDS}.drift:drift",
        "inventory": f"{_COMMANDS}.inventory:inventory",
        "assess": f"{_COMMANDS}.assess:assess",
        "gate": f"{_COMMANDS}.gate:gate",
        "diff": f"{_COMMANDS}.diff:diff",
        "decide": f"{_COMMANDS}.decide:decide",
        "diagram": f"{_COMMANDS}.diagram:diagram",
        "otm": f"{_COMMANDS}.otm:otm",
        "scan": f"{_COMMANDS}.scan:scan",
        "dataset": f"{_COMMANDS}.dataset:dataset",
        "bom": f"{_COMMANDS}.bom:bom",
        "sign": f"{_COMMANDS}.sign:sign",
        "attest": f"{_COMMANDS}.attest:attest",
        "verify": f"{_COMMANDS}.verify:verify",
        "admit": f"{_COMMANDS}.admit:admit",
        "models": f"{_COMMANDS}.models:models",
        "guard": f"{_COMMANDS}.guard:guard",
        "ledger": f"{_COMMANDS}.ledger:ledger",
        "catalog": f"{_COMMANDS}.catalog:catalog",
        "schema": f"{_COMMANDS}.schema:schema",
        "version": f"{_COMMANDS}.version:version",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bastide", message="%(prog)s %(version)s")
def cli() -> None:
    """Threat models of AI systems as code, and a guard that enforces them at run time; from one plan, offline.

    \b
    Start with:
      bastide init                          a first plan from a few questions
      bastide assess bastide.yaml           its threats, on the terminal
      bastide assess bastide.yaml -o report.html
      bastide guard demo                    an attack, without and with the guard

    Exit codes: 0 fine; 1 findings at or over the threshold; 2 the input or the call is wrong; 3 something is unknown that had to be
    known.
    """


def main() -> None:
    """Runs the command line; the entry point of the package."""
    # Syntax trees and documents are millions of objects that live long: looking at all of them again and again takes half of the time.
    gc.set_threshold(50_000, 20, 50)
    cli.main(prog_name="bastide")
