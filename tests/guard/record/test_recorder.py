# SPDX-License-Identifier: Apache-2.0
"""The guard's log: batches, attributes, bodies by class, erasure, observers."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies
from bastide.evidence.ledger import Ledger, Options
from bastide.evidence.line import encode, seal
from bastide.evidence.verify import verify
from bastide.guard.identity.credentials import Credentials
from bastide.guard.record.metrics import Metrics
from bastide.guard.record.recorder import LedgerRecorder, open_recorder
from bastide.guard.settings import LogSettings, Secret

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


def test_retention(tmp_path: Path) -> None:
    """Old bodies go after their days, old entries with their segment; the chain says so and verifies."""
    folder = tmp_path / "log"
    now = [time.time_ns() - 30 * 86_400 * 10**9]
    with Ledger(folder, Options(clock=lambda: now[0], segment_bytes=1)) as ledger:
        bodies = Bodies(folder, lambda: now[0])
        for _ in range(3):
            reference = bodies.put("ada", "encrypted", "likes plums")
            ledger.append({"kind": "request", "content": [{"body": reference}]})
            now[0] += 10 * 86_400 * 10**9
        bodies.close()
    recorder = LedgerRecorder(Ledger(folder), Bodies(folder))
    assert recorder.prune(15) > 0
    recorder.close()
    report = verify(folder)
    assert (report.state, report.bodies) == ("whole", 1)
    assert len(list((folder / "bodies").iterdir())) == 1


def test_erasure_beside_writing(tmp_path: Path) -> None:
    """Erasing while others write leaves no body missing without a reason."""
    recorder = open_recorder(LogSettings(folder=tmp_path / "log", content={"internal": "encrypted"}))
    content = [{"text": "likes plums", "class": "internal"}]
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(recorder.write, [{**REQUEST, "content": content}]) for _ in range(150)]
        erasing = [pool.submit(recorder.erase, "ada") for _ in range(5)]
        for one in (*writing, *erasing):
            one.result()
    recorder.close()
    assert verify(tmp_path / "log").whole


def test_full_disk_fails_closed(tmp_path: Path) -> None:
    """When the ledger can't be written, `record` raises; the caller refuses the request."""
    folder = tmp_path / "log"
    full = [False]

    def write(handle: int, data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return os.write(handle, data)

    recorder = LedgerRecorder(Ledger(folder, Options(write=write)), Bodies(folder))
    full[0] = True
    with pytest.raises(LedgerError, match="No space left"):
        asyncio.run(recorder.record([REQUEST]))
    full[0] = False
    asyncio.run(recorder.record(REQUEST))
    recorder.close()
    assert [e["kind"] for e in entries(folder)].count("request") == 1
    assert verify(folder).whole


def test_key_of_the_settings(tmp_path: Path) -> None:
    """A signing key that lies elsewhere is used, and none is made in the folder."""
    Ledger(tmp_path / "other").close()
    key = tmp_path / "other" / "signing-key.pem"
    recorder = open_recorder(LogSettings(folder=tmp_path / "log", signing_key=Secret(file=key)), Credentials())
    recorder.close()
    assert not (tmp_path / "log" / "signing-key.pem").exists()
    assert verify(tmp_path / "log", next((tmp_path / "other").glob("key-*")).read_bytes()).whole


@pytest.mark.slow
def test_cost_of_an_entry(tmp_path: Path) -> None:
    """A request's entry, with metrics, costs a few times what encoding and hashing it cost."""
    recorder = open_recorder(LogSettings(folder=tmp_path / "log"), metrics=Metrics())
    reference = {**REQUEST, "attributes": {}}

    def seconds(what: Any) -> float:
        best = 1.0
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(500):
                what()
            best = min(best, time.perf_counter() - began)
        return best

    floor = seconds(lambda: seal(1, 1, 1, "0" * 64, encode(reference)))
    cost = seconds(lambda: recorder.write([REQUEST]))
    recorder.close()
    assert cost < 12 * floor
