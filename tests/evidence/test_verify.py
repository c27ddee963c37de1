# SPDX-License-Identifier: Apache-2.0
"""The check: any change of what is covered by a signature is found; what can't be known is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.ledger import Ledger, Options
from bastide.evidence.line import seal
from bastide.evidence.read import entries
from bastide.evidence.verify import verify


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of three segments, closed as it should be."""
    folder = tmp_path_factory.mktemp("ledger") / "log"
    with Ledger(folder, Options(checkpoint_every=4, segment_bytes=1500)) as ledger:
        for n in range(14):
            ledger.append({"n": n})
    assert len(files.segments(folder)) >= 3
    assert verify(folder).whole
    return folder


def copy_of(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(written, tmp_path_factory.mktemp("copy") / "log"))


@given(data=st.data())
@settings(max_examples=120)
def test_any_byte(written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whichever byte of a closed ledger is changed, to whatever: it is found, in the right file."""
    folder = copy_of(written, tmp_path_factory)
    path = data.draw(st.sampled_from([path for _, path in files.segments(folder)]))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = (content[at] + data.draw(st.integers(1, 255))) % 256
    path.write_bytes(content)
    report = verify(folder)
    assert report.state == "broken"
    assert report.first_break is not None
    shutil.rmtree(folder.parent)


@given(data=st.data(), change=st.sampled_from(["remove", "swap", "double", "insert", "cut"]))
@settings(max_examples=100)
def test_any_line(written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, change: str) -> None:
    """Whichever line of a closed ledger is removed, doubled, swapped, or put in: it is found."""
    folder = copy_of(written, tmp_path_factory)
    path = data.draw(st.sampled_from([path for _, path in files.segments(folder)]))
    lines = path.read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    if change == "remove":
        del lines[at]
    elif change == "swap":
        other = data.draw(st.integers(0, len(lines) - 1).filter(lambda n: n != at))
        lines[at], lines[other] = lines[other], lines[at]
    elif change == "double":
        lines.insert(at, lines[at])
    elif change == "insert":
        prev = json.loads(lines[at])["prev"]
        lines.insert(at, seal(json.loads(lines[at])["seq"], 1, 1, prev, b'{"n":99}')[0])
    else:
        lines = lines[:at]
    path.write_bytes(b"".join(lines))
    assert verify(folder).state == "broken"
    shutil.rmtree(folder.parent)


def test_first_break_has_its_place(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first break is told with file and line; what comes after is checked too."""
    folder = copy_of(written, tmp_path_factory)
    path = files.segments(folder)[0][1]
    path.write_bytes(path.read_bytes().replace(b'{"n":1}', b'{"n":7}'))
    report = verify(folder)
    assert str(report.first_break).startswith(f"{path.name}:3: ")
    assert report.last == verify(written).last


def rewritten(folder: Path, change: bytes, to: bytes, *, sign: bool = False) -> None:
    """What a forger does who knows how the chain is made, and has no key."""
    prev = "0" * 64
    for _, path in files.segments(folder):
        lines = []
        for raw in path.read_bytes().splitlines():
            document = json.loads(raw)
            entry = raw[raw.index(b'"entry":') + 8 : raw.rindex(b',"hash":')].replace(change, to)
            if document["entry"].get("kind") == "checkpoint" and not sign:
                entry = entry.replace(document["entry"]["head"].encode(), prev.encode())
            line, prev = seal(document["seq"], document["time"], document["mono"], prev, entry)
            lines.append(line)
        path.write_bytes(b"".join(lines))


def test_new_chain_over_other_entries(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A chain that was computed anew doesn't have the signatures."""
    folder = copy_of(written, tmp_path_factory)
    rewritten(folder, b'{"n":1}', b'{"n":7}')
    report = verify(folder)
    assert report.state == "broken"
    assert "wrong signature" in str(report.first_break)


def test_own_key_of_a_forger(written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A forger who replaces the key too is found with the key that was kept elsewhere, and only with that."""
    key = next(written.glob("key-*")).read_bytes()
    folder = tmp_path_factory.mktemp("forged") / "log"
    with Ledger(folder) as ledger:
        ledger.append({"n": 7})
    assert verify(folder).whole
    assert any("beside the ledger" in limit for limit in verify(folder).limits)
    assert verify(folder, key).state == "broken"
    assert verify(written, key).state == "whole"


class TestTail:
    def cut(self, written: Path, folders: pytest.TempPathFactory, *, forget: bool) -> Path:
        """Cut back to an earlier checkpoint, as somebody does who knows how; the newest checkpoint replaced or not."""
        folder = copy_of(written, folders)
        [*_, (_, last)] = files.segments(folder)
        last.unlink()
        if forget:
            (folder / files.NEWEST).unlink()
        return folder

    def test_seen_by_the_newest_checkpoint(self, written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A tail that was cut off is missed by the newest checkpoint."""
        report = verify(self.cut(written, tmp_path_factory, forget=False))
        assert "the tail was cut off" in str(report.first_break)

    def test_not_seen_without_it(self, written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Without any copy elsewhere it can't be seen; the report says so and doesn't claim it."""
        report = verify(self.cut(written, tmp_path_factory, forget=True))
        assert report.state == "whole"
        assert any("can't be seen" in limit for limit in report.limits)

    def test_seen_with_an_anchor(self, written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A checkpoint that was kept elsewhere shows it."""
        folder = self.cut(written, tmp_path_factory, forget=True)
        report = verify(folder, anchors=[written / files.NEWEST])
        assert "the tail was cut off" in str(report.first_break)

    def test_anchor_that_fits(self, written: Path) -> None:
        """With the newest checkpoint from elsewhere nothing is left unknown about the end."""
        key = next(written.glob("key-*")).read_bytes()
        report = verify(written, key, [written / files.NEWEST])
        assert (report.state, report.anchored, report.limits) == ("whole", report.last - 1, [])

    def test_anchor_of_another_ledger(self, written: Path, tmp_path: Path) -> None:
        """An anchor of another ledger doesn't fit."""
        with Ledger(tmp_path / "other", Options(signing_key=(written / files.PRIVATE).read_bytes())) as ledger:
            ledger.append({"n": 0})
        report = verify(written, anchors=[tmp_path / "other" / files.NEWEST])
        assert "another ledger" in str(report.first_break)


def test_nothing_signed_is_unproven(tmp_path: Path) -> None:
    """A chain without a signature proves nothing; nor does one without a known key."""
    ledger = Ledger(tmp_path / "log")
    ledger.append({"n": 1})
    assert verify(tmp_path / "log").state == "unproven"
    ledger.close()
    assert verify(tmp_path / "log").state == "whole"
    next((tmp_path / "log").glob("key-*")).unlink()
    report = verify(tmp_path / "log")
    assert report.state == "unproven"
    assert "no public key is known, so no signature was checked" in report.limits


def test_running_ledger(tmp_path: Path) -> None:
    """A ledger can be checked while it is written; a write that is going on is no break."""
    with Ledger(tmp_path / "log", Options(checkpoint_every=2)) as ledger:
        for n in range(5):
            ledger.append({"n": n})
        path = files.segments(tmp_path / "log")[0][1]
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"seq":99,')
        report = verify(tmp_path / "log")
        path.write_bytes(whole)
        assert (report.state, report.torn) == ("whole", 10)


def test_stub(tmp_path: Path) -> None:
    """A stub that was changed doesn't stand for anything."""
    folder = tmp_path / "log"
    now = [1]
    with Ledger(folder, Options(segment_bytes=1, clock=lambda: now[0])) as ledger:
        for n in range(3):
            now[0] = n * 1000
            ledger.append({"n": n})
        ledger.prune(1500)
    assert verify(folder).whole
    stub = json.loads((folder / files.STUB).read_text())
    for changed in ({"seq": stub["seq"] - 1}, {"head": "0" * 64}, {"ledger": "x"}, {"signature": "AAAA"}, {"key": "x"}):
        (folder / files.STUB).write_text(json.dumps(stub | changed))
        assert verify(folder).state == "broken"
    (folder / files.STUB).unlink()
    assert "missing before it" in str(verify(folder).first_break)


garbage = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([b"{}", b"[]", b"null", b"[" * 5000, b'{"seq":1}', b'{"n":' * 3000, b"\xff\xfe", b"1" * 5000]),
)


@given(content=garbage, name=st.sampled_from(["segment", files.NEWEST, files.STUB, "key-0.pub.pem", "sealed"]))
@settings(max_examples=150)
def test_garbage(written: Path, tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    """Whatever lies in the folder, the answer is a report (or the error that something can't be read)."""
    folder = copy_of(written, tmp_path_factory)
    segment = files.segments(folder)[-1][1]
    if name == "segment":
        segment.write_bytes(content + b"\n" + segment.read_bytes())
    elif name == "sealed":
        # With a right hash around it: what comes after the hash has to stand hostile content too.
        segment.write_bytes(segment.read_bytes() + seal(1, 1, 1, "0" * 64, content)[0])
    else:
        (folder / name).write_bytes(content)
    report = verify(folder)
    assert report.document()["state"] in ("whole", "broken", "unproven")
    assert report.state != "whole" or name.startswith("key")
    list(entries(folder))
    shutil.rmtree(folder.parent)


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["kind", "content", "body", "subject", "day", "id", "seq", "head", "ledger", "key", "bodies_before", "signature", "time"]
    ), inner, max_size=5), max_leaves=12,
)  # fmt: skip


@given(
    entry=st.dictionaries(
        st.sampled_from(["content", "subject", "seq", "head", "ledger", "key", "bodies_before"]), hostile
    ),
    kind=st.sampled_from(["checkpoint", "erasure", "retention", "ledger", "key", "request", "torn"]),
)
@settings(max_examples=150)
def test_hostile_entries(tmp_path_factory: pytest.TempPathFactory, entry: dict[str, object], kind: str) -> None:
    """Entries of a right chain can say anything; the check survives it."""
    folder = tmp_path_factory.mktemp("hostile") / "log"
    with Ledger(folder, Options(sync_interval=0)) as ledger:
        try:
            ledger.append({"kind": kind, **entry})
        except LedgerError:
            return
    assert verify(folder).document()
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_what_is_no_file(written: Path, tmp_path_factory: pytest.TempPathFactory, what: str) -> None:
    """Links, folders and pipes in a segment's place are reported, not followed or waited for."""
    import os

    folder = copy_of(written, tmp_path_factory)
    path = files.segments(folder)[1][1]
    path.unlink()
    if what == "link":
        path.symlink_to("/etc/passwd")
    elif what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert verify(folder).state == "broken"


def test_no_ledger(tmp_path: Path) -> None:
    """A folder without a ledger, no folder, no anchor: errors that say so."""
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(LedgerError):
            verify(folder)
        with pytest.raises(LedgerError):
            list(entries(folder))
    with pytest.raises(LedgerError, match="no public key"):
        verify(tmp_path, b"nonsense")
    with pytest.raises(LedgerError, match="no such file"):
        verify(tmp_path, anchors=[tmp_path / "absent.json"])
