# SPDX-License-Identifier: Apache-2.0
"""Plans and assessments to render: a retrieval assistant of 12 components, and systems of any size."""

from __future__ import annotations

from dataclasses import replace

from bastide.errors import Location
from bastide.plan.model import Component, Data, Fact, Flow, Grant, Identity, Plan, Source, Zone
from bastide.threats.model import (
    Assessment,
    ControlOption,
    ControlState,
    Decision,
    Finding,
    FindingState,
    Hardening,
    Label,
    Question,
    Rating,
    Recommendation,
    Severity,
    Term,
)

FILE = "bastide.yaml"


def facts(line: int = 1, **values: object) -> dict[str, Fact]:
    """Facts with a place; `_` in a name stands for `-`, None for unknown."""
    place = Location(FILE, line, 5)
    return {k.replace("_", "-"): Fact(v, Source.DECLARED, place) for k, v in values.items()}  # type: ignore[arg-type]


def component(id: str, kind: str, zone: str | None, line: int = 1, **values: object) -> Component:
    holds = values.pop("holds", ())
    return Component(
        id=id,
        kind=kind,
        zone=zone,
        name=str(values.pop("name", "")),
        platform=str(values.pop("platform", "")),
        owner=str(values.pop("owner", "")),
        runs_as=values.pop("runs_as", None),  # type: ignore[arg-type]
        holds=tuple(holds),  # type: ignore[arg-type]
        location=Location(FILE, line, 3),
        facts=facts(line, **values),
    )


def flow(
    source: str,
    target: str,
    line: int = 1,
    *,
    both: bool = False,
    id: str = "",
    data: tuple[str, ...] = (),
    **values: object,
) -> Flow:
    arrow = "<->" if both else "->"
    return Flow(
        id=id or f"{source}{arrow}{target}",
        source=source,
        target=target,
        both_ways=both,
        data=data,
        location=Location(FILE, line, 5),
        facts=facts(line, **values),
    )


def by_id(*parts):  # type: ignore[no-untyped-def]
    return {p.id: p for p in parts}


def rag_agent() -> Plan:
    """A support assistant that retrieves documents and can pay refunds."""
    place = Location(FILE, 12, 3)
    return Plan(
        id="support-assistant",
        name="Support assistant",
        purpose="Answers customers from the knowledge base and pays refunds of up to 50 EUR.",
        owner={"team": "support-eng", "contact": "support-eng@example.com"},
        exposure="public",
        digest="sha256:3f9a1c5be0d24476a1a37fd0b95f5c9c1f8a2d5be0b7a4f1c2d3e4f5a6b7c8d9",
        zones=by_id(
            Zone(id="internet", name="Internet", location=place, facts=facts(12, trust="none")),
            Zone(
                id="app",
                name="Application",
                location=place,
                facts=facts(13, trust="workload", cloud="aws", egress="any"),
            ),
            Zone(id="vault", name="Payments", parent="app", location=place, facts=facts(14, trust="restricted")),
            Zone(id="provider", name="Model provider", location=place, facts=facts(15, trust="third-party")),
        ),
        data=by_id(
            Data(
                id="prompt",
                location=place,
                facts=facts(5, **{"class": "confidential"}, contains=("personal.contact",)),
            ),
            Data(
                id="kb-docs",
                name="Knowledge base",
                location=place,
                facts=facts(6, **{"class": "internal"}, written_by="third-party"),
            ),
            Data(id="orders", location=place, facts=facts(7, **{"class": "restricted"}, contains=("payment",))),
            Data(id="answer", location=place, facts=facts(8, **{"class": "confidential"})),
        ),
        identities=by_id(
            Identity(
                id="assistant-role",
                location=place,
                grants=(Grant("kb", ("read",)),),
                facts=facts(18, delegation="on-behalf-of-user", privilege="scoped"),
            ),
        ),
        components=by_id(
            component("customer", "actor.user", "internet", 20, name="Customer"),
            component("vendor", "actor.partner", "internet", 21, name="Vendor"),
            component(
                "web",
                "app.web",
                "app",
                22,
                name="Web front end",
                renders=("markdown", "links"),
                internet_facing=True,
            ),
            component("intake", "ai.ingestor", "app", 23, name="Document intake"),
            component(
                "assistant",
                "ai.agent",
                "app",
                24,
                name="Assistant",
                runs_as="assistant-role",
                autonomy="acts-alone",
                owner="support-eng",
            ),
            component("guard", "ai.guardrail", "app", 25, name="Prompt guard", checks=("prompt-injection",)),
            component(
                "kb",
                "data.vector-store",
                "app",
                26,
                name="Knowledge base",
                platform="aws.opensearch",
                holds=("kb-docs",),
                tenancy="single",
            ),
            component("memory", "ai.memory", "app", 27, name="Conversation memory", memory_scope="user"),
            component("llm", "ai.model.endpoint", "provider", 28, name="Language model", platform="aws.bedrock"),
            component("refund", "ai.tool", "vault", 29, name="Refund tool", side_effect="irreversible"),
            component(
                "orders-db",
                "data.database",
                "vault",
                30,
                name="Orders",
                holds=("orders",),
                encrypted_at_rest=None,
            ),
            component("traces", "ops.log", "app", 31, name="Traces"),
        ),
        flows=by_id(
            flow(
                "customer",
                "web",
                34,
                both=True,
                data=("prompt", "answer"),
                protocol="https",
                encrypted=True,
                authn="oidc",
            ),
            flow("web", "guard", 35, data=("prompt",), protocol="https", encrypted=True),
            flow("guard", "assistant", 36, data=("prompt",), encrypted=None),
            flow("assistant", "web", 37, data=("answer",), verb="render", encrypted=True),
            flow("vendor", "intake", 38, data=("kb-docs",), encrypted=False, authn="none"),
            flow("intake", "kb", 39, data=("kb-docs",), verb="write", encrypted=True),
            flow("kb", "assistant", 40, data=("kb-docs",), verb="retrieve", encrypted=True),
            flow(
                "assistant",
                "llm",
                41,
                both=True,
                data=("prompt", "kb-docs", "orders"),
                protocol="https",
                encrypted=True,
            ),
            flow("assistant", "memory", 42, both=True, data=("prompt",), encrypted=None),
            flow(
                "assistant",
                "refund",
                43,
                id="refund-call",
                data=("orders",),
                verb="invoke",
                approval="none",
                encrypted=True,
            ),
            flow("refund", "orders-db", 44, both=True, data=("orders",), verb="query", encrypted=True),
            flow("assistant", "traces", 45, data=("prompt", "answer"), verb="log", encrypted=True),
        ),
    )


