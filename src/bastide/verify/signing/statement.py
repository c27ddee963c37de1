# SPDX-License-Identifier: Apache-2.0
"""In-toto statements, version 1, as bytes and back.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import json
from typing import Any

from bastide.verify.signing import strict
from bastide.verify.signing.model import Statement, Subject
from bastide.verify.signing.strict import Wrong

TYPE = "https://in-toto.io/Statement/v1"


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload whose signature was verified. Raises `Wrong`."""
    document = strict.read(payload)
    strict.only(document, "_type", "subject", "predicateType", "predicate")
    if document.get("_type") != TYPE:
        raise Wrong(f"is no in-toto statement of version 1 ({TYPE})")
    subjects = tuple(_subject(one) for one in strict.objects(document, "subject"))
    return Statement(strict.field(document, "predicateType", str), subjects, strict.field(document, "predicate", dict))


def write_statement(statement: Statement) -> bytes:
    """The statement as it is signed."""
    document = {
        "_type": TYPE,
        "subject": [{"name": one.name, "digest": dict(one.digest)} for one in statement.subjects],
        "predicateType": statement.predicate_type,
        "predicate": statement.predicate,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _subject(document: dict[str, Any]) -> Subject:
    digest = strict.field(document, "digest", dict)
    if not digest or not all(isinstance(value, str) for value in digest.values()):
        raise Wrong("a subject has no digest")
    name = document.get("name", "")
    if not isinstance(name, str):
        raise Wrong("a subject's name is no text")
    return Subject(name, digest)
