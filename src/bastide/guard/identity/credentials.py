# SPDX-License-Identifier: Apache-2.0
"""The guard's own credentials: read from the environment, a file or a program when they are needed, and never shown.

A file is read again when it changes; what a program printed is asked for again in the background when it is old, so that no request waits.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bastide.errors import Unavailable
from bastide.guard.settings import Secret

LONGEST = 64 * 1024
"""Bytes of a credential; what is longer is something else."""
PROGRAM_TIME = 10.0
"""Seconds that a program may take to print one."""
ASK_AGAIN = 300.0
"""Seconds after which a program is run again."""


class Credentials:
    """Resolves `Secret`. Its values appear in no repr, log line or error message."""

    def __init__(self, environ: Mapping[str, str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._files: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._printed: dict[tuple[str, ...], tuple[float, str]] = {}
        self._running: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Credentials: {len(self._files)} from files, {len(self._printed)} from programs>"

    def get(self, secret: Secret) -> str:
        """The credential, without white space around it.

        Raises `Unavailable` (`credential_missing`) that names the place, never the value. The first use of a program's waits for the program:
        call `load` at the start.
        """
        if secret.env:
            return _fit(self._environ.get(secret.env, ""), f"the environment variable `{secret.env}`")
        if secret.file is not None:
            return self._from_file(secret.file)
        if secret.command:
            return self._from_program(secret.command)
        raise _missing("a secret that names no `env`, `file` or `command`")

    def load(self, secrets: Iterable[Secret]) -> None:
        """Resolves all of them now, so that all that is missing is known at the start. Raises `Unavailable`, which names every place."""
        missing: list[str] = []
        for secret in secrets:
            try:
                self.get(secret)
            except Unavailable as problem:
                missing.append(str(problem))
        if missing:
            raise Unavailable("; ".join(dict.fromkeys(missing)), code="credential_missing")

    def _from_file(self, file: Path) -> str:
        place = f"the file `{file}`"
        try:
            about = file.stat()
            state = (about.st_mtime_ns, about.st_size, about.st_ino)
            known = self._files.get(file)
            if known is not None and known[0] == state:
                return known[1]
            with file.open("rb") as stream:
                value = _fit(stream.read(LONGEST + 1).decode("utf-8", "replace"), place)
        except (OSError, ValueError):
            raise _missing(place) from None
        self._files[file] = (state, value)
        return value

    def _from_program(self, command: tuple[str, ...]) -> str:
        known = self._printed.get(command)
        if known is None:
            return self._run(command)
        asked, value = known
        if self._clock() - asked >= ASK_AGAIN:
            self._refresh(command)
        return value

    def _refresh(self, command: tuple[str, ...]) -> None:
        with self._lock:
            if command in self._running:
                return
            self._running.add(command)
        threading.Thread(target=self._run_again, args=(command,), name="credential", daemon=True).start()

    def _run_again(self, command: tuple[str, ...]) -> None:
        try:
            self._run(command)
        except Unavailable:
            # The store is down: the value that worked goes on, and it is asked again after the same time.
            self._printed[command] = (self._clock(), self._printed[command][1])
        finally:
            with self._lock:
                self._running.discard(command)

    def _run(self, command: tuple[str, ...]) -> str:
        place = f"the program `{command[0]}`"
        try:
            # What it says on stderr could hold the value, so nobody sees it.
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=PROGRAM_TIME,
                check=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            raise _missing(place) from None
        value = _fit(done.stdout.decode("utf-8", "replace"), place)
        self._printed[command] = (self._clock(), value)
        return value


def _fit(text: str, place: str) -> str:
    value = text.strip()
    if not value or len(value) > LONGEST:
        raise _missing(place)
    return value


def _missing(place: str) -> Unavailable:
    return Unavailable(f"{place} gives no credential", code="credential_missing")
