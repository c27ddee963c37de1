# SPDX-License-Identifier: Apache-2.0
"""Runs the gateway on uvicorn: signals, draining, reloading when files change."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from pathlib import Path

import uvicorn

from bastide.errors import BastideError
from bastide.guard.gateway.app import Gateway
from bastide.guard.gateway.connection import bounded
from bastide.guard.gateway.runtime import Runtime

_log = logging.getLogger("bastide.guard")
WATCH_EVERY = 1.0
"""Seconds between two looks at the files."""


def serve(runtime: Runtime, *, drain: float = 30.0, watch: bool = True, socket: int | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests in flight finish for `drain` seconds.

    SIGHUP, and a change of a file that it is made from (`watch`), compile everything anew; what is wrong is logged and the old policy stays.
    """
    settings = runtime.engine.settings
    config = configuration(runtime, settings.host, settings.port, socket, drain)
    # What is there now stays: the collector needn't look at it again, and what a request makes is mostly gone when it ends.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(uvicorn.Server(config), runtime, watch))


def configuration(
    runtime: Runtime, host: str, port: int, socket: int | None = None, drain: float = 30.0
) -> uvicorn.Config:
    """How uvicorn serves the gateway."""
    return uvicorn.Config(
        Gateway(runtime),
        host=host,
        port=port,
        fd=socket,
        http=bounded(
            lambda: runtime.engine.settings.bounds.read_timeout, runtime.counted, runtime.metrics.disconnected
        ),
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # Who the peer is decides whether its headers are believed; nothing else may rewrite it.
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(drain),
    )


async def _run(server: uvicorn.Server, runtime: Runtime, watch: bool) -> None:
    loop = asyncio.get_running_loop()
    reload = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGHUP, reload.set)
    tasks = [asyncio.create_task(_reload_on(reload, runtime))]
    if watch:
        tasks.append(asyncio.create_task(_watch(runtime, reload)))
    try:
        await server.serve()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reload_on(event: asyncio.Event, runtime: Runtime) -> None:
    while True:
        await event.wait()
        event.clear()
        try:
            version = await runtime.reload()
        except BastideError as error:
            _log.error("the policy was not reloaded, the old one goes on:\n%s", error)
        except Exception:  # noqa: BLE001 - whatever it was, the next change is to be seen
            _log.exception("the policy was not reloaded, the old one goes on")
        else:
            _log.warning("policy %s is in force", version)


async def _watch(runtime: Runtime, changed: asyncio.Event) -> None:
    before = await asyncio.to_thread(_state, runtime)
    while True:
        await asyncio.sleep(WATCH_EVERY)
        now = await asyncio.to_thread(_state, runtime)
        if now != before:
            before = now
            changed.set()


def _state(runtime: Runtime) -> list[tuple[Path, int, int, int]]:
    found = []
    # A file or folder that is being replaced may be gone for a moment.
    with contextlib.suppress(OSError):
        for file in runtime.files():
            with contextlib.suppress(OSError):
                about = file.stat()
                found.append((file, about.st_mtime_ns, about.st_size, about.st_ino))
    return found
