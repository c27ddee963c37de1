# SPDX-License-Identifier: Apache-2.0
"""Tool definitions in a conversation: their digest, changes under way (rug pull), and tools that pose as or speak about others (shadowing).

What a description says goes to the model as instructions, so a changed or posing one is an attack on the model (ATLAS AML.T0110,
OWASP MCP03). Pins over time are kept elsewhere; this is about one conversation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

from bastide.guard.content.cache import ByDigest
from bastide.guard.events import Tool
from bastide.recognise.model import Detection

_JSON = msgspec.json.Encoder(order="deterministic")
_PLAIN = msgspec.json.Encoder()
_ALIKE = str.maketrans("0135$@|", "oiessal")
_OTHER_TOOLS = re2.compile(
    r"(?i)\b(?:before|after|instead of|when(?:ever)?|prior to)\b[^.\n]{0,60}\b(?:using|calling|invoking|running|use|call)\b[^.\n]{0,60}"
    r"\b(?:tools?|functions?|other)\b"
    r"|\b(?:do not|don't|never|stop)\b[^.\n]{0,20}\b(?:use|call|using|calling)\b[^.\n]{0,40}\b(?:tools?|functions?)\b"
    r"|\b(?:always|must|first)\b[^.\n]{0,30}\b(?:use|call|read|send)\b[^.\n]{0,60}\b(?:before|after|instead)\b"
)
MAX_TOOLS, MAX_CONSTANTS, MAX_NODES = 2000, 2000, 20_000


def digest(tool: Tool) -> str:
    """`sha256:...` over name, description and schema: what the model is told. Order of keys doesn't matter."""
    try:
        data = _JSON.encode([tool.name, tool.description, tool.schema])
    except (TypeError, RecursionError, msgspec.MsgspecError):
        data = repr((tool.name, tool.description, tool.schema)).encode("utf-8", "replace")
    return f"sha256:{sha256(data).hexdigest()}"


def changed(before: Mapping[tuple[str, str], str], tools: Iterable[Tool]) -> tuple[Detection, ...]:
    """Rug pull: tools of the same server and name whose definition is another than `before` (from `digests`)."""
    found = []
    for tool in tools:
        known = before.get((tool.server, tool.name))
        if known is not None and known != digest(tool):
            found.append(
                Detection("tool/changed", 1.0, (), f"the definition of `{tool.name[:80]}` changed in the conversation")
            )
    return tuple(found)


def digests(tools: Iterable[Tool]) -> dict[tuple[str, str], str]:
    """(server, name) -> digest."""
    return {(t.server, t.name): digest(t) for t in tools}


def shadowing(tools: Sequence[Tool]) -> tuple[Detection, ...]:
    """Tools with the name, or a name that looks like the name, of another server's tool; and descriptions about the use of other tools."""
    if len(tools) > MAX_TOOLS:
        return (Detection("tool/too-many", 1.0, (), f"{len(tools)} tools: more than can be compared"),)
    found: list[Detection] = []
    owners: dict[str, Tool] = {}
    for tool in tools:
        other = owners.setdefault(skeleton(tool.name), tool)
        if other is not tool and (other.server != tool.server or other.name != tool.name):
            why = f"`{tool.name[:80]}` of {_from(tool)} poses as `{other.name[:80]}` of {_from(other)}"
            found.append(Detection("tool/shadowing", 1.0, (), why))
    for tool in tools:
        if why := _speaks_of_others(tool, tools):
            found.append(Detection("tool/cross-reference", 0.8, (), why))
    return tuple(found)


def _from(tool: Tool) -> str:
    return f"server `{tool.server[:80]}`" if tool.server else "the agent"


def _speaks_of_others(tool: Tool, tools: Sequence[Tool]) -> str:
    text = tool.description[:20_000].encode("utf-8", "replace").decode()
    words = set(re.findall(r"[\w.-]+", text))
    for other in tools:
        foreign = other.server != tool.server and other.name != tool.name
        if foreign and other.name in words and ("_" in other.name or "-" in other.name or len(other.name) > 7):
            return f"the description of `{tool.name[:80]}` ({_from(tool)}) speaks about `{other.name[:80]}` of {_from(other)}"
    if tool.server and _OTHER_TOOLS.search(text):
        return f"the description of `{tool.name[:80]}` tells how other tools are to be used"
    return ""


def skeleton(name: str) -> str:
    """A name as it looks: two names with the same skeleton are easily taken for each other."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(_CONFUSABLE.get(c, c) for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", plain).translate(_ALIKE).replace("rn", "m").replace("l", "i")


_CONFUSABLE = dict(zip("аеорсухіјѕԁһԛԝɡοαενιτυρκ", "aeopcyxijsdhqwgoaevitupk", strict=True))


def known_constants(schema: Any) -> frozenset[str]:
    """The same as `constants_of`, at once for a schema that came before: agents send their tools with each request."""
    try:
        return _constants(_PLAIN.encode(schema))
    except (TypeError, RecursionError, msgspec.MsgspecError):
        return constants_of(schema)


_constants = ByDigest(lambda encoded: constants_of(msgspec.json.decode(encoded)), 8 * 1024 * 1024)


def constants_of(schema: Any) -> frozenset[str]:
    """The enum values, constants and defaults of a tool's schema, as text; none beyond a bound."""
    found: set[str] = set()
    todo: list[Any] = [schema]
    for _ in range(MAX_NODES):
        if not todo:
            break
        node = todo.pop()
        if isinstance(node, Mapping):
            for key, value in node.items():
                if key == "enum" and isinstance(value, list):
                    found.update(str(v) for v in value if isinstance(v, str | int | float))
                elif key in ("const", "default") and isinstance(value, str | int | float):
                    found.add(str(value))
                elif isinstance(value, Mapping | list):
                    todo.append(value)
        elif isinstance(node, list):
            todo += [v for v in node if isinstance(v, Mapping | list)]
    return frozenset(found) if len(found) <= MAX_CONSTANTS else frozenset()
