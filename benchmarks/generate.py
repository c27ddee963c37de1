# SPDX-License-Identifier: Apache-2.0
"""Makes plans of any size that look like real ones: many teams, each with a front end, an agent, tools, stores and a pipeline."""

from __future__ import annotations

import random

STORES = ("data.database", "data.vector-store", "data.object-store", "data.cache", "data.dataset")
FACTS = (
    ("authentication", ("app", "ai.agent", "ai.model", "ai.tool", *STORES, "ml"), "sso", "none"),
    ("internet-facing", ("app", "ai", "data", "ml", "ops"), "false", "true"),
    ("logs", ("app", "ai.agent", "ai.model", "ai.tool", "data", "ml"), "true", "false"),
    ("rate-limited", ("app", "ai.agent", "ai.model", "ai.tool"), "true", "false"),
    ("user-authorization", ("app", "ai.agent", "ai.tool", "ai.memory", "data"), "true", "false"),
    ("tenancy", ("data", "ai.memory", "ai.model", "ai.agent"), "isolated", "shared"),
    ("encrypted-at-rest", ("data", "ai.memory", "ml.registry", "ops.log"), "true", "false"),
    ("egress", ("app", "ai.agent", "ai.tool", "ml"), "allow-list", "any"),
    ("untrusted-inputs-typed", ("app", "ai.tool"), "true", "false"),
    ("pinned", ("app", "ai.agent", "ai.model", "ai.tool", "data.dataset", "ml.training"), "true", "false"),
    ("patched", ("app", "ai.agent", "ai.tool", "data", "ml", "ops"), "true", "false"),
    ("executes-code", ("app", "ai.agent", "ai.tool", "ml"), "false", "true"),
    ("open-ended", ("ai.tool",), "false", "true"),
    ("provenance", ("ai.model", "ai.tool", "data.dataset"), "own", "community"),
    ("signature-checked", ("ai.model.predictor", "ml", "ai.tool", "data.dataset"), "true", "false"),
    ("write-access", ("data", "ml", "ai.memory"), "reviewed", "anyone"),
    ("versioned", ("data", "ml"), "true", "false"),
    ("content-validated", ("data", "ml.training", "ai.ingestor", "ai.memory"), "true", "false"),
    ("admin-exposed", ("ml", "ops", "data"), "false", "true"),
    ("bounded-steps", ("ai.agent",), "true", "false"),
    ("safety-critical", ("ai.model", "ai.agent"), "false", "true"),
    ("retains-inputs", ("ai.model.endpoint", "ext.service"), "false", "true"),
)
"""Attribute, kinds, a good value, a bad one."""
TEAM = 25
"""Components in one team's system."""


