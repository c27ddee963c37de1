# SPDX-License-Identifier: Apache-2.0
"""Writes a first plan from a few answers: short, commented; what the answers don't say is `unknown`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bastide.errors import UsageError, did_you_mean
from bastide.plan.elements import is_identifier
from bastide.plan.save import scalar

WHAT = ("chat", "rag", "agent", "training")
CLOUDS = ("aws", "azure", "gcp", "kubernetes", "none")
EXPOSURES = ("public", "partners", "internal")
CLASSES = ("public", "internal", "confidential", "restricted")
HOSTING = ("provider", "self-hosted")
TOOLS = ("none", "read", "write")
CHOICES: Mapping[str, tuple[str, ...]] = {
    "what": WHAT,
    "cloud": CLOUDS,
    "exposure": EXPOSURES,
    "data_class": CLASSES,
    "hosting": HOSTING,
    "tools": TOOLS,
}
"""The field of `Answers` -> what it may be."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What `bastide init` asks."""

    system: str
    """Id of the system."""
    purpose: str = ""
    what: str = "chat"
    """A chat with a model, a chat with retrieval, an agent, or the training of a model."""
    cloud: str = "none"
    exposure: str = "internal"
    """Who can use it."""
    data_class: str = "internal"
    """Class of the most sensitive data that it handles."""
    hosting: str = "provider"
    """Who runs the model (or, for training, made the model that it starts from)."""
    tools: str = "none"
    """What the model can have done: nothing, look things up, or change something."""


_USERS = {
    "public": ("internet", "none", "anybody on the internet"),
    "partners": ("partners", "third-party", "people of other organisations"),
    "internal": ("office", "enterprise", "staff"),
}
_PLATFORMS: Mapping[str, Mapping[str, str]] = {
    "aws": {
        "model": "aws.bedrock", "server": "aws.sagemaker-endpoint", "compute": "aws.ecs",
        "index": "aws.opensearch-serverless", "bucket": "aws.s3", "log": "aws.cloudwatch-logs",
        "identity": "aws.iam-role", "training": "aws.sagemaker-training", "registry": "aws.sagemaker",
    },
    "azure": {
        "model": "azure.openai", "server": "azure.ml-endpoint", "compute": "azure.container-apps",
        "index": "azure.ai-search", "bucket": "azure.blob-storage", "log": "azure.log-analytics",
        "identity": "azure.managed-identity", "training": "azure.ml-job", "registry": "azure.ml-registry",
    },
    "gcp": {
        "model": "gcp.vertex", "server": "gcp.vertex-endpoint", "compute": "gcp.cloud-run",
        "index": "gcp.vertex-vector-search", "bucket": "gcp.cloud-storage", "log": "gcp.cloud-logging",
        "identity": "gcp.service-account", "training": "gcp.vertex-training", "registry": "gcp.vertex",
    },
    "kubernetes": {
        "server": "k8s.kserve", "compute": "k8s.deployment", "index": "k8s.statefulset",
        "identity": "k8s.service-account", "training": "k8s.job",
    },
}  # fmt: skip


def starter(answers: Answers) -> str:
    """A commented `bastide.yaml` that loads without an error.

    Raises `UsageError` when an answer is none of its choices or the system's id is no id.
    """
    _check(answers)
    body = _training(answers) if answers.what == "training" else _serving(answers)
    return "\n".join([*_header(answers), *body]) + "\n"


def _check(answers: Answers) -> None:
    if not is_identifier(answers.system):
        form = "it is made of lower-case letters, digits, `-`, `_` and `.`, such as `support-assistant`"
        raise UsageError(f"`{answers.system[:60]}` can't be the id of a system: {form}")
    for name, choices in CHOICES.items():
        value = getattr(answers, name)
        if value not in choices:
            raise UsageError(f"`{value[:60]}` is no {name.replace('_', ' ')}: {did_you_mean(value, choices)}")


