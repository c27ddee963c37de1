# SPDX-License-Identifier: Apache-2.0
"""`bastide guard mcp`, with a runtime whose log is kept in memory: `python -m tests.guard.mcp.command ARGUMENTS...`."""

from __future__ import annotations

import sys
from pathlib import Path

from bastide.cli.main import cli
from bastide.guard import build
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.gateway.runtime import Parts, Runtime
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.credentials import Credentials
from bastide.guard.limits.local import LocalLimits
from tests.guard.gateway.running import FakeMetrics, FakeRecorder, engine


def runtime_of(plan: Path, settings: Path | None, packs: tuple[Path, ...], *, beside: bool) -> Runtime:
    made = engine("http://127.0.0.1:9")
    parts = Parts(
        HeaderAuthenticator(made.settings),
        LocalLimits(()),
        ApprovalStore(),
        FakeRecorder(),
        FakeMetrics(),
        Credentials(),
    )
    return Runtime(made, parts, lambda: made)


if __name__ == "__main__":
    build.runtime_of = runtime_of  # type: ignore[attr-defined]
    cli(["guard", "mcp", *sys.argv[1:]], prog_name="bastide")
