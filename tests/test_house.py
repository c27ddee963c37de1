# SPDX-License-Identifier: Apache-2.0
"""The house itself: what ships, what is locked, and that the documents point at things that exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
RUN_COMMAND = re.compile(r"\./run ([a-z]+)")


def tracked(repo: Path, *patterns: str) -> list[Path]:
    """Files that git knows and that still exist; all files of the patterns where this is no checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=repo, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        return [path for pattern in patterns for path in repo.rglob(pattern) if ".venv" not in path.parts]
    return [repo / name for name in listing.stdout.split("\0") if name and (repo / name).is_file()]


def test_every_python_file_names_its_licence(repo: Path) -> None:
    """The SPDX line opens each Python file, so a copied file still says under which terms."""
    files = tracked(repo, "*.py")
    assert files
    without = [
        str(f.relative_to(repo)) for f in files if "SPDX-License-Identifier: Apache-2.0" not in f.read_text()[:120]
    ]
    assert without == []


def test_modules_stay_small(repo: Path) -> None:
    """A module over 400 lines holds more than one idea."""
    long = {f.name: n for f in tracked(repo, "src/*.py") if (n := len(f.read_text().splitlines())) > 400}
    assert long == {}


def test_constraints_pin_every_dependency_and_hold_no_address(repo: Path) -> None:
    """Each direct dependency is locked to one version, and the lock says nothing about where it came from."""
    lines = [x for x in (repo / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+", line) for line in lines), lines
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ \[;]", spec)[0]).lower() for spec in wanted}
    assert names - pinned == {"bastide"}


def test_links_between_documents_lead_somewhere(repo: Path) -> None:
    """A relative link in a document names a file or folder of the repository."""
    dead = [
        f"{document.relative_to(repo)} -> {target}"
        for document in tracked(repo, "*.md")
        for target in LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert dead == []


def test_every_decision_is_listed(repo: Path) -> None:
    """The index of decisions names each record once, under its title."""
    index = (repo / "docs/adr/README.md").read_text()
    records = sorted((repo / "docs/adr").glob("[0-9]*.md"))
    assert records
    for record in records:
        number, title = record.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)
        assert record.name.startswith(number)
        assert f"| [{number}]({record.name}) | {title} |" in index


def test_documents_name_only_commands_that_run_knows(repo: Path) -> None:
    """Each `./run X` in a document is a command of the script, and a wrong one is a usage error."""
    script = (repo / "run").read_text()
    known = set(re.findall(r"^    ([a-z |]+?)(?: \| -h \| --help)?\)", script, re.MULTILINE))
    words = {word for group in known for word in group.split(" | ")}
    named = {word for d in tracked(repo, "*.md") for word in RUN_COMMAND.findall(d.read_text())}
    assert named
    assert named <= words
    wrong = subprocess.run([repo / "run", "no-such-command"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "unknown command" in wrong.stderr


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(repo: Path, tmp_path: Path) -> None:
    """What is in `src/bastide` is in the wheel: knowledge, templates, styles, scripts, the typing marker."""
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=repo,
        check=True,
        capture_output=True,
        env=environment,
    )
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("bastide/")}
    expected = {
        str(f.relative_to(repo / "src"))
        for f in (repo / "src/bastide").rglob("*")
        if f.is_file() and "__pycache__" not in f.parts
    }
    assert expected
    assert expected - inside == set()
