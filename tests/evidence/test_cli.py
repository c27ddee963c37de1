# SPDX-License-Identifier: Apache-2.0
"""`bastide ledger`: exit codes, outputs, and no tracebacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bastide.cli.main import cli
from bastide.evidence import files
from bastide.evidence.bodies import Bodies
from bastide.evidence.ledger import Ledger
from bastide.guard.record.recorder import open_recorder
from bastide.guard.settings import LogSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    recorder = open_recorder(LogSettings(folder=path, content={"internal": "encrypted"}))
    caller = {"agent": "assistant", "user": "ada", "key": "k1"}
    ruling = {"effect": "deny", "reason": "no\x1b[31m flow", "policies": ["p1"], "flow": "", "version": "v1"}
    seen = [{"detector": "injection/rules", "score": 0.9, "why": "asks to ignore", "spans": [[0, 3]]}]
    recorder.write([
        {"kind": "decision", "request": "r1", "caller": caller, "tool": "send_mail", "call": "c1", "component": "mail", "ruling": ruling,
         "label": {"integrity": "public"}, "traced": False, "untraced": [], "approval": ""},
        {"kind": "detection", "request": "r1", "caller": caller, "direction": "tool", "source": "mail", "outcome": "block", "score": 0.9,
         "scanned": True, "detections": seen},
        {"kind": "request", "request": "r1", "caller": caller, "outcome": "blocked", "protocol": "openai.chat", "model": "gpt-x",
         "component": "llm", "duration": 0.5, "usage": {"input": 3, "output": 0}, "error": {"code": "denied_by_policy", "message": "no"},
         "content": [{"text": "likes plums", "class": "internal", "role": "user"}]},
    ])  # fmt: skip
    recorder.close()
    return path


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["ledger", *map(str, words)], prog_name="bastide")
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return int(end.value.code or 0), out, err


class TestVerify:
    def test_whole(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """0 when all is well, with what the check can't know."""
        code, out, _ = run(capfd, "verify", folder)
        assert code == 0
        assert "whole" in out
        assert "beside the ledger" in out

    def test_broken(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """1 when something was changed, with its place."""
        path = files.segments(folder)[0][1]
        path.write_bytes(path.read_bytes().replace(b"send_mail", b"read_mail"))
        code, out, _ = run(capfd, "verify", folder, "--format", "json")
        document = json.loads(out)
        assert (code, document["state"], document["problems"][0]["line"]) == (1, "broken", 2)

    def test_nothing_proven(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """3 when no key is known."""
        next(folder.glob("key-*")).unlink()
        assert run(capfd, "verify", folder)[0] == 3

    def test_key_and_checkpoint_from_elsewhere(
        self, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """With both kept elsewhere nothing is left open."""
        key = tmp_path / "key.pem"
        key.write_bytes(next(folder.glob("key-*")).read_bytes())
        assert run(capfd, "checkpoint", folder, "-o", tmp_path / "c.json", "-q")[0] == 0
        code, out, _ = run(
            capfd, "verify", folder, "--key", key, "--checkpoint", tmp_path / "c.json", "--format", "json"
        )
        assert (code, json.loads(out)["limits"]) == (0, [])

    @pytest.mark.parametrize("words", [["absent"], [".", "--key", "absent"], [".", "--checkpoint", "absent"], []])
    def test_wrong_call(self, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        """2 when the call is wrong."""
        code, _, err = run(capfd, "verify", *words)
        assert code == 2
        assert err

    def test_no_ledger(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """A folder without one is a wrong call, and said so."""
        assert run(capfd, "verify", tmp_path) == (2, "", f"error: {tmp_path}: holds no ledger\n")


def test_show(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A line for each entry, which can't move the cursor; filters; documents."""
    code, out, _ = run(capfd, "show", folder)
    assert code == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 5
    assert len(run(capfd, "show", folder, "--request", "r1", "--kind", "decision")[1].splitlines()) == 1
    document = json.loads(run(capfd, "show", folder, "--kind", "request", "--format", "json", "--content")[1])
    assert document["texts"] == ["likes plums"]
    assert json.loads(run(capfd, "show", folder, "--last", "1", "--format", "json")[1])["entry"]["kind"] == "checkpoint"


@pytest.mark.parametrize(("format_", "count"), [("jsonl", 5), ("ocsf", 3), ("otlp", 1)])
def test_export(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], format_: str, count: int) -> None:
    """Each line is a document, printed or in a file."""
    out = run(capfd, "export", folder, "--format", format_)[1]
    assert len([json.loads(line) for line in out.splitlines()]) == count
    run(capfd, "export", folder, "--format", format_, "-o", tmp_path / "out", "-q")
    assert (tmp_path / "out").read_text() == out


class TestErase:
    def test_alone(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Texts of the subject go, the chain stays whole."""
        assert run(capfd, "erase", folder, "--subject", "ada")[0] == 0
        document = json.loads(run(capfd, "show", folder, "--kind", "request", "--format", "json", "--content")[1])
        assert document["texts"] == [None]
        assert run(capfd, "verify", folder)[0] == 0

    def test_while_the_guard_runs(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """The one who writes does it."""
        recorder = open_recorder(LogSettings(folder=folder, content={"internal": "encrypted"}))
        assert run(capfd, "erase", folder, "--subject", "ada")[0] == 0
        recorder.close()
        assert json.loads(run(capfd, "verify", folder, "--format", "json")[1])["erased"] == 1

    def test_while_a_writer_does_not_answer(
        self, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """3 when it was asked and hasn't answered; it is done when the guard starts again."""
        from bastide.cli.commands.ledger import erase

        monkeypatch.setattr(erase, "WAIT", 0.1)
        with Ledger(folder):
            assert run(capfd, "erase", folder, "--subject", "ada")[0] == 3
        assert Bodies(folder).marked()
        open_recorder(LogSettings(folder=folder)).close()
        assert not Bodies(folder).marked()

    def test_key_elsewhere(self, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """A ledger whose key isn't in the folder isn't signed with another."""
        (folder / files.PRIVATE).rename(tmp_path / "key")
        assert run(capfd, "erase", folder, "--subject", "ada")[0] == 2
        assert run(capfd, "erase", folder, "--subject", "ada", "--signing-key", tmp_path / "key")[0] == 0
        assert run(capfd, "verify", folder)[0] == 0


def test_checkpoint(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The newest checkpoint; an error when there is none."""
    code, out, _ = run(capfd, "checkpoint", folder)
    assert (code, json.loads(out)["seq"]) == (0, 4)
    (folder / files.NEWEST).unlink()
    assert run(capfd, "checkpoint", folder)[0] == 2
