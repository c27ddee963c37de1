# SPDX-License-Identifier: Apache-2.0
"""Pickles as such: pickle, joblib, dill, cloudpickle, and PyTorch's old files of several pickles in a row."""

from __future__ import annotations

from bastide.verify.artifacts.formats import torch_legacy
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.pickles.judge import Judge
from bastide.verify.artifacts.pickles.knowledge import load_knowledge
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.reading import report, try_pickle
from bastide.verify.artifacts.pickles.state import End, Outcome

EXTENSIONS = frozenset(
    [
        "pkl",
        "pickle",
        "p",
        "pk",
        "pckl",
        "joblib",
        "dill",
        "cloudpickle",
        "pt",
        "pth",
        "bin",
        "ckpt",
        "data",
        "dat",
        "model",
        "sav",
        "mdl",
        "npy",
        "npz",
    ]
)
"""Files that people load as pickles whatever is in them."""
NEVER = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY", b"\x1f\x8b", b"\xfd7zXZ\x00", b"]\x00\x00", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda",
    b"7z\xbc\xaf", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"\x89HDF",
)  # fmt: skip
"""Beginnings of other formats at which every reader of pickles stops with an error."""
MAX_PICKLES = 1000
TRIAL = 20_000
"""Opcodes after which something that doesn't look like a pickle isn't one."""


class PickleReader:
    """Reads files of pickles."""

    format = "pickle"

    def claims(self, source: Source) -> bool:
        """By its first bytes, or by a name under which people load pickles; a pickle of protocol 0 looks like text."""
        head = source.head(8)
        if head.startswith(NEVER):
            return False
        if len(head) >= 2 and head[0] == 0x80 and head[1] <= 5:
            return True
        return source.extension in EXTENSIONS or _would_call(source)

    def read(self, source: Source, scan: Scan) -> str | None:
        """All pickles of the file, one after the other."""
        start = 0
        for number in range(MAX_PICKLES):
            outcome, judge = try_pickle(source.data, start)
            if number and outcome.end is not End.STOP and not judge.calls:
                _behind(source, start, scan)
                return None
            report(outcome, judge, scan)
            if not number and torch_legacy.begins(outcome, judge):
                return torch_legacy.read_rest(source, scan, outcome)
            start = outcome.offset
            if outcome.end is not End.STOP or start >= source.size:
                return None
        scan.unread(f"more than {MAX_PICKLES} pickles in a row", start)
        return None


def _behind(source: Source, start: int, scan: Scan) -> None:
    """What follows a whole pickle and is none: no loader looks at it unless it knows more of the file than can be seen."""
    step = 1 << 20
    if any(bytes(source.data[at : at + step]).strip(b"\0\r\n ") for at in range(start, source.size, step)):
        scan.malformed(
            "pickle/data-behind",
            "bytes stand behind it that are no pickle; what reads them, and how, isn't known",
            start,
        )


def is_none(source: Source) -> bool:
    """Whether every reader of pickles stops with an error before anything is called."""
    outcome, calls = _tried(source)
    return not calls and outcome.end in (End.ERROR, End.TRUNCATED)


def is_refused(source: Source) -> bool:
    """Whether every reader of pickles stops with an error inside of these bytes, before anything is called."""
    outcome, calls = _tried(source)
    return not calls and outcome.end is End.ERROR


def _would_call(source: Source) -> bool:
    """Whether it is a pickle under another name: a text that a reader of pickles would call something for.

    Texts begin with letters that are opcodes as well, but none comes to a call by chance.
    """
    outcome, calls = _tried(source)
    return calls > 0 or outcome.end is End.BOUND


def _tried(source: Source) -> tuple[Outcome, int]:
    judge = Judge(load_knowledge())
    judge.machine = machine = Machine(source.data, judge, max_steps=TRIAL)
    outcome = machine.run()
    del machine.observer
    return outcome, judge.calls
