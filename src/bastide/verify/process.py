# SPDX-License-Identifier: Apache-2.0
"""Bounds on the processes that read what is hostile."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def address_space() -> int:
    """Bytes that this process has already: a forked one has all that its parent had. 0 where the system doesn't say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def limit_address_space(most: int) -> None:
    """Makes what asks for more bytes than that fail with `MemoryError`; where the system forbids the bound, there is none."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def allow_address_space(more: int) -> None:
    """Raises the bound by what is about to be mapped: a file's own bytes aren't charged to what reads it."""
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_AS, (soft + more, hard))
