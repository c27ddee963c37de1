# SPDX-License-Identifier: Apache-2.0
"""PyTorch's zip files: `torch.save`, TorchScript, `torch.package`.

`torch.load` takes the part before the first `/` of the first member as the folder, looks names up without regard to case, takes the first of two
members of a name, and doesn't care for checksums. Storages are raw bytes to it. With `constants.pkl` the file is TorchScript: then no pickle is
read by Python, and the program in it is run by PyTorch's own interpreter.
"""

from __future__ import annotations

import re

from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.formats.torchscript import read_code
from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.pickles.reading import read_pickle

PICKLES = ("/data.pkl", "/constants.pkl", "/bytecode.pkl")
_STORAGE = re.compile(r"[^/]*/(?:(?:data|constants|tensors)/[0-9]+|\.data/[0-9]+\.storage)\Z", re.IGNORECASE)
_FACTS = re.compile(
    r"[^/]*/(?:version|byteorder|\.format_version|\.storage_alignment|\.data/(?:version|serialization_id|extern_modules))\Z"
)
_FACT = re.compile(rb"[\x20-\x7e\r\n]*\Z")
NUMPY = b"\x93NUMPY"


def read_layout(archive: Archive, scan: Scan) -> tuple[str, set[Member]]:
    """Reads the pickles and the code; storages are raw bytes. The format is '' when it is no PyTorch file."""
    pickles = [m for m in archive.members if ("/" + m.name).casefold().endswith(PICKLES)]
    if not pickles:
        return "", set()
    script = any(m.name.casefold().endswith("/constants.pkl") for m in archive.members)
    done = set(pickles)
    for member in archive.members:
        if member in done or (script and member.name.endswith(".debug_pkl")):
            done.add(member)
            _pickle(archive, member, scan, script=script)
        elif _STORAGE.match(member.name):
            if _is_storage(archive, member, scan):
                done.add(member)
        elif _FACTS.match(member.name) and member.size <= 4096:
            content = archive.content(member, scan)
            if content is not None and _FACT.match(bytes(content)):
                done.add(member)
    if script:
        done |= read_code(archive, scan)
    if not any("/" in m.name for m in archive.members[:1]):
        scan.malformed(
            "torch/no-folder", "its first member lies in no folder; PyTorch refuses it", archive.members[0].entry
        )
    return "torchscript" if script else "torch", done


def _pickle(archive: Archive, member: Member, scan: Scan, *, script: bool) -> None:
    below = scan.below(member.name)
    content = archive.content(member, below) if below else None
    if below is None or content is None:
        return
    outcome, _ = read_pickle(content, below, persistent=True, script=script)
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
