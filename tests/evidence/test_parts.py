# SPDX-License-Identifier: Apache-2.0
"""Several processes with one log folder: each has a part of its own, and they are checked, erased, pruned and exported as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.ledger import Ledger, Options
from bastide.evidence.parts import claim, every_entry, ledgers, parts, prune_idle, verify_all
from bastide.guard.record.recorder import LedgerRecorder, open_recorder
from bastide.guard.settings import LogSettings
from tests.evidence.test_cli import run

DAY = 86_400 * 10**9


def options(folder: Path, **more: object) -> Options:
    return Options(key_folder=folder, **more)  # type: ignore[arg-type]


def recorder(folder: Path, *, part: bool = True) -> LedgerRecorder:
    return open_recorder(LogSettings(folder=folder, content={"internal": "encrypted"}), part=part)


def said(text: str, request: str) -> dict[str, object]:
    return {
        "kind": "request", "request": request, "caller": {"agent": "a", "user": "ada"}, "outcome": "allowed", "protocol": "mcp",
        "usage": {"input": 0, "output": 0}, "content": [{"text": text, "class": "internal", "role": "user"}],
    }  # fmt: skip


def test_the_first_free_number(tmp_path: Path) -> None:
    """Processes at the same time have parts of their own; one after another go on with the same, and all sign with one key."""
    with Ledger(tmp_path), claim(tmp_path, options(tmp_path)) as one, claim(tmp_path, options(tmp_path)) as two:
        assert [one.folder.name, two.folder.name] == ["part-1", "part-2"]
        last = one.seq
    with claim(tmp_path, options(tmp_path)) as again:
        assert (again.folder.name, again.id) == ("part-1", one.id)
        assert again.seq > last
    assert ledgers(tmp_path) == [tmp_path, tmp_path / "part-1", tmp_path / "part-2"]
    key = next(tmp_path.glob("key-*")).read_bytes()
    assert [report.state for report in verify_all(tmp_path, [key])] == ["whole"] * 3


def test_what_is_no_part(tmp_path: Path) -> None:
    """Other folders, files and links are none."""
    (tmp_path / "part-0").mkdir()
    (tmp_path / "part-1").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "part-2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "part-3").mkdir()
    assert parts(tmp_path) == [tmp_path / "part-3"]
    assert ledgers(tmp_path) == [tmp_path], "an empty folder holds none"
    with pytest.raises(LedgerError):
        claim(tmp_path / "part-1", options(tmp_path))


WRITER = """
import sys
from pathlib import Path
from bastide.guard.record.recorder import open_recorder
from bastide.guard.settings import LogSettings
recorder = open_recorder(LogSettings(folder=Path(sys.argv[1])), part=True)
for n in range(10**9):
    recorder.write([{"kind": "decision", "n": n, "process": sys.argv[2], "ruling": {"effect": "allow"}}])
    print(n, flush=True)
"""


def test_processes_that_are_killed(tmp_path: Path) -> None:
    """Three processes beside a guard, killed: nothing that was acknowledged is missing, and the whole verifies."""
    main = recorder(tmp_path, part=False)
    main.write([said("hello", "r0")])
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE) for n in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    time.sleep(0.1)
    acknowledged = []
    for writer in writers:
        writer.kill()
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.read().count(b"\n") + 1)
        writer.stdout.close()
        writer.wait()
    main.close()
    for n, count in enumerate(acknowledged):
        found = [line.entry["n"] for line in every_entry(tmp_path) if line.entry.get("process") == str(n)]
        assert found == list(range(len(found)))
        assert len(found) >= count
    assert len(parts(tmp_path)) == 3
    assert sum(report.problem_count for report in verify_all(tmp_path)) == 0


def test_a_part_that_was_changed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`ledger verify` of the folder ends with the worst of what it finds in any of them, and says in which."""
    for part in (False, True):
        one = recorder(tmp_path, part=part)
        one.write([said("plums", "r1")])
        one.close()
    assert run(capfd, "verify", tmp_path)[0] == 0
    path = files.segments(tmp_path / "part-1")[0][1]
    path.write_bytes(path.read_bytes().replace(b"r1", b"r2"))
    code, out, _ = run(capfd, "verify", tmp_path, "--format", "json")
    document = json.loads(out)
    assert (code, document["state"], [one["state"] for one in document["parts"]]) == (1, "broken", ["broken"])
    assert document["problems"] == []
    assert "part-1: BROKEN" in run(capfd, "verify", tmp_path)[1]


