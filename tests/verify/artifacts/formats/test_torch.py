# SPDX-License-Identifier: Apache-2.0
"""PyTorch's files are judged by what `torch.load` and `torch.jit.load` do with them."""

from __future__ import annotations

import gc
import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest

from bastide.verify.artifacts.model import Severity, Verdict
from bastide.verify.artifacts.scan import scan_bytes, scan_file
from tests.verify.artifacts.archives.zips import HARMLESS, TOUCHES, M, ids, torch, zipped

RUNS = "pickle/runs-a-program"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
TENSOR = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
    + STORAGE
    + b"K\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
)
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
SYSTEM = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."
LEGACY_STORAGE = STORAGE[:-2] + b"NtQ"
LEGACY_TENSOR = TENSOR.replace(STORAGE, LEGACY_STORAGE)
KEYS = b"\x80\x02]X\x01\x00\x00\x000a."
NUMBERS = struct.pack("<q2f", 2, 1.5, 2.5)
LEGACY = MAGIC + VERSION + SYSTEM + LEGACY_TENSOR + KEYS + NUMBERS


def test_a_tensor_is_safe() -> None:
    report = scan_bytes(torch(pickle=TENSOR), "model.pt")
    assert (report.format, report.verdict, report.findings) == ("torch", Verdict.SAFE, ())


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "model.ckpt", "model", "model.safetensors"])
def test_a_harmful_pickle_is_found_under_every_name(name: str) -> None:
    assert RUNS in ids(torch(pickle=TOUCHES), name)


def test_storages_are_raw_bytes() -> None:
    """Bytes that would be a harmful pickle are numbers to every loader when they stand in a storage."""
    assert scan_bytes(zipped(M(b"m/data.pkl", TENSOR), M(b"m/data/0", TOUCHES)), "x.pt").verdict is Verdict.SAFE


@pytest.mark.parametrize(
    "name", [b"m/data/evil", b"m/other.pkl", b"m/data/0.pkl", b"other/data.pkl", b"m/data/sub/0", b"data.pkl"]
)
def test_what_is_no_storage_is_read(name: bytes) -> None:
    assert RUNS in ids(torch(M(name, TOUCHES)), "x.pt")


def test_a_storage_that_numpy_would_read_is_read() -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + TOUCHES
    assert RUNS in ids(zipped(M(b"m/data.pkl", TENSOR), M(b"m/data/0", array)), "x.npz")


@pytest.mark.parametrize("id", [b"(K\x01K\x02K\x03K\x04tQ", b"X\x01\x00\x00\x000Q", b"P0\n"])
def test_an_id_that_is_not_pytorchs_is_unknown(id: bytes) -> None:
    assert "pickle/torch-id" in ids(torch(pickle=b"\x80\x02" + id + b"."), "x.pt")


def test_the_file_in_a_pickle_is_read() -> None:
    """`torch.storage._load_from_bytes` loads a PyTorch file that stands in the pickle."""
    head = b"\x80\x03ctorch.storage\n_load_from_bytes\n"
    honest = head + b"B" + struct.pack("<L", len(LEGACY)) + LEGACY + b"\x85R."
    assert scan_bytes(honest, "x.pkl").verdict is Verdict.SAFE
    attack = MAGIC + VERSION + SYSTEM + TOUCHES
    report = scan_bytes(head + b"B" + struct.pack("<L", len(attack)) + attack + b"\x85R.", "x.pkl")
    assert (Verdict.UNSAFE, f"bytes at {len(head)}.pt") == (report.verdict, report.findings[0].member)
    assert "pickle/loads-computed-bytes" in ids(head + b"]\x85R.", "x.pkl")


def test_a_legacy_file_is_safe() -> None:
    report = scan_bytes(LEGACY, "model.pt")
    assert (report.format, report.verdict, report.findings) == ("torch", Verdict.SAFE, ())


