# SPDX-License-Identifier: Apache-2.0
"""What `bastide sign` and `bastide attest` share: with what is signed, and what they say afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bastide.cli.output import put
from bastide.cli.text import one_line, plural

if TYPE_CHECKING:
    from bastide.verify.signing.sign import Credentials, Signed

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--key", "-k", required=True, type=click.Path(path_type=Path), metavar="PEM",
        help="Private key: ECDSA on P-256, P-384 or P-521, or Ed25519.",
    ),
    click.option(
        "--password-file", type=click.Path(path_type=Path), metavar="FILE", help="Its first line opens the key."
    ),
    click.option(
        "--certificate", type=click.Path(path_type=Path), metavar="PEM", help="The key's certificate, to say who signs."
    ),
    click.option(
        "--chain", multiple=True, type=click.Path(path_type=Path), metavar="PEM",
        help="Certificates between that one and the root; repeatable.",
    ),
)  # fmt: skip
ledger_option = click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="DIR", help="Write what is done into this ledger."
)


def credential_options(command: F) -> F:
    """`--key`, `--password-file`, `--certificate` and `--chain`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def credentials_of(
    key: Path, password_file: Path | None, certificate: Path | None, chain: tuple[Path, ...]
) -> Credentials:
    """With what is signed. Raises `UsageError`."""
    from bastide.errors import UsageError
    from bastide.verify.signing.sign import credentials

    password = None
    if password_file is not None:
        try:
            with password_file.open("rb") as stream:
                password = stream.readline(4096).rstrip(b"\r\n")
        except (OSError, ValueError) as problem:
            raise UsageError(f"{password_file}: can't be read: {getattr(problem, 'strerror', problem)}") from None
    if chain and certificate is None:
        raise UsageError("--chain needs --certificate")
    return credentials(key, password, certificate, chain)


def show(signed: Signed, format_: str, quiet: bool) -> None:
    """Says what was signed, and what wasn't."""
    if format_ == "json":
        from bastide.report.document import dumps
        from bastide.report.signing_json import signed_json

        put(dumps(signed_json(signed)), None)
        return
    lines = [
        f"{one_line(str(signed.path))}: {plural(signed.files, 'file')} of {one_line(signed.model)} signed",
        f"  model   sha256:{signed.digest['sha256']}",
        f"  signer  {signed.signer}",
    ]
    if signed.entry:
        lines.append(f"  ledger  entry {signed.entry}")
    lines += [f"  not signed: {one_line(name)}" for name in signed.left_out[:20]]
    if (more := len(signed.left_out) - 20) > 0:
        lines.append(f"  ... and {more} more that are not signed")
    if not quiet:
        put("\n".join(lines) + "\n", None)
