# SPDX-License-Identifier: Apache-2.0
"""Ray clusters: many machines for hubs and lakes. Ray hands out the work; nothing else coordinates."""

from __future__ import annotations

import logging
from typing import Any

from bastide.errors import UsageError

WAITING = 8
"""Tasks for each processor that are handed out before the first has to be done."""


def join_cluster(address: str) -> Any:
    """The module `ray`, joined to a cluster; `shutdown()` leaves it.

    address: of a cluster (`ray://host:10001`, `auto`), or `local` for one on this machine.
    Raises `UsageError` when Ray isn't there or doesn't answer.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs the extra `ray`: pip install 'bastide[ray]'") from None
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == "local" else None,
        )
    except Exception as problem:  # noqa: BLE001 - Ray raises errors of many kinds when there is no cluster
        raise UsageError(f"no Ray cluster at {address}: {' '.join(str(problem).split())[:300]}") from None
    return ray


def at_once(ray: Any) -> int:
    """How many tasks are handed out before the first has to be done."""
    return WAITING * max(1, int(ray.cluster_resources().get("CPU", 1)))
