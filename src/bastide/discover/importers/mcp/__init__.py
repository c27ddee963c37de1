# SPDX-License-Identifier: Apache-2.0
"""MCP servers that clients are configured to use: Claude, VS Code, Cursor, Windsurf, Zed, Codex and others."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.placeholders import SHELL, filled

_NAMES = frozenset(
    {".mcp.json", "mcp.json", "mcp-config.json", "mcp_config.json", "mcp_servers.json", "claude_desktop_config.json", ".claude.json",
     "mcp-servers.json", "mcp_settings.json", "cline_mcp_settings.json"}
)  # fmt: skip
_SETTINGS = frozenset({"settings.json", "settings.local.json"})
_GIVEN = ("mcpServers", "servers", "mcp_servers", "connections", "0")
"""Arguments of clients that hold servers by name."""
_STARTS = frozenset({"command", "url", "httpUrl", "serverUrl"})
_KEYS = ("mcpServers", "servers", "mcp.servers", "context_servers", "mcp.mcpServers")
CLIENTS: Mapping[str, str] = {
    "claude_desktop_config.json": "claude-desktop",
    ".claude": "claude-code",
    ".mcp.json": "claude-code",
    ".vscode": "vs-code",
    ".cursor": "cursor",
    ".windsurf": "windsurf",
    ".zed": "zed",
    ".codex": "codex",
    ".gemini": "gemini",
}


class McpConfigurations:
    """Each server is a resource `mcp/server`; each agent client's own settings a resource `mcp/client`."""

    name = "mcp"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """By name; settings of agent clients by their folder; other JSON only when it begins with servers."""
        file = PurePosixPath(path)
        if file.name in _NAMES or (
            file.name in _SETTINGS and file.parent.name in (".claude", ".vscode", ".gemini", ".zed")
        ):
            return True
        if path.endswith(".codex/config.toml"):
            return True
        return file.suffix == ".json" and '"mcpServers"' in head()

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The servers of all files."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            root, wrong = _toml(text, file) if file.endswith(".toml") else read_json(text, file)
            problems += wrong
            if root is not None and isinstance(root.data, Mapping):
                found += _servers(filled(root, SHELL), file)
                found += _client(root, file)
        return Reading(tuple(found), tuple(problems), frozenset(files))


def client_of(file: str) -> str:
    """Which client reads a file, by its name or folder; '' when it can't be told."""
    path = PurePosixPath(file)
    return next((CLIENTS[part] for part in (path.name, *reversed(path.parts)) if part in CLIENTS), "")


def _servers(root: Value, file: str) -> Iterator[Resource]:
    for key in _KEYS:
        for servers in root.find(key):
            for name, server in (servers.data if isinstance(servers.data, Mapping) else {}).items():
                if isinstance(server.data, Mapping) and (_STARTS | {"type"}) & set(server.data):
                    yield mcp_server(name, server, file, f"{file}: {key}.{name}", client_of(file))


def mcp_server(name: str, server: Value, file: str, id_: str, client: str) -> Resource:
    """A server in the common shape: `command` is the whole command line."""
    place = server.place
    body = {k: v for k, v in server.data.items() if k not in ("command", "args", "httpUrl", "serverUrl")}
    for other in ("httpUrl", "serverUrl"):
        if other in server.data:
            body["url"] = server.data[other]
    words = [w for key in ("command", "args") if key in server.data for w in server.data[key].elements()]
    if words:
        body["command"] = Value(tuple(words), words[0].place)
    transport = "http" if "url" in body else "stdio"
    body.setdefault("transport", Value(transport, place))
    if client:
        body["client"] = Value(client, place)
    names = tuple(
        f"url:{v.data.rstrip('/').lower()}" for v in Value(body, place).find("url") if isinstance(v.data, str)
    )
    return Resource(id_, "mcp/server", name, Value(body, place), place, names=(*names, f"mcp:{name}"), scope=file)


def named_servers(call: Resource) -> tuple[Resource, list[Resource]]:
    """A call with references to the servers that its arguments name, and these servers: `MultiServerMCPClient({"files": {"command": ...}})`."""
    found: list[Resource] = []
    body = dict(call.body.data)
    for key in _GIVEN:
        servers = body[key].data if key in body else None
        if not isinstance(servers, Mapping):
            continue
        kept = dict(servers)
        for name, server in servers.items():
            if isinstance(server.data, Mapping) and _STARTS & set(server.data):
                resource = mcp_server(name, server, call.place.file, f"{call.id}.{name}", "")
                found.append(resource)
                kept[name] = Value(None, server.place, State.UNKNOWN, (resource.id,))
        body[key] = Value(kept, body[key].place)
    if not found:
        return call, []
    body["servers-named"] = Value(True, call.place)
    return replace(call, body=Value(body, call.place)), found


def _client(root: Value, file: str) -> Iterator[Resource]:
    """What an agent client may do without asking: its permissions, hooks and defaults."""
    if {"permissions", "hooks", "enableAllProjectMcpServers", "apiKeyHelper"} & set(root.data) and client_of(file):
        yield Resource(f"{file}: client", "mcp/client", client_of(file), root, Place(file, 1), scope=file)


def _toml(text: str, file: str) -> tuple[Value | None, list[Problem]]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return None, [Problem(Place(file), f"is not TOML: {str(error)[:200]}")]
    lines = text.split("\n")
    return _placed(document, file, lines, 1), []


def _placed(data: object, file: str, lines: Sequence[str], line: int) -> Value:
    """TOML has no positions in the standard library: a table stands where its name first does."""
    if isinstance(data, dict):
        places = {k: next((n for n, text in enumerate(lines[line - 1 :], line) if str(k) in text), line) for k in data}
        return Value({str(k): _placed(v, file, lines, places[k]) for k, v in data.items()}, Place(file, line))
    if isinstance(data, list):
        return Value(tuple(_placed(v, file, lines, line) for v in data), Place(file, line))
    return Value(data if isinstance(data, (str, bool, int, float)) else str(data), Place(file, line))
