# SPDX-License-Identifier: Apache-2.0
"""A design against what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.catalog.load import load_vocabulary
from bastide.discover.discover import discover
from bastide.discover.merge import Merge, Standing, merge
from bastide.discover.patch import proposal
from bastide.discover.result import Discovery
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan

COMPOSE = """\
services:
  chat:
    image: n8nio/n8n:1.100.0
    ports: ["5678:5678"]
    environment: {VECTORS_URL: "http://vectors:6333", MODEL_URL: "http://models:11434"}
  vectors:
    image: qdrant/qdrant:v1.15.0
  models:
    image: ollama/ollama:0.6.0
"""
PLAN = """\
# Approved in spring.
bastide: 1
system: chat
zones:
  app: {trust: workload}
components:
  chat: {kind: app.workflow, zone: app}  # the engine
  index: {kind: data.vector-store, platform: qdrant, authentication: shared-key}
  archive: {kind: data.object-store, name: Archive}
flows:
  - chat <-> index
# the end
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with a compose file."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    return tmp_path


def compared(text: str, folder: Path) -> tuple[Plan, Discovery, Merge]:
    """A plan's text against a folder."""
    vocabulary = load_vocabulary()
    plan, found = parse_plan(text, vocabulary), discover(folder)
    return plan, found, merge(plan, found, vocabulary)


def test_parts_of_the_design_stand_in_one_of_five_ways(repository: Path) -> None:
    """The same by name or by kind and platform; contradicted by a default; undocumented; not in the files."""
    _, _, merged = compared(PLAN, repository)
    assert merged.pairs == {"chat": "chat", "index": "vectors"}
    (contradicted,) = merged.of(Standing.CONTRADICTED)
    assert (contradicted.part, contradicted.attribute, contradicted.designed, contradicted.found) == (
        "index",
        "authentication",
        "shared-key",
        "none",
    )
    assert "the design says authentication shared-key; it is none by default" in contradicted.message
    assert [d.part for d in merged.of(Standing.UNDOCUMENTED)] == ["models"]
    assert [d.part for d in merged.of(Standing.UNVERIFIABLE)] == ["archive"]


def test_a_person_says_which_is_which(repository: Path) -> None:
    """`x-found` goes before all guesses."""
    text = PLAN.replace("archive: {kind: data.object-store,", "archive: {kind: data.object-store, x-found: models,")
    _, _, merged = compared(text, repository)
    assert merged.pairs["archive"] == "models"


def test_what_stood_in_a_file_that_was_read_is_missing(repository: Path) -> None:
    """Discovered once, gone now: missing. Where its file isn't read, it is unverifiable, never removed."""
    gone = '  old: {kind: data.cache, authentication: {value: none, source: discovered, evidence: "%s:9"}}\nflows:'
    _, _, merged = compared(PLAN.replace("flows:", gone % "compose.yaml"), repository)
    assert [d.part for d in merged.of(Standing.MISSING)] == ["old"]
    _, _, merged = compared(PLAN.replace("flows:", gone % "other/compose.yaml"), repository)
    assert merged.of(Standing.MISSING) == []
    (repository / "compose.yaml").write_text(COMPOSE + "  broken: [\n")
    _, _, merged = compared(PLAN.replace("flows:", gone % "compose.yaml"), repository)
    assert merged.of(Standing.MISSING) == []


def test_a_proposal_keeps_comments_and_closes_the_gap(repository: Path) -> None:
    """With it applied, nothing is undocumented or contradicted, and every old line is there but the one that changed."""
    plan, found, merged = compared(PLAN, repository)
    patch = proposal(PLAN, "bastide.yaml", plan, found, merged, load_vocabulary())
    removed = [line for line in patch.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == ["-  index: {kind: data.vector-store, platform: qdrant, authentication: shared-key}"]
    after = applied(PLAN, patch)
    assert "# the engine" in after
    assert after.endswith("# the end\n")
    _, _, again = compared(after, repository)
    assert again.of(Standing.UNDOCUMENTED, Standing.CONTRADICTED, Standing.MISSING) == []


def test_a_proposal_names_the_new_place(repository: Path) -> None:
    """A value that was found elsewhere, under a line that said where: both change."""
    old = 'authentication: {value: shared-key, source: discovered, evidence: "compose.yaml:99"}'
    text = PLAN.replace("authentication: shared-key", old)
    plan, found, merged = compared(text, repository)
    (contradicted,) = merged.of(Standing.CONTRADICTED)
    after = applied(text, proposal(text, "bastide.yaml", plan, found, merged, load_vocabulary()))
    assert f'authentication: {{value: none, source: discovered, evidence: "{contradicted.place}"}}' in after
    assert "compose.yaml:99" not in after


def test_nothing_to_propose(repository: Path) -> None:
    """A design that has everything needs no patch."""
    plan, found, merged = compared(PLAN, repository)
    after = applied(PLAN, proposal(PLAN, "bastide.yaml", plan, found, merged, load_vocabulary()))
    plan, found, merged = compared(after, repository)
    assert proposal(after, "bastide.yaml", plan, found, merged, load_vocabulary()) == ""


def applied(text: str, patch: str) -> str:
    """A text with a unified diff of it applied; an oracle of its own, by hunks."""
    lines, result, at = text.splitlines(), [], 0
    for line in patch.splitlines()[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:]) - 1
            result += lines[at:start]
            at = start
        elif line.startswith("+"):
            result.append(line[1:])
        elif line.startswith("-"):
            assert lines[at] == line[1:]
            at += 1
        else:
            assert lines[at] == line[1:]
            result.append(line[1:])
            at += 1
    return "\n".join([*result, *lines[at:]]) + "\n"
