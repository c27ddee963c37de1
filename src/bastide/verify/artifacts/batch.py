# SPDX-License-Identifier: Apache-2.0
"""The scan of some files in a fresh process: `python -m bastide.verify.artifacts.batch`, a batch in on stdin, its reports out on stdout.

For callers that run threads of their own, beside which no process may be forked.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bastide.verify.artifacts.cache import open_cache
from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.pool import Allowance, scan_files


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be scanned, and within which bounds."""

    locations: tuple[bytes, ...]
    """Paths and addresses, as the system encodes them."""
    allowance: Allowance
    cache: str
    """A folder; '' for none."""


def scan_batch(batch: bytes) -> bytes:
    """The reports of an encoded `Batch`, encoded. Raises `RuntimeError` when the process ends without them."""
    command = [sys.executable, "-m", "bastide.verify.artifacts.batch"]
    done = subprocess.run(command, input=batch, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace")[-500:])
    return done.stdout


def read_batch(batch: bytes) -> list[FileReport]:
    """The reports of an encoded `Batch`, made in this process."""
    made = msgspec.msgpack.decode(batch, type=Batch)
    locations = [one.decode("utf-8", "surrogateescape") for one in made.locations]
    return list(scan_files(locations, 1, made.allowance, cache=open_cache(Path(made.cache)) if made.cache else None))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.msgpack.encode(read_batch(sys.stdin.buffer.read())))
