# SPDX-License-Identifier: Apache-2.0
"""`serverless.yml` of the Serverless Framework: functions with their events, the role that they share, and the template below `resources`.

Functions come in the shape of the Serverless Application Model, so that one reading of events serves both.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.importers.cloudformation import Template, document
from bastide.discover.interface import Tree
from bastide.discover.model import Problem, Reading, Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml

_NAME = re.compile(r"serverless(?:[.-][\w-]+)?\.ya?ml\Z")
_VARIABLE = re.compile(r"\$\{([a-zA-Z0-9_-]+)[:(]([^${}]{0,200})\}")
_FILE = re.compile(r"([^(),:]+\.(?:ya?ml|json))\)(?::([\w.-]+))?")
"""What stands behind `file(`: a path, and what is meant in it."""
_DEEP = 20
_ROLE = "IamRoleLambdaExecution"
_EVENTS: Mapping[str, tuple[str, str]] = {
    "http": ("Api", ""), "httpApi": ("HttpApi", ""), "websocket": ("WebSocket", "Route"), "s3": ("S3", "Bucket"), "sqs": ("SQS", "Queue"),
    "sns": ("SNS", "Topic"), "stream": ("Kinesis", "Stream"),
}  # fmt: skip
"""Event -> its kind in the application model, and the property for what a short form names."""


class Serverless:
    """By name; services of other clouds are left out."""

    name = "serverless"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """`serverless.yml` and its variants that name the provider `aws`, or none at the beginning."""
        return bool(_NAME.match(posixpath.basename(path))) and bool(
            re.search(r"(?m)^(?:service|provider|functions)\s*:", head())
        )

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all services."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            text = tree.read(file)
            documents, wrong = read_yaml(text, file) if text is not None else ([], [])
            problems += wrong
            if documents and isinstance(documents[0].data, Mapping):
                found += _Service(documents[0], file, tree).resources()
        return Reading(tuple(found), tuple(problems), frozenset(files))


class _Service:
    def __init__(self, root: Value, file: str, tree: Tree) -> None:
        self._root, self._file, self._tree = root, file, tree
        below = next((v for v in root.find("resources") if isinstance(v.data, Mapping)), Value({}, root.place))
        self._template = Template(self._resolved(below, 0), file, tree)

    def resources(self) -> Iterator[Resource]:
        """Functions, their role, what stands below `resources`; nothing for another cloud."""
        provider = next(iter(self._root.find("provider")), None)
        names = [v.data for v in (self._root.find("provider.name") or self._root.find("provider"))]
        if provider is None or "aws" not in names:
            return
        yield from self._template.resources()
        shared = self._whole("provider.environment")
        role = self._role(provider)
        if role is not None and role.type:
            yield role
        for name, function in self._functions():
            yield self._function(name, function, shared, role)

    def _functions(self) -> Iterator[tuple[str, Value]]:
        for functions in self._root.find("functions"):
            yield from functions.data.items() if isinstance(functions.data, Mapping) else ()

    def _function(self, name: str, function: Value, shared: Mapping[str, Value], role: Resource | None) -> Resource:
        given = {k: self._given(v) for k, v in (function.data if isinstance(function.data, Mapping) else {}).items()}
        own = given.get("environment")
        variables = {**shared, **(own.data if own is not None and isinstance(own.data, Mapping) else {})}
        body = {
            **({"Handler": given["handler"]} if "handler" in given else {}),
            "Environment": Value({"Variables": Value(variables, function.place)}, function.place),
            "Events": Value(dict(self._events(given.get("events"))), function.place),
        }
        statements = given.get("iamRoleStatements")
        if statements is not None:
            policy = Value({"Statement": statements}, statements.place)
            body["Policies"] = Value((policy,), statements.place)
        elif "role" in given or role is not None:
            body["Role"] = given.get("role") or Value(None, function.place, State.UNKNOWN, (role.id,) if role else ())
        if "url" in given and given["url"].data not in (None, False):
            asks = given["url"].find("authorizer")
            kind = Value("AWS_IAM" if any(v.data == "aws_iam" for v in asks) else "NONE", given["url"].place)
            body["FunctionUrlConfig"] = Value({"AuthType": kind}, given["url"].place)
        place = function.place
        return Resource(
            f"{self._file}: functions.{name}",
            "AWS::Serverless::Function",
            name,
            Value(body, place),
            place,
            scope=self._file,
        )

    def _events(self, events: Value | None) -> Iterator[tuple[str, Value]]:
        for number, event in enumerate(events.elements() if events is not None else ()):
            for kind, given in event.data.items() if isinstance(event.data, Mapping) else ():
                if kind in _EVENTS:
                    yield f"{kind}{number}", self._event(kind, given)

    def _event(self, kind: str, given: Value) -> Value:
        type_, short = _EVENTS[kind]
        parts = given.data if isinstance(given.data, Mapping) else {}
        found = parts.get("bucket") or parts.get("arn") or parts.get("topicName") or parts.get("route") or given
        auth: dict[str, Value] = {}
        if any(v.data is True for v in given.find("private")):
            auth["ApiKeyRequired"] = Value(True, given.place)
        if "authorizer" in parts:
            said = [
                v.data for k in ("", ".type", ".name") for v in given.find(f"authorizer{k}") if isinstance(v.data, str)
            ]
            functions = {name for name, _ in self._functions()}
            ids = tuple(f"{self._file}: functions.{s}" for s in dict.fromkeys(said) if s in functions)
            if ids:
                auth["function"] = Value(None, given.place, State.UNKNOWN, ids)
            auth["Authorizer"] = Value(
                "AWS_IAM" if "aws_iam" in [str(s).lower() for s in said] else "CUSTOM", given.place
            )
        body = {"Auth": Value(auth, given.place), **({short: found} if short else {})}
        return Value({"Type": Value(type_, given.place), "Properties": Value(body, given.place)}, given.place)

    def _role(self, provider: Value) -> Resource | None:
        """The role of all functions: named, or made from statements and managed policies."""
        named = [v for v in (*provider.find("iam.role"), *provider.find("role")) if v.data is not None]
        for value in named:
            given = self._given(value)
            if not isinstance(given.data, Mapping) or given.refs:
                ids = given.refs or tuple(f"{self._file}: {given.data}" for _ in [0] if isinstance(given.data, str))
                return Resource(ids[0], "", "", Value({}, value.place), value.place) if ids else None
        statements = [*self._lists("provider.iam.role.statements"), *self._lists("provider.iamRoleStatements")]
        managed = [*self._lists("provider.iam.role.managedPolicies"), *self._lists("provider.iamManagedPolicies")]
        if not statements and not managed:
            return None
        place = (statements or managed)[0].place
        service = Value({"Service": Value("lambda.amazonaws.com", place)}, place)
        assumed = Value((Value({"Principal": service}, place),), place)
        document = Value({"Statement": Value(tuple(statements), place)}, place)
        body = {
            "AssumeRolePolicyDocument": Value({"Statement": assumed}, place),
            "Policies": Value((Value({"PolicyDocument": document}, place),), place),
            "ManagedPolicyArns": Value(tuple(managed), place),
        }
        return Resource(f"{self._file}: {_ROLE}", "AWS::IAM::Role", _ROLE, Value(body, place), place, scope=self._file)

    def _lists(self, path: str) -> Iterator[Value]:
        for value in self._root.find(path):
            yield from self._given(value).elements()

    def _whole(self, path: str) -> Mapping[str, Value]:
        values = (self._given(v).data for v in self._root.find(path))
        return next((v for v in values if isinstance(v, Mapping)), {})

    def _included(self, path: str) -> Value | None:
        """The document in a file beside, or None."""
        file = posixpath.normpath(posixpath.join(posixpath.dirname(self._file), path.strip()))
        text = self._tree.read(file) if file in self._tree.files else None
        return document(text, file)[0] if text is not None else None

    # --- variables ------------------------------------------------------------------------------------------------------
    def _given(self, value: Value) -> Value:
        """A value with variables and the functions of templates resolved."""
        return self._template.value(self._resolved(value, 0))

    def _resolved(self, value: Value, depth: int) -> Value:
        if depth > _DEEP:
            return Value(None, value.place, State.UNKNOWN)
        if isinstance(value.data, Mapping):
            return replace(value, data={k: self._resolved(v, depth + 1) for k, v in value.data.items()})
        if isinstance(value.data, tuple):
            return replace(value, data=tuple(self._resolved(v, depth + 1) for v in value.data))
        return self._text(value, depth) if isinstance(value.data, str) and "${" in value.data else value

    def _text(self, value: Value, depth: int) -> Value:
        whole = _VARIABLE.fullmatch(value.data)
        if whole is not None:
            return replace(self._variable(whole[1], whole[2], value, depth), place=value.place)
        found = [(m, self._variable(m[1], m[2], value, depth)) for m in _VARIABLE.finditer(value.data)]
        text = value.data
        for match, put in found:
            if not isinstance(put.data, (str, int)):
                continue
            text = text.replace(match[0], str(put.data))
        if _VARIABLE.search(text) is None and found:
            return Value(text, value.place, State.CONDITIONAL)
        refs = tuple(dict.fromkeys(r for _, v in found for r in v.refs))
        return replace(value, data=text) if not found else Value(None, value.place, State.UNKNOWN, refs, text[:200])

    def _variable(self, source: str, name: str, at: Value, depth: int) -> Value:
        """`self:` stands in this file, `env:` outside; what follows a comma is taken when there is nothing."""
        path, _, otherwise = name.partition(",")
        path = path.strip()
        if source == "self" and path:
            for value in self._root.find(path):
                return self._resolved(value, depth + 5)
        if source == "file" and (match := _FILE.match(path)) is not None:
            inner = self._included(match[1])
            found = [inner] if inner is not None and not match[2] else inner.find(match[2]) if inner is not None else []
            if found:
                return self._resolved(found[0], depth + 5)
        if otherwise.strip():
            return Value(otherwise.strip().strip("'\""), at.place, State.CONDITIONAL)
        refs = (f"env:{path}",) if source == "env" else (f"var:{source}:{path}",)
        return Value(None, at.place, State.UNKNOWN, refs)
