# SPDX-License-Identifier: Apache-2.0
"""The JSON files around a model, as Hugging Face's libraries read them: which code they make a loader run, and which files read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bastide.verify.artifacts.formats._json import NotJson, parse_json, texts_of, walk
from bastide.verify.artifacts.formats._monai import expressions, is_bundle
from bastide.verify.artifacts.formats._repository_rules import RULES, SETS, everywhere, index
from bastide.verify.artifacts.formats.keras_config import is_config, judge_config
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Finding, Severity, Tier

SIGNS = (
    b'"auto_map"',
    b"trust_remote_code",
    b'"chat_template"',
    b'"_target_"',
    b'"$import ',
    b'"py/',
    b'"custom_pipelines"',
    b'"weight_map"',
    b'"class_name"',
)
"""By which a JSON file under another name is known to be read by a loader."""
LOOK = 1 << 20
REPORTED = 20


class RepositoryReader:
    """Reads the configurations of models, tokenizers, adapters and pipelines."""

    format = "hugging-face"

    def claims(self, source: Source) -> bool:
        """By its name, as loaders do; another JSON file by the keys at which they import code."""
        base = _base(source)
        if base in RULES.names or base.endswith(".index.json"):
            return True
        if source.extension != "json":
            return False
        head = source.head(LOOK)
        return any(sign in head for sign in SIGNS)

    def read(self, source: Source, scan: Scan) -> str | None:
        """All keys at which a loader imports something, and the chat templates."""
        data = bytes(source.data)
        try:
            document = parse_json(data)
        except NotJson as problem:
            scan.malformed("repository/broken", f"is no JSON ({problem.why}), so it was not judged", problem.at)
            return None
        if document.repeated:
            self._repeated(document.repeated, data, scan)
        found = [*everywhere(document.value), *_expressions(document.value)]
        base = _base(source)
        for name in RULES.names.get(base, ()):
            if name in SETS and isinstance(document.value, dict | list):
                found += _of_shape(name, document.value)
        if base.endswith(".index.json") or (isinstance(document.value, dict) and "weight_map" in document.value):
            found += index(document.value)
        scan.take([_placed(finding, data) for finding in _few(found)])
        if is_config(document.value):
            judge_config(document.value, scan)
        _templates(document.value, scan)
        return "keras-json" if is_config(document.value) else None

    def _repeated(self, keys: tuple[str, ...], data: bytes, scan: Scan) -> None:
        for key in keys[:REPORTED]:
            matters = key in {
                "auto_map",
                "trust_remote_code",
                "chat_template",
                "_target_",
                "type",
                "path",
                "weight_map",
            }
            scan.add(
                "repository/repeated-key",
                Tier.MALFORMED,
                Severity.HIGH if matters else Severity.MEDIUM,
                "a key stands twice in an object, of which readers take different ones",
                _where(key, data),
                key,
            )


def _expressions(document: Any) -> Iterator[Finding]:
    """What MONAI evaluates, where the document is a configuration of that kind."""
    texts = dict.fromkeys(text for text in texts_of(document) if text.startswith("$") and not text.startswith("${"))
    is_configuration = is_bundle(texts) or any(key == "_target_" for _, key, _ in walk(document))
    for one in expressions(texts) if is_configuration else ():
        if one.effect:
            message = f"is Python that MONAI evaluates, and {one.effect}. Don't load it"
            yield Finding("repository/expression", Tier.EXECUTES, Severity.CRITICAL, message, None, one.text[:200])
        else:
            message = "is Python that MONAI evaluates, and not of the kind that is known: read it before"
            yield Finding("repository/expression", Tier.POLICY, Severity.MEDIUM, message, None, one.text[:200])


def _base(source: Source) -> str:
    return source.name.replace("\\", "/").rpartition("/")[2].lower()


def _of_shape(name: str, document: Any) -> list[Finding]:
    wanted = list if name == "modules" else dict
    if isinstance(document, wanted):
        return list(SETS[name](document))
    why = f"is no {'list' if wanted is list else 'object'}, as loaders expect: it was not judged"
    return [Finding("repository/broken", Tier.MALFORMED, Severity.MEDIUM, why, 0)]


def _few(found: list[Finding]) -> list[Finding]:
    counts: dict[str, int] = {}
    kept = []
    for finding in found:
        counts[finding.id] = counts.get(finding.id, 0) + 1
        if counts[finding.id] <= REPORTED:
            kept.append(finding)
    return kept


def _placed(finding: Finding, data: bytes) -> Finding:
    if finding.offset is not None:
        return finding
    return replace(finding, offset=_where(finding.evidence, data))


def _where(text: str, data: bytes) -> int:
    """Where a text stands as JSON writes it; 0 when it is written otherwise."""
    at = data.find(json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))
    return max(0, at)


def _templates(document: Any, scan: Scan) -> None:
    given = document.get("chat_template") if isinstance(document, dict) else None
    named = given if isinstance(given, dict) else {"": given}
    if isinstance(given, list):
        named = {str(part.get("name", "")): part.get("template") for part in given if isinstance(part, dict)}
        if len(named) != len(given):
            scan.malformed("repository/template", "the list of chat templates has one twice, or something else in it")
    for name, template in named.items():
        below = scan.below(f"chat_template.{name}" if name else "chat_template") if isinstance(template, str) else None
        if below is not None and isinstance(template, str):
            # Late: few files have templates, and Jinja takes a tenth of the start.
            from bastide.verify.artifacts.formats._templates import check_template

            check_template(template, below)
        elif template is not None and not isinstance(template, str):
            scan.malformed("repository/template", "a chat template is no text", evidence=name)
