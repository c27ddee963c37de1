# SPDX-License-Identifier: Apache-2.0
"""Puts the guard together from its files: the only place that knows every part."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace as dc_replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bastide.catalog.load import load_vocabulary
from bastide.errors import Diagnostic, GuardError, Location, SettingsError, UsageError, did_you_mean
from bastide.guard.approvals.book import Approval
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.approvals.webhook import Webhook
from bastide.guard.content.scanner import ContentScanner, beside_rules
from bastide.guard.content.schema import Unjudged, problem
from bastide.guard.engine import Engine
from bastide.guard.gateway.runtime import Parts, Runtime
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.credentials import Credentials
from bastide.guard.identity.keysets import key_set_file
from bastide.guard.interface import Detector, Limits
from bastide.guard.limits.local import LocalLimits
from bastide.guard.memories import MemoryLabels
from bastide.guard.policy.compile import compile_plan
from bastide.guard.policy.decide import CompiledPolicy
from bastide.guard.protocol.wire import decode
from bastide.guard.record.metrics import Metrics
from bastide.guard.record.recorder import open_recorder
from bastide.guard.settings import Content, Secret, Settings
from bastide.guard.settings_file import load_settings, settings_beside, settings_for
from bastide.plan.load import load_plan
from bastide.plan.model import Plan
from bastide.plan.vocabulary import TRUST_LEVELS
from bastide.plan.yamlfile import read_text
from bastide.recognise.model import DIRECTIONS

Sink = Literal["text", "markdown", "html"]


def engine_of(plan: Path, settings: Path | None = None, packs: tuple[Path, ...] = ()) -> Engine:
    """The engine of a plan file and its settings (by default those beside it).

    Raises `PlanError`, `SettingsError` with all that is wrong, `Unavailable` for a credential that can't be read.
    """
    read = load_settings(settings) if settings else settings_for(plan)
    return make_engine(load_plan(plan, load_vocabulary(packs)), read, packs)


def make_engine(
    plan: Plan, settings: Settings, packs: tuple[Path, ...] = (), credentials: Credentials | None = None
) -> Engine:
    """The engine of a plan. Raises `SettingsError`, which shows the lines of the files that are wrong."""
    with _showing_lines():
        return _made(plan, settings, packs, credentials)


def _made(plan: Plan, settings: Settings, packs: tuple[Path, ...], credentials: Credentials | None) -> Engine:
    _check(plan, settings)
    compiled = compile_plan(plan, load_vocabulary(packs), settings)
    secrets = credentials or Credentials()
    content = dc_replace(settings.content, output=settings.content.output or _sink(plan))
    detector: Detector | None = None
    if content.classifier != "off":
        from bastide.guard.detect.cascade import Cascade

        detector = Cascade(content.classifier)
    canaries = [secrets.get(c) for c in content.canaries]
    scanner = _scanner(content, detector, canaries, settings)
    inner = (
        scanner
        if content.personal == "off"
        else _scanner(dc_replace(content, personal="off"), detector, canaries, settings)
    )
    policy, schemas = CompiledPolicy(compiled), _answer_schemas(settings)
    return Engine(plan, settings, compiled.meanings, policy, scanner, inner, schemas)


@contextlib.contextmanager
def _showing_lines() -> Iterator[None]:
    """Gives what is found wrong within the block the line at which it stands, for it was found long after the file was read."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(
            [dc_replace(d, source_line=d.source_line or _line(d.location)) for d in error.diagnostics]
        ) from None


def _line(place: Location) -> str:
    """The line of a file; '' where there is none, such as for settings that were made by a program."""
    if not (place.file and place.line):
        return ""
    try:
        lines = read_text(Path(place.file), SettingsError).splitlines()
    except SettingsError:
        return ""
    return lines[place.line - 1] if place.line <= len(lines) else ""


def _sink(plan: Plan) -> Sink:
    """Where answers end up: the most dangerous way in which any component renders them; Markdown where the plan doesn't say."""
    found = [value for c in plan.components.values() if isinstance(value := c.value("renders"), tuple)]
    ways = {way for value in found for way in value}
    if "html" in ways:
        return "html"
    return "text" if ways == {"text"} else "markdown"


def _answer_schemas(settings: Settings) -> dict[str, Any]:
    found = {}
    for route in settings.models:
        if route.answer_schema is not None:
            try:
                found[route.component] = schema = decode(read_text(route.answer_schema, SettingsError))
                problem("null", schema)
            except (GuardError, Unjudged) as wrong:
                message = f"the answer schema of `{route.component}` can't be used: {wrong}"
                raise SettingsError(Diagnostic(message, route.location)) from None
    return found


def _scanner(content: Content, detector: Detector | None, canaries: list[str], settings: Settings) -> ContentScanner:
    try:
        scanner = ContentScanner(content, detector, canaries=canaries, personal=beside_rules(content))
    except ValueError as problem:
        raise SettingsError(Diagnostic(f"content: {problem}", Location(settings.location.file))) from None
    for direction in DIRECTIONS:
        # What is loaded on first use is loaded now: what is wrong with it must show at the start, and no request waits.
        scanner.scan("ready?", direction)
    return scanner