def make_plan(components: int, flows_per_component: float = 3.0, stated: float = 0.8, seed: int = 0) -> str:
    """The YAML text of a plan with about this many components and flows, and this share of the usual facts stated."""
    chance = random.Random(seed)
    lines = ["bastide: 1", f"system: synthetic-{components}", "exposure: public", "data:"]
    teams = max(1, components // TEAM)
    for team in range(teams):
        lines += [
            f"  prompt-{team}: {{class: {chance.choice(['internal', 'confidential'])}, contains: [personal.contact]}}",
            f"  docs-{team}: {{class: internal, written-by: {chance.choice(['developer', 'third-party', 'user'])}}}",
            f"  orders-{team}: {{class: confidential, contains: [personal, payment], tenants: many}}",
            f"  examples-{team}: {{class: internal, written-by: {chance.choice(['developer', 'third-party', 'public'])}}}",
        ]
    lines += ["zones:", "  internet: {trust: none}", "  provider: {trust: third-party}"]
    lines += [f"  app-{team}: {{trust: workload, cloud: aws}}" for team in range(teams)]
    lines += ["identities:"]
    lines += [
        f"  role-{team}: {{kind: workload, privilege: {chance.choice(['scoped', 'broad'])}}}" for team in range(teams)
    ]
    lines.append("components:")
    names: list[list[str]] = []
    for team in range(teams):
        names.append(_team(lines, team, components // teams, stated, chance))
    lines.append("flows:")
    count = 0
    for team, own in enumerate(names):
        count += _flows(lines, team, own)
    _extra_flows(lines, names, int(components * flows_per_component) - count, chance)
    return "\n".join(lines) + "\n"


def _team(lines: list[str], team: int, size: int, stated: float, chance: random.Random) -> list[str]:
    zone = f"zone: app-{team}"
    fixed = [
        (f"user-{team}", "kind: actor.user, zone: internet"),
        (f"web-{team}", f"kind: app.web, {zone}, internet-facing: true, authentication: sso, renders: [markdown]"),
        (f"agent-{team}", f"kind: ai.agent, {zone}, runs-as: role-{team}"),
        (f"llm-{team}", "kind: ai.model.endpoint, zone: provider, platform: aws.bedrock"),
        (f"kb-{team}", f"kind: data.vector-store, {zone}, holds: docs-{team}, tenancy: shared"),
        (f"ingest-{team}", f"kind: ai.ingestor, {zone}"),
        (f"bucket-{team}", f"kind: data.object-store, {zone}, holds: docs-{team}"),
        (f"orders-db-{team}", f"kind: data.database, {zone}, holds: orders-{team}"),
        (f"lookup-{team}", f"kind: ai.tool, {zone}, side-effect: read"),
        (f"refund-{team}", f"kind: ai.tool, {zone}, side-effect: irreversible"),
        (f"memory-{team}", f"kind: ai.memory, {zone}, memory-scope: user"),
        (f"log-{team}", f"kind: ops.log, {zone}"),
        (f"dataset-{team}", f"kind: data.dataset, {zone}, holds: examples-{team}"),
        (f"training-{team}", f"kind: ml.training, {zone}"),
        (f"registry-{team}", f"kind: ml.registry, {zone}"),
        (f"predictor-{team}", f"kind: ai.model.predictor, {zone}"),
    ]
    spare = ["app.api", "app.worker", "data.database", "data.queue", "ai.tool", "ext.service", "data.cache"]
    rest = [(f"extra-{team}-{n}", f"kind: {chance.choice(spare)}, {zone}") for n in range(max(0, size - len(fixed)))]
    lines += [f"  {name}: {{{body}{_facts(body, stated, chance)}}}" for name, body in (*fixed, *rest)]
    return [name for name, _ in (*fixed, *rest)]


def _facts(body: str, share: float, chance: random.Random) -> str:
    """The facts that a plan states for a component, four out of five of them good."""
    kind = body.removeprefix("kind: ").partition(",")[0]
    stated = [
        f"{name}: {good if chance.random() < 0.8 else bad}"
        for name, kinds, good, bad in FACTS
        if kind.startswith(kinds) and name not in body and chance.random() < share
    ]
    return "".join(f", {fact}" for fact in stated)


def _flows(lines: list[str], team: int, own: list[str]) -> int:
    t = team
    found = [
        f"user-{t} <-> web-{t}: {{data: prompt-{t}, protocol: https, authn: oidc}}",
        f"web-{t} <-> agent-{t}: {{data: prompt-{t}}}",
        f"agent-{t} <-> llm-{t}: {{data: [prompt-{t}, docs-{t}], protocol: https}}",
        f"kb-{t} -> agent-{t}: {{data: docs-{t}, verb: retrieve}}",
        f"bucket-{t} -> ingest-{t}: {{data: docs-{t}}}",
        f"ingest-{t} -> kb-{t}: {{data: docs-{t}, verb: write}}",
        f"agent-{t} -> lookup-{t}: {{data: orders-{t}, verb: invoke}}",
        f"lookup-{t} -> orders-db-{t}: {{data: orders-{t}, verb: query}}",
        f"agent-{t} -> refund-{t}: {{data: orders-{t}, verb: invoke}}",
        f"agent-{t} <-> memory-{t}: {{data: prompt-{t}}}",
        f"agent-{t} -> log-{t}: {{data: prompt-{t}, verb: log}}",
        f"dataset-{t} -> training-{t}: {{data: examples-{t}, verb: train}}",
        f"training-{t} -> registry-{t}: {{verb: publish}}",
        f"registry-{t} -> predictor-{t}: {{verb: deploy}}",
    ]
    found += [f"{name} -> {own[2]}: {{verb: send, id: x-{name}}}" for name in own[16:]]
    lines += [f"  - {flow[:-1]}, encrypted: true}}" if flow.endswith("}") else f"  - {flow}" for flow in found]
    return len(found)


def _extra_flows(lines: list[str], names: list[list[str]], wanted: int, chance: random.Random) -> None:
    for n in range(max(0, wanted)):
        team = chance.choice(names)
        other = chance.choice(names) if chance.random() < 0.05 else team
        source, target = chance.choice(team), chance.choice(other)
        if source != target:
            lines.append(f"  - {source} -> {target}: {{id: f{n}}}")
