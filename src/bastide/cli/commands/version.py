# SPDX-License-Identifier: Apache-2.0
"""`bastide version`."""

from __future__ import annotations

import platform

import click

from bastide import __version__


@click.command()
def version() -> None:
    """Print the versions of Bastide and Python.

    \b
    Example:
      bastide version
    """
    click.echo(f"bastide {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})")
