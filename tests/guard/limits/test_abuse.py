# SPDX-License-Identifier: Apache-2.0
"""Who is blamed for what, on a whole guard; and the settings that say when it is too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.errors import OverLimit
from bastide.guard.limits.quarantine import Quarantine
from bastide.guard.model import Caller
from bastide.guard.settings import Abuse
from bastide.guard.settings_file import parse_settings
from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import engine
from tests.guard.gateway.talk import delta, question
from tests.guard.gateway.test_models import completion

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
STRICT = "abuse: {blocks: 1, attacks: 1}\ncontent: {classifier: 'off', secrets: block}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["question", "answer"])
def test_what_is_stopped_counts(where: str, stream: bool) -> None:
    """An attack counts against who sent it, in the question or in the answer, whole or as a stream."""
    guard = Inside(engine("http://127.0.0.1:9", STRICT))
    said = KEY if where == "answer" else "Hello."
    answer = delta({"role": "assistant", "content": said}, "stop") + b"data: [DONE]\n\n" if stream else completion(said)
    got = guard.ask(question(KEY if where == "question" else "Hi", stream=stream), answer)
    assert b"MIIEow" not in got.body
    signals = {entry["signal"] for entry in guard.recorder.of("signal")}
    assert signals == {"campaign/persistence", "quarantine"}
    with pytest.raises(OverLimit):
        guard.runtime.quarantine.check(Caller("assistant", user="ann", tenant="t1"))


def test_ordinary_refusals_do_not_count() -> None:
    """A mistake, such as a model that there isn't, is no attack."""
    guard = Inside(engine("http://127.0.0.1:9", STRICT))
    assert guard.ask(question(model="gtp")).status == 404
    assert guard.ask(b"{").status == 400
    assert guard.recorder.of("signal") == []


def test_the_settings_of_the_documentation() -> None:
    """What the documentation shows are the defaults."""
    text = (Path(__file__).resolve().parents[3] / "docs/guard/callers.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("abuse:")]
    assert parse_settings(f"bastide-guard: 1\nplan: x\n{line}\n").abuse == Abuse()


def test_other_thresholds_hold_at_once() -> None:
    """A reload changes what leads to quarantine, not who is in it."""
    one = Quarantine(Abuse(blocks=1))
    ann, bo = Caller("a", user="ann"), Caller("a", user="bo")
    assert one.blocked(ann)
    one.settings = Abuse(blocks=2)
    assert not one.blocked(bo)
    with pytest.raises(OverLimit):
        one.check(ann)
