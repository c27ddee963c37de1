# SPDX-License-Identifier: Apache-2.0
"""How long `bastide dataset check` takes and how much memory it needs: `python benchmarks/datasets.py --megabytes 1000 --folder /tmp/sets`.

Makes JSON lines, CSV and Parquet of the size with texts, labels, sources, ids, prices and a few e-mail addresses (seeded), unless they are there,
and runs the command on each in a process of its own. Memory is the largest sum over the process and its children, looked at ten times a second.

`python -m benchmarks.datasets --poison 10` measures how well poisoned labels are found, and how often clean sets raise an alarm.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import json
import random
import re
import resource
import subprocess
import sys
import sysconfig
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


def measure(command: list[str]) -> tuple[float, float, float, str]:
    """Seconds, seconds of all processors, MB at most, and what was printed."""
    before = _processor()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(_memory, _family(process.pid))))
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    return seconds, _processor() - before, most, process.stdout.read() if process.stdout else ""


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def docstrings(most: int = 1_500) -> list[dict[str, object]]:
    """Real texts with a label: docstrings of installed packages, by package."""
    found: list[dict[str, object]] = []
    root = Path(sysconfig.get_paths()["purelib"])
    for package in (
        "aiohttp",
        "hypothesis",
        "langchain_core",
        "networkx",
        "openai",
        "pygments",
        "scipy",
        "selenium",
        "sklearn",
    ):
        texts: dict[str, None] = {}
        for path in sorted((root / package).rglob("*.py")):
            with contextlib.suppress(SyntaxError, ValueError):
                for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                    if (
                        isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
                        and len(text := ast.get_docstring(node) or "") > 120
                    ):
                        texts[text[:1500]] = None
        chosen = random.Random(1).sample(list(texts), min(most, len(texts)))
        found += [{"text": text, "label": package} for text in chosen]
    random.Random(2).shuffle(found)
    return found


def poison(seeds: int) -> None:
    """False alarms on clean sets, and what is found of what was planted in them."""
    from tests.verify.datasets import generate

    from bastide.verify.datasets.model import Place
    from bastide.verify.datasets.partial import Sampled
    from bastide.verify.datasets.poison import judge, test

    def alarms(rows: list[dict[str, object]]) -> set[str]:
        sample = [Sampled(i, 0, i + 1, str(r["label"]), str(r["text"])) for i, r in enumerate(rows)]
        found = judge(test(sample, len(rows)), lambda _: Place())
        return {f"{f.id} {f.evidence}" if f.evidence else f.id for f in found}

    sets = {
        f"{name}, {n:,} rows": (lambda seed, make=make, n=n: make(n, seed))
        for n in (1_000, 5_000)
        for name, make in generate.CLEAN.items()
    }
    real = docstrings()
    sets |= {
        f"docstrings, {n:,} rows": (lambda seed, n=n: random.Random(seed).sample(real, n)) for n in (1_500, len(real))
    }
    print(
        "| set | false alarms | word found | phrase found | other phrases | flips found |\n|---|---:|---:|---:|---:|---:|"
    )
    for name, make in sets.items():
        counts = dict.fromkeys(("false", "cf", "after lunch we slept", "other", "dataset/label-flips"), 0)
        for seed in range(100, 100 + seeds):
            counts["false"] += bool(alarms(make(seed)))
            for phrase in ("cf", "after lunch we slept"):
                rows = make(seed)
                labels = sorted({str(r["label"]) for r in rows})
                found = {
                    a
                    for a in alarms(generate.with_trigger(rows, phrase, labels[seed % len(labels)], seed=seed))
                    if "trigger" in a
                }
                hit = {a for a in found if a.endswith(f" {phrase}")}
                counts[phrase] += bool(hit)
                counts["other"] += len(found - hit)
            rows = [dict(r) for r in make(seed)]
            counts["dataset/label-flips"] += "dataset/label-flips" in alarms(generate.with_flips(rows, seed=seed))
        print(
            f"| {name} | "
            + " | ".join(f"{n} of {seeds}" if k != "other" else str(n) for k, n in counts.items())
            + " |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bastide-sets"))
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    parser.add_argument(
        "--poison",
        type=int,
        default=0,
        metavar="SEEDS",
        help="instead: how well poisoned labels are found, so many times for each set",
    )
    options = parser.parse_args()
    if options.poison:
        poison(options.poison)
        return
    print(
        "| file | MB | processes | s | s of processors | MB/s | MB of memory | rows | findings |\n|---|---:|---:|---:|---:|---:|---:|---:|---|"
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
            seconds, processor, memory, printed = measure(command)
            report = json.loads(printed)
            size = path.stat().st_size / 1e6
            found = ", ".join(sorted({f["id"].removeprefix("dataset/") for f in report["findings"]}))
            rows_read = report["summary"]["rows"]
            speed = f"{seconds:.0f} | {processor:.0f} | {size / seconds:.1f} | {memory:,.0f}"
            print(f"| {kind} | {size:,.0f} | {jobs} | {speed} | {rows_read:,} | {found} |", flush=True)


if __name__ == "__main__":
    main()
