# SPDX-License-Identifier: Apache-2.0
"""The program in a TorchScript file.

It looks like Python, but PyTorch's own interpreter runs it: it has PyTorch's operators and nothing of Python. A few of those write and read
files or call other machines. `__setstate__` of its classes runs when the file is loaded, the rest when the model is used.
"""

from __future__ import annotations

import re

from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier

MAX_CODE = 64 << 20
REACHING = {
    b"save": "writes a file",
    b"from_file": "maps a file, and makes it where there is none",
    b"rpc_async": "calls another machine",
    b"rpc_sync": "calls another machine",
    b"rpc_remote": "calls another machine",
}
"""Operators that reach further than tensors; every value has them as methods too."""
OWN = frozenset(
    {
        b"aten",
        b"prim",
        b"prims",
        b"quantized",
        b"_quantized",
        b"sparse",
        b"mkldnn",
        b"mkldnn_prepacked",
        b"onednn",
        b"mkl",
    }
)
"""Namespaces of operators that PyTorch itself has; others come from a library that is loaded before."""
KNOWN = frozenset({b"torchvision", b"torchaudio", b"torchtext"})
_REACHING = re.compile(rb"(?:\.[\s\\]*|getattr[^\n]{0,200}[\"'])(save|from_file|rpc_async|rpc_sync|rpc_remote)\b")
_NAMED = re.compile(rb"(?:aten|prim)::(save|from_file|rpc_async|rpc_sync|rpc_remote)(?![a-z_])")
_OPS = re.compile(rb"\bops[\s\\]*\.[\s\\]*(\w+)")
_CLASSES = re.compile(rb"\btorch\.classes\.(\w+)")
_NOT_THERE = re.compile(rb"\btorch[\s\\]*\.[\s\\]*(load|hub|package|multiprocessing|serialization|utils)\b")
"""Parts of PyTorch that no program of TorchScript has."""
_PYTHON = re.compile(rb"(?:^|[=\s(,])\^(\w+)")


def read_code(archive: Archive, scan: Scan) -> set[Member]:
    """Reads the code; returns the members that hold it."""
    found = {m for m in archive.members if "/code/" in "/" + m.name and m.name.endswith(".py")}
    defined: set[bytes] = set()
    texts: list[tuple[Member, bytes]] = []
    for member in archive.members:
        if member in found and (text := _text(archive, member, scan)) is not None:
            texts.append((member, text))
            defined |= {name for name in REACHING if re.search(rb"\bdef[\s\\]+" + name + rb"\b", text)}
    for member, text in texts:
        _judge(member, text, defined, scan)
    if texts:
        scan.add(
            "torchscript/program", Tier.POLICY, Severity.LOW,
            "holds a TorchScript program, which PyTorch's interpreter runs; it can only use PyTorch's operators",
            texts[0][0].start, texts[0][0].name[:200],
        )  # fmt: skip
    return found


def read_bytecode(content: Buffer, scan: Scan) -> None:
    """The operators that `bytecode.pkl` names, for the interpreter of small devices."""
    for match in _NAMED.finditer(content):
        scan.add(
            "torchscript/reaches-out", Tier.EXECUTES, Severity.HIGH, f"uses `{match[1].decode()}`, which {REACHING[match[1]]}", match.start(1),
            match[0].decode(),
        )  # fmt: skip


def _text(archive: Archive, member: Member, scan: Scan) -> bytes | None:
    below = scan.below(member.name)
    if below is None:
        return None
    if member.size > MAX_CODE:
        below.unread(f"code of over {MAX_CODE} bytes", member.start)
        return None
    content = archive.content(member, below)
    return None if content is None else bytes(content)


def _judge(member: Member, text: bytes, defined: set[bytes], scan: Scan) -> None:
    below = scan.below(member.name)
    if below is None:
        return
    for match in _REACHING.finditer(text):
        own = match[1] in defined
        below.add(
            "torchscript/reaches-out", Tier.POLICY if own else Tier.EXECUTES, Severity.MEDIUM if own else Severity.HIGH,
            f"uses `{match[1].decode()}`, which {REACHING[match[1]]}" + (" unless it is the program's own function of that name" if own else ""),
            match.start(1), match[0].decode("ascii", "replace"),
        )  # fmt: skip
    foreign = {m[1]: m.start() for m in _OPS.finditer(text) if m[1] not in OWN | KNOWN}
    foreign |= {m[1]: m.start() for m in _CLASSES.finditer(text) if m[1] not in OWN}
    foreign |= {m[0]: m.start() for m in _NOT_THERE.finditer(text)}
    foreign |= {m[1]: m.start() for m in _PYTHON.finditer(text)}
    for name, offset in foreign.items():
        below.add(
            "torchscript/foreign-operator", Tier.POLICY, Severity.MEDIUM,
            "uses operators of a library that isn't PyTorch's own; what they do isn't known", offset, name.decode("ascii", "replace"),
        )  # fmt: skip
