# SPDX-License-Identifier: Apache-2.0
"""Talks to the approvals API of a guard that runs."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from bastide.errors import UsageError

API = "/guard/api/approvals"
"""Where the API is mounted."""
TIMEOUT = 10.0
LARGEST = 64 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place."""

    def redirect_request(self, *_args: Any) -> None:
        return None


class ApprovalsClient:
    """The API, for the command line. Everything that goes wrong is a `UsageError`."""

    def __init__(self, url: str, key: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url {url[:100]}: is no web address, such as http://127.0.0.1:8088")
        if not (key.isascii() and key.isprintable()):
            raise UsageError("the key holds characters that no key has")
        self._url = url.rstrip("/") + API
        self._headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        # No proxy from the environment: a key for the guard is nobody else's.
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    @classmethod
    def from_variable(cls, url: str, variable: str) -> ApprovalsClient:
        """With the key in an environment variable."""
        key = os.environ.get(variable, "").strip()
        if not key:
            raise UsageError(f"the environment variable `{variable}` holds no key; `--key-env` names another one")
        return cls(url, key)

    def pending(self) -> list[dict[str, Any]]:
        """The open requests."""
        found = self._call("").get("approvals")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise UsageError("the guard's answer is no list of approvals")
        return found

    def get(self, id: str) -> dict[str, Any]:
        """One of them."""
        return self._call("/" + _id(id))

    def decide(self, id: str, answer: str, note: str) -> dict[str, Any]:
        """Decides one; it, as it is then."""
        return self._call("/" + _id(id), {"answer": answer, "note": note})

    def _call(self, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"content-type": "application/json"} if data else {})
        request = urllib.request.Request(self._url + path, data, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                found = json.loads(response.read(LARGEST))
        except urllib.error.HTTPError as problem:
            with problem:
                raise UsageError(f"the guard says no ({problem.code}): {_said(problem.read(65_536))}") from None
        except (OSError, ValueError, RecursionError) as problem:
            reason = getattr(problem, "reason", None) or "its answer can't be read"
            raise UsageError(f"{self._url}: {reason}") from None
        if not isinstance(found, dict):
            raise UsageError("the guard's answer is no object")
        return found


def _id(text: str) -> str:
    if not re.fullmatch(r"apr_[0-9a-f]{1,64}", text):
        raise UsageError(f"`{text[:60]}` is no approval's id, such as apr_0123456789abcdef01234567")
    return text


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])[:500]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "without a reason"
