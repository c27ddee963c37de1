# SPDX-License-Identifier: Apache-2.0
"""`bastide catalog show`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put


@click.command()
@click.argument("id")
@options.pack_option
def show(id: str, packs: tuple[Path, ...]) -> None:
    """Explain ID: a rule, a control, a kind, an attribute, a framework or one of its entries.

    For a kind: its attributes, what each means and what it takes to say yes.

    \b
    Examples:
      bastide catalog show injection/direct-prompt
      bastide catalog show human-approval
      bastide catalog show ai.agent
      bastide catalog show owasp-llm:2026/LLM01
    """
    from bastide.cli.explanation import explanation
    from bastide.cli.work import read_catalog

    put(explanation(read_catalog(packs), id), None)
