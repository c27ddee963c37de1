# SPDX-License-Identifier: Apache-2.0
"""7z archives, and what Zstandard and LZ4 pack, are read like other archives: what is in them decides."""

import bz2
import importlib.util
import lzma
import pickle
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.interface import Limits
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

HARMLESS = pickle.dumps({"a": [1, 2.5, "x"]})
TOUCHES = b"cos\nsystem\n(S'touch x'\ntR."
LINK = 0x8000 | 0o120777 << 16


def number(value: int) -> bytes:
    """A number as 7z writes it, in its longest form."""
    return bytes([value]) if value < 0x80 else b"\xff" + struct.pack("<Q", value)


def pack(data: bytes, method: str) -> tuple[bytes, bytes]:
    """Packed bytes, and the coder for them."""
    if method == "lzma2":
        return lzma.compress(
            data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
        ), b"\x21\x21\x01\x08"
    if method == "lzma":
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
        return lzma.compress(data, lzma.FORMAT_RAW, filters=filters), b"\x23\x03\x01\x01\x05\x5d" + struct.pack(
            "<I", 1 << 16
        )
    if method == "bzip2":
        return bz2.compress(data), b"\x03\x04\x02\x02"
    if method == "deflate":
        machine = zlib.compressobj(wbits=-15)
        return machine.compress(data) + machine.flush(), b"\x03\x04\x01\x08"
    return data, b"\x01\x00" if method == "copy" else bytes.fromhex(method)


def streams(data: bytes, parts: list[int], method: str, at: int = 0, size: int | None = None) -> tuple[bytes, bytes]:
    """Packed bytes, and what a header says of them."""
    packed, coder = pack(data, method)
    whole = len(data) if size is None else size
    told = b"\x06" + number(at) + b"\x01\x09" + number(len(packed)) + b"\0"
    told += b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + number(whole) + b"\0"
    if len(parts) != 1:
        told += b"\x08\x0d" + number(len(parts)) + b"\x09" + b"".join(map(number, parts[:-1])) + b"\0"
    return packed, told + b"\0"


def archive(
    *members: tuple[str, bytes],
    method: str = "lzma2",
    links: int = 0,
    packed_header: bool = False,
    size: int | None = None,
) -> bytes:
    data, parts = b"".join(content for _, content in members), [len(content) for _, content in members]
    packed, told = streams(data, parts, method, size=size)
    names = b"\0" + b"".join(name.encode("utf-16-le") + b"\0\0" for name, _ in members)
    marks = b"\x01\0" + b"".join(struct.pack("<I", LINK if at < links else 0x20) for at in range(len(members)))
    files = (
        b"\x05"
        + number(len(members))
        + b"\x11"
        + number(len(names))
        + names
        + b"\x15"
        + number(len(marks))
        + marks
        + b"\0"
    )
    header = b"\x01\x04" + told + files + b"\0"
    if packed_header:
        more, told = streams(header, [len(header)], "lzma", at=len(packed))
        packed, header = packed + more, b"\x17" + told
    return whole(packed, header)


