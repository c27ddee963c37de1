# SPDX-License-Identifier: Apache-2.0
"""Model scanners against each other, in one run: how much they find, how often they cry wolf, how fast they are.

python -m tests.verify.corpus malicious /tmp/malicious; python -m tests.verify.corpus benign /tmp/benign
python benchmarks/artifacts.py /tmp/malicious /tmp/benign     (in an environment with bastide and the others)
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

Verdict = str
"""unsafe, safe, or unknown: the tool says that it could not tell."""


def bastide() -> Callable[[Path], Verdict]:
    from bastide.artifacts import scan

    return lambda path: scan(path).verdict.value


def picklescan() -> Callable[[Path], Verdict]:
    from picklescan.scanner import scan_file_path

    def look(path: Path) -> Verdict:
        result = scan_file_path(str(path))
        return "unsafe" if result.issues_count else "unknown" if result.scan_err else "safe"

    return look


def modelscan() -> Callable[[Path], Verdict]:
    from modelscan.modelscan import ModelScan

    def look(path: Path) -> Verdict:
        found = ModelScan().scan(path)
        if found["summary"]["total_issues"]:
            return "unsafe"
        return "unknown" if found["errors"] or not found["summary"]["scanned"]["total_scanned"] else "safe"

    return look


def fickling() -> Callable[[Path], Verdict]:
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import Pickled

    def look(path: Path) -> Verdict:
        with path.open("rb") as file:
            severity = check_safety(Pickled.load(file)).severity
        return "safe" if severity == Severity.LIKELY_SAFE else "unsafe"

    return look


def hayward() -> Callable[[Path], Verdict]:
    from hayward import ModelFileScanner

    def look(path: Path) -> Verdict:
        found = {finding.severity.value.lower() for finding in ModelFileScanner().scan_file(path)}
        return "unsafe" if found & {"critical", "high", "medium"} else "unknown" if found else "safe"

    return look


def measure(name: str, make: Callable[[], Callable[[Path], Verdict]], sets: list[Path]) -> str:
    try:
        look = make()
    except ImportError as missing:
        return f"| {name} | not installed: {missing} |"
    cells = []
    for folder in sets:
        counts: Counter[str] = Counter()
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        begun = time.perf_counter()
        for path in files:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                try:
                    counts[look(path)] += 1
                except Exception:  # noqa: BLE001 - a scanner that breaks has not told
                    counts["unknown"] += 1
        seconds = time.perf_counter() - begun
        share = [f"{counts[v] / len(files):.1%}" for v in ("unsafe", "unknown", "safe")]
        cells += [*share, f"{len(files) / seconds:,.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


def main(malicious: str, benign: str) -> None:
    logging.disable(logging.CRITICAL)
    for kind, folder in (("malicious", malicious), ("benign", benign)):
        print(f"{sum(p.is_file() for p in Path(folder).rglob('*'))} {kind} files")
    print("| scanner | malicious: unsafe | unknown | safe | files/s | benign: unsafe | unknown | safe | files/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for tool in (bastide, picklescan, modelscan, fickling, hayward):
        print(measure(tool.__name__, tool, [Path(malicious), Path(benign)]), flush=True)


main(*sys.argv[1:3])
