# SPDX-License-Identifier: Apache-2.0
"""A cluster says of a data set what this machine says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bastide.verify.datasets.check import Settings, check


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    rows = ({"text": f"call person{n}@example-mail.org", "label": n % 2} for n in range(500))
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    here = check([tmp_path], Settings())
    there = check([tmp_path], Settings(cluster="local"))
    assert replace(there, seconds=0.0) == replace(here, seconds=0.0)
    assert here.findings
