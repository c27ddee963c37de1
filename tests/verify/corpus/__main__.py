# SPDX-License-Identifier: Apache-2.0
"""Writes a set of files."""

from __future__ import annotations

import sys
from pathlib import Path


def main(kind: str, folder: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    if kind == "malicious":
        from tests.verify.corpus.malicious import files

        for name, data in files():
            (out / name).write_bytes(data)
    else:
        from tests.verify.corpus.benign import write

        for line in write(out):
            sys.stderr.write(f"{line}\n")


main(*sys.argv[1:3])
