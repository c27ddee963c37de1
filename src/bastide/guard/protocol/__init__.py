# SPDX-License-Identifier: Apache-2.0
"""The protocols of models: wire documents and streams to events, and edits back."""

from __future__ import annotations

from collections.abc import Mapping

from bastide.guard.protocol import anthropic_messages, openai_chat, openai_embeddings, openai_responses
from bastide.guard.protocol.interface import Codec

CODECS: Mapping[str, Codec] = {
    codec.NAME: codec for codec in (openai_chat, openai_responses, openai_embeddings, anthropic_messages)
}
"""Codec by the name of its protocol."""
