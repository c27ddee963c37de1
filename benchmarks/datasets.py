# SPDX-License-Identifier: Apache-2.0
"""How long `bastide dataset check` takes and how much memory it needs: `python benchmarks/datasets.py --megabytes 1000 --folder /tmp/sets`.

Makes JSON lines, CSV and Parquet of the size with texts, labels, sources, ids, prices and a few e-mail addresses (seeded), unless they are there,
and runs the command on each in a process of its own. Memory is the largest sum over the process and its children, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = [
    a + b
    for a in ("ban", "cor", "del", "fim", "gor", "hul", "jam", "kel", "lom", "mir")
    for b in ("do", "ti", "ra", "lon", "ster", "vy", "mel", "s", "t", "n")
]
COMMON = list(
    filter(
        None,
        re.split(
            r"\W+",
            "the of to and in it was for on with as at by this that from they we you have not are but were what when all there can more",
        ),
    )
)
LABELS = {name: [f"{name}{i}" for i in range(40)] for name in ("billing", "shipping", "returns", "account")}


def rows(megabytes: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Rows until they are so large as JSON."""
    rng = random.Random(seed)
    size = number = 0
    while size < megabytes * 1_000_000:
        number += 1
        label = rng.choice(list(LABELS))
        words = rng.choices(COMMON, k=40) + rng.choices(WORDS, k=40) + rng.choices(LABELS[label], k=8)
        rng.shuffle(words)
        if number % 10_000 == 0:
            words.append(f"person{number}" + "@mail.example.org")
        text = " ".join(words)
        row = {
            "id": f"{rng.getrandbits(128):032x}", "order": rng.randrange(10**9, 10**10), "price": round(rng.random() * 100, 2),
            "created": f"2026-05-{rng.randrange(1, 29):02}T10:00:00Z", "source": rng.choice(("mail", "chat", "phone")), "label": label, "text": text,
        }  # fmt: skip
        size += len(text) + 190
        yield row


def make(folder: Path, megabytes: int) -> dict[str, Path]:
    """The files."""
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"rows-{megabytes}.{kind}" for kind in ("jsonl", "csv", "parquet")}
    if all(p.exists() for p in paths.values()):
        return paths
    with paths["jsonl"].open("w") as lines, paths["csv"].open("w", newline="") as table:
        writer: Any = None
        tables: Any = None
        waiting: list[dict[str, Any]] = []
        for row in rows(megabytes):
            lines.write(json.dumps(row) + "\n")
            if writer is None:
                writer = csv.DictWriter(table, list(row))
                writer.writeheader()
            writer.writerow(row)
            waiting.append(row)
            if len(waiting) == 20_000:
                part = pyarrow.Table.from_pylist(waiting)
                tables = tables or parquet.ParquetWriter(paths["parquet"], part.schema)
                tables.write_table(part)
                waiting = []
        part = pyarrow.Table.from_pylist(waiting)
        tables = tables or parquet.ParquetWriter(paths["parquet"], part.schema)
        tables.write_table(part)
        tables.close()
    return paths


def measure(command: list[str]) -> tuple[float, float, str]:
    """Seconds, MB at most, and what was printed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(_memory, _family(process.pid))))
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    return seconds, most, process.stdout.read() if process.stdout else ""


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(p for child in children for p in _family(int(child)))]


def _memory(pid: int) -> float:
    """Proportional set size, so that what forked processes share counts once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(next(x for x in text.splitlines() if x.startswith("Pss:")).split()[1]) / 1000
    except (OSError, StopIteration):
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bastide-sets"))
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    print(
        "| file | MB | processes | s | MB/s | MB of memory | rows | findings |\n|---|---:|---:|---:|---:|---:|---:|---|"
    )
    for kind, path in make(options.folder, options.megabytes).items():
        for jobs in options.jobs:
            command = [
                sys.executable,
                "-m",
                "bastide",
                "dataset",
                "check",
                str(path),
                "-f",
                "json",
                "-j",
                str(jobs),
                "-q",
            ]
            seconds, memory, printed = measure(command)
            report = json.loads(printed)
            size = path.stat().st_size / 1e6
            found = ", ".join(sorted({f["id"].removeprefix("dataset/") for f in report["findings"]}))
            print(
                f"| {kind} | {size:,.0f} | {jobs} | {seconds:.0f} | {size / seconds:.1f} | {memory:,.0f} | {report['summary']['rows']:,} | {found} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
