# SPDX-License-Identifier: Apache-2.0
"""PyTorch's zip files: `torch.save`, TorchScript, `torch.package`.

`torch.load` takes the part before the first `/` of the first member as the folder, looks names up without regard to case, takes the first of two
members of a name, and doesn't care for checksums. Storages are raw bytes to it. With `constants.pkl` the file is TorchScript: then no pickle is
read by Python, and the program in it is run by PyTorch's own interpreter.
"""

from __future__ import annotations

import re

from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.exposed import look
from bastide.verify.artifacts.formats.torchscript import read_bytecode, read_code
from bastide.verify.artifacts.interface import Buffer, Scan, Source
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.reading import read_pickle

MAX_FACT = 4096
EXPORTED = "/archive_format"
PICKLES = ("/data.pkl", "/constants.pkl", "/bytecode.pkl")
_STORAGE = re.compile(
    r"[^/]*/(?:(?:data|constants|tensors)/[0-9]+|\.data/[0-9]+\.storage|data/weights/weight_[0-9]+|data/constants/tensor_[0-9]+)\Z",
    re.IGNORECASE,
)
_FACTS = re.compile(
    r"[^/]*/(?:version|byteorder|\.format_version|\.storage_alignment|\.data/(?:version|serialization_id|extern_modules))\Z"
)
_PACKAGE = re.compile(r"[^/]*/\.data/(?:extern_modules|python_version)\Z")
_FACT = re.compile(rb"[\x20-\x7e\r\n]*\Z")
NUMPY = b"\x93NUMPY"


def read_layout(archive: Archive, scan: Scan) -> tuple[str, set[Member]]:
    """Reads the pickles and the code; storages are raw bytes. The format is '' when it is no PyTorch file."""
    kind = _kind(archive)
    if not kind:
        return "", set()
    done = {member for member in archive.members if _read(archive, member, scan, kind)}
    if kind == "torch-package":
        scan.add(
            "torch/package", Tier.POLICY, Severity.MEDIUM,
            "a `torch.package`: its importer runs the Python modules in it when an object is loaded; read them first", 0,
        )  # fmt: skip
    if kind == "torchscript":
        done |= read_code(archive, scan)
    if "/" not in archive.members[0].name:
        scan.malformed(
            "torch/no-folder", "its first member lies in no folder; PyTorch refuses it", archive.members[0].entry
        )
    return kind, done


def _kind(archive: Archive) -> str:
    names = ["/" + m.name.casefold() for m in archive.members]
    if any(name.endswith("/constants.pkl") for name in names):
        return "torchscript"
    if any(_PACKAGE.match(m.name) for m in archive.members):
        return "torch-package"
    if any(name.endswith(PICKLES) for name in names):
        return "torch"
    return "torch-export" if any(name.endswith(EXPORTED) for name in names) else ""


def _read(archive: Archive, member: Member, scan: Scan, kind: str) -> bool:
    """Whether it was read, or is raw bytes to every loader."""
    name = "/" + member.name.casefold()
    if name.endswith(PICKLES) or (kind == "torchscript" and name.endswith((".pkl", ".debug_pkl"))):
        _pickle(archive, member, scan, script=kind == "torchscript")
        return True
    if _STORAGE.match(member.name):
        return _is_storage(archive, member, scan)
    if _FACTS.match(member.name) and member.size <= MAX_FACT:
        content = archive.content(member, scan)
        return content is not None and _FACT.match(bytes(content)) is not None
    return False


def _pickle(archive: Archive, member: Member, scan: Scan, *, script: bool) -> None:
    below = scan.below(member.name)
    content = archive.content(member, below) if below else None
    if below is None or content is None:
        return
    if script:
        read_bytecode(content, below)
    outcome, _ = read_pickle(content, below, persistent=True, script=script)
    look(Source(member.name, content), below)
    if outcome.offset < len(content):
        _rest(content, outcome.offset, below)


def _rest(content: Buffer, offset: int, scan: Scan) -> None:
    if bytes(content[offset : offset + 4096]).strip(b"\0"):
        scan.malformed("torch/after-the-pickle", "bytes stand behind the pickle, which nothing reads", offset)


def _is_storage(archive: Archive, member: Member, scan: Scan) -> bool:
    """Whether it is raw bytes to every loader; `numpy.load` reads members by their first bytes."""
    if member.start < 0 or member.method != 0:
        return False
    head = bytes(archive.data[member.start : member.start + len(NUMPY)])
    if member.start + member.packed > len(archive.data) or member.packed != member.size:
        scan.malformed("zip/cut-off", f"`{member.name[:200]}` isn't all there", member.entry)
    return head != NUMPY
