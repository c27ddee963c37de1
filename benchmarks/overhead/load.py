# SPDX-License-Identifier: Apache-2.0
"""Load from another process: keep-alive connections that send one request after another, as raw bytes; times in microseconds.

Not wrk: it isn't everywhere, and it does not tell a short stream from a whole one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit


async def client(
    address: tuple[str, int], request: bytes, until: float, end: bytes, times: list[int], bad: list[str]
) -> None:
    """One connection; reads each answer to its end."""
    reader, writer = await asyncio.open_connection(*address)
    while time.perf_counter() < until:
        start = time.perf_counter_ns()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            bad.append(head[:100].decode())
            return
        low = head.lower()
        if b"content-length:" in low:
            await reader.readexactly(int(low.split(b"content-length:")[1].split(b"\r\n")[0]))
        else:
            body = await reader.readuntil(b"0\r\n\r\n")
            if end not in body:
                bad.append("the stream has no end")
        times.append(time.perf_counter_ns() - start)
    writer.close()


async def run(url: str, path: str, key: str, body: bytes, connections: int, seconds: float) -> dict[str, object]:
    """Requests a second and percentiles."""
    parts = urlsplit(url)
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
    request = (head + f"content-length: {len(body)}\r\n\r\n").encode() + body
    times: list[int] = []
    bad: list[str] = []
    start = time.perf_counter()
    address = (parts.hostname or "", parts.port or 80)
    end = b"[DONE]" if b'"stream": true' in body else b""
    await asyncio.gather(*(client(address, request, start + seconds, end, times, bad) for _ in range(connections)))
    taken = time.perf_counter() - start
    times.sort()
    at = lambda q: round(times[min(len(times) - 1, int(len(times) * q))] / 1000) if times else None  # noqa: E731
    return {"rps": round(len(times) / taken, 1), "p50": at(0.5), "p99": at(0.99), "n": len(times), "bad": bad[:3]}


if __name__ == "__main__":
    _, url, path, key, body_file, connections, seconds = sys.argv
    from pathlib import Path

    result = asyncio.run(run(url, path, key, Path(body_file).read_bytes(), int(connections), float(seconds)))
    sys.stdout.write(json.dumps(result) + "\n")