def test_a_checkpoint_from_elsewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is held against the ledger that it names; one of no ledger here is a problem."""
    log = tmp_path / "log"
    for part in (False, True):
        recorder(log, part=part).close()
    run(capfd, "checkpoint", log / "part-1", "-o", tmp_path / "c.json", "-q")
    assert [report.anchored > 0 for report in verify_all(log, None, [tmp_path / "c.json"])] == [False, True]
    with Ledger(tmp_path / "other"):
        pass
    run(capfd, "checkpoint", tmp_path / "other", "-o", tmp_path / "d.json", "-q")
    assert run(capfd, "verify", log, "--checkpoint", tmp_path / "d.json")[0] == 1


def test_erase_and_show(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A subject's texts are shown from all of them and erased in all of them, whether somebody writes them or not."""
    main, beside = recorder(tmp_path, part=False), recorder(tmp_path)
    idle = recorder(tmp_path)
    for n, one in enumerate((main, beside, idle)):
        one.write([said(f"text {n}", f"r{n}")])
    idle.close()

    def texts() -> list[str | None]:
        out = run(capfd, "show", tmp_path, "--kind", "request", "--format", "json", "--content")[1]
        return [text for line in out.splitlines() for text in json.loads(line)["texts"]]

    assert texts() == ["text 0", "text 1", "text 2"]
    assert run(capfd, "erase", tmp_path, "--subject", "ada")[0] == 0
    assert texts() == [None, None, None]
    main.close()
    beside.close()
    assert run(capfd, "verify", tmp_path)[0] == 0
    assert len(run(capfd, "export", tmp_path, "--format", "ocsf")[1].splitlines()) == 3


def test_retention_of_idle_parts(tmp_path: Path) -> None:
    """What is too old goes from parts that nobody writes any more, also from the segment that was last written on; held and changed ones stay."""
    now = 100 * DAY
    for _ in range(2):
        with claim(tmp_path, options(tmp_path, clock=lambda: now)) as one:
            one.append({"n": 1})
    with (
        claim(tmp_path, options(tmp_path, clock=lambda: now)),
        claim(tmp_path, options(tmp_path, clock=lambda: now)) as two,
    ):
        two.append({"n": 2})
    for part in parts(tmp_path):
        for _, path in files.segments(part):
            os.utime(path, ns=(now, now))
    third = tmp_path / "part-3"
    third.mkdir()
    files.segment(third, 1).write_text("garbage\n")
    os.utime(files.segment(third, 1), ns=(now, now))
    now = 200 * DAY
    with claim(tmp_path, options(tmp_path, clock=lambda: now)) as held:
        prune_idle(tmp_path, 150 * DAY, options(tmp_path, clock=lambda: now))
        assert held.folder.name == "part-1"
    left = [line.entry.get("n") for one in ledgers(tmp_path)[:2] for line in every_entry(one)]
    assert left.count(1) == 2, "somebody has the first"
    assert left.count(2) == 0
    assert files.segment(third, 1).read_text() == "garbage\n"
    assert [verify_all(part)[0].problem_count for part in parts(tmp_path)] == [0, 0, 1]


def test_retention_of_a_quiet_ledger(tmp_path: Path) -> None:
    """A guard to which nothing happens for long keeps nothing for longer, and goes on."""
    now = 100 * DAY
    with Ledger(tmp_path, Options(clock=lambda: now)) as ledger:
        ledger.append({"n": 1})
        now = 200 * DAY
        assert ledger.prune(150 * DAY) > 0
        ledger.append({"n": 2})
    assert [line.entry["n"] for line in every_entry(tmp_path) if "n" in line.entry] == [2]
    assert verify_all(tmp_path)[0].whole
