# SPDX-License-Identifier: Apache-2.0
"""The writer: what is acknowledged is there, whole and chained, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.ledger import Ledger, Options
from bastide.evidence.line import LONGEST
from bastide.evidence.read import entries
from bastide.evidence.verify import verify

DAY = 86_400 * 10**9


def numbers(folder: Path) -> list[int]:
    """The `n` of the entries that have one."""
    return [line.entry["n"] for line in entries(folder) if "n" in line.entry]


def kinds(folder: Path) -> list[str]:
    return [line.entry["kind"] for line in entries(folder) if "kind" in line.entry]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_goes_on_where_it_ended(folder: Path) -> None:
    """A ledger that is opened again goes on with the next number and the same chain."""
    for n in range(3):
        with Ledger(folder) as ledger:
            ledger.append({"n": n})
    assert numbers(folder) == [0, 1, 2]
    assert verify(folder).state == "whole"


def test_all_or_nothing_in_one_write(folder: Path) -> None:
    """A batch is one write."""
    writes = []

    def write(handle: int, data: bytes) -> int:
        writes.append(data)
        return os.write(handle, data)

    with Ledger(folder, Options(write=write)) as ledger:
        writes.clear()
        ledger.append_all([{"n": n} for n in range(5)])
        assert len(writes) == 1


def test_acknowledged_is_readable_at_once(folder: Path) -> None:
    """When `append` returns, another process can read the entry."""
    with Ledger(folder) as ledger:
        seq = ledger.append({"n": 7})
        assert [(line.seq, line.entry) for line in entries(folder)][-1] == (seq, {"n": 7})


def test_durable_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`disk` returns only after an fsync that began after the write."""
    with Ledger(folder, Options(sync_interval=5)) as ledger:
        synced: list[int] = []
        real = os.fsync
        monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_size), real(handle)))
        ledger.append({"n": 1}, "disk")
        assert synced[-1] == next(iter(folder.glob("segment-*"))).stat().st_size


def test_failed_fsync_stops_the_ledger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync nothing is acknowledged any more: the kernel may have dropped what it could not write."""
    ledger = Ledger(folder)
    real = os.fsync

    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(LedgerError, match="may not be on the disk"):
        ledger.append({"n": 1}, "disk")
    monkeypatch.setattr(os, "fsync", real)
    with pytest.raises(LedgerError, match="may not be on the disk"):
        ledger.append({"n": 2})
    ledger.close()


def test_many_threads(folder: Path) -> None:
    """Entries of many threads form one chain."""
    with Ledger(folder, Options(checkpoint_every=7)) as ledger, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.append({"n": n}), range(200)))
    assert sorted(numbers(folder)) == list(range(200))
    assert verify(folder).whole


def test_second_writer_is_refused(folder: Path) -> None:
    """A folder has one writer; the second is told so."""
    with Ledger(folder), pytest.raises(LedgerError, match=f"process {os.getpid()}.*one writer"):
        Ledger(folder)
    Ledger(folder).close()


def test_closed(folder: Path) -> None:
    """A closed ledger takes nothing, and can be closed again."""
    ledger = Ledger(folder)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append({"n": 1})


@pytest.mark.parametrize("entry", [{"x": object()}, {"x": {1j}}, {"x": "a" * LONGEST}])
def test_what_cannot_be_written(folder: Path, entry: dict[str, Any]) -> None:
    """An entry without a form in JSON, or too large, is refused; the ledger goes on."""
    with Ledger(folder) as ledger:
        with pytest.raises(LedgerError):
            ledger.append(entry)
        ledger.append({"n": 1})
    assert numbers(folder) == [1]


def test_hostile_text_is_written(folder: Path) -> None:
    """Half surrogates, which JSON can carry and UTF-8 can't, don't keep a request out of the log."""
    with Ledger(folder) as ledger:
        ledger.append({"text": "a\ud800b", "deep": [{"\udfff": ("x",)}]})
    assert {"text": "a?b", "deep": [{"?": ["x"]}]} in [line.entry for line in entries(folder)]


class TestCrash:
    def test_torn_at_every_byte(self, folder: Path) -> None:
        """Wherever in the last entry a crash cuts the file: the entries before it stay, the rest is put aside and recorded."""
        with Ledger(folder) as ledger:
            ledger.append({"n": 1})
        path = next(iter(folder.glob("segment-*")))
        (folder / files.NEWEST).unlink()  # as after a crash before the next checkpoint
        good = path.read_bytes()
        whole = good[: good.rstrip(b"\n").rfind(b"\n") + 1]
        last = good[len(whole) :]
        for cut in range(1, len(last), 7 if len(last) > 300 else 1):
            path.write_bytes(whole + last[:cut])
            Ledger(folder).close()
            assert numbers(folder) == [1]
            [torn] = [line.entry for line in entries(folder) if line.entry.get("kind") == "torn"]
            assert torn["bytes"] == cut
            assert (folder / torn["file"]).read_bytes() == last[:cut]
            report = verify(folder)
            assert (report.state, report.repaired) == ("whole", 1)
            (folder / torn["file"]).unlink()
            (folder / files.NEWEST).unlink()

    def test_cut_that_was_not_yet_recorded(self, folder: Path) -> None:
        """A crash between the cut and its entry: the entry is made up for."""
        with Ledger(folder) as ledger:
            ledger.append({"n": 1})
        path = next(iter(folder.glob("segment-*")))
        note = folder / f"{path.stem}.{path.stat().st_size}.torn"
        note.write_bytes(b"half")
        Ledger(folder).close()
        Ledger(folder).close()
        assert kinds(folder).count("torn") == 1

    def test_zeros_after_a_power_cut(self, folder: Path) -> None:
        """What a file system left as zeros was never on the disk: it is cut off, from the line in which it begins."""
        with Ledger(folder) as ledger:
            ledger.append({"n": 1})
        path = next(iter(folder.glob("segment-*")))
        with path.open("ab") as stream:
            stream.write(b'{"seq":' + b"\0" * 5000 + b"\n{}\n")
        Ledger(folder).close()
        assert numbers(folder) == [1]
        assert verify(folder).whole

    def test_before_the_first_entry(self, folder: Path) -> None:
        """A crash while the very first line was written leaves a ledger that can begin."""
        with Ledger(folder):
            pass
        path = next(iter(folder.glob("segment-*")))
        (folder / files.NEWEST).unlink()
        for start in (b"", b'{"seq":1'):
            path.write_bytes(start)
            with Ledger(folder) as ledger:
                ledger.append({"n": 1})
            assert numbers(folder) == [1]
            assert verify(folder).whole
            (folder / files.NEWEST).unlink()

    def test_empty_segment_after_rotation(self, folder: Path) -> None:
        """A crash right after a new segment was made: the chain goes on in it."""
        with Ledger(folder) as ledger:
            ledger.append({"n": 1})
            last = ledger.seq + 1
        files.segment(folder, last + 1).touch()
        with Ledger(folder) as ledger:
            ledger.append({"n": 2})
        assert numbers(folder) == [1, 2]
        assert verify(folder).whole

    def test_changed_ledger_is_not_written_on(self, folder: Path) -> None:
        """A ledger that was changed is evidence: nothing is added, and the message says where."""
        with Ledger(folder) as ledger:
            ledger.append({"n": 1})
        path = next(iter(folder.glob("segment-*")))
        path.write_bytes(path.read_bytes().replace(b'{"n":1}', b'{"n":2}'))
        with pytest.raises(LedgerError, match=rf"{path.name}:2: .*changed"):
            Ledger(folder)

    def test_shorter_than_its_checkpoint(self, folder: Path) -> None:
        """Entries that the newest checkpoint is about can't get lost by a crash; somebody took them."""
        with Ledger(folder) as ledger:
            ledger.append_all([{"n": n} for n in range(5)])
        path = next(iter(folder.glob("segment-*")))
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
        with pytest.raises(LedgerError, match="entries were removed"):
            Ledger(folder)


