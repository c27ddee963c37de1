# SPDX-License-Identifier: Apache-2.0
"""A zip archive is read as every kind of loader reads it, and a difference between them is a finding."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import read_all, scan_bytes
from tests.verify.artifacts.archives.zips import HARMLESS, TOUCHES, End, M, ids, scanned, torch, zipped

TEXT = b"some text\n"
RUNS = "pickle/runs-a-program"


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_members_of_every_method_are_read(method: int) -> None:
    assert (
        scanned(zipped(M(b"a.txt", TEXT, method))).verdict,
        scanned(zipped(M(b"a.txt", TEXT, method))).format,
    ) == (Verdict.SAFE, "zip")
    assert {RUNS} <= ids(zipped(M(b"a.pkl", TOUCHES, method)))


@pytest.mark.parametrize("method", [9, 93, 95, 99])
def test_a_method_that_is_not_unpacked_is_unknown(method: int) -> None:
    report = scanned(zipped(M(b"a.txt", TEXT, method)))
    assert report.verdict == Verdict.UNKNOWN


def test_what_python_writes_is_safe() -> None:
    for method in (0, 8, 12, 14):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("a/b.txt", TEXT)
            archive.mkdir("folder")
            archive.comment = b"a comment"
            with archive.open("wide.txt", "w", force_zip64=True) as member:
                member.write(TEXT)
        assert (scanned(buffer.getvalue()).verdict, scanned(buffer.getvalue()).findings) == (Verdict.SAFE, ())


def test_a_stream_with_descriptors_is_safe() -> None:
    data = TEXT * 3
    sums = struct.pack("<3L", zlib.crc32(data), len(data), len(data))
    member = M(b"a.txt", data, flags=8, local_sizes=(0, 0, 0), after=b"PK\x07\x08" + sums)
    assert scanned(zipped(member, M(b"b.txt", TEXT))).findings == ()


# The tricks, each with the finding it must bring.
TRICKS = {
    "the first of two is harmful": (zipped(M(b"m/data.pkl", TOUCHES), M(b"m/data.pkl", HARMLESS)), {"zip/double-member", RUNS}),
    "the last of two is harmful": (zipped(M(b"m/data.pkl", HARMLESS), M(b"m/data.pkl", TOUCHES)), {"zip/double-member", RUNS}),
    "names that differ": (zipped(M(b"m/data.pkl", TOUCHES, local_name=b"m/readme.t")), {"zip/two-names", RUNS}),
    "methods that differ": (zipped(M(b"a.txt", TEXT, local_method=8)), {"zip/headers-disagree"}),
    "a checksum that is wrong": (torch(M(b"m/more.pkl", TOUCHES, crc=1)), {"zip/bad-checksum", RUNS}),
    "a data.pkl with a wrong checksum": (zipped(M(b"m/data.pkl", TOUCHES, crc=1)), {"zip/bad-checksum", RUNS}),
    "letters in upper case": (zipped(M(b"m/DATA.PKL", TOUCHES)), {RUNS}),
    "marked as encrypted": (zipped(M(b"m/data.pkl", TOUCHES, flags=1)), {"zip/false-flags", RUNS}),
    "marked as strongly encrypted": (zipped(M(b"m/data.pkl", TOUCHES, flags=0x41)), {"zip/false-flags", RUNS}),
    "marked as masked": (zipped(M(b"m/data.pkl", TOUCHES, flags=0x2000)), {"zip/false-flags", RUNS}),
    "marked as patched": (zipped(M(b"m/data.pkl", TOUCHES, flags=0x20)), {RUNS}),
    "marked as UTF-8": (zipped(M(b"m/data.pkl", TOUCHES, flags=0x800)), {RUNS}),
    "flags that differ": (zipped(M(b"a.txt", TEXT, local_flags=1)), {"zip/headers-disagree", "zip/false-flags"}),
    "bytes before the archive": (zipped(M(b"m/data.pkl", TOUCHES), before=b"junk"), {"zip/data-before", RUNS}),
    "a member that isn't listed": (zipped(M(b"a.txt", TEXT), M(b"b.pkl", TOUCHES, listed=False), M(b"c.txt", TEXT)), {"zip/hidden-member"}),
    "a member that isn't listed, at the end": (zipped(M(b"a.txt", TEXT), M(b"b.pkl", TOUCHES, listed=False)), {"zip/hidden-member"}),
    "one that isn't listed, at the beginning": (zipped(M(b"b.pkl", TOUCHES, listed=False), M(b"a.txt", TEXT)), {"zip/hidden-member"}),
    "two entries for one member": (zipped(M(b"a.txt", TEXT), M(b"b.txt", TEXT, header=0)), {"zip/overlap", "zip/two-names"}),
    "fewer entries than there are": (zipped(M(b"a.txt", TEXT), M(b"b.pkl", TOUCHES), end=End(count=1)), {"zip/counts-disagree", RUNS}),
    "an absolute name": (zipped(M(b"/etc/a.txt", TEXT)), {"zip/escapes"}),
    "a name that goes up": (zipped(M(b"a/../../b.txt", TEXT)), {"zip/escapes"}),
    "a name with backslashes": (zipped(M(b"..\\..\\b.txt", TEXT)), {"zip/escapes"}),
    "a drive": (zipped(M(b"C:\\b.txt", TEXT)), {"zip/escapes"}),
    "a NUL in a name": (zipped(M(b"a.pkl\0.txt", TEXT)), {"zip/name-with-nul"}),
    "a link to outside": (zipped(M(b"a/b", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)), {"zip/link"}),
    "a link that goes up": (zipped(M(b"a/b", b"../../x", mode=stat.S_IFLNK | 0o777)), {"zip/link"}),
}  # fmt: skip


@pytest.mark.parametrize(("data", "wanted"), TRICKS.values(), ids=TRICKS.keys())
def test_tricks_are_unsafe_and_named(data: bytes, wanted: set[str]) -> None:
    found = {f.id for f in scan_bytes(data, "x.zip").findings}
    assert wanted <= found
    assert scan_bytes(data, "x.zip").verdict == Verdict.UNSAFE


def test_a_second_end_record_in_the_comment_of_the_first() -> None:
    """Python takes the last one, readers that check the comment's length the first."""
    inner = zipped(M(b"m/data.pkl", TOUCHES))
    fake = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    found = ids(inner[:-2] + struct.pack("<H", len(fake)) + fake)
    assert {RUNS} <= found


