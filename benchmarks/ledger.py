# SPDX-License-Identifier: Apache-2.0
"""How fast the guard's log is written and checked: `python benchmarks/ledger.py [ENTRIES]`. Entries as those of a request with one tool call."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bastide.evidence.files import segments
from bastide.evidence.ledger import Ledger
from bastide.evidence.recover import find_end

WHO = {"agent": "assistant", "user": "ann", "tenant": "t1", "key": "a", "chain": []}
VERSION = "sha256:" + "a" * 64
RULING = {
    "effect": "allow", "reason": "the flow assistant->refund permits it", "policies": ["permit-assistant-refund"],
    "flow": "assistant->refund", "version": VERSION,
}  # fmt: skip
LABEL = {"integrity": "user", "confidentiality": "confidential", "sources": ["kb", "user"]}
DETECTED = {"detector": "injection/rules", "score": 0.61, "why": "gives orders", "spans": [[0, 20]]}


def request(number: int) -> list[dict[str, Any]]:
    """What one request leaves in the log."""
    base = {"request": f"req_{number:020x}", "caller": WHO, "version": VERSION}
    return [
        {"kind": "decision", **base, "tool": "refund", "call": "c1", "component": "refund", "ruling": RULING, "label": LABEL,
         "traced": True, "untraced": [], "approval": ""},
        {"kind": "detection", **base, "direction": "tool", "source": "inbox", "outcome": "flag", "score": 0.61, "scanned": True,
         "detections": [DETECTED]},
        {"kind": "request", **base, "outcome": "allowed", "protocol": "openai.chat", "model": "gpt", "component": "llm", "stream": False,
         "label": LABEL, "duration": 0.3, "cost": 0.01, "usage": {"input": 500, "output": 40}, "edited": 0, "ruling": RULING},
    ]  # fmt: skip


def main() -> None:
    """Prints the figures."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as place:
        folder = Path(place)
        before = time.perf_counter()
        with Ledger(folder) as ledger:
            for number in range(wanted // 3):
                ledger.append_all(request(number))
            entries = ledger.seq
        wrote = time.perf_counter() - before
        size = sum(path.stat().st_size for _, path in segments(folder)) / 1e6
        print(f"written: {entries:,} entries, {size:,.0f} MB in {wrote:.1f} s: {entries / wrote:,.0f} entries/s")
        times = []
        for _ in range(3):
            before = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "bastide", "ledger", "verify", place], check=True, stdout=subprocess.DEVNULL
            )
            times.append(time.perf_counter() - before)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"checked: best of three {min(times):.1f} s: {entries / min(times):,.0f} entries/s, {peak:.0f} MB at most"
        )
        before = time.perf_counter()
        find_end(folder)
        print(f"found its end again: {time.perf_counter() - before:.2f} s")


if __name__ == "__main__":
    main()
