# SPDX-License-Identifier: Apache-2.0
"""Everything that follows from a plan and its settings: immutable, so that a reload replaces it whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

from msgspec.structs import replace

from bastide.errors import Denied, NotFound, did_you_mean
from bastide.guard.events import Role
from bastide.guard.flow.session import ORIGINS
from bastide.guard.interface import Policy, Scanner
from bastide.guard.model import CLASSES, Action, Caller, Effect, Label, Meaning, Question, Ruling
from bastide.guard.settings import ModelRoute, Settings
from bastide.plan.model import Flow, Plan, Value
from bastide.plan.vocabulary import TRUST_LEVELS

LONGEST = 256
"""Characters of a model's name; a longer one is nobody's, and isn't kept."""


@dataclass(frozen=True)
class Engine:
    """One version of the policy with all that it works on."""

    plan: Plan
    settings: Settings
    meanings: Mapping[str, Meaning]
    policy: Policy
    scanner: Scanner
    """For texts that may leave the system."""
    inner_scanner: Scanner
    """For texts that stay inside: personal data may stay in them."""
    answer_schemas: Mapping[str, Any] = field(default_factory=dict)
    """Model component -> JSON schema that its answers have to satisfy."""

    @property
    def version(self) -> str:
        """Digest of the policy."""
        return self.policy.version

    def meaning(self, name: str, component: str = "") -> Meaning:
        """What a name on the wire means; the most cautious meaning for an unknown one.

        component: the MCP server that offers it; a tool about which nothing is said means what its server means, and a tool of
        another server with the same name doesn't count.
        """
        found = self.meanings.get(name)
        if component and (found is None or found.component != component):
            server = self.meanings.get(component)
            found = replace(server, name=name) if server is not None else None
        return found if found is not None else Meaning(name, component or name, Action.INVOKE_TOOL, known=False)

    def route(self, model: str) -> ModelRoute:
        """The model component behind a name on the wire. Raises `NotFound`."""
        found = self._routes(model) if len(model) <= LONGEST else None
        if found is None:
            names = [name for route in self.settings.models for name in route.names]
            raise NotFound(
                f"no model `{model[:100]}` is served here: {did_you_mean(model, names)}", code="model_not_found"
            )
        return found

    def may_send(self, caller: Caller, route: ModelRoute, action: Action, label: Label) -> Ruling:
        """Whether this caller may send something with this label to this model."""
        return self.policy.decide(Question(caller, action, route.component, label=label))

    def destinations(
        self, caller: Caller, route: ModelRoute, action: Action, label: Label
    ) -> list[tuple[ModelRoute, Ruling]]:
        """The model, and those that may stand in for it, as far as the policy lets this data go there.

        Raises `Denied` with the ruling about the model itself when there are none.
        """
        ruled = [(r, self.may_send(caller, r, action, label)) for r in self._standing_in(route)]
        allowed = [(r, ruling) for r, ruling in ruled if ruling.effect is Effect.ALLOW]
        if not allowed:
            raise denied(ruled[0][1])
        return allowed

    def leaves(self, route: ModelRoute) -> bool:
        """Whether what is sent to the model leaves the system, there or at one that may stand in for it."""
        return any(self.meaning(r.component).outbound for r in self._standing_in(route))

    def _standing_in(self, route: ModelRoute) -> list[ModelRoute]:
        """The model, and those that may stand in for it, in the order in which they are tried."""
        by_component = {r.component: r for r in self.settings.models} if route.failover else {}
        return [route, *(by_component[c] for c in route.failover if c in by_component)]

    @cached_property
    def _routes(self) -> Callable[[str], ModelRoute | None]:
        return lru_cache(4096)(partial(_route, self.settings.models))

    @cached_property
    def required(self) -> int:
        """The integrity from which on something may steer a side effect."""
        return TRUST_LEVELS.index(self.settings.required_integrity)

    @cached_property
    def origins(self) -> Mapping[Role, Label]:
        """The labels of what is said under each role, with the classes that the plan gives to users' messages and prompts."""
        return _origins(self.plan)


def denied(ruling: Ruling, **more: str) -> Denied:
    """The error that tells a caller why."""
    code = "approval_required" if ruling.effect is Effect.APPROVE else "denied_by_policy"
    details = {"policies": list(ruling.policies), "flow": ruling.flow, "version": ruling.version, **more}
    return Denied(ruling.reason, code=code, details=details)


def _route(routes: tuple[ModelRoute, ...], model: str) -> ModelRoute | None:
    for pattern in (False, True):
        for route in routes:
            if any(_matches(name, model) if pattern else name == model for name in route.names):
                return route
    return None


def _matches(pattern: str, model: str) -> bool:
    return "*" in pattern and bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), model))


@lru_cache(64)
def _origins_of(user: int, system: int) -> Mapping[Role, Label]:
    return {
        Role.SYSTEM: replace(ORIGINS[Role.SYSTEM], confidentiality=system),
        Role.DEVELOPER: replace(ORIGINS[Role.DEVELOPER], confidentiality=system),
        Role.USER: replace(ORIGINS[Role.USER], confidentiality=user),
    }


def _origins(plan: Plan) -> Mapping[Role, Label]:
    people = {c.id for c in plan.components.values() if c.kind.startswith("actor")}
    said = {d for f in plan.flows.values() if _starts_at(f, people) for d in f.data}
    written = {d for d in said if plan.data[d].value("written-by") in ("user", "public")}
    prompts = {d.id for d in plan.data.values() if "system-prompt" in _words(d.value("contains"))}
    return _origins_of(_highest(plan, written or said), _highest(plan, prompts))


def _words(value: Value | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _starts_at(flow: Flow, people: set[str]) -> bool:
    return flow.source in people or (flow.both_ways and flow.target in people)


def _highest(plan: Plan, assets: Iterable[str]) -> int:
    """The highest class; data without one counts as restricted, and no data as public."""
    classes = [plan.data[a].value("class") for a in assets]
    return max((CLASSES.index(str(c)) if c else len(CLASSES) - 1 for c in classes), default=0)
