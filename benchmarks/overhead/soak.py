# SPDX-License-Identifier: Apache-2.0
"""Load in which no two requests are alike: texts, lengths, histories, conversations, streams, models; one in fifty is wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

WORDS = (
    "order",
    "address",
    "where",
    "refund",
    "invoice",
    "parcel",
    "please",
    "yesterday",
    "moved",
    "colour",
    "return",
    "müller",
    "注文",
    "café",
)
NAMES = 5_000
"""Conversations that clients name."""


def request(rng: random.Random, key: str) -> tuple[bytes, bool]:
    """One request as bytes, and whether its answer is a stream."""
    text = " ".join(rng.choices(WORDS, k=rng.randint(3, 900))) + f" {rng.getrandbits(64)}"
    history = [
        {"role": role, "content": f"{rng.getrandbits(64)} " + " ".join(rng.choices(WORDS, k=rng.randint(1, 60)))}
        for _ in range(rng.randint(0, 6))
        for role in ("user", "assistant")
    ]
    stream = rng.random() < 0.5
    wrong = rng.random() < 0.02
    document = {
        "model": f"unknown-{rng.getrandbits(40)}" if wrong else "bench",
        "messages": [*history, {"role": "user", "content": text}],
        "stream": stream,
    }
    body = json.dumps(document, ensure_ascii=False).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: soak\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
    if rng.random() < 0.5:
        head += f"x-bastide-conversation: c{rng.randrange(NAMES)}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body, stream and not wrong


async def client(address: tuple[str, int], key: str, seed: int, until: float, counts: dict[str, int]) -> None:
    """One connection after another request, until the time is up."""
    rng = random.Random(seed)
    reader, writer = await asyncio.open_connection(*address)
    while time.perf_counter() < until:
        raw, _ = request(rng, key)
        writer.write(raw)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" in head:
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        else:
            await reader.readuntil(b"0\r\n\r\n")
        counts[head[9:12].decode()] = counts.get(head[9:12].decode(), 0) + 1
        if b"connection: close" in head:
            reader, writer = await asyncio.open_connection(*address)
    writer.close()


async def run(url: str, key: str, seed: int, seconds: float, connections: int) -> dict[str, int]:
    """Answers by status."""
    parts = urlsplit(url)
    counts: dict[str, int] = {}
    until = time.perf_counter() + seconds
    address = (parts.hostname or "", parts.port or 80)
    await asyncio.gather(*(client(address, key, seed * 1000 + n, until, counts) for n in range(connections)))
    return counts


if __name__ == "__main__":
    _, url, key, seed, seconds, connections = sys.argv
    sys.stdout.write(json.dumps(asyncio.run(run(url, key, int(seed), float(seconds), int(connections)))) + "\n")
