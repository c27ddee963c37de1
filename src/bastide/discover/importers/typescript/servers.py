# SPDX-License-Identifier: Apache-2.0
"""Processes that code starts, in the shape that configuration files have: `command` is the whole command line."""

from __future__ import annotations

from collections.abc import Mapping

from bastide.discover.model import Value


def with_command(body: Mapping[str, Value]) -> dict[str, Value]:
    """The same with the words of `args` behind `command`, where both say how a process is started."""
    inner = body.get("fullCommand") or body.get("command")
    if inner is None or not (isinstance(inner.data, str) or inner.data is None):
        return dict(body)
    words = [inner, *(body["args"].elements() if "args" in body else ())]
    return {
        **{k: v for k, v in body.items() if k not in ("args", "fullCommand")},
        "command": Value(tuple(words), inner.place),
    }
