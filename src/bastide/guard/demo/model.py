# SPDX-License-Identifier: Apache-2.0
"""A model provider that obeys whatever it reads: the worst that a real model does on a bad day, every time.

It speaks OpenAI's chat completions. It does what the user asks, step by step, and then what tools' results order; when one holds an order to
show an image, it shows it in its answer. Nothing is random and nothing leaves the machine.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from bastide.guard.gateway.asgi import Receive, Scope, Send, read_body, respond

_ORDER = re.compile(r"call (\w{1,40}) with (\{[^{}]{0,400}\})")
_IMAGE = re.compile(r"show the image (https?://\S{1,200})")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The provider, as an ASGI application."""
    if scope["type"] != "http":
        return
    document = msgspec.json.decode(await read_body(receive, 1_000_000, 10.0))
    await respond(send, 200, msgspec.json.encode(_completion(answer(document["messages"]))))


def answer(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that this model gives to a conversation."""
    done = {
        (c["function"]["name"], _normal(c["function"]["arguments"]))
        for m in messages
        for c in m.get("tool_calls") or ()
    }
    for name, arguments in _wanted(messages):
        if (name, _normal(arguments)) not in done:
            return _call(name, arguments, len(done))
    images = [m for text in _results(messages) for m in _IMAGE.findall(text)]
    said = [m["content"] for m in messages if m["role"] == "tool"]
    closing = "Done." if not said else "Done. The last thing that I was told: " + said[-1][:200]
    return {"role": "assistant", "content": closing + "".join(f"\n\n![status]({image})" for image in images)}


def _wanted(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The calls to make: those that the user asks for, then those that tool results order."""
    texts = [*(str(m["content"]) for m in messages if m["role"] == "user"), *_results(messages)]
    return [found for text in texts for found in _ORDER.findall(text)]


def _results(messages: list[dict[str, Any]]) -> list[str]:
    return [str(m["content"]) for m in messages if m["role"] == "tool"]


def _normal(arguments: str) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="sorted")
    except msgspec.DecodeError:
        return arguments.encode()


def _call(name: str, arguments: str, number: int) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{number}", "type": "function", "function": function}],
    }


def _completion(message: dict[str, Any]) -> dict[str, Any]:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": "demo",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60},
    }  # fmt: skip
