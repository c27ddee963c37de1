# SPDX-License-Identifier: Apache-2.0
"""What the formats of bills have in common: package URLs, addresses, times, and numbers made of the content."""

from __future__ import annotations

import os
import re
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

from bastide.errors import UsageError
from bastide.verify.bom.model import Ancestor, Dataset, Dependency, is_repository

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:bastide:bom")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def serial(digest: str) -> uuid.UUID:
    """A UUID of a content: the same content has the same."""
    return uuid.uuid5(_SPACE, digest)


def moment(text: str | None) -> datetime:
    """The time of a bill: as given, else of SOURCE_DATE_EPOCH, else now; in whole seconds. Raises `UsageError`."""
    try:
        if text is not None:
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
        if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
            return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            "--timestamp is a time such as 2026-11-23T12:00:00Z, SOURCE_DATE_EPOCH a number of seconds"
        ) from None
    return datetime.now(UTC).replace(microsecond=0)


def stamp(at: datetime) -> str:
    """`2026-11-23T12:00:00Z`."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def model_purl(name: str, revision: str = "") -> str:
    """Of a repository on Hugging Face; '' of any other name. Only a commit is a version there."""
    if not is_repository(name):
        return ""
    version = f"@{revision}" if _COMMIT.fullmatch(revision) else ""
    return f"pkg:huggingface/{quote(name, safe='/')}{version}"


def ancestor_purl(ancestor: Ancestor) -> str:
    """See `model_purl`."""
    return model_purl(ancestor.name, ancestor.revision)


def package_purl(one: Dependency) -> str:
    """Of a package; without a version where none is exact."""
    name = re.sub(r"[-_.]+", "-", one.name).lower() if one.ecosystem == "pypi" else one.name.lower()
    version = f"@{quote(one.version, safe='')}" if one.version else ""
    return f"pkg:{one.ecosystem}/{quote(name, safe='')}{version}"


def data_address(data: Dataset) -> str:
    """Where a data set lies, when an address is stated or its name is one of Hugging Face."""
    stated = data.first("url")
    if address(stated):
        return address(stated)
    return f"https://huggingface.co/datasets/{data.name}" if is_repository(data.name) else ""


def address(text: str) -> str:
    """The first web address in a text, escaped; ''."""
    found = re.search(r"https?://[^\s<>\"'()\[\]{}|\\^`]{1,1000}", text)
    return quote(found[0], safe=":/?#@!$&*+,;=%~-._") if found else ""


def place(path: str) -> str:
    """A path as a relative address."""
    return quote(path, safe="/-._~")
