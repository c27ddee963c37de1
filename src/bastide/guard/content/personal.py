# SPDX-License-Identifier: Apache-2.0
"""Personal data that rules can't see (names, places, organisations), by Presidio when it is installed.

The own recognisers (`knowledge/content/personal`) need nothing and cost microseconds; Presidio with a small spaCy model costs about 30 ms for
120 words, so it is opened only when asked for, and whoever calls it decides in which pool it runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from bastide.errors import UsageError
from bastide.guard.content.rules import builtin
from bastide.guard.model import Detection, Span

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


@cache
def types() -> frozenset[str]:
    """What can stand after `personal/` in the id of a detector."""
    own = (rule.id.partition("/") for rule in builtin())
    return frozenset(_NAMES.values()) | {rest for kind, _, rest in own if kind == "personal"}


def available() -> bool:
    """Whether Presidio and spaCy are installed."""
    return all(importlib.util.find_spec(name) for name in ("presidio_analyzer", "spacy"))


def presidio(
    model: str = "en_core_web_sm", language: str = "en", *, threshold: float = 0.5, analyzer: Any = None
) -> Callable[[str], Sequence[Detection]]:
    """A recogniser for `ContentScanner(personal=...)`. Opens the model, which takes seconds; downloads nothing.

    model: an installed spaCy package. threshold: Presidio's score, 0..1. analyzer: one that is open already.

    Raises:
        UsageError: Presidio or the spaCy model isn't installed.
    """
    engine = analyzer if analyzer is not None else _open(model, language)

    def find(text: str) -> Sequence[Detection]:
        results = engine.analyze(text=text[:_LONGEST], language=language, score_threshold=threshold)
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
    if not available():
        raise UsageError("Presidio isn't installed: `pip install presidio-analyzer` and a spaCy model")
    if importlib.util.find_spec(model) is None:
        # Presidio would download it.
        raise UsageError(f"the spaCy model `{model}` isn't installed, and nothing is downloaded while the guard runs")
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
