# SPDX-License-Identifier: Apache-2.0
"""`bastide sign`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.credentials import credential_options, ledger_option, show


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@credential_options
@click.option(
    "--ignore", "ignored", multiple=True, metavar="PATH",
    help="A file or folder in the model that isn't signed; nobody accepts it without a policy that allows it. Repeatable.",
)  # fmt: skip
@ledger_option
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="The signature; default: beside MODEL."
)
@options.format_option("table", "json", default="table")
@options.quiet_option
def sign(
    *,
    model: Path,
    key: Path,
    password_file: Path | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    ignored: tuple[str, ...],
    ledger: Path | None,
    output: Path | None,
    format_: str,
    quiet: bool,
) -> None:
    """Sign all files of MODEL, a file or a folder, in the format of OpenSSF model signing.

    Everything in the folder is signed, `.git` and hidden files too. Links, devices and names that mean different files on different
    systems are refused. The signature lies beside the model as NAME.KEY.sig, one for each signer.

    \b
    Exit codes:
      0  signed
      2  the call is wrong, or the model can't be signed

    \b
    Examples:
      openssl ecparam -genkey -name prime256v1 -noout -out key.pem
      openssl ec -in key.pem -pubout -out key.pub.pem
      bastide sign models/support-v2 --key key.pem
      bastide sign model.safetensors --key ci.pem --certificate ci.crt --chain ca.crt --ledger model-log
    """
    from bastide.cli.credentials import credentials_of
    from bastide.verify.signing.sign import sign_model

    who = credentials_of(key, password_file, certificate, chain)
    show(sign_model(model, who, output, ignored, ledger), format_, quiet)
