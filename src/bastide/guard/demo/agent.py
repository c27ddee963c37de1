# SPDX-License-Identifier: Apache-2.0
"""The demo's agent: an ordinary loop around a model. It knows nothing of the guard; only the address that it calls differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp

from bastide.guard.demo.world import TOOLS, Shop

SYSTEM = "You are the assistant of a shop. Use the tools to do what the customer asks."
MAX_STEPS = 8
Tell = Callable[[str, str], None]
"""Who, and what: where the story goes."""


async def converse(url: str, key: str, shop: Shop, wish: str, tell: Tell) -> str:
    """Does what a customer wishes; returns the last answer."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": wish}]
    tell("customer", wish)
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        for _ in range(MAX_STEPS):
            body = {"model": "demo", "messages": messages, "tools": TOOLS}
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                document = await response.json()
            if response.status != 200:
                tell("guard", document["error"]["message"])
                return str(document["error"]["message"])
            message = document["choices"][0]["message"]
            messages.append(message)
            calls = message.get("tool_calls") or []
            if not calls:
                tell("answer", message["content"])
                return str(message["content"])
            for call in calls:
                name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
                tell("tool", f"{name} {json.dumps(arguments)}")
                result = shop.run(name, arguments)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return "the agent gave up"
