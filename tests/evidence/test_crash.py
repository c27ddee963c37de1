# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any time loses nothing that was acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bastide.evidence.ledger import Ledger
from bastide.evidence.read import entries
from bastide.evidence.verify import verify

WRITER = """
import sys
from pathlib import Path
from bastide.evidence.ledger import Ledger, Options
start = int(sys.argv[2])
ledger = Ledger(Path(sys.argv[1]), Options(checkpoint_every=50, segment_bytes=40_000))
for n in range(start, start + 10**9):
    ledger.append_all([{"n": n, "x": "y" * (n % 700)}])
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


def killed(folder: Path, start: int, after: float) -> int:
    """Runs a writer, kills it, and says how many entries it had acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(after)
        writer.kill()
        rest = first + writer.stdout.read()
    # The last line may be half.
    return int(rest.rpartition(b"\n")[0].rpartition(b"\n")[2] or start - 1) + 1


@pytest.mark.parametrize("rounds", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_kill(tmp_path: Path, rounds: int) -> None:
    """After each kill every acknowledged entry is there, in order, and the ledger verifies; also when it goes on and is killed again."""
    chance = random.Random(rounds)
    folder, done = tmp_path / "log", 0
    for _ in range(rounds):
        acknowledged = killed(folder, done, chance.uniform(0, 0.3))
        found = [line.entry["n"] for line in entries(folder) if "n" in line.entry]
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged
        assert verify(folder).problem_count == 0
        done = len(found)
    Ledger(folder).close()
    assert verify(folder).whole
