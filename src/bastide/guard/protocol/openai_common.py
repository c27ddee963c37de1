# SPDX-License-Identifier: Apache-2.0
"""What the OpenAI protocols share: errors, the list of models."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from bastide.errors import GuardError
from bastide.guard.protocol.interface import Answer

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


def error_object(error: GuardError, request_id: str = "") -> dict[str, Any]:
    """The value of `error` in an answer or in a stream."""
    found: dict[str, Any] = {
        "message": str(error),
        "type": _TYPES.get(error.status, "server_error"),
        "param": None,
        "code": error.code,
    }
    if error.details:
        found["details"] = dict(error.details)
    if request_id:
        found["request_id"] = request_id
    return found


def error_headers(error: GuardError) -> dict[str, str]:
    """When to try again, and whether at all: the official clients of both makers read both headers.

    They repeat 429 and 5xx by themselves, which is of no use when a budget is empty, so that is said.
    """
    if error.retry_after > 0:
        return {"retry-after": str(ceil(error.retry_after))}
    return {"x-should-retry": "false"} if error.status in (429, 500) else {}


def error(error: GuardError, request_id: str = "") -> Answer:
    """The error as `openai` clients expect it, for example as `openai.PermissionDeniedError`."""
    headers = error_headers(error)
    if request_id:
        headers["x-request-id"] = request_id
    return error.status, headers, {"error": error_object(error, request_id)}


def models(names: Sequence[str]) -> dict[str, Any]:
    """The answer to `GET /v1/models`."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "bastide"} for name in names]
    return {"object": "list", "data": data}
