# SPDX-License-Identifier: Apache-2.0
"""A Redis of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def start_redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A Redis that keeps nothing, once it answers."""
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise RuntimeError("redis-server did not start")


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running Redis; the test skips where there is no `redis-server`."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server on this machine")
    port = free_port()
    process = start_redis(tmp_path_factory.mktemp("redis"), port)
    yield port
    process.terminate()
    process.wait()
