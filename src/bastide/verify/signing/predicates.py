# SPDX-License-Identifier: Apache-2.0
"""What attestations say: of a scan, of an evaluation, and of a training run (SLSA provenance, version 1).

The fields of provenance are those of https://slsa.dev/spec/v1.0/provenance; scans and evaluations have no published predicate with
verdicts of files or metrics, so these two are Bastide's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bastide.verify.signing import strict
from bastide.verify.signing.model import Outcome, Resource
from bastide.verify.signing.policy import Demand, matches
from bastide.verify.signing.strict import Wrong

SCAN = "urn:bastide:attestation:scan:1"
EVALUATION = "urn:bastide:attestation:evaluation:1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TYPES: Mapping[str, str] = {"scan": SCAN, "evaluation": EVALUATION, "provenance": PROVENANCE}
SKEW = timedelta(minutes=5)
"""By which clocks may differ before a time lies in the future."""
_ORDER = ("unsafe", "unknown", "safe")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,5}\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an attestation says what is demanded."""

    outcome: Outcome
    reason: str
    time: datetime | None = None
    """When what it speaks of was done."""
    contradicts: bool = False
    """It says the opposite of what is demanded: no other attestation makes up for that."""


def examine(demand: Demand, predicate: Mapping[str, Any], resources: Sequence[Resource], at: datetime) -> Answer:
    """Whether an attestation says what is demanded. resources: the files of the model, as it was found to be bound to them."""
    try:
        if demand.type == "scan":
            return _fresh(_scan(demand, predicate, resources), demand, at)
        if demand.type == "evaluation":
            return _fresh(_evaluation(demand, predicate), demand, at)
        if demand.type == "provenance":
            return _fresh(_provenance(demand, predicate), demand, at)
    except Wrong as problem:
        return Answer(Outcome.REFUSED, f"isn't what such an attestation looks like: {problem}")
    if demand.max_age is not None:
        return Answer(Outcome.UNKNOWN, "when it was made isn't known: the form of this predicate isn't known here")
    return Answer(Outcome.HOLDS, "is attached")


def moment(text: str) -> datetime:
    """A time as RFC 3339 writes it. Raises `Wrong`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(f"`{text[:40]}` is no time") from None
    if found.tzinfo is None:
        raise Wrong(f"`{text[:40]}` doesn't say in which time zone")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise Wrong(f"`{text[:40]}` is no time") from None


def worst_verdict(verdicts: Sequence[str]) -> str:
    """Unsafe before unknown before safe; unknown for no file at all."""
    return next((one for one in _ORDER if one in verdicts), "unknown")


def _fresh(answer: Answer, demand: Demand, at: datetime) -> Answer:
    if answer.time is None:
        return answer
    if answer.time > at + SKEW:
        return Answer(Outcome.REFUSED, f"is dated {answer.time:%Y-%m-%d %H:%M}, which lies in the future", answer.time)
    if demand.max_age is not None and at - answer.time > timedelta(seconds=demand.max_age):
        days = (at - answer.time) / timedelta(days=1)
        limit = demand.max_age / 86400
        stale = f"is {days:.1f} days old; at most {limit:g} are allowed"
        return Answer(Outcome.REFUSED, stale, answer.time, answer.contradicts)
    return answer


def _scan(demand: Demand, predicate: Mapping[str, Any], resources: Sequence[Resource]) -> Answer:
    scanner = strict.field(predicate, "scanner", dict)
    time = moment(strict.field(predicate, "finishedOn", str))
    files = strict.objects(predicate, "files")
    seen = {strict.field(one, "path", str): strict.field(one, "sha256", str) for one in files}
    if len(seen) != len(files) or seen != {one.name: one.digest for one in resources}:
        return Answer(Outcome.REFUSED, "is about other files than the model has", time)
    verdict = strict.field(predicate, "verdict", str)
    if verdict != worst_verdict([strict.field(one, "verdict", str) for one in files]):
        return Answer(Outcome.REFUSED, "its verdict isn't that of its files", time)
    if verdict not in demand.verdicts:
        allowed = " or ".join(demand.verdicts)
        return Answer(Outcome.REFUSED, f"says `{verdict[:20]}`; allowed is {allowed}", time, contradicts=True)
    if demand.min_engine:
        engine = strict.field(scanner, "engine", str)
        if not (_VERSION.match(engine) and _VERSION.match(demand.min_engine)):
            return Answer(Outcome.UNKNOWN, f"engine `{engine[:40]}` can't be compared with {demand.min_engine}", time)
        if _version(engine) < _version(demand.min_engine):
            why = f"was made with engine {engine}; the oldest allowed is {demand.min_engine}"
            return Answer(Outcome.REFUSED, why, time)
    return Answer(Outcome.HOLDS, f"says `{verdict}`, of {time:%Y-%m-%d %H:%M}", time)


def _evaluation(demand: Demand, predicate: Mapping[str, Any]) -> Answer:
    time = moment(strict.field(predicate, "evaluatedOn", str))
    metrics = strict.field(predicate, "metrics", dict)
    digest = strict.field(strict.field(predicate, "dataset", dict), "digest", dict).get("sha256")
    if demand.datasets and digest not in demand.datasets:
        return Answer(Outcome.REFUSED, f"was done on another data set (sha256 {str(digest)[:16]}...)", time)
    missing = [name for name in demand.metrics if not _is_number(metrics.get(name))]
    low = [n for n, wanted in demand.metrics.items() if n not in missing and not wanted.holds(metrics[n])]
    if low:
        said = "; ".join(f"`{n}` is {metrics[n]:g}, asked for is {demand.metrics[n]}" for n in low)
        return Answer(Outcome.REFUSED, said, time)
    if missing:
        return Answer(Outcome.UNKNOWN, f"says nothing of {', '.join(f'`{n}`' for n in missing)}", time)
    shown = ", ".join(f"{n} {metrics[n]:g}" for n in demand.metrics)
    return Answer(Outcome.HOLDS, f"of {time:%Y-%m-%d %H:%M}{': ' if shown else ''}{shown}", time)


def _provenance(demand: Demand, predicate: Mapping[str, Any]) -> Answer:
    definition, details = (strict.field(predicate, name, dict) for name in ("buildDefinition", "runDetails"))
    builder = strict.field(strict.field(details, "builder", dict), "id", str)
    finished = strict.field(details, "metadata", dict).get("finishedOn")
    time = moment(finished) if isinstance(finished, str) else None
    if demand.builders and not matches(builder, demand.builders):
        return Answer(Outcome.REFUSED, f"was built by `{builder[:200]}`", time)
    materials = strict.objects(definition, "resolvedDependencies") if definition.get("resolvedDependencies") else []
    for one in materials:
        name = one.get("uri") or one.get("name") or ""
        if demand.materials and not matches(str(name), demand.materials):
            return Answer(Outcome.REFUSED, f"`{str(name)[:200]}` went in, which isn't allowed", time)
        if not isinstance(one.get("digest"), dict) or not one["digest"]:
            return Answer(Outcome.UNKNOWN, f"`{str(name)[:200]}` went in without a digest", time)
    if time is None and demand.max_age is not None:
        return Answer(Outcome.UNKNOWN, "doesn't say when the run ended")
    return Answer(Outcome.HOLDS, f"built by `{builder[:200]}` from {len(materials)} materials", time)


def _is_number(value: Any) -> bool:
    # Neither infinity nor a number that can't be shown.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _version(text: str) -> tuple[int, ...]:
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (6 - len(parts)))
