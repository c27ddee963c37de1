# SPDX-License-Identifier: Apache-2.0
"""Files in stores and on the web: only what is needed is fetched, and what comes is judged as a local file would be."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bastide.verify.artifacts.cache import open_cache
from bastide.verify.artifacts.formats import reads_ranges
from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.pool import scan_files
from bastide.verify.artifacts.ranges import Ranges
from bastide.verify.artifacts.scan import read_all, scan_bytes, scan_remote

MB = 1 << 20
EVIL = b"cos\nsystem\n(S'touch x'\ntR."


def safetensors(size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def gguf(size: int) -> bytes:
    name = b"w"
    tensor = (
        struct.pack("<Q", len(name)) + name + struct.pack("<I", 1) + struct.pack("<Q", size) + struct.pack("<IQ", 24, 0)
    )
    key = b"tokenizer.chat_template"
    text = b"{{ messages[0].__class__ }}"
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<I", 8) + struct.pack("<Q", len(text)) + text
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + pair + tensor
    return head + bytes(-len(head) % 32) + bytes(size)


def torch_zip(size: int, pickle: bytes = EVIL) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", pickle)
        archive.writestr("m/data/0", bytes(size))
        archive.writestr("m/version", b"3\n")
    return file.getvalue()


class Server(ThreadingHTTPServer):
    files: dict[str, bytes]
    ranges = True
    sent = 0
    etag: str | None = '"1"'


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range") if self.server.ranges else None
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1, len(data))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        else:
            self.send_response(200)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            with suppress(ConnectionError):
                self.wfile.write(data)
                self.server.sent += len(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(files: dict[str, bytes], *, ranges: bool = True) -> Iterator[tuple[str, Server]]:
    server = Server(("127.0.0.1", 0), Handler)
    server.files, server.ranges = files, ranges
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


LARGE = {
    "safe.safetensors": (safetensors(20 * MB), Verdict.SAFE),
    "evil.pt": (torch_zip(20 * MB), Verdict.UNSAFE),
    "template.gguf": (gguf(20 * MB), Verdict.UNSAFE),
}


@pytest.mark.parametrize("name", LARGE)
def test_of_large_files_only_parts_are_fetched(name: str) -> None:
    data, verdict = LARGE[name]
    with served({f"/{name}": data}) as (address, server):
        report = scan_remote(f"{address}/{name}")
        assert server.sent < 4 * MB
    assert report.verdict is verdict
    local = scan_bytes(data, name)
    assert (report.format, report.findings) == (local.format, local.findings)
    assert report.sha256 == ""


@pytest.mark.parametrize("name", LARGE)
def test_a_server_without_ranges_gives_all_of_it(name: str) -> None:
    data, _ = LARGE[name]
    with served({f"/{name}": data}, ranges=False) as (address, _):
        report = scan_remote(f"{address}/{name}")
    assert replace(report, path="", seconds=0) == replace(scan_bytes(data, name), path="", seconds=0)
    assert report.sha256 == hashlib.sha256(data).hexdigest()


def test_what_can_be_a_pickle_is_fetched_whole() -> None:
    data = b"\x80\x04" + b"N0" * MB + EVIL
    with served({"/model.bin": data}) as (address, _):
        report = scan_remote(f"{address}/model.bin")
    assert (report.verdict, report.sha256) == (Verdict.UNSAFE, hashlib.sha256(data).hexdigest())


def test_what_is_not_there_is_unknown() -> None:
    with served({}) as (address, _):
        report = scan_remote(f"{address}/none.pt")
    assert (report.verdict, report.format) == (Verdict.UNKNOWN, "unread")


def test_a_file_that_changes_meanwhile_is_unknown() -> None:
    data = safetensors(4 * MB)
    with served({"/m.safetensors": data}) as (address, server):

        class Changing(Handler):
            def do_GET(self) -> None:
                super().do_GET()
                server.etag = f'"{server.sent}"'

        server.RequestHandlerClass = Changing
        report = scan_remote(f"{address}/m.safetensors")
    assert report.verdict is Verdict.UNKNOWN
    assert "changed while it was read" in report.findings[0].message


def test_an_unchanged_version_is_not_read_again(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")
    with served({"/m.safetensors": safetensors(4 * MB)}) as (address, server):
        first = scan_remote(f"{address}/m.safetensors", cache=cache)
        sent = server.sent
        again = scan_remote(f"{address}/m.safetensors", cache=cache)
        assert (again, server.sent) == (first, sent)
        server.files["/m.safetensors"], server.etag = EVIL, '"2"'
        assert scan_remote(f"{address}/m.safetensors", cache=cache).verdict is Verdict.UNSAFE


def test_without_a_version_nothing_is_kept(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")
    with served({"/m.pkl": b"N."}) as (address, server):
        server.etag = None
        assert scan_remote(f"{address}/m.pkl", cache=cache).verdict is Verdict.SAFE
        server.files["/m.pkl"] = EVIL
        assert scan_remote(f"{address}/m.pkl", cache=cache).verdict is Verdict.UNSAFE


def test_from_processes_with_limits() -> None:
    files = {f"/{name}": data for name, (data, _) in LARGE.items()}
    with served(files) as (address, _):
        reports = list(scan_files([f"{address}{name}" for name in files], 2))
    assert [r.verdict for r in reports] == [verdict for _, verdict in LARGE.values()]


def test_a_store_whose_package_is_missing() -> None:
    [report] = scan_files(["nosuchstore://bucket/model.pt"])
    assert report.verdict is Verdict.UNKNOWN
    assert "nosuchstore" in report.findings[0].message


@pytest.mark.parametrize(
    "data",
    [
        safetensors(3 * MB)[:8] + b"{" + b" " * (3 * MB),
        b"GGUF" + EVIL,
        b"PK\x03\x04" + bytes(MB),
        torch_zip(3 * MB)[: 2 * MB],
        torch_zip(3 * MB) + bytes(100),
        gguf(3 * MB)[: 2 * MB],
        gguf(MB) + torch_zip(MB),
        safetensors(2 * MB) + torch_zip(MB),
    ],
)
@pytest.mark.parametrize("name", ["model.bin", "model.safetensors", "model", "model.gguf", "config.json"])
def test_in_parts_or_as_a_whole_it_is_the_same(data: bytes, name: str) -> None:
    ranges = Ranges(len(data), lambda start, stop: data[start:stop])
    scan = Scan(Limits(), read_all)
    format = read_all(Source(name, ranges), scan)
    whole = scan_bytes(data, name)
    assert format == whole.format
    assert sorted(scan.findings, key=repr) == sorted(whole.findings, key=repr)


def test_a_pickle_that_goes_on_behind_the_beginning_is_no_ranged_file() -> None:
    """A float, then dicts without end: what stands after the first megabyte may be a call."""
    data = b"GGUF" + bytes(5) + b"}0" * MB + EVIL
    assert not reads_ranges(Source("m.bin", Ranges(len(data), lambda start, stop: data[start:stop])))


def test_short_answers_are_errors() -> None:
    with pytest.raises(OSError, match="bytes came where"):
        Ranges(100, lambda start, stop: b"")[5]
