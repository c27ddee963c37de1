# SPDX-License-Identifier: Apache-2.0
"""What a request costs more through a proxy: direct, bare pass-through, the guard (classifier off and on), LiteLLM; all in one run.

`./run python benchmarks/overhead/run.py [--litellm /path/to/litellm] [--seconds 5]` prints Markdown tables. Each server has one process; the load
comes from another. LiteLLM (`pip install "litellm[proxy]"` in an environment of its own) is left out when it isn't named.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEY = "sk-bench-0123456789abcdef0123456789abcdef"
MESSAGES = [
    {
        "role": "system",
        "content": "You are the assistant of a shop. Answer briefly, from what you know about the order.",
    },
    {"role": "user", "content": "Where is my order 1001? I moved last week; is the new address used? " * 3},
]
TOOLS = [{"type": "function", "function": {"name": "get_order", "description": "Looks up an order.", "parameters": {
    "type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}}}]  # fmt: skip


def main() -> None:
    """Starts the servers one after the other and measures each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", default="", help="the litellm program of another environment")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of a long run of the guard, with its memory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(_uvicorn("upstream:app"))
        if args.soak:
            _soak(folder, upstream, args.soak)
            return
        rows = {"direct": _measure(upstream, folder, args.seconds)}
        with _uvicorn("passthrough:app", BENCH_UPSTREAM=f"{upstream}/v1") as url:
            rows["bare pass-through"] = _measure(url, folder, args.seconds)
        for classifier in ("off", "fast"):
            with _guard(folder / classifier, upstream, classifier) as url:
                rows[f"guard, classifier {classifier}"] = _measure(url, folder, args.seconds)
        if args.litellm:
            with _litellm(folder, upstream, args.litellm) as url:
                rows["LiteLLM"] = _measure(url, folder, args.seconds)
    _print(rows)


def _measure(url: str, folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    found = {}
    for name, connections, stream in (("c=1", 1, False), ("c=32", 32, False), ("streams, c=8", 8, True)):
        body = {"model": "bench", "messages": MESSAGES, "tools": TOOLS} | ({"stream": True} if stream else {})
        file = folder / "body.json"
        file.write_text(json.dumps(body))
        command = [sys.executable, str(HERE / "load.py"), url, "/v1/chat/completions", KEY, str(file), str(connections)]
        subprocess.run([*command, "1"], check=True, capture_output=True)  # warm
        found[name] = json.loads(subprocess.run([*command, str(seconds)], check=True, capture_output=True).stdout)
    return found


def _print(rows: dict[str, dict[str, dict[str, float]]]) -> None:
    print(
        "| server | c=1 requests/s | p50 / p99 ms | c=32 requests/s | p50 / p99 ms | streams/s (c=8) | p50 / p99 ms | errors |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for name, found in rows.items():
        cells = []
        for one in found.values():
            cells += [f"{one['rps']:,.0f}", f"{(one['p50'] or 0) / 1000:.2f} / {(one['p99'] or 0) / 1000:.2f}"]
        print(f"| {name} | " + " | ".join(cells) + f" | {[b for one in found.values() for b in one['bad']] or ''} |")
    base, bare = rows["direct"]["c=1"]["p50"], rows["bare pass-through"]["c=1"]["p50"]
    for name, found in rows.items():
        if name not in ("direct", "bare pass-through"):
            print(
                f"\n{name}: adds {(found['c=1']['p50'] - base) / (bare - base):.2f} times what the bare pass-through adds (p50, c=1)"
            )
            if "LiteLLM" in rows and name != "LiteLLM":
                other = rows["LiteLLM"]
                ratios = ", ".join(f"{key} {found[key]['rps'] / max(other[key]['rps'], 0.1):.1f}" for key in found)
                print(f"{name}: requests/s as a multiple of LiteLLM's: {ratios}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def _process(command: list[str], port: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=os.environ | env, cwd=HERE, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                time.sleep(0.3)
                break
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended with {process.returncode}")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def _uvicorn(app: str, **env: str) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    with _process(command, port, **env):
        yield f"http://127.0.0.1:{port}"


def _write_settings(folder: Path, upstream: str, classifier: str, port: int) -> Path:
    folder.mkdir()
    (folder / "bastide.yaml").write_text((HERE / "plan.yaml").read_text())
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    (folder / "bastide.guard.yaml").write_text(
        f"""bastide-guard: 1
plan: bastide.yaml
listen: 127.0.0.1:{port}
callers: {{keys: [{{id: bench, sha256: {digest}, agent: agent, actor: person, user: u1}}]}}
models: {{llm: {{names: bench, providers: [{{url: "{upstream}/v1"}}]}}}}
tools: {{get_order: {{is: get-order}}}}
content: {{classifier: "{classifier}"}}
budgets: [{{per: user, window: 1h, requests: 100000000}}]
"""
    )
    return folder / "bastide.yaml"


@contextlib.contextmanager
def _guard(folder: Path, upstream: str, classifier: str) -> Iterator[str]:
    port = _free_port()
    plan = _write_settings(folder, upstream, classifier, port)
    with _process([sys.executable, "-m", "bastide", "guard", "serve", "--plan", str(plan)], port):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _litellm(folder: Path, upstream: str, program: str) -> Iterator[str]:
    port = _free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        f"""model_list:
  - {{model_name: bench, litellm_params: {{model: openai/bench, api_base: "{upstream}/v1", api_key: x}}}}
general_settings: {{master_key: {KEY}}}
litellm_settings: {{telemetry: false}}
"""
    )
    command = [program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    with _process(command, port, LITELLM_LOG="ERROR", LITELLM_LOCAL_MODEL_COST_MAP="True"):
        yield f"http://127.0.0.1:{port}"


def _soak(folder: Path, upstream: str, seconds: float) -> None:
    """Memory of the guard over a long run in which no two requests are alike."""
    port = _free_port()
    plan = _write_settings(folder / "soak", upstream, "fast", port)
    with _process([sys.executable, "-m", "bastide", "guard", "serve", "--plan", str(plan)], port) as process:
        sent, step = 0, max(seconds / 10, 1.0)
        print("| minutes | requests | resident MB | answers |\n|---:|---:|---:|---|")
        for turn in range(10):
            command = [
                sys.executable,
                str(HERE / "soak.py"),
                f"http://127.0.0.1:{port}",
                KEY,
                str(turn),
                str(step),
                "8",
            ]
            answers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            sent += sum(answers.values())
            status = Path(f"/proc/{process.pid}/status").read_text()
            resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
            print(f"| {(turn + 1) * step / 60:.1f} | {sent:,} | {resident:.1f} | {answers} |", flush=True)


if __name__ == "__main__":
    main()
