# SPDX-License-Identifier: Apache-2.0
"""Python code beside a model: what runs as soon as it is imported is looked at; all of it has to be read by somebody."""

from __future__ import annotations

import ast
import warnings

from bastide.verify.artifacts.formats._code_flow import flows
from bastide.verify.artifacts.formats._python import imports_do
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAX_BYTES = 1 << 20
REPORTED = 20


class PythonCodeReader:
    """Reads Python modules."""

    format = "python"

    def claims(self, source: Source) -> bool:
        """By the extension."""
        return source.extension in ("py", "pyw") and source.size > 0

    def read(self, source: Source, scan: Scan) -> None:
        """Calls that do harm; the rest is for a reader."""
        check_python(bytes(source.data), scan)
        scan.add(
            "python/code", Tier.POLICY, Severity.MEDIUM,
            "is Python code, which a loader may run with trust_remote_code: read it before", 0,
        )  # fmt: skip


def check_python(data: bytes, scan: Scan, start: int = 0) -> None:
    """Findings about what a module does when it is imported."""
    if len(data) > MAX_BYTES:
        scan.unread(f"code of {len(data)} bytes; at most {MAX_BYTES} are read", start)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        found = list(imports_do(tree))
        hostile = [flow for flow in flows(tree) if flow.hostile]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        scan.malformed("python/broken", f"is no Python that can be read here ({type(problem).__name__})", start)
        return
    lines = data.splitlines(keepends=True)
    for flow in hostile[:REPORTED]:
        place = start + sum(map(len, lines[: flow.line - 1]))
        scan.add("python/hostile", Tier.EXECUTES, Severity.HIGH, f"has code that {flow.what}", place, flow.name[:200])
    for harm in found[:REPORTED]:
        offset = start + sum(map(len, lines[: harm.line - 1])) + harm.column
        if harm.at_import:
            scan.add(
                "python/runs-at-import",
                Tier.EXECUTES,
                Severity.HIGH,
                f"when it is imported, or an object of it is made, it {harm.effect}",
                offset,
                harm.name,
            )
        else:
            scan.add(
                "python/harmful-call", Tier.POLICY, Severity.MEDIUM, f"has code that {harm.effect}", offset, harm.name
            )
