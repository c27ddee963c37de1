# SPDX-License-Identifier: Apache-2.0
"""The least that a Python proxy can do: raw ASGI in, aiohttp out, nothing looked at. Address of the upstream in BENCH_UPSTREAM."""

from __future__ import annotations

import os

import aiohttp

UPSTREAM = os.environ["BENCH_UPSTREAM"]
_session: aiohttp.ClientSession | None = None


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """Passes a POST on and its answer back."""
    global _session  # noqa: PLW0603 - one pool for the process
    if scope["type"] != "http":
        return
    if _session is None:
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    async with _session.post(
        UPSTREAM + scope["path"].removeprefix("/v1"), data=body, headers={"content-type": "application/json"}
    ) as answer:
        kind = answer.headers["content-type"].encode()
        await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
