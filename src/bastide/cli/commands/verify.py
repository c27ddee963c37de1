# SPDX-License-Identifier: Apache-2.0
"""`bastide verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from bastide.verify.signing.model import Decision
    from bastide.verify.signing.policy import Policy

CODES = {"holds": 0, "refused": 1, "unknown": 3}
_STYLES = {"holds": "green", "refused": "bold red", "unknown": "bold yellow"}
_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=_FILE)
@click.option("--policy", type=_FILE, metavar="YAML", help="Trust policy: who may sign what, what has to be attached.")
@click.option(
    "--key", "-k", "keys", multiple=True, type=_FILE, metavar="PEM", help="Public key of a signer; repeatable."
)
@click.option("--certificate", type=_FILE, metavar="PEM", help="Root certificate; needs --subject.")
@click.option(
    "--subject", metavar="PATTERN", help="Whom the certificate has to name: `CN=release,O=Acme`; `*` allowed."
)
@click.option("--sigstore", metavar="ACCOUNT", help="Account that signed; needs --issuer and --trust-root.")
@click.option("--issuer", metavar="URL", help="Who vouches for the account.")
@click.option("--trust-root", type=_FILE, metavar="JSON", help="Sigstore's trusted root or trust configuration.")
@click.option("--threshold", type=click.IntRange(1, 100), default=1, help="How many different signers; default 1.")
@click.option(
    "--signature", "--attestation", "-s", "documents", multiple=True, type=_FILE, metavar="FILE",
    help="A signature or attestation; repeatable. Default: those beside the model.",
)  # fmt: skip
@click.option("--name", default="", help="How the policy calls the model; default: the last part of its path.")
@click.option(
    "--ledger", type=_FILE, metavar="DIR", help="Ledger that has the signatures; the decision is written into it."
)
@click.option("--ledger-key", type=_FILE, metavar="PEM", help="The ledger's public key, kept elsewhere.")
@click.option("--require-ledger", is_flag=True, help="Signatures have to be in the ledger, before a signed checkpoint.")
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    *,
    model: Path,
    policy: Path | None,
    documents: tuple[Path, ...],
    name: str,
    ledger: Path | None,
    ledger_key: Path | None,
    format_: str,
    output: Path | None,
    quiet: bool,
    **signers: Any,
) -> None:
    """Is MODEL what its signers signed, and does the trust policy let it be used?

    Every file has to be signed and unchanged, and nothing may be there that isn't signed, not even below `.git`. Signatures made with
    OpenSSF model signing are read too. Nothing is fetched.

    \b
    Exit codes:
      0  everything that is demanded holds
      1  refused, with the reason
      2  the call or the policy is wrong, or there is no model
      3  it can't be decided, so it doesn't hold

    \b
    Examples:
      bastide verify models/support-v2 --key release.pub.pem
      bastide verify models/support-v2 --certificate ca.crt --subject 'CN=release,O=Acme'
      bastide verify models/support-v2 --policy trust.yaml --ledger model-log --format json
    """
    from bastide.errors import UsageError
    from bastide.verify.signing.policy_file import load_policy
    from bastide.verify.signing.verify import Options, verify_model

    keep_inputs([output], policy, ledger_key, *documents)
    given = any(signers[one] for one in ("keys", "certificate", "sigstore"))
    if (policy is not None) == given:
        raise UsageError("say whose signature counts: --policy, or --key, --certificate or --sigstore")
    if policy is not None and (signers["threshold"] != 1 or signers["require_ledger"]):
        raise UsageError("with --policy, thresholds and the ledger are matters of the policy")
    trust = load_policy(policy) if policy is not None else _of_options(**signers)
    key = _read(ledger_key) if ledger_key else None
    told = Options(name, documents=documents or None, ledger=ledger, ledger_key=key)
    decision = verify_model(model, trust, told)
    if format_ == "json":
        from bastide.report.document import dumps
        from bastide.report.signing_json import decision_json

        put(dumps(decision_json(decision)), output, quiet)
    else:
        put(_table(decision, output is None), output, quiet)
    ctx.exit(CODES[decision.outcome.value])


def _of_options(
    *,
    keys: tuple[Path, ...],
    certificate: Path | None,
    subject: str | None,
    sigstore: str | None,
    issuer: str | None,
    trust_root: Path | None,
    threshold: int,
    require_ledger: bool,
) -> Policy:
    """A policy for whoever has none: these signers may sign anything."""
    from bastide.errors import UsageError
    from bastide.verify.signing.certificates import certificates
    from bastide.verify.signing.keys import public_key
    from bastide.verify.signing.policy import Policy, Rule, Signer
    from bastide.verify.signing.strict import Wrong

    found = []
    path = certificate or Path()
    try:
        for path in keys:
            found.append(Signer(str(path), "key", public_key(_read(path))))
        if certificate is not None:
            path = certificate
            if not subject:
                raise UsageError("--certificate needs --subject: whom does the certificate name?")
            found.append(Signer(subject, "certificate", roots=certificates(_read(certificate)), subject=subject))
    except Wrong as problem:
        raise UsageError(f"{path}: {problem}") from None
    if sigstore:
        if not issuer or not trust_root:
            raise UsageError("--sigstore needs --issuer and --trust-root")
        found.append(Signer(sigstore, "sigstore", identity=sigstore, issuer=issuer, trust_root=trust_root))
    names = tuple(signer.name for signer in found)
    rule = Rule(("*",), names, threshold, same_name=False, ledger=require_ledger)
    return Policy({signer.name: signer for signer in found}, (rule,))


def _read(path: Path) -> bytes:
    from bastide.errors import UsageError

    try:
        with path.open("rb") as stream:
            return stream.read(1 << 20)
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: can't be read: {getattr(problem, 'strerror', None) or problem}") from None


def _table(decision: Decision, to_screen: bool) -> str:
    from bastide.cli.screen import Screen, join, text
    from bastide.cli.text import one_line, plural

    screen = Screen(to_screen)
    outcome = decision.outcome.value
    files = plural(decision.files, "file")
    screen.add(
        join(text(outcome, _STYLES[outcome]), f"  {one_line(decision.model)}  ({files}, sha256:{decision.digest})")
    )
    for check in decision.checks:
        where = f"  [{check.location}]" if check.location.file else ""
        words = one_line(f"{check.id}: {check.reason}{where}")
        screen.add(join("  ", text(check.outcome.value, _STYLES[check.outcome.value]), f"  {words}"))
    for one in (*decision.signatures, *decision.attestations):
        who = f", {one.identity.id}" if one.identity else ""
        screen.add(join("  ", text(one_line(f"{one.file}: {one.reason}{who}"), "dim")))
    for name in decision.unsigned[:20]:
        screen.add(join("  ", one_line(f"no signature covers {name}")))
    for note in decision.notes:
        screen.add(join("  ", text(one_line(note), "dim")))
    return screen.text()
