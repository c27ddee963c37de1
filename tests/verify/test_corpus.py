# SPDX-License-Identifier: Apache-2.0
"""What would be executed is found, however it is called, written and packed."""

from __future__ import annotations

from collections import Counter

from bastide.artifacts import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.corpus.malicious import files


def test_whatever_is_executed_is_unsafe() -> None:
    verdicts: Counter[Verdict] = Counter()
    for name, data in files():
        verdict = scan_bytes(data, name).verdict
        if "-second-torch" in name or "-second-deflated" in name:
            # PyTorch reads one pickle of the member: what follows is never executed, and not clean either.
            assert verdict is Verdict.UNKNOWN, name
        else:
            assert verdict is Verdict.UNSAFE, name
        verdicts[verdict] += 1
    assert verdicts.total() > 900
