# SPDX-License-Identifier: Apache-2.0
"""Hostile folders: bounded, never a crash, and what was not read makes the bill incomplete."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bastide.errors import InputError
from bastide.report.bom_check import check_cyclonedx, check_spdx
from bastide.report.bom_cyclonedx import cyclonedx
from bastide.report.bom_spdx import spdx
from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.evidence import read_scan
from bastide.verify.bom.folder import Limits
from bastide.verify.bom.model import Bill

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LAUGHS = b"---\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
for _c in range(98, 106):
    LAUGHS += b"%c: &%c [%s]\n" % (_c, _c, b",".join([b"*%c" % (_c - 1)] * 10))
LAUGHS += b"---\n"


def valid(bill: Bill) -> None:
    check_cyclonedx(cyclonedx(bill, "1.6", NOW))
    check_spdx(spdx(bill, NOW))


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("config.json", b"[" * 100_000, "nested deeper"),
        ("config.json", b'{"a": ' * 5000 + b"1", "no JSON"),
        ("config.json", b"{" + b"9" * 6000, "no JSON"),
        ("config.json", b'{"hidden_size": ' + b"9" * 6000 + b"}", "no JSON"),
        ("config.json", b"\xff\xfe{}", "no UTF-8"),
        ("config.json", b" " * (9 << 20), "more than 8 MiB"),
        (
            "README.md",
            b"---\na: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: *nothere\n---\n",
            "no anchor",
        ),
        ("README.md", LAUGHS, "no YAML"),
        ("README.md", b"---\n" + b"[" * 10_000 + b"\n---\n", "no YAML"),
        ("MLmodel", b"!!python/object:os.system {}\n\x00", "no YAML"),
        ("pyproject.toml", b"[[[", "no TOML"),
        ("model.safetensors", b"\xff" * 16, "header"),
        ("model.gguf", b"GGUF" + b"\xff" * 60, "header"),
        ("data/croissant.json", b'{"@context": ', "no JSON"),
        ("README.md", b"\n" * 60_000, "50000 lines"),
    ],
)
def test_what_can_not_be_read_is_said(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    path = tmp_path / "m" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    bill = collect([tmp_path / "m"])
    assert why in " ".join(bill.unread)
    document = cyclonedx(bill, "1.7", NOW)
    assert {"incomplete"} == {one["aggregate"] for one in document["compositions"]}
    valid(bill)


def test_names_that_control_a_terminal_or_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name in (b"a\x1b[31m\n.bin", b"\xff\xfe.bin", "\u202egpj.bin".encode(), b"x" * 250):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"1")
    bill = collect([folder])
    assert all(one.path.isprintable() for one in bill.models[0].files)
    assert len(bill.models[0].files) == 4
    valid(bill)


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret: 1")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "README.md")
    bill = collect([folder])
    assert bill.models[0].files == ()
    assert len(bill.unread) == 3


def test_too_many_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    (folder / "/".join("d" * 40)).mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.bin").write_bytes(b"1")
    bill = collect([folder], Sources(limits=Limits(files=20)))
    assert len(bill.models[0].files) == 20
    assert "more than 20 files" in " ".join(bill.unread)
    assert "deeper than 32 folders" in " ".join(collect([folder]).unread)


@pytest.mark.parametrize(
    "text",
    [
        "<!--" * 200_000,
        "**" * 200_000,
        "**a:" * 100_000,
        "- " * 200_000,
        "|" * 400_000,
        "`" * 400_000,
        "#" * 400_000,
        "---\n" * 20_000,
    ],
)
def test_long_odd_cards_take_little_time(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    begun = time.perf_counter()
    collect([tmp_path])
    assert time.perf_counter() - begun < 5


def test_many_ancestors_and_data_sets_are_bounded(tmp_path: Path) -> None:
    many = json.dumps([f"acme/m{n}" for n in range(3000)])
    (tmp_path / "README.md").write_text(f"---\nbase_model: {many}\ndatasets: {many}\n---\n")
    [model] = collect([tmp_path]).models
    assert len(model.ancestors) == 1000
    assert len(model.datasets) == 1000


FILES = [
    "README.md",
    "config.json",
    "MLmodel",
    "requirements.txt",
    "adapter_config.json",
    "data/croissant.json",
    "conda.yaml",
    "model.gguf",
]
KEYS = [
    "license", "base_model", "datasets", "metrics", "model-index", "name", "flavors", "signature", "@context", "distribution", "architectures",
    "dependencies", "quantization_config", "results", "dataset",
]  # fmt: skip
TEXTS = st.text(max_size=200).map(
    lambda t: f"---\nlicense: {t}\nname: {t}\nbase_model: {t}\n---\n# Uses\n{t}".encode("utf-8", "replace")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(FILES), st.binary(max_size=200) | TEXTS | VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_stands_there_the_bill_is_valid(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    """Any content gives a bill that both formats take, or a reason why it wasn't read."""
    folder = tmp_path_factory.mktemp("m")
    (folder / "data").mkdir()
    (folder / name).write_bytes(data)
    if name == "config.json":
        (folder / "README.md").write_bytes(b"---\n" + data + b"\n---\n")
    valid(collect([folder]))


@pytest.mark.parametrize("order", [("unsafe", "safe"), ("safe", "unsafe"), ("unknown", "unsafe", "safe")])
def test_of_one_content_the_worse_verdict_counts(order: tuple[str, ...], tmp_path: Path) -> None:
    """A later entry of a scan doesn't hide an earlier one."""
    scan = tmp_path / "scan.json"
    files = [{"path": f"{n}.bin", "sha256": "a" * 64, "verdict": said} for n, said in enumerate(order)]
    scan.write_text(json.dumps({"schema_version": 1, "files": files}))
    assert read_scan(scan).by_digest["a" * 64][0] == "unsafe"


def test_a_scan_that_says_two_things_at_once_is_refused(tmp_path: Path) -> None:
    """Which of two equal keys counts is another thing for each reader."""
    scan = tmp_path / "scan.json"
    scan.write_text(
        '{"schema_version": 1, "files": [{"sha256": "%s", "verdict": "unsafe", "verdict": "safe"}]}' % ("a" * 64)
    )
    with pytest.raises(InputError, match="`verdict` twice"):
        read_scan(scan)
