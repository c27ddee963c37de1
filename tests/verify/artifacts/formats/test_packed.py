# SPDX-License-Identifier: Apache-2.0
"""What is packed or archived is read inside, within bounds, and what can't be unpacked is unknown."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import read_all, scan_bytes
from tests.verify.artifacts.archives.zips import HARMLESS, TOUCHES, ids

joblib = pytest.importorskip("joblib")
RUNS = "pickle/runs-a-program"
Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "joblib-zlib": lambda data: b"ZF" + hex(len(data)).encode().ljust(19) + zlib.compress(data),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_packed_is_read(kind: str) -> None:
    report = scan_bytes(PACKERS[kind](HARMLESS), "m.pkl.gz")
    assert (f"{kind}/pickle", Verdict.SAFE) == (report.format, report.verdict)
    assert RUNS in ids(PACKERS[kind](TOUCHES), "m.joblib")
    assert RUNS in ids(PACKERS[kind](TOUCHES))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "lzma", "zlib"])
def test_several_streams_in_a_row_are_one_file(kind: str) -> None:
    pack = PACKERS[kind]
    assert RUNS in ids(pack(TOUCHES[:9]) + pack(TOUCHES[9:]), "m.pkl")
    assert RUNS in ids(pack(TOUCHES[:9]) + bytes(8) + pack(TOUCHES[9:]), "m.pkl")


@pytest.mark.parametrize("kind", PACKERS)
def test_a_broken_tail_hides_nothing(kind: str) -> None:
    """The loader unpacks as it reads: what stands before the break is executed."""
    whole = PACKERS[kind](TOUCHES + bytes(range(256)) * 400)
    assert scan_bytes(whole[: len(whole) // 2], "m.pkl").verdict is not Verdict.SAFE
    assert scan_bytes(PACKERS[kind](HARMLESS) + b"more", "m.pkl").verdict is Verdict.UNKNOWN


def test_a_wrong_checksum_hides_nothing() -> None:
    """Python's reader of gzip hands out what it unpacked before it compares the checksum."""
    whole = gzip.compress(TOUCHES)
    assert RUNS in ids(whole[:-8] + bytes(8), "m.pkl.gz")
    assert RUNS in ids(gzip.compress(TOUCHES + bytes(300_000))[:-8] + bytes(8), "m.pkl.gz")


@pytest.mark.parametrize("behind", [b"\xff\xff", bytes(64) + TOUCHES, b"text"])
def test_bytes_behind_a_pickle_are_unknown(behind: bytes) -> None:
    assert scan_bytes(HARMLESS + behind, "m.pkl").verdict is Verdict.UNKNOWN
    assert scan_bytes(HARMLESS + bytes(64) + b"\n", "m.pkl").verdict is Verdict.SAFE


@pytest.mark.parametrize("head", [b"Rar!\x1a\x07\x00", b"!<arch>\n", b"MSCF\0\0\0\0"])
@pytest.mark.parametrize("name", ["m.joblib", "m.pkl", "m"])
def test_what_is_not_unpacked_is_unknown(head: bytes, name: str) -> None:
    report = scan_bytes(head + bytes(30), name)
    assert (Verdict.UNKNOWN, {"scan/not-read"}) == (report.verdict, {f.id for f in report.findings})


def test_a_bomb_is_bounded() -> None:
    bomb = lzma.compress(bytes(200 << 20))
    started = time.perf_counter()
    assert "archive/bomb" in ids(bomb, "m.pkl")
    assert time.perf_counter() - started < 5
    scan = Scan(Limits(unpacked=1 << 20), read_all)
    read_all(Source("m", gzip.compress(bytes(2 << 20))), scan)
    assert "scan/not-read" in {f.id for f in scan.findings}


def test_zeros_are_no_bomb_when_they_are_few() -> None:
    assert "archive/bomb" not in ids(lzma.compress(bytes(4 << 20)), "m")