class TestFullDisk:
    def test_partial_write_is_taken_back(self, folder: Path) -> None:
        """A write that fails half-way leaves nothing; when there is space again, the ledger goes on."""
        room = [10**9]

        def write(handle: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            done = os.write(handle, data[: room[0]])
            room[0] -= done
            return done

        with Ledger(folder, Options(write=write)) as ledger:
            ledger.append({"n": 1})
            before = ledger.seq
            for space in (0, 1, 40, 150):
                room[0] = space
                with pytest.raises(LedgerError, match="No space left"):
                    ledger.append_all([{"n": 2}, {"n": 3}])
                assert ledger.seq == before
                assert verify(folder).problem_count == 0
            room[0] = 10**9
            ledger.append({"n": 4})
        assert numbers(folder) == [1, 4]
        assert verify(folder).whole

    def test_checkpoint_that_does_not_fit(self, folder: Path) -> None:
        """The entry was written, so it is acknowledged; its checkpoint follows when there is space."""
        full = [False]

        def write(handle: int, data: bytes) -> int:
            if full[0] and b'"checkpoint"' in data:
                raise OSError(28, "No space left on device")
            return os.write(handle, data)

        with Ledger(folder, Options(write=write, checkpoint_every=1)) as ledger:
            full[0] = True
            ledger.append({"n": 1})
            full[0] = False
            ledger.append({"n": 2})
        assert numbers(folder) == [1, 2]
        assert verify(folder).uncovered == 1

    def test_real_limit(self, folder: Path) -> None:
        """The same with the operating system's own limit on a file's size."""
        program = (
            "import resource, sys; from pathlib import Path\n"
            "from bastide.errors import LedgerError; from bastide.evidence.ledger import Ledger\n"
            "ledger = Ledger(Path(sys.argv[1])); soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard)); failed = False; n = 0\n"
            "while not failed:\n"
            "    try: n = ledger.append({'n': n, 'x': 'y' * 300}) and n + 1\n"
            "    except LedgerError: failed = True\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)); ledger.append({'n': n}); ledger.close(); print(n)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60, check=True
        )
        assert numbers(folder) == list(range(int(done.stdout) + 1))
        assert verify(folder).whole


def test_clock_that_goes_back(folder: Path) -> None:
    """A clock that is set back is noted, and changes neither order nor validity."""
    now = [100 * DAY]
    with Ledger(folder, Options(clock=lambda: now[0], checkpoint_every=2)) as ledger:
        for n, time in enumerate((100 * DAY + 5, 100 * DAY + 1, 100 * DAY + 2), 1):
            now[0] = time
            ledger.append({"n": n})
    assert numbers(folder) == [1, 2, 3]
    report = verify(folder)
    assert (report.state, report.clock_jumps) == ("whole", 1)


def test_signature_by_age(folder: Path) -> None:
    """Entries don't wait for their signature until there are many of them."""
    now = [0]
    with Ledger(folder, Options(monotonic=lambda: now[0])) as ledger:
        ledger.append({"n": 1})
        assert not ledger.sign_older(60)
        now[0] = 61 * 10**9
        assert ledger.sign_older(60)
        assert not ledger.sign_older(60)
        assert verify(folder).uncovered == 1


class TestRetention:
    def write(self, folder: Path, days: int = 4) -> None:
        now = [100 * DAY]
        options = Options(clock=lambda: now[0], segment_bytes=1)
        with Ledger(folder, options) as ledger:
            for day in range(days):
                now[0] = (100 + day) * DAY
                ledger.append({"n": day})

    def test_old_segments_go_and_the_rest_verifies(self, folder: Path) -> None:
        """Retention deletes whole segments, and a signed stub stands for them."""
        self.write(folder)
        with Ledger(folder, Options(clock=lambda: 104 * DAY)) as ledger:
            assert ledger.prune(102 * DAY) > 0
        assert numbers(folder) == [2, 3]
        report = verify(folder)
        assert report.state == "whole"
        assert report.pruned == report.first - 1

    def test_nothing_is_old(self, folder: Path) -> None:
        """Nothing is deleted before its time, and then there is no stub."""
        self.write(folder)
        with Ledger(folder) as ledger:
            assert ledger.prune(100 * DAY) == 0
        assert not (folder / files.STUB).exists()

    def test_crash_between_stub_and_deletion(self, folder: Path) -> None:
        """Segments that a stub already stands for are deleted at the next start; meanwhile the ledger is whole too."""
        self.write(folder)
        copies = {path: path.read_bytes() for path in folder.glob("segment-*")}
        with Ledger(folder) as ledger:
            ledger.prune(102 * DAY)
        gone = [path for path in copies if not path.exists()]
        for path in gone:
            path.write_bytes(copies[path])
        assert verify(folder).whole
        Ledger(folder).close()
        assert not any(path.exists() for path in gone)
        assert verify(folder).whole

    def test_twice(self, folder: Path) -> None:
        """One stub stands for all that was ever deleted."""
        self.write(folder, 8)
        with Ledger(folder) as ledger:
            ledger.prune(102 * DAY)
            ledger.prune(105 * DAY)
        assert numbers(folder) == [5, 6, 7]
        assert verify(folder).whole

    def test_a_day_per_segment(self, folder: Path) -> None:
        """Segments end by age too: else a quiet log would keep entries for years."""
        now = [100 * DAY]
        with Ledger(folder, Options(clock=lambda: now[0])) as ledger:
            for day in range(3):
                now[0] = (100 + day) * DAY
                ledger.append({"n": day})
        assert len(files.segments(folder)) == 3


class TestKeys:
    def test_made_for_this_user_only(self, folder: Path) -> None:
        """The private key and the entries are readable by their owner only."""
        Ledger(folder).close()
        assert (folder / files.PRIVATE).stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o077 == 0 for _, path in files.segments(folder))

    def test_key_that_others_can_read(self, folder: Path) -> None:
        """A key that others can read proves nothing."""
        Ledger(folder).close()
        (folder / files.PRIVATE).chmod(0o644)
        with pytest.raises(LedgerError, match="others can read"):
            Ledger(folder)

    @pytest.mark.parametrize("pem", [b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    def test_no_key(self, folder: Path, pem: bytes) -> None:
        """What is no key is refused without showing it, and the folder is free again."""
        for _ in range(2):
            with pytest.raises(LedgerError, match="no unencrypted private key") as error:
                Ledger(folder, Options(signing_key=pem))
            assert "AAAA" not in str(error.value)

    def test_new_key(self, folder: Path) -> None:
        """A new key is named in the chain, and both are needed to verify."""
        Ledger(folder).close()
        (folder / files.PRIVATE).unlink()
        Ledger(folder).close()
        assert kinds(folder).count("key") == 1
        assert verify(folder).whole
        first, second = (path.read_bytes() for path in sorted(folder.glob("key-*")))
        assert verify(folder, [first, second]).whole
        assert not verify(folder, [first]).whole
        assert not verify(folder, [second]).whole