def test_two_directories() -> None:
    """PyTorch's reader goes to the offset, Python's to the bytes before the end record."""
    good, bad = M(b"m/data.pkl", HARMLESS), M(b"m/evil.pkl", TOUCHES)
    data = good.local() + bad.local()
    first, second = good.entry(0), bad.entry(len(good.local()))
    padded = first + bytes(len(second) - len(first)) if len(second) > len(first) else first
    data += padded + second
    report = scanned(data + End().of(1, len(second), len(good.local()) + len(bad.local())))
    assert report.verdict == Verdict.UNSAFE
    assert {"zip/two-directories", RUNS} <= {f.id for f in report.findings}


def test_zip64_records_that_say_something_else() -> None:
    data = zipped(M(b"a.txt", TEXT))
    end = len(data) - 22
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 0, 0, 0, 5)
    report = scanned(data[:end] + wide + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1) + data[end:])
    assert report.verdict == Verdict.UNSAFE


@pytest.mark.parametrize("flags", [0x1, 0x20, 0x40, 0x2000, 0x10, 0x8000])
def test_flags_that_loaders_refuse_are_never_clean(flags: int) -> None:
    """Also on a storage, whose content nobody reads."""
    assert "zip/odd-flags" in ids(torch(M(b"m/data/1", bytes(8), flags=flags)), "x.pt")


def test_bytes_behind_the_end_are_unknown() -> None:
    assert {"zip/data-after-end"} == ids(zipped(M(b"a.txt", TEXT)) + b"more")


def test_an_archive_without_a_directory_is_unknown() -> None:
    whole = zipped(M(b"a.pkl", TOUCHES))
    report = scan_bytes(whole[: whole.index(b"PK\x01\x02")], "m.zip")
    assert (report.verdict, [f.id for f in report.findings]) == (Verdict.UNKNOWN, ["zip/no-directory"])


def test_an_archive_behind_something_else_is_read() -> None:
    """A pickle and an archive at once: each loader takes its own."""
    assert {RUNS, "zip/data-before"} <= ids(zipped(M(b"m/data.pkl", TOUCHES), before=HARMLESS), "model.pkl")


