# SPDX-License-Identifier: Apache-2.0
"""Embeddings through the guard, with the official client."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from tests.guard.gateway.fake import FakeProvider, answer
from tests.guard.gateway.running import BOSS, KEY, Guard, running


def vectors(*data: Any) -> bytes:
    """A provider's answer with these vectors."""
    items = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(data)]
    return answer({"object": "list", "model": "embed", "data": items, "usage": {"prompt_tokens": 3, "total_tokens": 3}})


@contextmanager
def embedding(said: bytes, more: str = "", key: str = KEY) -> Iterator[tuple[Guard, openai.OpenAI]]:
    """A guard, and a client of it."""
    with (
        running(FakeProvider([said]), more) as guard,
        openai.OpenAI(base_url=f"{guard.url}/v1", api_key=key, max_retries=0) as client,
    ):
        yield guard, client


def test_texts_become_vectors() -> None:
    """Several at once, in the form that the client asks for by itself; the use is counted."""
    packed = [base64.b64encode(struct.pack("<2f", *pair)).decode() for pair in ((0.5, 0.25), (1.0, 2.0))]
    with embedding(vectors(*packed)) as (guard, client):
        got = client.embeddings.create(model="embed", input=["Hi", "Ho"])
        assert [one.embedding for one in got.data] == [[0.5, 0.25], [1.0, 2.0]]
        assert guard.provider.requests[0][0].startswith("POST /v1/embeddings ")
        [entry] = guard.recorder.of("request")
        assert (entry["component"], entry["usage"]) == ("embedder", {"input": 3, "output": 0})


def test_secrets_are_taken_out_of_what_is_embedded() -> None:
    """A vector store gives back what was put in, to whoever may search it."""
    with embedding(vectors([0.5], [0.25])) as (guard, client):
        client.embeddings.create(
            model="embed", input=["Hi", "the key is AKIAIOSFODNN7EXAMPLQ"], encoding_format="float"
        )
        [sent] = guard.provider.documents
        assert sent["input"][0] == "Hi"
        assert "AKIAIOSFODNN7EXAMPLQ" not in json.dumps(sent)


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_instead_of_texts_are_refused_with_what_to_do(tokens: Any) -> None:
    """Numbers can't be scanned; whoever uses LangChain, which sends them by default, is told the option."""
    with embedding(vectors([0.5])) as (guard, client):
        with pytest.raises(openai.PermissionDeniedError, match="check_embedding_ctx_length=False") as caught:
            client.embeddings.create(model="embed", input=tokens)
        assert caught.value.code == "unscanned"
        assert guard.provider.requests == []


def test_tokens_pass_where_the_settings_let_them_and_are_logged_as_unscanned() -> None:
    """It is the operator's choice, and stands in the log."""
    with embedding(vectors([0.5]), "content: {classifier: 'off', unscanned: allow}") as (guard, client):
        client.embeddings.create(model="embed", input=[1, 2, 3], encoding_format="float")
        assert guard.provider.documents[0]["input"] == [1, 2, 3]
        assert guard.recorder.of("request")[0]["unscanned"] == ["tokens"]


def test_who_may_not_embed_is_refused() -> None:
    """The plan gives the web application no flow to the embedder."""
    with embedding(vectors([0.5]), key=BOSS) as (guard, client):
        with pytest.raises(openai.PermissionDeniedError):
            client.embeddings.create(model="embed", input="Hi")
        assert guard.provider.requests == []
