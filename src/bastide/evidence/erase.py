# SPDX-License-Identifier: Apache-2.0
"""Erasure: a subject's key and bodies are destroyed, the chain says so and stays whole."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies
from bastide.evidence.files import PRIVATE
from bastide.evidence.ledger import Ledger, Options


def erase(ledger: Ledger, bodies: Bodies, who: str, alone: AbstractContextManager[object] | None = None) -> int:
    """Erases a subject by its id, after `Bodies.mark`; how many files went. Raises `LedgerError`; then it is done at the next start.

    alone: held in between, where entries with bodies may be written at the same time.
    """
    with alone or contextlib.nullcontext():
        seq = ledger.append({"kind": "erasure", "subject": who})
        gone = bodies.destroy(who)
    # Only when the chain says so on the disk too: a power cut must not leave bodies missing without a reason.
    ledger.synced(seq).result()
    bodies.unmark(who)
    return gone


def erase_marked(folder: Path, signing_key: bytes | None = None, key_folder: Path | None = None) -> int:
    """Does all erasures that were marked in a folder that nobody writes; how many files went.

    key_folder: where the key is, when it isn't in the folder. Raises `LedgerError`, also when the ledger is signed with a key that isn't there
    and none is given; `LedgerHeld` when somebody does write it.
    """
    if signing_key is None and not ((key_folder or folder) / PRIVATE).exists():
        raise LedgerError(f"{folder}: is signed with a key that isn't in the folder; name the private key")
    with Ledger(folder, Options(signing_key=signing_key, key_folder=key_folder)) as ledger:
        bodies = Bodies(folder)
        return sum(erase(ledger, bodies, who) for who in bodies.marked())