def _header(a: Answers) -> Iterator[str]:
    yield "# A first plan, made from a few answers. Change it until it is true, then run `bastide assess`."
    yield "# `unknown` marks what only you can say: each becomes a question in the report, not a finding."
    yield "bastide: 1"
    yield f"system: {scalar(a.system)}"
    purpose = " ".join(a.purpose.split())
    yield (f"purpose: {scalar(purpose)}" if purpose else "# purpose: one sentence on what it does, and for whom")
    yield f"exposure: {a.exposure:<24} # who can use it: public, partners or internal"


class _Lines:
    """Collects the lines of a plan; comments stand to the right or on a line of their own."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def section(self, name: str, comment: str) -> None:
        self.lines += ["", f"# {comment}", f"{name}:"]

    def part(self, id: str, *facts: str) -> None:
        """`id: {facts}`; facts that are empty are left out."""
        self.lines += _folded(f"  {id}: {{", facts)

    def flow(self, ends: str, *facts: str) -> None:
        self.lines += _folded(f"  - {ends}: {{", facts)

    def note(self, text: str) -> None:
        self.lines.append(f"  # {text}")


def _folded(start: str, facts: Iterable[str]) -> Iterator[str]:
    """The facts in braces, on a second line below the first where one line would be too long."""
    line, begun = start, False
    for fact in filter(None, facts):
        if begun and len(line) + len(fact) > 108:
            yield line + ","
            line, begun = " " * len(start), False
        line += f", {fact}" if begun else fact
        begun = True
    yield line + "}"


def _platform(a: Answers, role: str) -> str:
    name = _PLATFORMS.get(a.cloud, {}).get(role, "")
    return f"platform: {name}" if name else ""


def _app_zone(a: Answers, out: _Lines) -> None:
    cloud = f"cloud: {a.cloud}" if a.cloud != "none" else ""
    out.part("app", "trust: workload", cloud, "segmented: unknown", "egress: unknown")


def _serving(a: Answers) -> list[str]:
    """A system that answers people: a chat, a chat with retrieval, or an agent."""
    out = _Lines()
    # A chain calls no tool of the model's choice; with tools it is an agent by definition of the kinds.
    agent = a.what == "agent" or a.tools != "none"
    _serving_data(a, out)
    _serving_zones(a, out)
    out.section("identities", "Who acts. One identity for one component, so that rights can be small.")
    who = "kind: agent" if agent else "kind: workload"
    out.part(
        "assistant-role",
        who,
        _platform(a, "identity"),
        "delegation: unknown",
        "privilege: unknown",
        "credential: unknown",
    )
    _serving_components(a, out, agent)
    _serving_flows(a, out)
    _controls(out, "assistant")
    return out.lines


def _serving_data(a: Answers, out: _Lines) -> None:
    out.section("data", "What travels and rests. class: public, internal, confidential or restricted.")
    # Whether those who write are signed in or anybody is not among the answers.
    author = "written-by: unknown" if a.exposure == "public" else "written-by: user"
    out.part("prompt", f"class: {a.data_class}", author)
    out.part("answer", f"class: {a.data_class}")
    out.part("instructions", "class: internal", "contains: [system-prompt]", "written-by: developer")
    if a.what == "rag":
        out.note("written-by is the least trusted party who can put something into the documents.")
        out.part("documents", f"class: {a.data_class}", "written-by: unknown", "permissioned: unknown")
    if a.tools != "none":
        out.part("records", f"class: {a.data_class}", "contains: unknown", "written-by: unknown")


def _serving_zones(a: Answers, out: _Lines) -> None:
    zone, trust, who = _USERS[a.exposure]
    out.section("zones", f"Where things run, and how far each place is trusted. `{zone}` holds {who}.")
    out.part(zone, f"trust: {trust}")
    _app_zone(a, out)
    if a.hosting == "provider":
        out.part("provider", "trust: third-party")


def _serving_components(a: Answers, out: _Lines, agent: bool) -> None:
    zone = _USERS[a.exposure][0]
    facing = "internet-facing: true" if a.exposure == "public" else "internet-facing: unknown"
    out.section("components", "`bastide catalog show ai.agent` explains a kind and what can be said about it.")
    out.part("user", "kind: actor.user", f"zone: {zone}")
    out.part(
        "web",
        "kind: app.web",
        "zone: app",
        _platform(a, "compute"),
        facing,
        "authentication: unknown",
        "renders: unknown",
    )
    kind = "kind: ai.agent" if agent else "kind: ai.chain"
    loop = ("autonomy: unknown", "bounded-steps: unknown") if agent else ()
    facts = (_platform(a, "compute"), "runs-as: assistant-role", *loop, "logs: unknown")
    out.part("assistant", kind, "zone: app", *facts)
    _model(a, out)
    out.part("instruction-store", "kind: ai.prompt", "zone: app", "holds: instructions", "write-access: unknown")
    if a.what == "rag":
        out.part("retriever", "kind: ai.retriever", "zone: app", "user-authorization: unknown")
        out.part(
            "index",
            "kind: data.vector-store",
            "zone: app",
            _platform(a, "index"),
            "holds: documents",
            "tenancy: unknown",
        )
        out.part("ingestor", "kind: ai.ingestor", "zone: app", "content-validated: unknown")
        out.part(
            "document-store",
            "kind: data.object-store",
            "zone: app",
            _platform(a, "bucket"),
            "holds: documents",
        )
    if a.tools != "none":
        out.note("side-effect: none, read, reversible or irreversible, the worst that one call can do.")
        effect = "side-effect: read" if a.tools == "read" else "side-effect: unknown"
        out.part("tool", "kind: ai.tool", "zone: app", effect, "open-ended: unknown", "user-authorization: unknown")
        out.part("database", "kind: data.database", "zone: app", "holds: records", "tenancy: unknown")
    out.part("log", "kind: ops.log", "zone: app", _platform(a, "log"), "holds: [prompt, answer]")


def _model(a: Answers, out: _Lines) -> None:
    if a.hosting == "provider":
        platform = _platform(a, "model")
        out.part("model", "kind: ai.model.endpoint", "zone: provider", platform, "rate-limited: unknown")
    else:
        platform = _platform(a, "server")
        facts = ("provenance: unknown", "format: unknown", "pinned: unknown", "authentication: unknown")
        out.part("model", "kind: ai.model.server", "zone: app", platform, *facts)


def _serving_flows(a: Answers, out: _Lines) -> None:
    context = "[prompt, instructions, answer]"
    if a.what == "rag":
        context = "[prompt, instructions, documents, answer]"
    out.section("flows", "The arrow is the way that content goes; `<->` is both ways.")
    out.flow("user <-> web", "data: [prompt, answer]", "encrypted: unknown", "authn: unknown")
    out.flow("web <-> assistant", "data: [prompt, answer]", "authn: unknown")
    out.flow("instruction-store -> assistant", "data: instructions", "verb: retrieve", "as: instructions")
    sent = "protocol: https" if a.hosting == "provider" else "encrypted: unknown"
    out.flow("assistant <-> model", f"data: {context}", sent, "credential: unknown")
    if a.what == "rag":
        out.flow("document-store -> ingestor", "data: documents", "verb: retrieve")
        out.flow("ingestor -> index", "data: documents", "verb: write")
        out.flow("index -> retriever", "data: documents", "verb: retrieve")
        out.flow("retriever -> assistant", "data: documents", "verb: retrieve")
    if a.tools != "none":
        approval = "approval: unknown" if a.tools == "write" else ""
        verb = "query" if a.tools == "read" else "write"
        out.flow("assistant -> tool", "data: records", "verb: invoke", "credential: unknown", approval)
        out.flow("tool -> database", "data: records", f"verb: {verb}")
    out.flow("assistant -> log", "data: [prompt, answer]", "verb: log")


def _training(a: Answers) -> list[str]:
    """The way from data to a model in use."""
    out = _Lines()
    out.section("data", "What travels and rests. written-by is the least trusted party who can write into it.")
    out.part("examples", f"class: {a.data_class}", "contains: unknown", "written-by: unknown", "consent: unknown")
    out.part("weights", f"class: {a.data_class}", "contains: [model-weights]")
    out.part(
        "base-weights",
        "class: public" if a.hosting == "self-hosted" else "class: unknown",
        "contains: [model-weights]",
    )
    out.part("code", "class: internal", "contains: [source-code]", "written-by: developer")
    out.part("question", f"class: {a.data_class}", "written-by: user")
    zone, trust, who = _USERS[a.exposure]
    out.section("zones", f"Where things run, and how far each place is trusted. `{zone}` holds {who}.")
    out.part(zone, f"trust: {trust}")
    if zone != "office":
        out.part("office", "trust: enterprise")
    out.part("outside", "trust: third-party")
    _app_zone(a, out)
    out.section("identities", "Who acts. A training job needs to read data and write weights, and no more.")
    out.part(
        "training-role",
        "kind: workload",
        _platform(a, "identity"),
        "privilege: unknown",
        "credential: unknown",
    )
    _training_components(a, out, zone)
    _training_flows(out)
    _controls(out, "registry")
    return out.lines


def _training_components(a: Answers, out: _Lines, zone: str) -> None:
    source = "ext.model-hub" if a.hosting == "self-hosted" else "ext.service"
    out.section("components", "`bastide catalog show ml.training` explains a kind and what can be said about it.")
    out.part("user", "kind: actor.user", f"zone: {zone}")
    out.part("scientist", "kind: actor.developer", "zone: office")
    out.part("base-model-source", f"kind: {source}", "zone: outside", "holds: base-weights")
    out.part(
        "dataset", "kind: data.dataset", "zone: app", _platform(a, "bucket"), "holds: examples",
        "write-access: unknown", "versioned: unknown",
    )  # fmt: skip
    out.part("repository", "kind: ops.code-repository", "zone: app", "holds: code", "write-access: unknown")
    facts = (
        "runs-as: training-role",
        "remote-code: unknown",
        "pinned: unknown",
        "signature-checked: unknown",
    )
    out.part("training", "kind: ml.training", "zone: app", _platform(a, "training"), *facts)
    out.part("evaluation", "kind: ml.evaluation", "zone: app", "release-gate: unknown")
    facts = ("holds: weights", "format: unknown", "write-access: unknown", "signature-checked: unknown")
    out.part("registry", "kind: ml.registry", "zone: app", _platform(a, "registry"), *facts)
    facts = (
        "authentication: unknown",
        "rate-limited: unknown",
        "signature-checked: unknown",
        "output: unknown",
    )
    out.part("server", "kind: ai.model.server", "zone: app", _platform(a, "server"), *facts)


def _training_flows(out: _Lines) -> None:
    out.section("flows", "The arrow is the way that content goes; `<->` is both ways.")
    out.flow("base-model-source -> training", "data: base-weights", "protocol: https", "as: model")
    out.flow("dataset -> training", "data: examples", "verb: train")
    out.flow("scientist -> repository", "data: code", "as: code", "authn: unknown")
    out.flow("repository -> training", "data: code", "as: code")
    out.flow("training -> evaluation", "data: weights", "as: model")
    out.flow("evaluation -> registry", "data: weights", "verb: publish", "as: model")
    out.flow("registry -> server", "data: weights", "verb: deploy")
    out.flow("user -> server", "data: question", "verb: query", "encrypted: unknown", "authn: unknown")


def _controls(out: _Lines, on: str) -> None:
    out.lines += [
        "",
        "# What protects it already. `bastide catalog list controls` names them; say where one stands:",
        "# controls:",
        f"#   - control-id: {{on: {on}, by: the product that does it}}",
    ]
