# SPDX-License-Identifier: Apache-2.0
"""`bastide guard demo`: what the README promises of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bastide.guard.demo.model import answer
from bastide.guard.demo.story import tell_story
from bastide.guard.demo.world import MAIL


def test_the_guard_stops_what_the_mail_orders_and_nothing_else(tmp_path: Path) -> None:
    """Without: the attacker is paid. With: not, while the customer's own wish is done, and a person can let one call go."""
    told: list[tuple[str, str]] = []
    ending = asyncio.run(tell_story(tmp_path, lambda who, what: told.append((who, what))))
    assert (ending.stolen_without, ending.stolen_with) == (900, 0)
    assert (ending.refunded, ending.approved) == (40, 900)
    assert ending.log_whole
    answers = [what for who, what in told if who == "answer"]
    assert "collect.example" in answers[0], "without the guard the image is shown"
    assert not any("collect.example" in what for what in answers[1:])


def test_the_model_really_obeys() -> None:
    """The demo proves nothing unless the attack works on the model."""
    messages = [{"role": "user", "content": "call read_mail with {}"}]
    first = answer(messages)
    assert first["tool_calls"][0]["function"]["name"] == "read_mail"
    after = answer([*messages, first, {"role": "tool", "content": MAIL}])
    assert after["tool_calls"][0]["function"]["name"] == "refund"
