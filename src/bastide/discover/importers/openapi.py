# SPDX-License-Identifier: Apache-2.0
"""OpenAPI 3 and Swagger 2: what an API offers, and what a caller has to present (https://spec.openapis.org/oas/v3.1.0#security-requirement-object)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.yaml_ import read_yaml

_BEGINS = re.compile(r"""(?:\A|[\n{,])\s*["']?(?:openapi["']?\s*:\s*["']?3\.|swagger["']?\s*:\s*["']?2\.)""")
_METHODS = ("get", "put", "post", "delete", "patch", "head", "trace", "x-amazon-apigateway-any-method")
_OPERATIONS = 5000
_FOR_ALL = re.compile(
    r"/(?:v\d+/)?(?:-/)?(?:health\w*|ready\w*|live\w*|ping|status|version|docs|redoc|openapi(?:\.json|\.ya?ml)?|favicon\.ico|robots\.txt"
    r"|(?:auth/|oauth2?/|users?/)?(?:log-?in|sign-?in|sign-?up|token|authorize|callback|register)|\.well-known/.*)?/?\Z",
    re.IGNORECASE,
)
"""Paths that have to answer before anybody is known."""
_WEAKEST = ("none", "shared-key", "password", "sso", "mtls", "iam")


class OpenApi:
    """Documents are recognised by their first key, whatever their names are."""

    name = "openapi"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """YAML and JSON that begins like one."""
        return path.endswith((".yaml", ".yml", ".json")) and bool(_BEGINS.search(head()))

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """One resource for each document."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            root, wrong = document(text, file)
            problems += wrong
            if root is not None and isinstance(root.data, Mapping) and "paths" in root.data:
                title = next((str(v.data) for v in root.find("info.title") if isinstance(v.data, str)), "api")
                place = Place(file, max(root.place.line, 1))
                body = Value(described(root, deployed=False), place)
                found.append(Resource(f"{file}: openapi", "openapi/document", title, body, place, scope=file))
        return Reading(tuple(found), tuple(problems), frozenset(files))


def document(text: str, file: str, first_line: int = 1) -> tuple[Value | None, list[Problem]]:
    """A document in JSON or YAML."""
    if text.lstrip()[:1] == "{":
        return read_json(text, file, first_line)
    documents, problems = read_yaml(text, file, first_line)
    return (documents[0] if documents else None), problems


def described(root: Value, *, deployed: bool) -> dict[str, Value]:
    """What a document says of its API: `servers`, `operations`, `open` (those that anybody may call), `authentication`, `integrations`.

    `deployed`: a gateway does what stands there, so that silence means that nobody is asked. Elsewhere only documents that name
    ways to sign in say something about operations without.
    """
    operations = list(_operations(root))
    schemes = _schemes(root)
    given = root.data.get("security") if isinstance(root.data, Mapping) else None
    named = [(operation, _required(operation, given, schemes)) for operation in operations]
    said = deployed or bool(schemes) or given is not None
    open_ = [o for o, way in named if way == "none" and not _for_all(o)]
    body = {
        "servers": Value(tuple(_servers(root)), root.place),
        "operations": Value(tuple(operations), root.place),
        "open": Value(tuple(open_) if said else (), open_[0].place if open_ else root.place),
        "integrations": Value(tuple(_integrations(operations, "uri")), root.place),
        "credentials": Value(tuple(_integrations(operations, "credentials")), root.place),
    }
    ways = [way for _, way in named if way and way != "none"]
    if said and open_:
        body["authentication"] = Value("none", open_[0].place)
    elif said and ways:
        body["authentication"] = Value(min(ways, key=_WEAKEST.index), (given or root).place)
    elif said and any(not way for _, way in named):
        body["authentication"] = Value(None, root.place, State.UNKNOWN)
    return body


def _for_all(operation: Value) -> bool:
    """At the root of an API a page is shown; what is sent there isn't for everybody by that."""
    path, method = (str(operation.data[key].data) for key in ("path", "method"))
    return bool(_FOR_ALL.match(path)) and not (path == "/" and method in ("post", "put", "patch", "delete"))


def _operations(root: Value) -> Iterator[Value]:
    """Method, path, security and integration of each."""
    count = 0
    for paths in root.find("paths"):
        for path, item in paths.data.items() if isinstance(paths.data, Mapping) else ():
            for method, operation in item.data.items() if isinstance(item.data, Mapping) else ():
                if method.lower() not in _METHODS or not isinstance(operation.data, Mapping):
                    continue
                count += 1
                if count > _OPERATIONS:
                    return
                body = {"path": Value(path, operation.place), "method": Value(method.lower(), operation.place)}
                for key in ("security", "operationId", "x-amazon-apigateway-integration", "x-amazon-apigateway-auth"):
                    if key in operation.data:
                        body[key] = operation.data[key]
                yield Value(body, operation.place)


def _required(operation: Value, given: Value | None, schemes: Mapping[str, str]) -> str:
    """The weakest way in which a caller may show who it is; '' when it can't be told."""
    auth = operation.data.get("x-amazon-apigateway-auth")
    if auth is not None and any(str(v.data).upper() == "AWS_IAM" for v in auth.find("type")):
        return "iam"
    security = operation.data.get("security", given)
    if security is None or security.data == ():
        return "none"
    if not isinstance(security.data, tuple):
        return ""
    ways = [
        _together([schemes.get(name, "") for name in choice.data])
        for choice in security.data
        if isinstance(choice.data, Mapping)
    ]
    return min((w for w in ways if w), key=_WEAKEST.index, default="")


def _together(ways: Sequence[str]) -> str:
    """Several at once: the strongest of them. None at all is allowed by `{}`."""
    return max((w for w in ways if w), key=_WEAKEST.index, default="") if ways else "none"


def _schemes(root: Value) -> dict[str, str]:
    """Name -> way, in the words of the plan."""
    found: dict[str, str] = {}
    for table in (*root.find("components.securitySchemes"), *root.find("securityDefinitions")):
        for name, scheme in table.data.items() if isinstance(table.data, Mapping) else ():
            found[name] = _way(scheme)
    return found


def _way(scheme: Value) -> str:
    def said(key: str) -> str:
        return next((str(v.data).lower() for v in scheme.find(key) if v.data is not None), "")

    custom, kind = said("x-amazon-apigateway-authtype"), said("type")
    if custom == "awssigv4":
        return "iam"
    if custom or said("x-amazon-apigateway-authorizer.type") or kind in ("oauth2", "openidconnect"):
        return "sso"
    if kind == "http":
        return "password" if said("scheme") in ("basic", "digest") else "sso"
    return {"apikey": "shared-key", "basic": "password", "mutualtls": "mtls"}.get(kind, "")


def _servers(root: Value) -> Iterator[Value]:
    yield from root.find("servers.url")
    for host in root.find("host"):
        base = next((str(v.data) for v in root.find("basePath") if isinstance(v.data, str)), "")
        if isinstance(host.data, str):
            yield Value(f"https://{host.data}{base}", host.place)


def _integrations(operations: Sequence[Value], part: str) -> Iterator[Value]:
    for operation in operations:
        yield from (
            operation.find(f"x-amazon-apigateway-integration.{part}")
            if "x-amazon-apigateway-integration" in operation.data
            else ()
        )
