# SPDX-License-Identifier: Apache-2.0
"""A model provider that answers at once, as raw ASGI: what remains of a request's time is the proxy's."""

from __future__ import annotations

import json

ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1700000000, "model": "bench",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, "message": {
            "role": "assistant", "refusal": None,
            "content": "Your order 1001 was sent on Tuesday and should reach you within two working days. "
            "You can follow it in your account under Orders. Is there anything else that I can do for you?",
        }}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160},
    }
).encode()  # fmt: skip
WORDS = ("Your order was sent on Tuesday and should reach you soon. " * 5).split(" ")[:50]


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    document = {
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1700000000, "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
    }  # fmt: skip
    return b"data: " + json.dumps(document).encode() + b"\n\n"


STREAM = [_chunk({"content": w + " "}) for w in WORDS] + [_chunk({}, "stop") + b"data: [DONE]\n\n"]


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """Answers any POST; streams when the body asks for it."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if b'"stream": true' in body or b'"stream":true' in body:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for piece in STREAM:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": ANSWER})
