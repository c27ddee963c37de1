# SPDX-License-Identifier: Apache-2.0
"""The measures of docs/benchmarks.md: `./run bench` prints them as a Markdown table. By hand; not timed tests, since machines are noisy."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from generate import make_plan  # noqa: E402

SIZES = (50, 500, 2500, 5000, 10000, 20000)
ROUNDS = 3


def main() -> None:
    """Runs the chosen measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "measures",
        nargs="*",
        default=["scale", "silent", "noise", "stable", "start"],
        help="scale, silent, noise, stable, start",
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(_measure_size(int(args.child[0]), Path(args.child[1]), float(args.child[2]))))
        return
    print(f"Machine: {_machine()}\n")
    measures: dict[str, Callable[[], Iterator[str]]] = {
        "scale": scale,
        "silent": silent,
        "noise": noise,
        "stable": stable,
        "start": start,
    }
    for name in args.measures:
        for line in measures[name]():
            print(line, flush=True)
        print()


def scale() -> Iterator[str]:
    """Load, analysis and report of plans from 50 to 20,000 components, each in a process of its own; the best of three rounds."""
    yield "| components | flows | open findings | load s | analysis s | hardening s | HTML report s | report MB | peak MB |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for size in SIZES:
        with TemporaryDirectory() as folder:
            rounds = [_child(size, folder) for _ in range(ROUNDS if size <= 5000 else 1)]
        best = {key: min(r[key] for r in rounds) for key in rounds[0]}
        columns = ("components", "flows", "open", "load", "analysis", "hardening", "report", "report_mb", "peak_mb")
        yield (
            "| "
            + " | ".join(f"{best[c]:,.2f}" if isinstance(best[c], float) else f"{best[c]:,}" for c in columns)
            + " |"
        )


def silent() -> Iterator[str]:
    """The worst case of questions: the same plan with none of the usual facts stated."""
    with TemporaryDirectory() as folder:
        rounds = [_child(2500, folder, stated=0.0) for _ in range(ROUNDS)]
    best = {key: min(r[key] for r in rounds) for key in rounds[0]}
    yield f"2,500 components with no facts stated: analysis {best['analysis']:.2f} s, {best['questions']:,} questions"


def noise() -> Iterator[str]:
    """How many findings go when a weak agentic RAG is hardened."""
    from bastide.catalog.load import load_catalog
    from bastide.plan.load import load_plan
    from bastide.threats.assess import assess

    catalog = load_catalog()
    weak, hardened = (
        assess(load_plan(HERE / "plans" / f"{n}.yaml", catalog.vocabulary), catalog) for n in ("weak", "hardened")
    )
    gone = 1 - len(hardened.open) / len(weak.open)
    yield f"Weak agentic RAG: {len(weak.open)} open findings; hardened: {len(hardened.open)}; gone: {gone:.0%}"


def stable() -> Iterator[str]:
    """How many finding ids change when an unrelated component is added."""
    from bastide.catalog.load import load_catalog
    from bastide.plan.load import parse_plan
    from bastide.threats.assess import assess

    catalog, text = load_catalog(), (HERE / "plans" / "weak.yaml").read_text(encoding="utf-8")
    grown = text.replace("components:\n", "components:\n  aaa-unrelated: {kind: ops.monitor}\n", 1)
    before, after = ({f.id for f in assess(parse_plan(t, catalog.vocabulary), catalog).open} for t in (text, grown))
    yield f"Unrelated component added: {len(before ^ after)} of {len(before)} finding ids change"


def start() -> Iterator[str]:
    """Wall time of `bastide --help` and of an assessment of the main example, medians of ten runs."""
    example = str(ROOT / "examples" / "opea-chatqna" / "bastide.yaml")
    for name, arguments in (("--help", ["--help"]), ("assess --format json", ["assess", example, "--format", "json"])):
        times = sorted(_timed([sys.executable, "-m", "bastide", *arguments]) for _ in range(10))
        yield f"`bastide {name}`: median {times[5]:.3f} s (best {times[0]:.3f})"


def _child(size: int, folder: str, stated: float = 0.8) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(size), folder, str(stated)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure_size(size: int, folder: Path, stated: float) -> dict[str, float]:
    import gc

    from bastide.catalog.load import load_catalog
    from bastide.plan.load import load_plan
    from bastide.report.html import render_html
    from bastide.threats.assess import assess

    gc.disable()  # as the command line does
    path = folder / "bastide.yaml"
    path.write_text(make_plan(size, stated=stated), encoding="utf-8")
    catalog = load_catalog()
    load, plan = _clock(lambda: load_plan(path, catalog.vocabulary))
    analysis, _ = _clock(lambda: assess(plan, catalog, harden=None))
    both, result = _clock(lambda: assess(plan, catalog))
    report, html = _clock(lambda: render_html(plan, result, catalog, generated="2026-01-01"))
    return {
        "components": len(plan.components), "flows": len(plan.flows), "open": len(result.open),
        "questions": len(result.questions), "load": load, "analysis": analysis,
        "hardening": max(0.0, both - analysis), "report": report, "report_mb": len(html.encode()) / 2**20,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def _clock(work: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def _timed(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - begin


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return f"{os.cpu_count()} cores, {memory} GiB, {platform.system()} {platform.machine()}, CPython {platform.python_version()}"


if __name__ == "__main__":
    main()
