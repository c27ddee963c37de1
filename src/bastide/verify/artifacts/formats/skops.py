# SPDX-License-Identifier: Apache-2.0
"""skops: a tree of nodes in `schema.json`, each naming a class or function by module and name, beside arrays in `.npy`.

`skops.io.load` refuses what its caller doesn't trust; what is asked to be trusted, and would be called then, is judged here by what is known of
names in pickles.
"""

from __future__ import annotations

from typing import Any

from bastide.verify.artifacts.archives.documents import objects, read_json
from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.knowledge import Standing, load_knowledge

SCHEMA = "schema.json"
NODES = frozenset(
    [
        "DictNode", "DefaultDictNode", "ListNode", "SetNode", "TupleNode", "BytesNode", "BytearrayNode", "SliceNode", "FunctionNode", "MethodNode",
        "PartialNode", "TypeNode", "ConstructorFromReduceNode", "ObjectNode", "JsonNode", "OperatorFuncNode", "NdArrayNode", "MaskedArrayNode",
        "DTypeNode", "RandomStateNode", "RandomGeneratorNode", "SparseMatrixNode", "TreeNode", "LossNode", "SGDNode", "QuantileForestNode",
        "_DictWithDeprecatedKeysNode", "CachedNode", "ZoneInfoNode",
    ]
)  # fmt: skip
"""What skops loads, of every version of its format."""
CALLING = frozenset(
    {"ConstructorFromReduceNode", "LossNode", "SGDNode", "DictNode", "ListNode", "SetNode", "TupleNode", "ObjectNode"}
)
"""Nodes of which the named thing itself is called."""
OPERATORS = frozenset({"attrgetter", "itemgetter"})
BIT_GENERATORS = frozenset({"PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"})


def read_layout(archive: Archive, scan: Scan) -> tuple[str, set[Member]]:
    """Reads the schemas, and says which members are raw bytes. The format is '' when it is no skops file."""
    schemas = [m for m in archive.members if m.name == SCHEMA]
    raw: set[str] = set()
    found = False
    for member in schemas:
        below = scan.below(member.name)
        content = archive.content(member, below) if below else None
        document = read_json(content, below) if below and content is not None else None
        if below and isinstance(document, dict) and ("__loader__" in document or "protocol" in document):
            found = True
            for node in objects(document):
                if "__loader__" in node:
                    _node(node, below, raw)
    done = {m for m in archive.members if m.name in raw or m.name == SCHEMA}
    return ("skops", done) if found else ("", set())


def _node(node: dict[str, Any], scan: Scan, raw: set[str]) -> None:
    loader, path = str(node["__loader__"]), f"{node.get('__module__')}.{node.get('__class__')}"
    if loader not in NODES:
        scan.add(
            "skops/unknown-node",
            Tier.MALFORMED,
            Severity.MEDIUM,
            "a kind of node that isn't known",
            evidence=loader[:100],
        )
    if loader in ("BytesNode", "BytearrayNode"):
        raw.add(str(node.get("file")))
    if loader == "OperatorFuncNode":
        _operator(node, scan)
    elif loader == "MethodNode":
        _method(node, path, scan)
    elif loader == "RandomGeneratorNode":
        _generator(node, scan)
    else:
        _named(loader, _old_function(node) or path, scan)


def _old_function(node: dict[str, Any]) -> str:
    """What protocol 0 names beside the kind of a function, and today's skops still loads."""
    content = node.get("content")
    if node["__loader__"] != "FunctionNode" or not isinstance(content, dict) or "function" not in content:
        return ""
    return f"{content.get('module_path')}.{content['function']}"


def _named(loader: str, path: str, scan: Scan) -> None:
    entry = load_knowledge().entry(path)
    if entry.standing is Standing.REFUSED and (path not in ("builtins.type",) or loader != "TypeNode"):
        _harm(
            "skops/" + entry.why.replace(" ", "-"),
            f"asks for trust in `{path}`, which {entry.why}; don't give it",
            path,
            scan,
        )
    elif entry.standing is Standing.UNKNOWN:
        scan.add(
            "skops/asks-for-trust", Tier.POLICY, Severity.MEDIUM,
            f"needs `{path}`: skops loads it only when its caller trusts that, and its code isn't in the file", evidence=path[:200],
        )  # fmt: skip
    elif entry.standing in (Standing.VALUE, Standing.FUNCTION) and loader in CALLING:
        _harm("skops/calls-unknown", f"has `{path}` called, which isn't known to be harmless", path, scan)


def _operator(node: dict[str, Any], scan: Scan) -> None:
    name, module = str(node.get("__class__")), str(node.get("__module__"))
    if module != "operator" or name not in OPERATORS | {"methodcaller"}:
        _harm(
            "skops/calls-an-operator",
            "has a function of `operator` called with arguments from the file",
            f"{module}.{name}",
            scan,
        )
    elif name == "methodcaller":
        scan.add(
            "skops/method-by-name",
            Tier.POLICY,
            Severity.MEDIUM,
            "makes something that calls a method by its name; which object it gets isn't known",
        )


def _method(node: dict[str, Any], path: str, scan: Scan) -> None:
    content = node.get("content")
    owner = content.get("obj") if isinstance(content, dict) else None
    function = str(content.get("func")) if isinstance(content, dict) else ""
    told = f"{owner.get('__module__')}.{owner.get('__class__')}" if isinstance(owner, dict) else ""
    if function.startswith("_") or told != path:
        _harm(
            "skops/reaches-through",
            "takes an attribute of an object by a name that honest files don't have",
            f"{told}.{function}",
            scan,
        )
        return
    scan.add(
        "skops/method",
        Tier.POLICY,
        Severity.MEDIUM,
        "holds a method of an object; what calls it isn't known",
        evidence=f"{path}.{function}"[:200],
    )


def _generator(node: dict[str, Any], scan: Scan) -> None:
    names = {
        str(inner.get("content"))[:200].strip('"')
        for place in objects(node.get("content"))
        for key, inner in place.items()
        if key == "bit_generator" and isinstance(inner, dict) and inner.get("__loader__") == "JsonNode"
    }
    for name in names - BIT_GENERATORS:
        _harm(
            "skops/calls-unknown",
            "has something of `numpy.random` called that is no generator of random bits",
            name,
            scan,
        )


def _harm(id: str, what: str, evidence: str, scan: Scan) -> None:
    scan.add(id, Tier.EXECUTES, Severity.HIGH, what, evidence=evidence[:200])