REFS = {
    "owasp-llm:2025": ("LLM01", "LLM06"),
    "mitre-atlas:5.6": ("AML.T0051.001",),
    "owasp-asi:2026": ("ASI01",),
}


def rating(impact: int, likelihood: int) -> Rating:
    return Rating(
        impact,
        likelihood,
        (Term(impact, "the side effect of Refund tool can't be undone"),),
        (
            Term(likelihood - 1, "the technique has been seen in real attacks"),
            Term(1, "the attacker needs no account"),
        ),
    )


def finding(n: int, path: tuple[str, ...], impact: int, likelihood: int, **changes: object) -> Finding:
    base = Finding(
        id=f"B-{n:010x}",
        rule="injection/retrieved-document",
        title="Retrieved documents steer a tool with side effects",
        message="Text that Vendor can write reaches Assistant through Knowledge base and can make it call Refund tool",
        rating=rating(impact, likelihood),
        state=FindingState.OPEN,
        elements={"author": path[0], "tool": path[-1]},
        path=path,
        reasons=(
            "`vendor` is a third-party author, so anybody there can write what it sends (bastide.yaml:21)",
            "`assistant` acts alone (bastide.yaml:24)",
            "no person approves `refund-call` (bastide.yaml:43)",
        ),
        controls=(
            ControlOption(
                "human-approval",
                "refund-call" if "refund-call" in path else path[-1],
                ControlState.REQUIRED,
                True,
            ),
            ControlOption("retrieval-source-review", path[len(path) // 2], ControlState.UNKNOWN, True),
            ControlOption(
                "injection-detection",
                path[len(path) // 2],
                ControlState.CLAIMED,
                False,
                by="aws.bedrock-guardrails",
            ),
        ),
        refs=REFS,
        location=Location(FILE, 43, 5),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


VENDOR_PATH = (
    "vendor",
    "vendor->intake",
    "intake",
    "intake->kb",
    "kb",
    "kb->assistant",
    "assistant",
    "refund-call",
    "refund",
)
USER_PATH = (
    "customer",
    "customer<->web",
    "web",
    "web->guard",
    "guard",
    "guard->assistant",
    "assistant",
    "refund-call",
    "refund",
)
RENDER_PATH = ("kb", "kb->assistant", "assistant", "assistant->web", "web")
MODEL_PATH = (
    "orders-db",
    "refund<->orders-db",
    "refund",
    "refund-call",
    "assistant",
    "assistant<->llm",
    "llm",
)
TRACE_PATH = ("assistant", "assistant->traces", "traces")


def assessment(plan: Plan | None = None) -> Assessment:
    """Findings of every severity and state for `rag_agent`."""
    plan = plan or rag_agent()
    findings = (
        finding(1, VENDOR_PATH, 5, 5),
        finding(
            2,
            USER_PATH,
            4,
            4,
            rule="injection/direct-prompt",
            title="A user's own words make the agent act beyond the user's rights",
            message="Customer can talk Assistant into calling Refund tool without having the right to",
        ),
        finding(
            3,
            MODEL_PATH,
            4,
            3,
            rule="leakage/context-to-provider",
            title="Restricted data reaches an outside model",
            message="Orders can reach Language model, which another organisation runs",
        ),
        finding(
            4,
            RENDER_PATH,
            3,
            3,
            rule="output/markdown-exfiltration",
            title="Rendered links carry data away",
            message="Web front end shows links that Knowledge base can put into an answer",
        ),
        finding(
            5,
            TRACE_PATH,
            2,
            2,
            rule="leakage/prompts-in-logs",
            title="Prompts are kept in logs",
            message="Prompts with personal data rest in Traces",
        ),
        finding(
            6,
            ("customer", "customer<->web", "web"),
            3,
            4,
            state=FindingState.MITIGATED,
            rule="classic/unencrypted",
            title="Traffic can be read on the way",
            message="What Customer sends to Web front end could be read",
        ),
        finding(
            7,
            ("assistant", "assistant<->memory", "memory"),
            3,
            3,
            state=FindingState.ACCEPTED,
            rule="memory/poisoning",
            title="Memory carries instructions into later turns",
            message="What Assistant writes to Conversation memory comes back in later turns",
            decision=Decision(
                "B-0000000007",
                FindingState.ACCEPTED,
                "support-eng",
                "Memory ends with the session; reviewed.",
                "2027-03-31",
            ),
        ),
        finding(
            8,
            ("intake",),
            2,
            3,
            state=FindingState.FALSE_POSITIVE,
            rule="classic/patching",
            title="Known holes may be open",
            message="Document intake may run unpatched software",
            decision=Decision("B-0000000008", FindingState.FALSE_POSITIVE, "support-eng", "It is a managed service."),
        ),
    )
    questions = (
        Question(
            "Q-1",
            "orders-db",
            "encrypted-at-rest",
            "Is the stored content encrypted, with keys that the storage's own operators can't use?",
            "If not, 1 finding (high) opens.",
            ("B-00000000aa",),
            Severity.HIGH,
            16,
            Location(FILE, 30, 3),
        ),
        Question(
            "Q-2",
            "guard->assistant",
            "encrypted",
            "Is the connection encrypted and the server's certificate checked?",
            "If not, 1 finding (medium) opens.",
            ("B-00000000ab",),
            Severity.MEDIUM,
            9,
            Location(FILE, 36, 5),
        ),
    )
    hardening = Hardening(
        Severity.MEDIUM,
        4,
        (
            Recommendation("human-approval", "refund-call", 2, ("B-0000000001", "B-0000000002"), 2, True),
            Recommendation("data-minimization", "assistant<->llm", 1, ("B-0000000003",), 3, True),
        ),
        (
            Recommendation("human-approval", "refund-call", 2, ("B-0000000001", "B-0000000002"), 2, True),
            Recommendation("retrieval-source-review", "kb", 2, ("B-0000000001",), 3, False),
            Recommendation("data-minimization", "assistant<->llm", 1, ("B-0000000003",), 3, True),
        ),
        ("B-0000000004",),
    )
    labels = {
        c: Label("third-party" if c in VENDOR_PATH else "user", "restricted" if c in MODEL_PATH else "internal")
        for c in plan.components
    }
    return Assessment(plan.id, plan.digest, findings, questions, hardening, labels, rules=118)


KINDS = (
    "app.web",
    "app.api",
    "ai.agent",
    "ai.model.endpoint",
    "data.vector-store",
    "ai.tool",
    "data.database",
    "data.queue",
    "ops.log",
    "ml.training",
    "ai.guardrail",
    "ai.prompt",
    "ops.secrets",
    "ext.service",
    "actor.user",
)


def big_plan(components: int, flows: int) -> Plan:
    """A made-up system: services in zones that mostly talk to neighbours."""
    zones = max(2, components // 9)
    trusts = ("none", "third-party", "enterprise", "workload", "restricted")
    made = [
        Zone(
            id=f"zone-{z}",
            parent=f"zone-{z // 3}" if z % 3 == 2 and z > 4 else None,
            facts=facts(trust=trusts[z * zones // zones % 5]),
        )
        for z in range(zones)
    ]
    parts = [
        component(
            f"part-{n}",
            KINDS[n * 7 % len(KINDS)],
            f"zone-{n * zones // components}",
            name=f"Service number {n}",
        )
        for n in range(components)
    ]
    data = [Data(id=f"asset-{n}", facts=facts(**{"class": "internal"})) for n in range(20)]
    lines: dict[str, Flow] = {}
    n = 0
    while len(lines) < flows:
        source = n * 13 % components
        target = (source + 1 + n * n % 7 + (n % 11 == 0) * (n % components)) % components
        one = flow(
            f"part-{source}",
            f"part-{target}",
            id=f"flow-{n}",
            data=(f"asset-{n % 20}",),
            encrypted=(True, False, None)[n % 3],
        )
        lines[one.id] = one
        n += 1
    return Plan(
        id="big",
        name="A big system",
        components=by_id(*parts),
        zones=by_id(*made),
        data=by_id(*data),
        flows=lines,
        digest="sha256:" + "0" * 64,
    )


def big_assessment(plan: Plan, findings: int) -> Assessment:
    """Findings along single flows of a plan, worst first."""
    flows = list(plan.flows.values())
    made = []
    for n in range(findings):
        f = flows[n % len(flows)]
        impact = 5 - n * 5 // findings
        made.append(finding(n, (f.source, f.id, f.target), impact, 2 + n % 4, message=f"Finding {n} at {f.target}"))
    made.sort(key=lambda f: (-f.rating.score, f.id))
    return Assessment(plan.id, plan.digest, tuple(made), (), None, rules=118)
