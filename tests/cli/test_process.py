# SPDX-License-Identifier: Apache-2.0
"""The program as a process: start-up, streams, signals, terminals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bastide.cli.main import cli
from tests.cli.conftest import PLAN

BASTIDE = [sys.executable, "-m", "bastide"]
HEAVY = [
    "yaml",
    "rich",
    "jinja2",
    "highspy",
    "msgspec",
    "bastide.plan",
    "bastide.catalog",
    "bastide.threats",
    "bastide.report",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bastide.yaml").write_text(PLAN)
    return tmp_path


def bastide(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("BASTIDE_DEBUG", "NO_COLOR", "COLUMNS")} | environment
    return subprocess.run([*BASTIDE, *args], cwd=folder, capture_output=True, text=True, env=env, check=False)


def test_help_imports_nothing_heavy(folder: Path) -> None:
    """What a command needs is imported inside it, so that help and completion are quick."""
    script = (
        "import sys\nfrom bastide.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    for args in (["--help"], ["assess", "--help"], ["catalog", "--help"], ["--version"], ["version"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *args], capture_output=True, text=True, check=True, cwd=folder
        )
        loaded = set(done.stderr.split())
        assert "click" in loaded
        assert [name for name in HEAVY if name in loaded] == []


def test_json_needs_no_terminal_library(folder: Path) -> None:
    """Machine output is made without rich and jinja2; the solver is loaded for the control set only."""
    script = "import sys\nfrom bastide.cli.main import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    args = ["assess", "-f", "json", "--no-hardening"]
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, check=True, cwd=folder)
    assert json.loads(done.stdout)["findings"]
    assert [name for name in ("rich", "jinja2", "highspy", "numpy") if name in done.stderr.split()] == []


def test_streams_and_exit_codes(folder: Path) -> None:
    """Results on stdout, messages on stderr, the verdict in the exit code."""
    good = bastide(folder, "assess", "-f", "json")
    assert (good.returncode, good.stderr) == (0, "")
    json.loads(good.stdout)
    assert bastide(folder, "gate").returncode == 1
    bad = bastide(folder, "assess", "nothing.yaml")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "error: nothing.yaml: no such file\n"
    assert bastide(folder, "assess", "--no-such-option").returncode == 2


@pytest.mark.parametrize(
    "args", [["catalog", "list", "-f", "json"], ["assess"], ["gate"], ["--help"], ["version"]], ids=" ".join
)
def test_a_reader_that_goes_away_is_no_error(folder: Path, args: list[str]) -> None:
    """`bastide assess | head -1` ends in silence, with the code of a program that SIGPIPE ended: 1 would mean findings."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*BASTIDE, *args], cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said(folder: Path) -> None:
    """For standard output as for a file; the exit code isn't 0."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*BASTIDE, "assess", "-f", "json"], cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    named = bastide(folder, "assess", "-f", "json", "-o", "/dev/full")
    assert named.returncode == 2
    assert "No space left" in named.stderr


def test_a_device_is_written_to_and_not_replaced(folder: Path) -> None:
    done = bastide(folder, "assess", "-f", "json", "-o", "/dev/stdout")
    assert done.returncode == 0
    assert json.loads(done.stdout)["findings"]
    assert bastide(folder, "assess", "-f", "json", "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


def test_interrupt(folder: Path) -> None:
    """Ctrl-C gives 130 and one word."""
    (folder / "big.yaml").write_text(
        "bastide: 1\nsystem: s\ndata:\n" + "".join(f"  d{n}: {{class: internal}}\n" for n in range(150_000))
    )
    child = subprocess.Popen(
        [*BASTIDE, "assess", "big.yaml"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(0.8)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors.strip() == "aborted"


def on_terminal(folder: Path, **environment: str) -> str:
    """What a terminal of 100 columns is sent."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    with subprocess.Popen([*BASTIDE, "assess"], cwd=folder, stdout=theirs, stderr=theirs, env=env) as child:
        os.close(theirs)
        chunks = []
        try:
            while data := os.read(ours, 65536):
                chunks.append(data)
        except OSError:  # what Linux says at the end
            pass
        child.wait()
    os.close(ours)
    return b"".join(chunks).decode()


