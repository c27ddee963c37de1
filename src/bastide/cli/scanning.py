# SPDX-License-Identifier: Apache-2.0
"""What a scan says while it goes on: how far it is, and what it passes over."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import click

from bastide.cli.text import one_line
from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.walk import Found

PASSED = 20
"""Links and the like that are named."""


def passed_over(found: Found) -> None:
    """Says on stderr what is there and was not read."""
    for one in found.passed_over[:PASSED]:
        click.echo(one_line(one.render()), err=True)
    if len(found.passed_over) > PASSED:
        click.echo(f"and {len(found.passed_over) - PASSED} more that were not read", err=True)


def progress(reports: Iterable[FileReport], total: int, quiet: bool) -> Iterator[FileReport]:
    """Passes reports on; with a bar on a terminal when there are many."""
    if quiet or total < 20 or not sys.stderr or not sys.stderr.isatty():
        yield from reports
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scanning", total=total)
        for report in reports:
            bar.advance(task)
            yield report
