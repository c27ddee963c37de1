# SPDX-License-Identifier: Apache-2.0
"""The guard's log: batches, attributes, bodies by class, erasure, observers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies
from bastide.evidence.ledger import Ledger
from bastide.guard.record.recorder import LedgerRecorder, open_recorder
from bastide.guard.settings import LogSettings

REQUEST: dict[str, Any] = {
    "kind": "request", "request": "req_1", "caller": {"agent": "assistant", "user": "ada"}, "version": "v1", "outcome": "allowed",
    "protocol": "openai.chat", "model": "gpt-x", "stream": False, "duration": 0.25, "cost": 0.0, "usage": {"input": 10, "output": 5},
}  # fmt: skip


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[LedgerRecorder]:
    content = {"internal": "encrypted", "public": "redacted"}
    one = open_recorder(
        LogSettings(folder=tmp_path / "log", content=content), redact=lambda t: t.replace("ada", "<NAME>")
    )  # type: ignore[arg-type]
    yield one
    one.close()


def entries(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("segment-*")) for line in path.read_text().splitlines()]
    return [json.loads(line)["entry"] for line in lines]


def test_written_when_record_returns(recorder: LedgerRecorder, tmp_path: Path) -> None:
    """An entry is in the file when `record` returns, with OpenTelemetry's names for it."""
    asyncio.run(recorder.record([REQUEST]))
    [entry] = [e for e in entries(tmp_path / "log") if e["kind"] == "request"]
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-x",
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.agent.id": "assistant",
    }  # fmt: skip
    assert expected == entry["attributes"]


@pytest.mark.parametrize("class_", ["public", "internal", "confidential", "restricted", "unheard-of"])
def test_no_text_in_the_chain(recorder: LedgerRecorder, tmp_path: Path, class_: str) -> None:
    """Whatever its class, a text is never in the chain."""
    recorder.write([{**REQUEST, "content": [{"text": "ada's secret word", "class": class_, "role": "user"}]}])
    chain = b"".join(path.read_bytes() for path in (tmp_path / "log").glob("segment-*"))
    assert b"secret word" not in chain


def test_erased_text_is_nowhere(recorder: LedgerRecorder, tmp_path: Path) -> None:
    """After an erasure no file of the folder has the subject's text, its commitment's salt or its key."""
    texts = [{"text": "ada likes plums", "class": c, "role": "user"} for c in ("public", "internal")]
    recorder.write([{**REQUEST, "content": texts}])
    assert recorder.erase("ada") == 1
    everything = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert b"plums" not in everything
    assert entries(tmp_path / "log")[-1]["kind"] == "erasure"
    assert not [path for path in (tmp_path / "log" / "bodies").rglob("*") if path.is_file()]


def test_blocked_and_unscanned_as_what_they_were(recorder: LedgerRecorder, tmp_path: Path) -> None:
    """A blocked request is logged as blocked, an unscanned one as unscanned."""
    error = {"code": "denied_by_policy", "status": 403, "message": "no"}
    recorder.write([{**REQUEST, "outcome": "blocked", "error": error, "unscanned": ["input_image"]}])
    last = entries(tmp_path / "log")[-1]
    assert (last["outcome"], last["unscanned"]) == ("blocked", ["input_image"])
    assert last["attributes"]["error.type"] == "denied_by_policy"


def test_observers_see_only_what_is_written(tmp_path: Path) -> None:
    """Nobody is told of an entry that isn't in the ledger."""
    seen: list[Any] = []

    class Seeing:
        def entry(self, entry: Any) -> None:
            seen.append(entry)

    folder = tmp_path / "log"
    recorder = LedgerRecorder(Ledger(folder), Bodies(folder), observers=[Seeing()])
    recorder.write([REQUEST])
    recorder.close()
    with pytest.raises(LedgerError):
        recorder.write([REQUEST])
    assert len(seen) == 1
