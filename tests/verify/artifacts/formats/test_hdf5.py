# SPDX-License-Identifier: Apache-2.0
"""An HDF5 file is safe when all its objects are in it, no plug-in reads them, and the Keras model in its attributes holds no code."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats.hdf5 import Hdf5Reader
from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.archives.zips import HARMLESS, TOUCHES, M, zipped
from tests.verify.artifacts.formats.models import code_of, ids

NOWHERE = (1 << 64) - 1
DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "relu"}}
MODEL = {"class_name": "Sequential", "config": {"name": "s", "layers": [DENSE]}}
CODE = {"class_name": "Lambda", "config": {"name": "l", "function": [code_of("x * 2"), None, None]}}
LAMBDA = {"class_name": "Sequential", "config": {"name": "s", "layers": [CODE]}}
OLD, MODERN = "old", "modern"


class File:
    """An HDF5 file: objects one after the other, the root last."""

    def __init__(self, style: str = OLD, user: int = 0) -> None:
        self.style, self.user = style, user
        self.body = b""
        self.size = 96 if style == OLD else 48

    def put(self, raw: bytes) -> int:
        """Some bytes; returns their address."""
        at = self.size + len(self.body)
        self.body += raw + bytes(-len(raw) % 8)
        return at

    def object(self, *messages: tuple[int, bytes]) -> int:
        """An object of some messages; returns its address."""
        if self.style == OLD:
            padded = [(kind, raw + bytes(-len(raw) % 8)) for kind, raw in messages]
            block = b"".join(struct.pack("<HHBxxx", kind, len(raw), 0) + raw for kind, raw in padded)
            return self.put(struct.pack("<BxHIIxxxx", 1, len(messages), 1, len(block)) + block)
        block = b"".join(struct.pack("<BHB", kind, len(raw), 0) + raw for kind, raw in messages)
        return self.put(b"OHDR\2\2" + struct.pack("<I", len(block)) + block + bytes(4))

    def bytes(self, root: int) -> bytes:
        end = self.size + len(self.body)
        if self.style == OLD:
            head = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0)
            head += struct.pack("<QQQQ", self.user, NOWHERE, end, NOWHERE) + struct.pack("<QQIIQQ", 0, root, 0, 0, 0, 0)
        else:
            head = b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<QQQQI", self.user, NOWHERE, end, root, 0)
        return bytes(self.user) + head + self.body


def attribute(name: str, value: bytes, version: int = 1) -> tuple[int, bytes]:
    kind = struct.pack("<BBBBI", 0x13, 0, 0, 0, len(value))
    space = struct.pack("<BBBBI", 1, 0, 0, 0, 0) if version == 1 else struct.pack("<BBBB", 2, 0, 0, 0)
    label = name.encode() + b"\0"
    sizes = struct.pack("<HHH", len(label), len(kind), len(space))
    if version == 1:
        parts = [part + bytes(-len(part) % 8) for part in (label, kind, space)]
        return 12, b"\1\0" + sizes + b"".join(parts) + value
    return 12, bytes([version, 0]) + sizes + (b"\0" if version == 3 else b"") + label + kind + space + value


def hard(name: str, address: int) -> tuple[int, bytes]:
    return 6, struct.pack("<BBB", 1, 0, len(name)) + name.encode() + struct.pack("<Q", address)


def external(name: str, file: str) -> tuple[int, bytes]:
    target = b"\0" + file.encode() + b"\0/x\0"
    return 6, struct.pack("<BBBB", 1, 8, 64, len(name)) + name.encode() + struct.pack("<H", len(target)) + target


def config(document: Any, version: int = 1) -> tuple[int, bytes]:
    return attribute("model_config", json.dumps(document).encode(), version)


def checked(data: bytes) -> tuple[Verdict, set[str]]:
    report = scan_bytes(data, "m.h5")
    return report.verdict, ids(report)


@pytest.mark.parametrize("style", [OLD, MODERN])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_honest_models_are_safe(style: str, version: int) -> None:
    """Layers in groups, weights in data sets, the configuration at the root."""
    file = File(style)
    weights = file.object((11, struct.pack("<BBHHHI", 2, 1, 1, 0, 1, 4)), (8, struct.pack("<BBQQ", 3, 1, 0, 8)))
    group = file.object(hard("kernel", weights), attribute("weight_names", b"kernel", version))
    report = scan_bytes(file.bytes(file.object(config(MODEL, version), hard("layer", group))), "m.h5")
    assert (report.format, report.verdict, report.findings) == ("keras-h5", Verdict.SAFE, ())


@pytest.mark.parametrize("style", [OLD, MODERN])
def test_code_in_the_configuration_is_not_safe(style: str) -> None:
    """A Lambda layer holds Python code."""
    file = File(style)
    verdict, found = checked(file.bytes(file.object(config(LAMBDA))))
    assert Verdict.SAFE is not verdict
    assert "keras/holds-code" in found


def test_texts_in_the_global_heap_are_read() -> None:
    """h5py writes Python texts with a length of their own, which stand in a heap."""
    file = File()
    text = json.dumps(LAMBDA).encode()
    item = struct.pack("<HHIQ", 1, 1, 0, len(text)) + text + bytes(-len(text) % 8)
    heap = file.put(b"GCOL\1\0\0\0" + struct.pack("<Q", 16 + len(item)) + item)
    kind = struct.pack("<BBBBI", 0x19, 1, 0, 0, 16) + struct.pack("<BBBBI", 0x13, 0, 0, 0, 1)
    space = struct.pack("<BBBBI", 1, 0, 0, 0, 0)
    raw = (
        b"\1\0"
        + struct.pack("<HHH", 13, 16, 8)
        + b"model_config\0\0\0\0"
        + kind
        + space
        + struct.pack("<IQI", len(text), heap, 1)
    )
    verdict, found = checked(file.bytes(file.object((12, raw))))
    assert Verdict.SAFE is not verdict
    assert "keras/holds-code" in found


def test_objects_that_pytables_pickled_are_read() -> None:
    """pandas keeps columns of texts so, and `read_hdf` unpickles them."""
    for inner, expected in ((TOUCHES, Verdict.UNSAFE), (HARMLESS, Verdict.SAFE)):
        file = File()
        item = struct.pack("<HHIQ", 1, 1, 0, len(inner)) + inner + bytes(-len(inner) % 8)
        file.put(b"GCOL\1\0\0\0" + struct.pack("<Q", 16 + len(item)) + item)
        data = file.bytes(file.object(attribute("PSEUDOATOM", b"object\0")))
        assert checked(data)[0] is expected
        assert scan_bytes(zipped(M(b"m.h5", data)), "m.zip").verdict is expected
        assert checked(file.bytes(file.object(attribute("PSEUDOATOM", b"vlstring"))))[0] is Verdict.SAFE


@pytest.mark.parametrize("style", [OLD, MODERN])
def test_links_into_other_files_are_unsafe(style: str) -> None:
    """The library opens the other file when the link is followed, wherever the link is."""
    file = File(style)
    group = file.object(external("l", "/etc/other.h5"))
    data = file.bytes(file.object(hard("g", group)))
    report = scan_bytes(data, "m.h5")
    assert (Verdict.UNSAFE, {"hdf5/external-link"}) == (report.verdict, ids(report))
    assert "/etc/other.h5" in report.findings[0].evidence


def test_names_in_old_groups_are_followed() -> None:
    """A tree, a heap of names, and nodes of symbols."""
    file = File()
    bad = file.object(external("l", "x.h5"))
    names = file.put(b"\0\0\0\0\0\0\0\0bad\0\0\0\0\0")
    heap = file.put(b"HEAP\0\0\0\0" + struct.pack("<QQQ", 16, 1, names))
    node = file.put(b"SNOD\1\0" + struct.pack("<H", 1) + struct.pack("<QQIIQQ", 8, bad, 0, 0, 0, 0))
    tree = file.put(b"TREE\0\0" + struct.pack("<HQQ", 1, NOWHERE, NOWHERE) + struct.pack("<QQQ", 0, node, 8))
    root = file.object((17, struct.pack("<QQ", tree, heap)))
    assert (Verdict.UNSAFE, {"hdf5/external-link"}) == checked(file.bytes(root))


def test_continued_objects_are_read_on() -> None:
    """What stands in the second block of an object counts as well."""
    for style in (OLD, MODERN):
        file = File(style)
        kind, raw = external("l", "x.h5")
        if style == OLD:
            raw += bytes(-len(raw) % 8)
            block = struct.pack("<HHBxxx", kind, len(raw), 0) + raw
        else:
            block = b"OCHK" + struct.pack("<BHB", kind, len(raw), 0) + raw + bytes(4)
        place = file.put(block)
        root = file.object((16, struct.pack("<QQ", place, len(block))))
        assert (Verdict.UNSAFE, {"hdf5/external-link"}) == checked(file.bytes(root))


def test_storage_in_other_files_is_unsafe() -> None:
    """A data set whose bytes are those of another file, and one that is put together from others."""
    file = File()
    names = file.put(b"/etc/passwd\0\0\0\0\0")
    heap = file.put(b"HEAP\0\0\0\0" + struct.pack("<QQQ", 16, 1, names))
    data = file.object((7, struct.pack("<BxxxHHQQQQ", 1, 1, 1, heap, 0, 0, 10)))
    assert (Verdict.UNSAFE, {"hdf5/external-storage"}) == checked(file.bytes(file.object(hard("d", data))))
    file = File()
    item = b"\0" + struct.pack("<Q", 1) + b"other.h5\0d\0"
    heap = file.put(
        b"GCOL\1\0\0\0" + struct.pack("<Q", 60) + struct.pack("<HHIQ", 1, 1, 0, len(item)) + item + bytes(8)
    )
    data = file.object((8, struct.pack("<BBQI", 4, 3, heap, 1)))
    assert (Verdict.UNSAFE, {"hdf5/virtual"}) == checked(file.bytes(file.object(hard("d", data))))


def test_pickles_in_attributes_are_judged() -> None:
    """PyTables unpickles them."""
    file = File()
    data = file.bytes(file.object(attribute("p", b"cos\nsystem\n(S'touch x'\ntR.")))
    assert Verdict.UNSAFE is checked(data)[0]


@pytest.mark.parametrize(
    ("id", "messages"),
    [
        ("hdf5/filter", [(11, struct.pack("<BBHHHH", 2, 1, 32015, 0, 0, 0))]),
        ("hdf5/config", [attribute("model_config", b'{"class_name": ')]),
        ("hdf5/config", [attribute("model_config", b"[]")]),
        ("hdf5/repeated-key", [attribute("model_config", b'{"class_name": "Sequential", "class_name": "Sequential"}')]),
        ("hdf5/broken", [(17, struct.pack("<QQ", 1 << 40, 1 << 40))]),
        ("hdf5/broken", [(16, struct.pack("<QQ", 96, 64))]),
        ("hdf5/broken", [hard("x", 3)]),
    ],
)
def test_what_nobody_can_judge_is_unknown(id: str, messages: list[tuple[int, bytes]]) -> None:
    """Plug-ins, broken configurations, addresses that lead nowhere."""
    file = File()
    verdict, found = checked(file.bytes(file.object(*messages)))
    assert Verdict.UNKNOWN is verdict
    assert id in found


def test_a_file_behind_something_else_is_not_safe() -> None:
    """The library finds its signature at 512 bytes; what stands before it can be another file."""
    file = File(user=512)
    assert (Verdict.UNKNOWN, {"hdf5/user-block"}) == checked(file.bytes(file.object(config(MODEL))))


def test_groups_that_hold_each_other_end() -> None:
    """Links may go round."""
    file = File()
    root = file.size + len(file.body)
    assert root == file.object(hard("me", root))
    assert (Verdict.SAFE, set()) == checked(file.bytes(root))


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_files_of_the_library_itself(tmp_path: Path, version: str) -> None:
    """What h5py writes, in old and new versions of the format, with so many attributes and links that they lie in heaps."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", libver=version) as file:
        for index in range(300):
            file.attrs[f"a{index}"] = "x" * 50
            file.create_group(f"g{index}")
    assert (Verdict.SAFE, set()) == checked(path.read_bytes())
    with h5py.File(path, "a", libver=version) as file:
        file.attrs["model_config"] = json.dumps(LAMBDA)
        file["l"] = h5py.ExternalLink("other.h5", "/x")
    assert {"keras/holds-code", "hdf5/external-link"} <= checked(path.read_bytes())[1]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_content_makes_the_reader_fail(draw: st.DataObject) -> None:
    """Whatever the bytes, the reader ends without an exception."""
    file = File(draw.draw(st.sampled_from([OLD, MODERN])))
    group = file.object(attribute("a", b"b", 3), (11, struct.pack("<BBHHHH", 2, 1, 1, 0, 0, 0)))
    data = bytearray(file.bytes(file.object(config(MODEL), hard("g", group), external("l", "x"))))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(8, len(data) - 1))] = draw.draw(st.sampled_from([0, 1, 8, 255]))
    Hdf5Reader().read(Source("m.h5", bytes(data)), Scan(Limits(), lambda source, scan: ""))