def test_archives_in_archives_are_read_down_to_the_limit() -> None:
    data = zipped(M(b"a.pkl", TOUCHES, 8))
    for _ in range(3):
        data = zipped(M(b"a.zip", data, 8))
    assert {RUNS} <= ids(data)
    assert scanned(data).findings[0].member == "a.zip!a.zip!a.zip!a.pkl"
    for _ in range(10):
        data = zipped(M(b"a.zip", data, 8))
    assert scanned(data).verdict == Verdict.UNKNOWN


def test_a_bomb_is_not_unpacked_to_its_end() -> None:
    """900 MB that are packed to 1 MB, four times in each other's place: bounded, and not safe."""
    data = zipped(M(b"a.txt", bytes(80 << 20), 12))
    scan = Scan(Limits(unpacked=10 << 20), read_all)
    started = time.perf_counter()
    read_all(Source("x", data), scan)
    assert {"scan/not-read"} <= {f.id for f in scan.findings}
    assert scan.spent.unpacked < 11 << 20
    assert time.perf_counter() - started < 5


def test_stored_members_that_share_their_bytes_are_not_read_without_end() -> None:
    """Each of a thousand entries names the same ten megabytes."""
    first = M(b"m.bin", bytes(10 << 20))
    data = first.local()
    entries = first.entry(0) * 1000
    started = time.perf_counter()
    report = scanned(data + entries + End().of(1000, len(entries), len(data)))
    assert time.perf_counter() - started < 5
    assert report.verdict is Verdict.UNSAFE


@pytest.mark.parametrize("settings", [b"\xff", b"\x5c", b"\xe0", b"\x5d\xff\xff\xff\xff"])
def test_settings_of_lzma_that_there_are_not_are_unknown(settings: bytes) -> None:
    data = zipped(M(b"a.txt", TEXT, 14))
    broken = data.replace(b"\x5d" + struct.pack("<L", 1 << 16), settings.ljust(5, b"\0"))
    assert scanned(broken).verdict == Verdict.UNKNOWN


def test_a_ratio_that_deflate_cannot_reach_is_a_bomb() -> None:
    assert {"archive/bomb"} <= ids(zipped(M(b"a.bin", bytes(100 << 20), 12)))


def test_a_member_count_beyond_the_limit_is_unknown() -> None:
    scan = Scan(Limits(members=10), read_all)
    read_all(Source("x", zipped(*(M(b"%d.txt" % i, TEXT) for i in range(20)))), scan)
    assert {"scan/not-read"} <= {f.id for f in scan.findings}


def test_offsets_are_those_of_the_headers() -> None:
    data = zipped(M(b"a.txt", TEXT), M(b"b.txt", TEXT, local_name=b"c.txt"))
    (finding,) = scanned(data).findings
    assert data.rindex(b"PK\x03\x04") == finding.offset


def test_stored_members_are_not_copied() -> None:
    """A gigabyte of storages costs nothing but their headers."""
    big = torch(M(b"m/data/1", bytes(256 << 20)))
    scan = Scan(Limits(), read_all)
    started = time.perf_counter()
    assert read_all(Source("x.pt", big), scan) == "torch"
    assert time.perf_counter() - started < 0.1


SEED = torch(M(b"m/a.pkl", TOUCHES, 8), M(b"m/b.npy", b"\x93NUMPY\x01\x00", 12))


@given(
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, len(SEED)),
)
@settings(max_examples=300, deadline=None)
def test_no_change_of_bytes_makes_the_reader_raise(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SEED)
    for at, value in changes:
        data[at] = value
    for mutant in (bytes(data), bytes(data[:cut]), bytes(data[cut:])):
        scan_bytes(mutant, "x.zip")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_what_python_finds_is_found(draw: st.DataObject) -> None:
    """Whatever is changed: where Python's reader still sees the harmful member, the scan isn't safe."""
    seed = zipped(M(b"a.txt", TEXT, 8), M(b"m/data.pkl", TOUCHES, 8), M(b"b.txt", TEXT))
    data = bytearray(seed)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(seed) - 1))] = draw.draw(st.integers(0, 255))
    seen = False
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            seen = any(archive.read(info) == TOUCHES for info in archive.infolist() if info.file_size < 1 << 20)
    except Exception:  # noqa: BLE001 (its reader raises whatever it likes)
        return
    if seen:
        assert scan_bytes(bytes(data), "x.zip").verdict != Verdict.SAFE