ARRAYS = {
    "plain": np.arange(6.0), "records": np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]), "objects": np.array([{"a": np.ones(2)}, None], object),
    "records with objects": np.zeros(2, [("a", "i4"), ("b", "O")]), "bytes": np.array([b"abc", b"d"]), "texts": np.array(["äbc"]),
    "void": np.zeros(3, "V7"), "dates": np.array(["2020-01-01"], "M8[D]"), "empty": np.zeros(0), "none": np.array(3.0),
    "fortran": np.asfortranarray(np.ones((3, 4))), "big endian": np.ones(3, ">f8"), "pieces": np.zeros(2, ("f4", (2,))),
}  # fmt: skip


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_what_joblib_writes_is_safe(array: object, compress: object) -> None:
    buffer = io.BytesIO()
    joblib.dump({"a": array, "b": [array, 1, array]}, buffer, compress=compress)
    report = scan_bytes(buffer.getvalue(), "m.joblib")
    assert (report.verdict, report.findings) == (Verdict.SAFE, ())


def _wrapped(
    shape: bytes = b"K\x08\x85", dtype: bytes = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1\x89\x88tR", more: bytes = b""
) -> bytes:
    state = b"X\x05\x00\x00\x00shape" + shape + b"X\x05\x00\x00\x00dtype" + dtype + more
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(" + state + b"ub"


@pytest.mark.parametrize(
    "data",
    [
        _wrapped() + bytes(8) + TOUCHES,
        _wrapped(dtype=b"cnumpy\ndtype\n(X\x06\x00\x00\x00object\x89\x88tR") + HARMLESS[:-1] + b"0" + TOUCHES,
        _wrapped(shape=b"ccollections\nOrderedDict\n)R\x85") + bytes(8) + b"." + TOUCHES,
        _wrapped(more=b"X\x1b\x00\x00\x00numpy_array_alignment_bytesN") + bytes(8) + TOUCHES,
        _wrapped(dtype=b"cnumpy\ndtype\n(X\x02\x00\x00\x00V1\x89\x88tR(K\x03X\x01\x00\x00\x00|NNNK\x02K\x01K\x00tb")
        + bytes(16)
        + TOUCHES,
        _wrapped(more=b"".join(b"X\x02\x00\x00\x00%02dN" % i for i in range(80)) + b"X\x05\x00\x00\x00shapeK\x01\x85")
        + b"\0"
        + TOUCHES,
        _wrapped() + b"0cposix\n"[:1] + TOUCHES[:7] + TOUCHES,
    ],
)
def test_the_end_of_an_array_cannot_be_feigned(data: bytes) -> None:
    """What joblib would execute is never taken for the numbers of an array."""
    assert scan_bytes(data, "m.joblib").verdict is not Verdict.SAFE


def test_numbers_that_another_loader_executes_are_judged() -> None:
    """`pickle.load` doesn't know of joblib's arrays: it reads them as opcodes."""
    data = _wrapped(shape=b"K\x23\x85") + b"0" + TOUCHES + bytes(50 - len(TOUCHES)) + b"."
    assert RUNS in ids(_wrapped(shape=b"K" + bytes([len(TOUCHES) + 1]) + b"\x85") + b"0" + TOUCHES + b".", "m.joblib")
    assert scan_bytes(data, "m.joblib").verdict is not Verdict.SAFE


def _tar(format: int, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for facts, data in members:
            facts.size = len(data)
            archive.addfile(facts, io.BytesIO(data))
    return buffer.getvalue()


def _info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    facts = tarfile.TarInfo(name)
    facts.type, facts.linkname = kind, target
    return facts


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["a.pkl", "folder/" * 12 + "a.pkl", "x" * 90 + ".pkl"])
def test_members_of_tar_archives_are_read(format: int, name: str) -> None:
    assert (
        scan_bytes(_tar(format, (_info(name), HARMLESS))).verdict,
        scan_bytes(_tar(format, (_info(name), HARMLESS))).findings,
    ) == (Verdict.SAFE, ())
    packed = gzip.compress(_tar(format, (_info("b.txt"), b"text"), (_info(name), TOUCHES)))
    report = scan_bytes(packed, "x.tar.gz")
    assert report.verdict == Verdict.UNSAFE
    assert f"x.tar!{name}" == report.findings[0].member


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..\\x"])
def test_members_that_lead_out_are_unsafe(name: str) -> None:
    assert "tar/escapes" in ids(_tar(tarfile.PAX_FORMAT, (_info(name), b"text")))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_that_lead_out_are_unsafe_and_others_are_not(kind: bytes) -> None:
    assert scan_bytes(_tar(tarfile.PAX_FORMAT, (_info("a/b", kind, "../../etc/passwd"), b""))).verdict is Verdict.UNSAFE
    assert scan_bytes(_tar(tarfile.PAX_FORMAT, (_info("a/b", kind, "c.txt"), b""))).verdict is Verdict.SAFE


def test_special_members_doubles_and_bytes_behind_the_end_are_unknown() -> None:
    device, double = (_info("d", tarfile.CHRTYPE), b""), (_info("a.txt"), b"text")
    for data in (
        _tar(0, device),
        _tar(0, double, double),
        _tar(0, double) + b"more" * 200,
        _tar(0, double)[:514],
        _tar(0, double)[:1024] + b"x",
    ):
        assert scan_bytes(data).verdict is Verdict.UNKNOWN


def test_content_of_a_link_is_unsafe() -> None:
    """What one loader takes for the content of the link, another takes for the next member."""
    link = bytearray(_tar(tarfile.USTAR_FORMAT, (_info("l", tarfile.SYMTYPE, "x"), b""))[:512])
    link[124:136] = b"00000002000\0"
    link[148:156] = b" " * 8
    link[148:156] = b"%06o\0 " % sum(link)
    hidden = _tar(tarfile.USTAR_FORMAT, (_info("a.pkl"), TOUCHES))
    assert {"tar/content-of-a-link", RUNS} <= ids(bytes(link) + hidden)


@pytest.mark.parametrize(("target", "expected"), [
    ("nemo.collections.asr.models.EncDecCTCModel", Verdict.SAFE), ("torch.optim.Adam", Verdict.SAFE), ("os.system", Verdict.UNSAFE),
    ("subprocess.Popen", Verdict.UNSAFE), ("mine.Model", Verdict.UNKNOWN),
])  # fmt: skip
@pytest.mark.parametrize("line", ["  _target_: {}\n", "a: {{'_target_': '{}', x: 1}}\n", 'target : "{}"\n'])
def test_what_a_configuration_of_nemo_has_made_is_judged(target: str, expected: Verdict, line: str) -> None:
    data = _tar(0, (_info("./model_config.yaml"), line.format(target).encode()))
    assert ("nemo", expected) == (scan_bytes(data, "m.nemo").format, scan_bytes(data, "m.nemo").verdict)


SEED = _tar(
    tarfile.PAX_FORMAT,
    (_info("ä" * 80), HARMLESS),
    (_info("b.pkl"), TOUCHES),
    (_info("l", tarfile.SYMTYPE, "x" * 120), b""),
)


@given(
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(SEED)),
    st.sampled_from(list(PACKERS)),
)
@settings(max_examples=200, deadline=None)
def test_no_change_of_bytes_makes_a_reader_raise(changes: list[tuple[int, int]], cut: int, kind: str) -> None:
    data = bytearray(SEED)
    for at, value in changes:
        data[at] = value
    scan_bytes(bytes(data), "x.tar")
    packed = bytearray(PACKERS[kind](bytes(data[:cut])))
    for at, value in changes:
        packed[at % len(packed)] = value
    scan_bytes(bytes(packed), "x.tar.gz")
