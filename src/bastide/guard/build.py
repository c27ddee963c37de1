# SPDX-License-Identifier: Apache-2.0
"""Puts the guard together from its files: the only place that knows every part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bastide.catalog.load import load_vocabulary
from bastide.errors import Diagnostic, SettingsError, did_you_mean
from bastide.guard.content.scanner import ContentScanner
from bastide.guard.engine import Engine
from bastide.guard.identity.credentials import Credentials
from bastide.guard.policy.compile import compile_plan
from bastide.guard.policy.decide import CompiledPolicy
from bastide.guard.settings import Settings
from bastide.guard.settings_file import load_settings, settings_for
from bastide.plan.load import load_plan
from bastide.plan.model import Plan
from bastide.plan.vocabulary import TRUST_LEVELS


def engine_of(plan: Path, settings: Path | None = None, packs: tuple[Path, ...] = ()) -> Engine:
    """The engine of a plan file and its settings (by default those beside it).

    Raises `PlanError`, `SettingsError` with all that is wrong, `Unavailable` for a credential that can't be read.
    """
    read = load_settings(settings) if settings else settings_for(plan)
    return make_engine(load_plan(plan, load_vocabulary(packs)), read, packs)


def make_engine(
    plan: Plan, settings: Settings, packs: tuple[Path, ...] = (), credentials: Credentials | None = None
) -> Engine:
    """The engine of a plan."""
    _check(plan, settings)
    compiled = compile_plan(plan, load_vocabulary(packs), settings)
    secrets = credentials or Credentials()
    content = settings.content
    detector = None
    if content.classifier != "off":
        from bastide.guard.detect.cascade import Cascade

        detector = Cascade(content.classifier)
    canaries = [secrets.get(c) for c in content.canaries]
    try:
        scanner = ContentScanner(content, detector, canaries=canaries)
    except ValueError as problem:
        raise SettingsError(Diagnostic(f"content: {problem}", settings.location)) from None
    return Engine(plan, settings, compiled.meanings, CompiledPolicy(compiled), scanner)


def maker(plan: Path, settings: Path | None, packs: tuple[Path, ...] = ()) -> Callable[[], Engine]:
    """Compiles the engine anew from the same files, each time it is called."""
    return lambda: engine_of(plan, settings, packs)


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
        problems.append(
            Diagnostic(f"`{settings.required_integrity}` is no level of trust", settings.location, hint=hint)
        )
    if problems:
        raise SettingsError(problems)