def whole(packed: bytes, header: bytes) -> bytes:
    start = struct.pack("<2QI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


@pytest.mark.parametrize("method", ["lzma2", "lzma", "bzip2", "deflate", "copy"])
@pytest.mark.parametrize("packed_header", [False, True])
def test_members_are_read(method: str, packed_header: bool) -> None:
    """By each method that Python unpacks."""
    honest = archive(("a.pkl", HARMLESS), ("b.txt", b"hello" * 100), method=method, packed_header=packed_header)
    report = scan_bytes(honest, "m.7z")
    assert (report.verdict, report.format, report.findings) == (Verdict.SAFE, "7z", ())
    report = scan_bytes(
        archive(("a.txt", b"x"), ("b.pkl", TOUCHES), method=method, packed_header=packed_header), "m.7z"
    )
    assert (report.verdict, {f.member for f in report.findings}) == (Verdict.UNSAFE, {"b.pkl"})
    assert Verdict.UNSAFE is judged(archive(("only.pkl", TOUCHES), method=method), "m.bin")[0]


def test_several_streams_are_not_read() -> None:
    """BCJ2 takes a program apart into four streams; what is in them isn't known then, and why is said."""
    made, size = archive(("a.pkl", HARMLESS), method="copy"), len(HARMLESS)
    header = made[32 + size :]
    for one, four in (
        (b"\x06\0\x01\x09" + number(size), b"\x06\0\x04\x09" + number(size) + b"\0\0\0"),
        (b"\x07\x0b\x01\0\x01\x01\0", b"\x07\x0b\x01\0\x01\x14\x03\x03\x01\x1b\x04\x01\0\1\2\3"),
    ):
        assert one in header
        header = header.replace(one, four)
    report = scan_bytes(whole(made[32 : 32 + size], header), "m.7z")
    assert report.verdict is Verdict.UNKNOWN
    assert [f.message for f in report.findings if "BCJ2" in f.message]


@pytest.mark.parametrize(
    ("data", "id", "expected"),
    [
        (archive(("../a.txt", b"x")), "7z/escapes", Verdict.UNSAFE),
        (archive(("/a.txt", b"x")), "7z/escapes", Verdict.UNSAFE),
        (archive(("l", b"../../etc"), links=1), "7z/link", Verdict.UNSAFE),
        (archive(("l", b"a"), links=1), "", Verdict.SAFE),
        (archive(("a", b"x"), ("a", b"y")), "7z/double-member", Verdict.UNKNOWN),
        (archive(("a", b"x")) + b"y", "7z/data-behind", Verdict.UNKNOWN),
        (archive(("a", b"x" * 100))[:-1], "7z/broken", Verdict.UNKNOWN),
        (archive(("a", b"x"), method="0406f10701"), "scan/not-read", Verdict.UNKNOWN),
        (archive(("a", b"x"), method="03030401"), "scan/not-read", Verdict.UNKNOWN),
        (archive(("a", b"x"), method="040303011b"), "scan/not-read", Verdict.UNKNOWN),
        (archive(("a", b"x" * 100), size=200), "archive/corrupt", Verdict.UNKNOWN),
        (whole(b"", b"\x17\x06\0\x01\x09\0\0\x07\x0b\x01\0\x01\x01\0\x0c\0\0\0"), "7z/broken", Verdict.UNKNOWN),
        (whole(b"", b"\x01\x05" + number(1 << 40)), "7z/broken", Verdict.UNKNOWN),
        (whole(b"", b"\x02"), "7z/broken", Verdict.UNKNOWN),
    ],
)
def test_what_is_odd_is_said(data: bytes, id: str, expected: Verdict) -> None:
    """Names, links, doubles, methods, lengths."""
    verdict, found = judged(data, "m.7z")
    assert (verdict, id in found) == (expected, bool(id))


def test_bombs_are_bounded() -> None:
    """By what all members unpack to."""
    bomb = archive(("a", bytes(4 << 20)))
    report = scan_bytes(bomb, "m.7z", Limits(unpacked=1 << 20))
    assert (report.verdict, "scan/not-read") == (Verdict.UNKNOWN, report.findings[0].id)


SEEDS = [archive(("a.pkl", HARMLESS), ("b", b"x" * 50)), archive(("a.pkl", TOUCHES), packed_header=True)]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(32, 400), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_no_byte_makes_the_reader_fail(data: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever is changed, with the checksums made right."""
    made = bytearray(data)
    for at, value in changes:
        made[32 + at % (len(made) - 32)] = value
    offset, size = struct.unpack_from("<2Q", made, 12)
    struct.pack_into("<I", made, 28, zlib.crc32(made[32 + offset : 32 + offset + size]))
    struct.pack_into("<I", made, 8, zlib.crc32(made[12:32]))
    assert [f for f in scan_bytes(bytes(made), "m.7z").findings if "defect" in f.message] == []


def _zstd(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").compress(data)
    return packed


def _lz4(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("lz4.frame").compress(data)
    return packed


@pytest.mark.parametrize(("make", "name"), [(_zstd, "zstd"), (_lz4, "lz4")])
def test_zstandard_and_lz4_are_unpacked(make: "type[bytes]", name: str) -> None:
    """One stream behind the other, cut off, with something behind."""
    report = scan_bytes(make(HARMLESS), "a.pkl.zst")
    assert (report.verdict, report.format) == (Verdict.SAFE, f"{name}/pickle")
    assert Verdict.UNSAFE is judged(make(TOUCHES), "a.pkl.lz4")[0]
    assert Verdict.UNSAFE is judged(make(TOUCHES[:10]) + make(TOUCHES[10:]), "a.pkl")[0]
    assert Verdict.UNKNOWN is judged(make(HARMLESS * 50)[:-8], "a.pkl")[0]
    assert {"compressed/data-behind"} == judged(make(HARMLESS) + b"behind", "a.pkl")[1]
    report = scan_bytes(make(bytes(64 << 20)), "a", Limits(unpacked=1 << 20))
    assert (report.verdict, "scan/not-read") == (Verdict.UNKNOWN, report.findings[0].id)


def test_frames_that_are_passed_over_are() -> None:
    """Zstandard's skippable frames."""
    data = b"\x50\x2a\x4d\x18\3\0\0\0abc" + _zstd(TOUCHES)
    assert Verdict.UNSAFE is judged(data, "a.pkl")[0]


@pytest.mark.parametrize("head", [b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"])
def test_without_a_package_it_is_said_which(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of it then."""

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("bastide.verify.artifacts.archives.optional.import_module", absent)
    (found,) = scan_bytes(head + bytes(50), "a.pkl").findings
    assert (found.id, "bastide[archives]" in found.message) == ("scan/not-read", True)


@given(st.sampled_from([b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_packed_byte_makes_the_reader_fail(head: bytes, rest: bytes) -> None:
    """Whatever follows the mark."""
    assert importlib.util.find_spec("zstandard")
    report = scan_bytes(head + rest, "a.pkl")
    assert [f for f in report.findings if "defect" in f.message] == []
    assert Verdict.SAFE is not report.verdict or rest