def inputs(plan: Path, settings: Path | None, packs: tuple[Path, ...], engine: Engine) -> list[Path]:
    """All files from which an engine was made, and settings that may come to lie beside the plan.

    Not the files of credentials: those are read again whenever they change.
    """
    read, made = engine.settings, engine.plan
    parts = (made.components, made.flows, made.data, made.zones, made.identities)
    included = {Path(one.location.file) for part in parts for one in part.values() if one.location.file}
    pins = [server.pins for server in read.mcp if server.pins is not None]
    key_sets = [key_set_file(issuer.jwks, read.folder) for issuer in read.issuers]
    canaries = [secret.file for secret in read.content.canaries]
    schemas = [route.answer_schema for route in read.models]
    known = [file for file in (*pins, *read.policies, *key_sets, *canaries, *schemas) if file is not None]
    knowledge = [file for pack in packs for file in sorted(pack.rglob("*.yaml"))]
    return [plan, settings or settings_beside(plan), *sorted(included - {plan}), *known, *knowledge]


def runtime_of(plan: Path, settings: Path | None, packs: tuple[Path, ...] = (), *, beside: bool = False) -> Runtime:
    """A guard ready to run, with its log, approvals, budgets and credentials.

    beside: it is one of several with the same files, each with a part of the log; approvals they share.

    Raises `PlanError`, `SettingsError`, `LedgerError` when the log can't be written, `Unavailable` for a credential that can't be read.
    """
    engine = engine_of(plan, settings, packs)
    read = engine.settings
    credentials = Credentials()
    credentials.load(_secrets(read, local=beside))

    def again() -> Engine:
        load_vocabulary.cache_clear()
        made = engine_of(plan, settings, packs)
        credentials.load(_secrets(made.settings, local=beside))
        return made

    metrics = Metrics()
    recorder = open_recorder(read.log, credentials, metrics, redacting(), part=beside)
    asked = read.approvals
    webhook_key = asked.webhook_key
    webhook = (
        Webhook(asked.webhook, partial(credentials.get, webhook_key) if webhook_key else None)
        if asked.webhook
        else None
    )
    limits = _limits(read, credentials)
    others: tuple[Any, ...] = (limits, webhook)
    parts = Parts(
        HeaderAuthenticator(read),
        limits,
        ApprovalStore(read.log.folder / "approvals.sqlite", asked.expires, notify=webhook or _nobody),
        recorder,
        metrics,
        credentials,
        MemoryLabels(read.log.folder / "memories.sqlite"),
        tuple(part.close for part in others if hasattr(part, "close")),
    )
    return Runtime(engine, parts, again, partial(inputs, plan, settings, packs))


def redacting() -> Callable[[str], str]:
    """Takes secrets and personal data out of texts for the log, whatever the settings say about texts for models."""
    scanner = ContentScanner(Content(classifier="off", secrets="redact", personal="redact", unscanned="deny"))

    def redact(text: str) -> str:
        verdict = scanner.scan(text, "system")
        return verdict.text if verdict.text is not None else text if verdict.scanned else "[not scanned]"

    return redact


def _secrets(settings: Settings, *, local: bool) -> list[Secret]:
    """All credentials that are needed, so that what is missing is known at the start; local: no model or remote server is called."""
    remote = [] if local else [*(p.key for m in settings.models for p in m.providers), *(s.key for s in settings.mcp)]
    others = [settings.redis, settings.approvals.webhook_key, settings.log.signing_key]
    return [secret for secret in (*remote, *others) if secret is not None]


def _limits(settings: Settings, credentials: Credentials) -> Limits:
    if settings.redis is None:
        return LocalLimits(settings.budgets)
    try:
        from bastide.guard.limits.shared import SharedLimits
    except ImportError:
        raise UsageError("counters in Redis need the extra `redis`: pip install 'bastide[redis]'") from None
    return SharedLimits(settings.budgets, credentials.get(settings.redis))


def _nobody(_: Approval) -> None:
    """Approvals that nobody is told of wait on the page."""


def _check(plan: Plan, settings: Settings) -> None:
    """What settings say about the plan's callers."""
    problems = []
    for key in settings.keys:
        for id, what in ((key.agent, "agent"), (key.actor, "actor")):
            if id and id not in plan.components:
                message = f"the key `{key.id}` names the {what} `{id}`, which the plan doesn't have"
                problems.append(Diagnostic(message, key.location, hint=did_you_mean(id, plan.components)))
    for issuer in settings.issuers:
        for id in (*issuer.agents.values(), *filter(None, [issuer.actor])):
            if id not in plan.components:
                message = f"tokens of {issuer.issuer} are to be of `{id}`, which the plan doesn't have"
                problems.append(Diagnostic(message, issuer.location, hint=did_you_mean(id, plan.components)))
    if settings.required_integrity not in TRUST_LEVELS:
        hint = did_you_mean(settings.required_integrity, TRUST_LEVELS)
        place = Location(settings.location.file)
        problems.append(Diagnostic(f"`{settings.required_integrity}` is no level of trust", place, hint=hint))
    if problems:
        raise SettingsError(problems)
