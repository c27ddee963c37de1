# SPDX-License-Identifier: Apache-2.0
"""What is attested: predicates made from a scan, from the results of an evaluation, and from the description of a training run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bastide import __version__
from bastide.catalog.fields import check_keys
from bastide.errors import PlanError, SettingsError, UsageError
from bastide.plan.yamlfile import Node, key_text, parse, read_text
from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.scan import ENGINE
from bastide.verify.signing import predicates, strict
from bastide.verify.signing.model import Manifest, Resource
from bastide.verify.signing.names import SINGLE
from bastide.verify.signing.sign import describe
from bastide.verify.signing.strict import Wrong

_LARGEST = 64 << 20
_HASHES = {"sha256": 64, "sha384": 96, "sha512": 128, "blake2b": 128, "gitCommit": 40, "gitTree": 40, "dirHash": 64}
"""Digests of materials and how long they are; a commit of git may have 64 digits too."""


def of_scan(manifest: Manifest, reports: Sequence[FileReport], started: datetime, finished: datetime) -> dict[str, Any]:
    """The predicate of a scan that was made just now, its reports in the order of the files.

    Raises `UsageError` when a file isn't any more what was hashed for the attestation.
    """
    rows = []
    for resource, report in zip(manifest.resources, reports, strict=True):
        if report.sha256 and report.sha256 != resource.digest:
            raise UsageError(f"{report.path}: changed while the model was read")
        findings = sorted({finding.id for finding in report.findings})
        rows.append(_row(resource, report.verdict.value, findings))
    return _scan(rows, (__version__, ENGINE), (started, finished))


def of_report(path: Path, model: Path, manifest: Manifest) -> dict[str, Any]:
    """The predicate of a scan whose report (`bastide scan --format json`) is in a file.

    Every file of the model has to be in it with the same digest. The scan is dated by the file's time. Raises `UsageError`.
    """
    document, time = _json(path)
    try:
        version, engine = _engine(strict.field(document, "engine", str))
        found: dict[str, dict[str, Any]] = {}
        for one in strict.objects(document, "files"):
            found.setdefault(str(Path(strict.field(one, "path", str)).absolute()), one)
        rows = [_reported(resource, found, model) for resource in manifest.resources]
    except (Wrong, ValueError) as problem:
        raise UsageError(f"{path}: isn't the report of this model: {problem}") from None
    return _scan(rows, (version, engine), (None, time))


def of_evaluation(path: Path) -> dict[str, Any]:
    """The predicate of an evaluation whose results are in a JSON file: `metrics`, `dataset` and `date`. Raises `UsageError`."""
    document, _ = _json(path)
    try:
        strict.only(document, "metrics", "dataset", "date", "evaluator", "notes")
        metrics = strict.field(document, "metrics", dict)
        dataset = strict.field(document, "dataset", dict)
        strict.only(dataset, "name", "sha256", "uri")
        digest = strict.field(dataset, "sha256", str)
        _digest("sha256", digest)
        if not metrics or not all(_is_number(value) for value in metrics.values()):
            raise Wrong("`metrics` is a mapping from names to numbers")
        date = strict.field(document, "date", str)
        when = predicates.moment(f"{date}T00:00:00Z" if len(date) == 10 else date)
    except Wrong as problem:
        raise UsageError(f"{path}: {problem}") from None
    described = {name: str(dataset[name]) for name in ("name", "uri") if dataset.get(name)}
    extra = {name: str(document[name]) for name in ("evaluator", "notes") if document.get(name)}
    return {
        "evaluatedOn": _written(when),
        "metrics": metrics,
        "dataset": {**described, "digest": {"sha256": digest}},
        **extra,
    }


def of_run(path: Path) -> dict[str, Any]:
    """The predicate of a training run that a YAML file describes. Raises `SettingsError` with positions."""
    root = parse(read_text(path, SettingsError), str(path), SettingsError)
    try:
        predicate = _run(root, path.absolute().parent)
    except PlanError as too_many:
        raise SettingsError(too_many.diagnostics) from None
    if root.document.problems:
        raise SettingsError(sorted(root.document.problems, key=lambda p: (p.location.line, p.location.column)))
    return predicate


def scanned_path(model: Path, resource: Resource) -> Path:
    """The file of a resource."""
    return model if resource.name == SINGLE else model / resource.name


def _row(resource: Resource, verdict: str, findings: Iterable[str]) -> dict[str, Any]:
    return {"path": resource.name, "sha256": resource.digest, "verdict": verdict, "findings": list(findings)}


def _scan(
    rows: list[dict[str, Any]], made_with: tuple[str, str], times: tuple[datetime | None, datetime]
) -> dict[str, Any]:
    started, finished = times
    return {
        "scanner": {"name": "bastide", "version": made_with[0], "engine": made_with[1]},
        **({"startedOn": _written(started)} if started else {}),
        "finishedOn": _written(finished),
        "verdict": predicates.worst_verdict([row["verdict"] for row in rows]),
        "files": rows,
    }


def _reported(resource: Resource, found: Mapping[str, dict[str, Any]], model: Path) -> dict[str, Any]:
    one = found.get(str(scanned_path(model, resource).absolute()))
    if one is None:
        raise Wrong(f"`{resource.name}` isn't in it")
    verdict = strict.field(one, "verdict", str)
    digest = strict.field(one, "sha256", str)
    # A file that could not be read to its end has no digest; then it isn't safe either.
    if digest != resource.digest and (digest or verdict == "safe"):
        raise Wrong(f"`{resource.name}` was another file when it was scanned")
    if verdict not in ("safe", "unsafe", "unknown"):
        raise Wrong(f"`{verdict[:40]}` is no verdict")
    return _row(resource, verdict, sorted({strict.field(f, "id", str) for f in strict.objects(one, "findings")}))


def _engine(text: str) -> tuple[str, str]:
    name, _, rest = text.partition(" ")
    version, slash, engine = rest.partition("/")
    if name != "bastide" or not slash or not engine:
        raise Wrong(f"`{text[:60]}` is no engine of Bastide")
    return version, engine


def _run(root: Node, folder: Path) -> dict[str, Any]:
    known = ("builder", "type", "parameters", "materials", "started", "finished", "invocation")
    if not root.is_map:
        root.problem("a training run is a mapping", "with `builder`, `type`, `materials`, `started` and `finished`")
    check_keys(root, known, "training run")
    metadata = {
        "invocationId": _text(root, "invocation", False),
        "startedOn": _time(root, "started"),
        "finishedOn": _time(root, "finished"),
    }
    parameters = root.get("parameters")
    materials = root.get("materials")
    if materials is None or not materials.is_list:
        (materials or root).problem(
            "`materials` is the list of what went in", "data sets, base model, commit of the code"
        )
    return {
        "buildDefinition": {
            "buildType": _text(root, "type"),
            "externalParameters": parameters.plain_data() if parameters and parameters.is_map else {},
            "resolvedDependencies": [_material(one, folder) for one in (materials.value if materials and materials.is_list else [])],
        },
        "runDetails": {
            "builder": {"id": _text(root, "builder")},
            "metadata": {key: value for key, value in metadata.items() if value},
        },
    }  # fmt: skip


def _material(node: Node, folder: Path) -> dict[str, Any]:
    """A resource descriptor: with its digest, or with a file or model that is hashed now."""
    check_keys(node, ("name", "uri", "digest", "file", "model"), "material")
    found: dict[str, Any] = {key: text for key in ("name", "uri") if (text := _text(node, key, False))}
    digest = node.get("digest")
    if not found:
        node.problem("a material has a `name` or a `uri`")
    try:
        if path := _text(node, "file", False):
            found["digest"] = {"sha256": _hashed(folder / path)}
        elif path := _text(node, "model", False):
            manifest = describe(folder / path).manifest
            from bastide.verify.signing.manifest import digests_of

            found["digest"] = digests_of(manifest)
        elif digest is not None and digest.is_map and digest.value:
            found["digest"] = {key: _digest(key, key_text(value)) for key, _, value in digest.items()}
        else:
            node.problem("a material has a `digest`, or a `file` or `model` that is hashed", "`digest: {sha256: ...}`")
    except (Wrong, UsageError) as problem:
        node.problem(str(problem).splitlines()[0])
    except OSError as problem:
        node.problem(f"can't be read: {problem.strerror}")
    return found


def _text(node: Node, key: str, required: bool = True) -> str:
    found = node.get(key)
    if found is None or found.value is None or found.is_map or found.is_list:
        if required or found is not None:
            (found or node).problem(f"`{key}` is missing" if found is None else f"`{key}` is a text")
        return ""
    return key_text(found)


def _time(node: Node, key: str) -> str:
    text = _text(node, key)
    try:
        return _written(predicates.moment(text)) if text else ""
    except Wrong as problem:
        (node.get(key) or node).problem(str(problem), "such as `2027-06-30T12:00:00Z`")
        return ""


def _digest(algorithm: str, digest: str) -> str:
    length = _HASHES.get(algorithm)
    if length is None:
        raise Wrong(f"digest `{algorithm[:40]}` isn't known; known: {', '.join(_HASHES)}")
    lengths = (length, 64) if algorithm.startswith("git") else (length,)
    if len(digest) not in lengths or set(digest) - set("0123456789abcdef"):
        raise Wrong(f"`{digest[:80]}` is no {algorithm}: {length} hexadecimal digits in lower case")
    return digest


def _hashed(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(path: Path) -> tuple[dict[str, Any], datetime]:
    """The document and the time of the file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
            time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if len(data) > _LARGEST:
            raise Wrong(f"is larger than {_LARGEST >> 20} MiB")
        return strict.read(data), time
    except (Wrong, OSError, ValueError, OverflowError) as problem:
        raise UsageError(f"{path}: {getattr(problem, 'strerror', None) or problem}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