@pytest.mark.parametrize("place", range(5))
def test_each_of_the_five_pickles_is_judged(place: int) -> None:
    pickles = [MAGIC, VERSION, SYSTEM, LEGACY_TENSOR, KEYS]
    pickles[place] = TOUCHES
    assert RUNS in ids(b"".join(pickles) + NUMBERS, "model.pt")


def test_a_magic_number_that_is_computed_is_unsafe() -> None:
    computed = b"cbuiltins\nint\n(V119547037146038801333356\ntR."
    found = ids(computed + VERSION + SYSTEM + TOUCHES, "model.pt")
    assert {"torch/computed-magic", RUNS} <= found
    assert (
        scan_bytes(computed + VERSION + SYSTEM + LEGACY_TENSOR + KEYS + NUMBERS, "model.pt").verdict is Verdict.UNSAFE
    )


def test_a_legacy_file_that_ends_early_is_unknown() -> None:
    assert scan_bytes(MAGIC + VERSION, "model.pt").verdict is Verdict.UNKNOWN


def _tar(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(data)
            archive.addfile(facts, io.BytesIO(data))
    return buffer.getvalue()


STORAGES = b"K\x01.(K\x05X\x03\x00\x00\x00cpuctorch\nFloatStorage\nt." + NUMBERS + b"]."
TENSORS = b"K\x01.(K\x07K\x05ctorch\nFloatTensor\nt." + struct.pack("<ii", 1, 0) + struct.pack("<3q", 2, 1, 0)


def test_the_oldest_format_is_a_tar_archive() -> None:
    report = scan_bytes(_tar(storages=STORAGES, tensors=TENSORS, pickle=b"\x80\x02K\x07Q."), "model.pt")
    assert report.format == "torch"
    assert RUNS in ids(_tar(storages=STORAGES, tensors=TENSORS, pickle=TOUCHES), "model.pt")
    assert RUNS in ids(_tar(storages=b"K\x01." + TOUCHES, tensors=TENSORS, pickle=HARMLESS), "model.pt")
    assert RUNS in ids(_tar(storages=STORAGES[:-2] + TOUCHES, tensors=TENSORS, pickle=HARMLESS), "model.pt")
    assert RUNS in ids(_tar(storages=STORAGES, tensors=b"K\x02." + TENSORS[3:] + TOUCHES, pickle=HARMLESS), "model.pt")


def _script(code: bytes) -> bytes:
    return zipped(
        M(b"m/data.pkl", b"\x80\x02c__torch__\nNet\n)\x81}(X\x08\x00\x00\x00training\x89ub."),
        M(b"m/code/__torch__.py", code, 8),
        M(b"m/constants.pkl", b"\x80\x02)."),
        M(b"m/version", b"3\n"),
    )


CODE = b"class Net(Module):\n  training : bool\n  def forward(self: __torch__.Net, x: Tensor) -> Tensor:\n    return torch.relu(x)\n"


def test_a_torchscript_program_is_said_to_be_one() -> None:
    report = scan_bytes(_script(CODE), "model.pt")
    assert (report.format, report.verdict, report.findings[0].severity) == ("torchscript", Verdict.SAFE, Severity.LOW)


@pytest.mark.parametrize(
    "line",
    [
        b"torch.save(x, 'f')", b"x.save('f')", b"(x) . save('f')", b"torch.from_file('/etc/passwd')", b"ops.aten.from_file('f')",
        b"ops.aten . save(x, 'f')", b"_0 = torch.save", b"getattr(x, 'save')('f')", b"ops.prim.rpc_async('a', f)", b"torch.\\\n  save(x, 'f')",
    ],
)  # fmt: skip
def test_operators_that_reach_files_and_machines_are_unsafe(line: bytes) -> None:
    assert scan_bytes(_script(CODE.replace(b"torch.relu(x)", line)), "model.pt").verdict is Verdict.UNSAFE


@pytest.mark.parametrize(
    "line", [b"ops.mylib.run(x)", b"__torch__.torch.classes.mylib.Thing()", b"^Python()(x)", b"torch.load('f')"]
)
def test_operators_of_other_libraries_are_unknown(line: bytes) -> None:
    assert scan_bytes(_script(CODE.replace(b"torch.relu(x)", line)), "model.pt").verdict is Verdict.UNKNOWN


def test_a_function_of_the_programs_own_that_is_called_save_is_unknown() -> None:
    code = (
        CODE.replace(b"torch.relu(x)", b"(self).save(x)")
        + b"  def save(self: __torch__.Net, x: Tensor) -> Tensor:\n    return x\n"
    )
    assert scan_bytes(_script(code), "model.pt").verdict is Verdict.UNKNOWN


def test_a_harmful_pickle_in_a_torchscript_file_is_found() -> None:
    assert RUNS in ids(
        _script(CODE).replace(b"__torch__\nNet", b"__torch__\nNet")[:0] + torch(M(b"m/constants.pkl", TOUCHES)), "x.pt"
    )


def test_a_package_is_a_matter_of_policy() -> None:
    report = scan_bytes(zipped(M(b"p/.data/extern_modules", b"torch\n"), M(b"p/mod.py", b"x = 1\n")), "x.pt")
    assert (report.verdict, report.findings[0].id) == (Verdict.UNKNOWN, "torch/package")


def test_a_torchserve_archive_is_a_matter_of_policy() -> None:
    report = scan_bytes(zipped(M(b"MAR-INF/MANIFEST.json", b"{}"), M(b"handler.py", b"x = 1\n")), "x.mar")
    assert (report.format, report.verdict) == ("mar", Verdict.UNKNOWN)


def test_a_pickle_of_another_protocol_is_read_too() -> None:
    for protocol in range(6):
        assert scan_bytes(torch(pickle=pickle.dumps({"a": [1, 2.5]}, protocol)), "x.pt").verdict is Verdict.SAFE


def test_operators_of_the_interpreter_for_small_devices_are_read() -> None:
    code = b"\x80\x02X\x0a\x00\x00\x00aten::saveX\x00\x00\x00\x00\x86."
    archive = zipped(M(b"m/data.pkl", HARMLESS), M(b"m/constants.pkl", b"\x80\x02)."), M(b"m/bytecode.pkl", code))
    assert "torchscript/reaches-out" in ids(archive, "m.ptl")


@pytest.mark.parametrize("codec", [b"rot13", b"latin1\0", b"\xff", b"x" * 100, b"uu"])
def test_a_text_that_is_transformed_is_unsafe(codec: bytes) -> None:
    text = b"X\x01\x00\x00\x00aX" + struct.pack("<L", len(codec)) + codec
    assert scan_bytes(torch(pickle=b"\x80\x02c_codecs\nencode\n(" + text + b"tR."), "x.pt").verdict is not Verdict.SAFE


@pytest.mark.parametrize("module", [b"torch._tensor", b"torch.tensor"])
def test_what_rebuilds_a_tensor_is_judged_as_a_call(module: bytes) -> None:
    """`_rebuild_from_type` calls what it is given."""
    head = b"\x80\x02c" + module + b"\n_rebuild_from_type\n(csklearn.utils.validation\ncheck_array\nctorch\nTensor\n"
    assert "pickle/calls-unknown" in ids(torch(pickle=head + b"(K\x01t}tR."), "x.pt")


def test_a_long_beginning_hides_nothing() -> None:
    """Nor does a name that isn't one of a pickle."""
    assert RUNS in ids(b"(" + b"N" * 100_000 + b"t0" + TOUCHES, "readme")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_the_file_is_let_go_at_once(tmp_path: Path) -> None:
    """Not only when the garbage collector comes: a mapping costs address space and an open file."""
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c.pkl")]
    for path, data in zip(paths, (torch(pickle=TENSOR), LEGACY, TOUCHES), strict=True):
        path.write_bytes(data)
    gc.collect()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for path in paths:
            scan_file(path)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
    finally:
        gc.enable()
