# SPDX-License-Identifier: Apache-2.0
"""How long signing and verifying take, beside the library `model-signing` on the same files and with the same key.

`python benchmarks/signing.py [--megabytes 1024] [--files 4]`; the files are written first, so the cache is warm for both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--only", choices=("ours", "theirs"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.only:
        return one(options.only, options.folder)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.megabytes << 20, options.files)
        print(f"{options.megabytes} MB in {options.files} files, {os.cpu_count()} processors, best of {ROUNDS}")
        print(f"SHA-256 in one thread: {best(lambda: plain(folder / 'm')):.2f} s")
        for who in ("ours", "theirs"):
            subprocess.run([sys.executable, __file__, "--only", who, "--folder", name], check=True)
    return None


def prepare(folder: Path, size: int, files: int) -> None:
    (folder / "m").mkdir()
    for number in range(files):
        with (folder / "m" / f"{number}.safetensors").open("wb") as stream:
            block = os.urandom(1 << 20)
            for _ in range(size // files >> 20):
                stream.write(block)
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub").write_bytes(public)


def one(who: str, folder: Path) -> None:
    sign, verify = ours(folder) if who == "ours" else theirs(folder)
    times = f"sign {best(sign):.2f} s, verify {best(verify):.2f} s"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{'bastide' if who == 'ours' else 'model-signing'}: {times}, {memory} MB")


def ours(folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from bastide.verify.signing.keys import public_key
    from bastide.verify.signing.policy import Policy, Rule, Signer
    from bastide.verify.signing.sign import credentials, sign_model
    from bastide.verify.signing.verify import verify_model

    signer = Signer("me", "key", public_key((folder / "key.pub").read_bytes()))
    policy = Policy({"me": signer}, (Rule(("*",), ("me",)),))
    who = credentials(folder / "key.pem")

    def verify() -> None:
        assert verify_model(folder / "m", policy).outcome.value == "holds"

    return (lambda: sign_model(folder / "m", who)), verify


def theirs(folder: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from model_signing import signing, verifying

    signer = signing.Config().use_elliptic_key_signer(private_key=folder / "key.pem")
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=folder / "key.pub")
    path = folder / "theirs.sig"
    return (lambda: signer.sign(folder / "m", path)), (lambda: verifier.verify(folder / "m", path))


def plain(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def best(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
