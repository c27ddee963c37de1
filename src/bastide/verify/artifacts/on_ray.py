# SPDX-License-Identifier: Apache-2.0
"""The same scan on the machines of a Ray cluster: for hubs and lakes. Ray hands out the work and repeats what a lost machine had.

Together with a cache that all machines see, a scan that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bastide.verify.artifacts.batch import Batch, scan_batch
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier
from bastide.verify.artifacts.pool import Allowance
from bastide.verify.artifacts.remote import is_remote
from bastide.verify.cluster import at_once, join_cluster

TOGETHER = 32
"""Files of a task: a process is started for each."""


def scan_on_ray(
    locations: Sequence[str], address: str, allowance: Allowance | None = None, cache: Path | None = None
) -> Iterator[FileReport]:
    """The reports, in the order of the locations.

    address: of a cluster (`ray://host:10001`, `auto`), or `local` for one on this machine. Local paths have to lead to the same files everywhere.
    Raises `UsageError` when Ray isn't there or doesn't answer.
    """
    ray = join_cluster(address)
    try:
        task = ray.remote(scan_batch)
        most = at_once(ray)
        waiting: deque[tuple[Any, Sequence[str]]] = deque()
        for at in range(0, len(locations), TOGETHER):
            batch = locations[at : at + TOGETHER]
            waiting.append((task.remote(_encoded(batch, allowance or Allowance(), cache)), batch))
            if len(waiting) >= most:
                yield from _done(ray, *waiting.popleft())
        while waiting:
            yield from _done(ray, *waiting.popleft())
    finally:
        ray.shutdown()


def _encoded(locations: Sequence[str], allowance: Allowance, cache: Path | None) -> bytes:
    absolute = (one if is_remote(one) else str(Path(one).absolute()) for one in locations)
    encoded = tuple(one.encode("utf-8", "surrogateescape") for one in absolute)
    return msgspec.msgpack.encode(Batch(encoded, allowance, str(cache.absolute()) if cache else ""))


def _done(ray: Any, task: Any, locations: Sequence[str]) -> Iterator[FileReport]:
    try:
        reports = msgspec.msgpack.decode(ray.get(task), type=list[FileReport])
        for location, report in zip(locations, reports, strict=True):
            yield FileReport(location, report.format, report.sha256, report.findings, report.seconds)
    except (ray.exceptions.RayError, RuntimeError, ValueError) as problem:
        why = f"not read: the task of the cluster failed: {' '.join(str(problem).split())[-300:]}"
        for location in locations:
            yield FileReport(location, "unread", "", (Finding("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, why),))
