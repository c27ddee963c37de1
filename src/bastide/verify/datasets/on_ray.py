# SPDX-License-Identifier: Apache-2.0
"""The same pieces of a data set on the machines of a Ray cluster. The files have to be at the same paths everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bastide.verify.cluster import at_once, join_cluster
from bastide.verify.datasets.interface import Limits
from bastide.verify.datasets.partial import Partial
from bastide.verify.datasets.pool import Done, answer, done_of


def each_on_ray(tasks: Sequence[Callable[[], Partial]], address: str, limits: Limits) -> Iterator[Done]:
    """Runs the tasks on a cluster; results come as they are done. What fails on a machine leaves its pieces unread.

    Raises `UsageError` when there is no cluster, or when a task raises it.
    """
    ray = join_cluster(address)
    try:
        # A task that dies of want of memory would do so again.
        remote = ray.remote(max_retries=0)(answer)
        waiting = list(enumerate(tasks))
        running: dict[Any, int] = {}
        most = at_once(ray)
        while waiting or running:
            while waiting and len(running) < most:
                number, task = waiting.pop(0)
                running[remote.remote(task, limits)] = number
            ready, _ = ray.wait(list(running), num_returns=1, timeout=limits.seconds)
            for ref in ready or list(running):
                number = running.pop(ref)
                if not ready:
                    ray.cancel(ref, force=True)
                    yield Done(number, None, f"nothing of it was done within {limits.seconds:g} seconds")
                    continue
                yield _result(ray, ref, number)
    finally:
        ray.shutdown()


def _result(ray: Any, ref: Any, number: int) -> Done:
    try:
        kind, body = ray.get(ref)
    except ray.exceptions.RayError as problem:
        return Done(number, None, f"the task of the cluster failed: {' '.join(str(problem).split())[-200:]}")
    return done_of(number, kind, body)
