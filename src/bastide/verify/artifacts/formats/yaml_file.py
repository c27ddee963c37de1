# SPDX-License-Identifier: Apache-2.0
"""YAML beside and inside of models: tags that make objects, configurations that have something called, environments, MLflow's `MLmodel`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bastide.verify.artifacts.formats import _mlflow
from bastide.verify.artifacts.formats._conda import environment
from bastide.verify.artifacts.formats._monai import expressions, is_bundle
from bastide.verify.artifacts.formats._targets import CONFIGURATION, Call, judge
from bastide.verify.artifacts.formats._yaml import Node, NotYaml, Parsed, decode, parse_yaml
from bastide.verify.artifacts.formats._yaml_tags import Found, tag
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

ENVIRONMENTS = frozenset(
    {"conda.yaml", "conda.yml", "environment.yaml", "environment.yml", "python_env.yaml", "python_env.yml"}
)
SIGNS = ("!", "target", "class_path", "trust_remote_code", "$import ", "$from ", "\\")
"""Without one of these in it, nothing that a text says makes a loader do anything."""
REPORTED = 20
MLFLOW = {"mlmodel": _mlflow.model, "mlproject": _mlflow.project}
"""MLflow's files, by their names, and what is read of them."""


class YamlReader:
    """Reads YAML."""

    format = "yaml"

    def claims(self, source: Source) -> bool:
        """By the extension, and MLflow's by its name."""
        return source.extension in ("yaml", "yml") or _base(source) in MLFLOW

    def read(self, source: Source, scan: Scan) -> str | None:
        """All documents of the file."""
        base = _base(source)
        kind = (
            "mlflow"
            if base in MLFLOW
            else "environment"
            if base in ENVIRONMENTS or base.endswith(("environment.yml", "environment.yaml"))
            else None
        )
        try:
            if kind is None and not any(sign in decode(bytes(source.data)).text for sign in SIGNS):
                return None
            parsed = parse_yaml(bytes(source.data))
        except NotYaml as problem:
            scan.unread(problem.why, problem.at)
            return kind
        found = [one for document in parsed.documents for one in _everywhere(document)]
        if kind == "mlflow":
            reads = MLFLOW[base]
            found += [one for document in parsed.documents for one in reads(document)]
        _report(found, parsed, scan)
        if kind == "environment":
            for document in parsed.documents[:1]:
                environment(document, parsed, scan)
        if parsed.bounded and parsed.problem:
            scan.unread(parsed.problem.why, parsed.problem.at)
        elif parsed.problem:
            scan.malformed("yaml/broken", f"is no YAML that PyYAML reads ({parsed.problem.why})", parsed.problem.at)
        return kind


def _base(source: Source) -> str:
    return source.name.replace("\\", "/").rpartition("/")[2].lower()


def _report(found: list[Found], parsed: Parsed, scan: Scan) -> None:
    counts: Counter[str] = Counter()
    for one in dict.fromkeys(found):
        counts[one.id] += 1
        if counts[one.id] <= REPORTED:
            name = one.id if "/" in one.id else f"yaml/{one.id}"
            scan.add(name, one.tier, one.severity, one.message, parsed.offset(one.at), one.evidence[:200])


def _everywhere(document: Node) -> Iterator[Found]:
    yield from _expressions(document)
    for node in document.below():
        yield from tag(node)
        for key, value in node.pairs:
            yield from _key(key.text or "", value, node)


def _expressions(document: Node) -> Iterator[Found]:
    """What MONAI evaluates, where the document is a configuration of that kind."""
    texts: dict[str, Node] = {}
    is_configuration = False
    for node in document.below():
        is_configuration |= any(key.text == "_target_" for key, _ in node.pairs)
        if node.text and node.text.startswith("$") and not node.text.startswith("${"):
            texts.setdefault(node.text, node)
    for found in expressions(texts) if is_configuration or is_bundle(texts) else ():
        if found.effect:
            message = f"is Python that MONAI evaluates, and {found.effect}. Don't load it"
            yield Found("expression", Tier.EXECUTES, Severity.CRITICAL, message, texts[found.text].at, found.text)
        else:
            message = "is Python that MONAI evaluates, and not of the kind that is known: read it before"
            yield Found("expression", Tier.POLICY, Severity.MEDIUM, message, texts[found.text].at, found.text)


def _key(key: str, value: Node, holder: Node) -> Iterator[Found]:
    text = value.text
    if text is not None and (key == "_target_" or (key == "target" and _is_call(text.strip(), holder))):
        yield from _target(text.strip(), value)
        named = holder.get("path") if text.strip() in CONFIGURATION.takes else None
        if named is not None and named.text:
            yield from _target(named.text.strip(), named)
    elif key == "class_path" and text is not None and judge(text)[0] is Call.HARMFUL:
        yield Found(
            "target",
            Tier.EXECUTES,
            Severity.HIGH,
            f"has Lightning import and make what {judge(text)[1]}. Don't load it",
            value.at,
            text,
        )
    elif key == "trust_remote_code" and text is not None and value.plain and text.lower() in ("true", "yes", "on"):
        yield Found(
            "trusts-remote-code",
            Tier.POLICY,
            Severity.MEDIUM,
            "asks the loader to run code from the repository: decide that yourself",
            value.at,
            key,
        )


def _is_call(text: str, holder: Node) -> bool:
    """Whether `target` is what older loaders make an object of, and no word of some other configuration."""
    if "." not in text or not all(part.isidentifier() for part in text.split(".")):
        return False
    return judge(text)[0] in (Call.HARMFUL, Call.CLASS) or holder.get("params") is not None


def _target(text: str, value: Node) -> Iterator[Found]:
    """hydra, NeMo and MONAI call what `_target_` names, with the arguments beside it; older loaders what `target` names."""
    call, effect = judge(text)
    if call is Call.HARMFUL:
        yield Found(
            "target",
            Tier.EXECUTES,
            Severity.CRITICAL,
            f"has a loader of configurations (hydra, NeMo) call what {effect}. Don't instantiate it",
            value.at,
            text,
        )
    elif call is not Call.KNOWN and "${" not in text:
        yield Found(
            "target",
            Tier.POLICY,
            Severity.MEDIUM,
            "has a loader of configurations (hydra, NeMo) call something whose code isn't in the file",
            value.at,
            text,
        )
    elif "${" in text:
        yield Found(
            "target",
            Tier.POLICY,
            Severity.MEDIUM,
            "has a loader call something whose name is put together while it is read",
            value.at,
            text,
        )
