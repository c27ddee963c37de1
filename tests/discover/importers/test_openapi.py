# SPDX-License-Identifier: Apache-2.0
"""What documents say about who may call an API."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.discover import discover
from bastide.discover.importers.openapi import OpenApi, described, document
from bastide.discover.interface import Tree
from bastide.discover.model import Value

HEAD = "openapi: 3.1.0\ninfo: {title: Chat, version: '1'}\n"
KEY = "components: {securitySchemes: {key: {type: apiKey, in: header, name: x-api-key}, user: {type: openIdConnect}}}\n"


def told(text: str, deployed: bool = False) -> dict[str, Value]:
    """What one document says."""
    root, problems = document(HEAD + text, "openapi.yaml")
    assert root is not None
    assert not problems
    return described(root, deployed=deployed)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("shared-key", KEY + "security: [{key: []}]\npaths: {/chat: {post: {}}}"),
        ("none", KEY + "security: [{key: []}]\npaths: {/chat: {post: {security: []}}}"),
        ("none", KEY + "security: [{key: []}, {}]\npaths: {/chat: {post: {}}}"),
        ("none", KEY + "paths: {/chat: {post: {}}, /other: {get: {security: [{key: []}]}}}"),
        ("sso", KEY + "security: [{key: [], user: []}]\npaths: {/chat: {post: {}}}"),
        ("shared-key", KEY + "security: [{key: []}, {user: []}]\npaths: {/chat: {post: {}}}"),
        ("sso", KEY + "security: [{user: []}]\npaths: {/healthz: {get: {security: []}}, /login: {post: {security: []}}, /chat: {post: {}}}"),
        ("password", "components: {securitySchemes: {b: {type: http, scheme: basic}}}\nsecurity: [{b: []}]\npaths: {/chat: {post: {}}}"),
        (None, "security: [{elsewhere: []}]\npaths: {/chat: {post: {}}}"),
    ],
)  # fmt: skip
def test_who_may_call(expected: str | None, text: str) -> None:
    """Global and own requirements; alternatives count as the weakest, several at once as the strongest; some paths are for all."""
    assert told(text)["authentication"].data == expected


def test_silence_means_nothing_but_at_a_gateway() -> None:
    """Many documents leave it out; a gateway does what stands there."""
    assert "authentication" not in told("paths: {/chat: {post: {}}}")
    assert told("paths: {/chat: {post: {}}}", deployed=True)["authentication"].data == "none"
    assert (
        told("paths: {/chat: {post: {x-amazon-apigateway-auth: {type: AWS_IAM}}}}", deployed=True)[
            "authentication"
        ].data
        == "iam"
    )


def test_swagger_2() -> None:
    """Other keys, the same."""
    root, _ = document(
        '{"swagger": "2.0", "host": "x.example", "basePath": "/v1", "securityDefinitions": {"o": {"type": "oauth2"}}, '
        '"security": [{"o": []}], "paths": {"/chat": {"post": {}}}}',
        "swagger.json",
    )
    assert root is not None
    body = described(root, deployed=False)
    assert (body["authentication"].data, body["servers"].plain()) == ("sso", ["https://x.example/v1"])


def test_a_document_is_told_by_its_beginning() -> None:
    """Not by its name, and not by a word in it."""
    importer = OpenApi()
    assert importer.wants("a/api.yml", lambda: "# x\nopenapi: '3.0.3'\n")
    assert importer.wants("a.json", lambda: '{"swagger":"2.0"}')
    assert not importer.wants("openapi.yaml", lambda: "kind: x\ndata: openapi\n")


APP = "from fastapi import FastAPI\nfrom openai import OpenAI\nOpenAI().responses.create(model='m')\n"


def found(folder: Path, files: dict[str, str]) -> dict[str, object]:
    """Authentication of each component."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {
        c.kind: c.facts["authentication"].value
        for c in discover(folder).components.values()
        if "authentication" in c.facts
    }


def test_a_document_beside_a_program_describes_it(tmp_path: Path) -> None:
    """With its line; one with another name may be somebody else's, and is no component."""
    open_ = HEAD + KEY + "paths:\n  /chat:\n    post: {}\n"
    assert found(tmp_path / "own", {"svc/pyproject.toml": "", "svc/app.py": APP, "svc/openapi.yaml": open_}) == {
        "app.api": "none"
    }
    assert found(tmp_path / "other", {"svc/pyproject.toml": "", "svc/app.py": APP, "svc/weather.yaml": open_}) == {}
    assert discover(tmp_path / "other" / "svc").complete


TEMPLATE = """AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Ask:
    Type: AWS::Lambda::Function
    Properties: {Handler: ask.main}
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties:
      Body:
        openapi: 3.0.1
        paths:
          /chat:
            post:
              x-amazon-apigateway-integration:
                type: aws_proxy
                uri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Ask.Arn}/invocations"
"""


def test_a_gateway_calls_what_its_document_integrates(tmp_path: Path) -> None:
    """And asks nobody when nothing is said."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    result = discover(tmp_path)
    assert ("api", "ask", "calls") in {(f.source, f.target, f.verb) for f in result.flows}
    fact = result.components["api"].facts["authentication"]
    assert (fact.value, fact.place.line) == ("none", 13)
    assert "access/public-entry" in {w.expectation for w in result.weaknesses if w.state == "fail"}


@given(st.text(alphabet="{}[]:,\n -pathsecurity/\"'&*!0"))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a document."""
    for whole in (HEAD + text, HEAD + "paths: " + text, HEAD + "paths: {/a: {get: {security: " + text):
        OpenApi().read(Tree(("a.yaml",), {"a.yaml": whole}.get), ["a.yaml"])
