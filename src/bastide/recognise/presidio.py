# SPDX-License-Identifier: Apache-2.0
"""Personal data that rules can't see (names, places, organisations), by Presidio where it is installed.

The own recognisers (`knowledge/content/personal`) always look too: they need nothing and cost microseconds. Presidio with a small spaCy
package takes about 30 ms for 120 words.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

from bastide.errors import UsageError
from bastide.recognise.model import Detection, Span
from bastide.recognise.rules import builtin

_NAMES = {
    "PERSON": "name",
    "LOCATION": "place",
    "ORGANIZATION": "organisation",
    "NRP": "group",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "us-ssn",
    "UK_NHS": "uk-nhs",
    "IP_ADDRESS": "ip-address",
    "MEDICAL_LICENSE": "medical-licence",
}
_LONGEST = 100_000
_SURE = 0.5
"""Presidio's score from which on something counts."""


@cache
def types() -> frozenset[str]:
    """What can stand after `personal/` in the id of a detector."""
    own = (rule.id.partition("/") for rule in builtin())
    return frozenset(_NAMES.values()) | {rest for kind, _, rest in own if kind == "personal"}


Recogniser = Callable[[str], Sequence[Detection]]


def recogniser(engine: Literal["auto", "own", "presidio"], model: str) -> Recogniser | None:
    """What looks for personal data beside the own recognisers. Raises `UsageError` for what isn't installed."""
    if engine == "own" or (engine == "auto" and missing(model)):
        return None
    return presidio(model)


def missing(model: str) -> str:
    """What Presidio lacks to work with a spaCy model; '' when all is there."""
    if not all(importlib.util.find_spec(name) for name in ("presidio_analyzer", "spacy", "tldextract")):
        return "Presidio isn't installed: `pip install presidio-analyzer`"
    # Presidio would download it.
    there = model.isidentifier() and importlib.util.find_spec(model) is not None
    return (
        "" if there else f"the spaCy package `{model}` isn't installed, and nothing is downloaded while the guard runs"
    )


@cache
def presidio(model: str) -> Recogniser:
    """Presidio with an installed spaCy package, whose name begins with its language. It takes seconds to open, and downloads nothing.

    Raises:
        UsageError: Presidio or the spaCy package isn't installed.
    """
    if lacking := missing(model):
        raise UsageError(lacking)
    language = model.split("_", maxsplit=1)[0]
    return using(_open(model, language), language)


def using(engine: Any, language: str = "en") -> Recogniser:
    """A recogniser that asks an analyzer with Presidio's interface."""

    def find(text: str) -> Sequence[Detection]:
        results = engine.analyze(text=text[:_LONGEST], language=language, score_threshold=_SURE)
        found = [
            Detection(
                f"personal/{_name(r.entity_type)}",
                min(float(r.score), 1.0),
                (Span(r.start, r.end),),
                "named by Presidio",
            )
            for r in results
            if 0 <= r.start < r.end <= len(text)
        ]
        if len(text) > _LONGEST:
            # What wasn't read may hold anything, so all of it counts.
            found.append(
                Detection("personal/unread", 0.5, (Span(_LONGEST, len(text)),), f"more than {_LONGEST} characters")
            )
        return found

    return find


def _name(entity: str) -> str:
    return _NAMES.get(entity, entity.lower().replace("_", "-"))


def _open(model: str, language: str) -> Any:
    # By name: they are no dependencies, so neither type checkers nor packagers know them.
    tldextract: Any = importlib.import_module("tldextract")
    presidio_analyzer = importlib.import_module("presidio_analyzer")
    engines = importlib.import_module("presidio_analyzer.nlp_engine")
    # Its list of public suffixes is fetched at the first e-mail address otherwise; the copy in the package will do.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    provider = engines.NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": model}]}
    )
    return presidio_analyzer.AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[language])
