# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger checkpoint`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@options.output_option
@options.quiet_option
def checkpoint(*, folder: Path, output: Path | None, quiet: bool) -> None:
    """Print the newest signed checkpoint of the ledger in FOLDER, to be kept elsewhere.

    With such a copy, `bastide ledger verify --checkpoint` sees when the end of the log was cut off or written anew.

    \b
    Example:
      bastide ledger checkpoint guard-log -o /mnt/other-host/checkpoint.json
    """
    from bastide.errors import UsageError
    from bastide.evidence.files import NEWEST, read_small

    data = read_small(folder / NEWEST)
    if data is None:
        raise UsageError(
            f"{folder}: has no checkpoint yet; one is written when the guard stops, and every so many entries"
        )
    put(data.decode("utf-8", "replace"), output, quiet)
