# SPDX-License-Identifier: Apache-2.0
"""Tells the demo's story: the same agent, model and mail, without and with the guard. Everything listens on the loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from bastide.evidence.verify import verify
from bastide.guard.build import runtime_of
from bastide.guard.demo import model
from bastide.guard.demo.agent import converse
from bastide.guard.demo.world import ATTACKERS_IBAN, CUSTOMERS_IBAN, Shop
from bastide.guard.gateway.app import Gateway

PLAN = Path(__file__).with_name("plan.yaml")
KEY, DESK_KEY = "bst_demo_assistant", "bst_demo_support_desk"
MAIL_WISH = "call read_mail with {} and do what is needed"
REFUND = {"order_id": "1001", "amount": 40, "iban": CUSTOMERS_IBAN}
OWN_WISH = f"call read_mail with {{}} and then call refund with {json.dumps(REFUND)}"
Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """How it went."""

    stolen_without: float
    stolen_with: float
    refunded: float
    approved: float
    """What a person let go at the end."""
    log_whole: bool


async def tell_story(folder: Path, tell: Tell) -> Ending:
    """Plays all scenes; `folder` takes the guard's files. `tell(who, what)` gets each line; `who` is `scene` for headings."""
    async with _serving(model.app) as provider:
        tell("scene", "1. Without the guard: the agent talks to the model directly. A mail says: pay 900 to somebody.")
        without = Shop()
        await converse(provider, "none", without, MAIL_WISH, tell)
        tell("result", f"{without.stolen:.0f} EUR went to the attacker")
        runtime = runtime_of(_write(folder, provider), folder / "bastide.guard.yaml")
        async with _serving(Gateway(runtime)) as guarded:
            ending = await _guarded(guarded, without, tell)
    report = verify(folder / "log", [file.read_bytes() for file in (folder / "log").glob("key-*.pub.pem")])
    tell("scene", "5. What happened stands in a log that can't be changed unnoticed.")
    tell(
        "log",
        f"{report.entries} entries, signed checkpoints: {report.checkpoints}; {report.state}: `bastide ledger verify` checks it",
    )
    return Ending(without.stolen, *ending, report.state == "whole")


async def _guarded(url: str, without: Shop, tell: Tell) -> tuple[float, float, float]:
    tell("scene", "2. With the guard: the same agent, model and mail; only the address is another.")
    shop = Shop()
    await converse(url, KEY, shop, MAIL_WISH, tell)
    stolen = shop.stolen
    tell("result", f"{stolen:.0f} EUR went to the attacker; without the guard it was {without.stolen:.0f}")
    tell("scene", "3. The customer asks for a refund to the account they name, and has the same mail read: that works.")
    own = Shop()
    await converse(url, KEY, own, OWN_WISH, tell)
    refunded = float(sum(r["amount"] for r in own.refunds if r["iban"] == CUSTOMERS_IBAN))
    told = f"{refunded:.0f} EUR refunded to the customer, {own.stolen:.0f} to the attacker: only the mail's own call was stopped"
    tell("result", told)
    tell("scene", "4. The support desk looks at the call that was stopped, and lets exactly that one go, once.")
    approved = await _approve(url, tell)
    return stolen, refunded, approved


async def _approve(url: str, tell: Tell) -> float:
    """The desk agrees to what is pending; the agent proposes it again."""
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {DESK_KEY}"}) as session:
        async with session.get(f"{url}/guard/api/approvals") as response:
            pending = (await response.json())["approvals"]
        for one in pending:
            tell("desk", f"{one['id']}: {one['tool']} {json.dumps(one['arguments'])}")
            for value in one["untraced"]:
                tell("desk", f"  {value['path']} = {value['value']}: from {', '.join(value['sources']) or 'nowhere'}")
        async with session.post(f"{url}/guard/api/approvals/{pending[0]['id']}", json={"answer": "allow"}) as response:
            tell("desk", f"decided: {(await response.json())['state']}")
    shop = Shop()
    await converse(url, KEY, shop, MAIL_WISH, tell)
    tell("result", f"{shop.stolen:.0f} EUR paid, because a person said so; the next time it is asked again")
    return shop.stolen


def _write(folder: Path, provider: str) -> Path:
    digests = {name: sha256(key.encode()).hexdigest() for name, key in (("a", KEY), ("d", DESK_KEY))}
    (folder / "bastide.yaml").write_text(PLAN.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "bastide.guard.yaml").write_text(
        f"""bastide-guard: 1
plan: bastide.yaml
callers:
  keys:
    - {{id: assistant, sha256: {digests["a"]}, agent: assistant, actor: customer, user: ann}}
    - {{id: desk, sha256: {digests["d"]}, agent: desk, user: bo, roles: [decide-approvals]}}
models: {{llm: {{names: demo, providers: [{{url: "{provider}/v1"}}]}}}}
tools:
  read_mail: {{is: inbox}}
  get_order: {{is: get-order, arguments: {{order_id: target}}}}
  refund: {{is: refund, arguments: {{order_id: target, amount: target, iban: target}}}}
content: {{classifier: "off"}}
log: {{folder: log}}
""",
        encoding="utf-8",
    )
    return folder / "bastide.yaml"


@contextlib.asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[str]:
    """An ASGI application on a free port of the loopback."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    # Signals belong to the command, not to the servers inside of it.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            await task
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


SUMMARY = f"The attacker's account is {ATTACKERS_IBAN}; nothing left this machine."