def test_colour_on_terminals_only(folder: Path) -> None:
    """A terminal gets colour unless NO_COLOR is set; pipes and files never do."""
    assert "\x1b[" in on_terminal(folder)
    assert "\x1b[31m" not in on_terminal(folder, NO_COLOR="1")
    assert "\x1b[4" not in on_terminal(folder, NO_COLOR="1")
    assert "\x1b" not in on_terminal(folder, TERM="dumb")
    assert "\x1b" not in bastide(folder, "assess").stdout
    bastide(folder, "assess", "-o", "r.txt")
    assert "\x1b" not in (folder / "r.txt").read_text()


def test_any_locale(folder: Path) -> None:
    """Arrows and quotes come out as UTF-8 even where the locale is ASCII."""
    done = subprocess.run([*BASTIDE, "assess"], cwd=folder, capture_output=True, check=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})  # fmt: skip
    assert "kb → assistant → refund" in done.stdout.decode("utf-8")
    wrong = subprocess.run([*BASTIDE, "assess", "caf\u00e9.yaml"], cwd=folder, capture_output=True, check=False,
                           env={**os.environ, "PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert wrong.returncode == 2
    assert b"no such file" in wrong.stderr


def test_a_defect_is_called_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception is a short message and exit code 2; BASTIDE_DEBUG=1 shows where it is."""
    from bastide.cli import work

    def broken(*_: object) -> None:
        raise KeyError("oh")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(work, "read_catalog", broken)
    with pytest.raises(SystemExit) as end:
        cli.main(["assess"], prog_name="bastide")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "this is a defect in Bastide" in said
    assert "KeyError" in said
    assert "Traceback" not in said
    monkeypatch.setenv("BASTIDE_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main(["assess"], prog_name="bastide")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """The working directory may have been deleted."""
    gone = tmp_path / "gone"
    gone.mkdir()
    (tmp_path / "bastide.yaml").write_text(PLAN)
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -P -m bastide assess {tmp_path}/bastide.yaml -f json"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["findings"]


def test_two_writers_leave_one_whole_file(folder: Path) -> None:
    """Several runs that write the same file at once leave one whole document, and no drafts."""
    children = [subprocess.Popen([*BASTIDE, "assess", "-q", "-o", "r.json"], cwd=folder) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert json.loads((folder / "r.json").read_text())["findings"]
    assert sorted(f.name for f in folder.iterdir()) == ["bastide.yaml", "r.json"]


def test_decisions_at_the_same_time_all_stay(folder: Path) -> None:
    """Each reads the side file, changes it and writes it; none undoes what another wrote in between."""
    found = json.loads(bastide(folder, "assess", "-f", "json").stdout)
    ids = sorted({id for q in found["questions"] for id in q["could_open"]})[:4]
    words = ["--state", "false-positive", "--owner", "o", "--reason", "r"]
    running = [
        subprocess.Popen([*BASTIDE, "decide", "bastide.yaml", id, *words], cwd=folder, stderr=subprocess.DEVNULL)
        for id in ids
    ]
    assert [process.wait(timeout=60) for process in running] == [0] * len(ids)
    text = (folder / "bastide.findings.yaml").read_text()
    assert len(ids) > 1
    assert [id for id in ids if id not in text] == []


def test_closed_streams(folder: Path) -> None:
    """A result that nobody can get is an error; a file needs no standard output, defaults no standard input."""
    call = f"{sys.executable} -m bastide"
    for command, code in (
        ("assess >&-", 2),
        ("assess -f json >&-", 2),
        ("assess -o report.html >&-", 0),
        ("assess -q -o report.html >&- 2>&- <&-", 0),
        ("init -o new.yaml <&-", 0),
        ("assess missing.yaml 2>&-", 2),
    ):
        done = subprocess.run(["sh", "-c", f"{call} {command}"], cwd=folder, capture_output=True, check=False)
        assert done.returncode == code, (command, done.stderr)
        assert b"defect" not in done.stderr
    assert (folder / "report.html").stat().st_size > 1000
    assert (folder / "new.yaml").exists()
