# SPDX-License-Identifier: Apache-2.0
"""MCP servers that code starts or connects to, in the shape that configuration files have: `command` is the whole command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bastide.discover.importers.mcp import mcp_server
from bastide.discover.model import Resource, State, Value

_KEYS = ("mcpServers", "servers")


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


def named_servers(call: Resource) -> tuple[Resource, list[Resource]]:
    """A call with references to the servers that its arguments name, and these servers: `new MultiServerMCPClient({ mcpServers: {...} })`."""
    found: list[Resource] = []
    body = dict(call.body.data)
    for key in _KEYS:
        servers = body[key].data if key in body else None
        if not isinstance(servers, Mapping):
            continue
        kept = dict(servers)
        for name, server in servers.items():
            if isinstance(server.data, Mapping) and {"command", "url"} & set(server.data):
                resource = mcp_server(name, server, call.place.file, f"{call.id}.{name}", "")
                found.append(resource)
                kept[name] = Value(None, server.place, State.UNKNOWN, (resource.id,))
        body[key] = Value(kept, body[key].place)
    if not found:
        return call, []
    return replace(call, body=Value(body, call.place)), found
