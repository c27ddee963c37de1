# SPDX-License-Identifier: Apache-2.0
"""What the guard is told beside the plan: addresses, credentials, names on the wire, thresholds, budgets (`bastide.guard.yaml`).

The plan says what may happen; the settings say where things are and how they are called. Nothing in them can widen what the plan allows,
but policies of the user's own (`policies`) can permit more, and say so in each ruling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from bastide.errors import Location
from bastide.guard.settings_types import (
    Algorithm,
    DataClass,
    Digest,
    Effect,
    KeySetPlace,
    MemoryUse,
    Name,
    Network,
    Positive,
    Probability,
    Role,
    Seconds,
    Spoken,
    Trust,
    Web,
    from_to,
)

ArgumentRole = Literal["target", "content", "free"]
"""What an argument of a tool decides. target: whom, where, which, how much (has to be traced to trusted input before a side effect);
content: what is said or stored (may carry data out, and says nothing about where); free: neither matters (a page number)."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a credential is: read when it is needed, never kept in settings, never logged."""

    env: str = ""
    file: Path | None = None
    command: tuple[str, ...] = ()
    """A program that prints it: the door to a secret store."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a caller may present. Only its hash is written down."""

    id: Name
    sha256: Digest
    """Hex digest of the whole key (keys are random, 256 bits, so no salt or slow hash is needed)."""
    agent: Name
    """Plan component that uses it."""
    user: str = ""
    """Fixed user; '' lets a trusted agent name the user in `x-bastide-user` when `may_name_user`."""
    may_name_user: bool = False
    actor: str = ""
    tenant: str = ""
    team: str = ""
    scopes: frozenset[str] = frozenset()
    purpose: str = ""
    clearance: DataClass = "restricted"
    roles: frozenset[Role] = frozenset()
    not_before: str = ""
    """ISO dates (UTC): rotation means two keys with overlapping times."""
    expires: str = ""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OIDC issuer whose tokens are accepted."""

    issuer: Name
    audience: Name
    jwks: KeySetPlace
    """`file:` path or `https:` URL of its key set."""
    agent_claim: str = "act.sub"
    """Dotted path; the outermost actor is who calls (RFC 8693)."""
    agents: Mapping[str, str] = field(default_factory=dict)
    """Value of that claim -> plan component; anything else is refused."""
    user_claim: str = "sub"
    tenant_claim: str = ""
    team_claim: str = ""
    clearance_claim: str = ""
    purpose_claim: str = ""
    roles_claim: str = ""
    actor: str = ""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA", "PS256")
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """mTLS that a proxy in front has checked: it passes the subject on in a header."""

    header: Name
    proxies: tuple[Network, ...]
    """Networks (CIDR) from which the header is believed; from anywhere else its presence is refused."""
    subjects: Mapping[str, str]
    """Subject or SPIFFE id -> plan component."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One address at which a model is served."""

    url: Web
    """Base address, `/v1` included where the provider has it."""
    protocol: Literal["openai", "anthropic"] = "openai"
    key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: Seconds = 5.0
    first_byte_timeout: Seconds = 60.0
    idle_timeout: Seconds = 30.0
    """Longest silence inside a stream, seconds."""
    total_timeout: Seconds = 600.0


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """A model component of the plan, its names on the wire and where it is served."""

    component: str
    names: tuple[Name, ...]
    """Names or `*` patterns of the `model` field."""
    providers: tuple[Provider, ...]
    upstream_name: str = ""
    """The name that the provider knows it by; '' the same."""
    failover: tuple[str, ...] = ()
    """Other model components to try, each only if the policy allows it this conversation's data."""
    input_price: float = 0.0
    """Per million tokens, in the currency of the budgets."""
    output_price: float = 0.0
    answer_schema: Path | None = None
    """File with a JSON schema that each text of an answer has to satisfy; streamed ones are held back to their end."""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class ToolMeaning:
    """What a tool does, as far as the plan doesn't say it already. Written once, from its documentation."""

    name: str
    """Name on the wire."""
    component: str = ""
    """Plan component; '' the one with the same name (`-` and `_` are the same)."""
    side_effect: Effect = ""
    """'' what the plan says; unknown counts as irreversible."""
    outbound: bool | None = None
    """Whether what is sent can leave the system; None: what the plan says."""
    result_trust: Trust = ""
    """Who may have written what it returns; '' what the plan says; unknown counts as public."""
    result_class: DataClass = ""
    """Class of what it returns; '' what the plan says."""
    field_trust: Mapping[str, Trust] = field(default_factory=dict)
    """Dotted path or key of a result's field -> level, for fields that the system itself writes (an id, a date)."""
    arguments: Mapping[str, ArgumentRole] = field(default_factory=dict)
    """What each argument decides; unlisted ones are judged by name and value."""
    tenant_argument: str = ""
    """Of a retrieval tool: the filter argument into which the guard writes the caller's tenant."""
    tenant_field: str = ""
    """Of a retrieval tool: the field of each result item that has to equal the caller's tenant."""
    class_field: str = ""
    """Of a retrieval tool: the field with an item's class, compared with the user's clearance."""
    endorses: Trust = ""
    """A sanitiser: its result is raised to this level, which is logged each time."""
    memory: MemoryUse = ""
    """With `component` a memory: labels are kept with what is written."""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server behind the guard."""

    component: str
    url: Web = ""
    """Streamable HTTP endpoint; '' for a local one."""
    command: tuple[str, ...] = ()
    """Program and arguments of a local stdio server."""
    key: Secret | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    pins: Path | None = None
    """File with digests of its tool descriptions; a tool that isn't in it or differs is not offered."""
    client_requests: tuple[Literal["roots", "sampling", "elicitation"], ...] = ()
    """What the server may ask the client for; every request of its that isn't named here is refused."""
    timeout: Seconds = 60.0
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What happens at which probability of an attack, per direction."""

    flag: Probability = 0.5
    block: Probability = 0.9


@dataclass(frozen=True, slots=True)
class Content:
    """The content checks."""

    injection: Mapping[Spoken, Thresholds] = field(default_factory=dict)
    """Direction -> thresholds; a missing direction has the defaults."""
    classifier: Literal["off", "fast", "full"] = "fast"
    """off: rules only; fast: rules and the small model; full: the ONNX model too, on the grey band."""
    secrets: Literal["off", "flag", "redact", "block"] = "redact"
    personal: Literal["off", "flag", "redact", "block"] = "off"
    """Applies to text that goes to a model or tool outside (third-party zone); `redact` is undone in the answer."""
    personal_types: tuple[str, ...] = ()
    """Detector ids after `personal/`; empty: all."""
    canaries: tuple[Secret, ...] = ()
    """Strings that must never appear in an answer."""
    personal_engine: Literal["auto", "own", "presidio"] = "auto"
    """own: recognisers of forms with check digits; presidio: names and places too, slower; auto: Presidio where it is installed."""
    personal_model: Name = "en_core_web_sm"
    """The spaCy package that Presidio uses; its name begins with its language."""
    output: Literal["text", "markdown", "html", "shell", "sql"] | None = None
    """Where answers end up: what is unsafe depends on it. None: what the plan says that the components `render`, else markdown."""
    tool_schemas: Literal["enforce", "off"] = "enforce"
    """Whether the arguments of a call have to be what the tool's own description demands."""
    url_hosts: tuple[str, ...] = ()
    """Hosts to which links and images in answers may point; empty: those in the user's own messages."""
    topics_denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a topic -> phrases, any of which stops the request."""
    max_text: Positive = 1_000_000
    """Characters of one text; more is refused."""
    unscanned: Literal["deny", "allow"] = "deny"
    """What happens to content that can't be scanned (images, files); either way it is logged as unscanned."""
    hold_back: Positive = 512
    """Characters of a stream that are kept back until what follows them is known; at least the longest pattern."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on use. All budgets that apply have to allow a call."""

    per: Literal["user", "key", "team", "agent", "tenant", "all"]
    window: Seconds
    """Seconds."""
    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    """0: this measure isn't limited."""
    only: str = ""
    """Only for this user, key, team or agent; '' for each."""


@dataclass(frozen=True, slots=True)
class Loops:
    """Limits on what one session may do."""

    calls: int = 50
    """Tool calls in a session."""
    same_call: int = 3
    """The same tool with the same arguments, in a row or not."""
    refused: int = 200
    """Proposed calls that were refused, or had to wait for a person; none of the above counts them."""
    turns: int = 200
    depth: int = 5
    """Sub-agents of sub-agents."""
    children: int = 20
    """Sub-agents of one session."""


@dataclass(frozen=True, slots=True)
class Abuse:
    """From when on many requests together are a signal, and when a caller is refused for a time."""

    window: Seconds = 3600.0
    """Seconds over which signals count."""
    prompts: Annotated[int, from_to(1, 500)] = 50
    """Different prompts of one caller from which on they can be a template,"""
    similar: Probability = 0.8
    """when this share of them varies another one."""
    tokens: Positive = 200_000
    """Tokens answered to one caller from which on the volume can be unusual,"""
    times: float = 10.0
    """when it is so many times the caller's usual amount."""
    callers: Annotated[int, from_to(1, 200)] = 5
    """Callers with the same attack that make a campaign,"""
    attacks: Annotated[int, from_to(1, 200)] = 10
    """and attacks of one caller."""
    blocks: Annotated[int, from_to(0, 1000)] = 5
    """Blocked requests that lead to quarantine; 0: none do."""
    blocks_within: Seconds = 600.0
    quarantine: Seconds = 900.0
    """Seconds for which a caller is then refused."""


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """How people are asked."""

    expires: Seconds = 900.0
    webhook: Web = ""
    webhook_key: Secret | None = None
    """Signs the body (HMAC-SHA256, header `x-bastide-signature`)."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The ledger."""

    folder: Path = Path("guard-log")
    """Beside the settings where they are a file."""
    content: Mapping[DataClass, Literal["none", "metadata", "redacted", "encrypted"]] = field(default_factory=dict)
    """Data class -> what of the content is kept. Defaults: public redacted, internal and confidential metadata, restricted none."""
    retention_days: int = 90
    signing_key: Secret | None = None
    """Ed25519 private key (PEM) for checkpoints; made in `folder` when missing."""
    checkpoint_every: Positive = 1000
    """Entries between two signed checkpoints."""
    otlp: Web = ""
    """Where spans are sent (OTLP/HTTP); '' nowhere."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes and loads."""

    body: Positive = 32 * 1024 * 1024
    """Bytes of a request; more is refused with 413 as soon as it is seen."""
    depth: Positive = 64
    """Nesting of JSON."""
    turns: Positive = 2000
    tools: Positive = 512
    in_flight: Positive = 512
    """Requests at a time; more get 503 at once."""
    read_timeout: Seconds = 30.0
    """Seconds in which a client has to have sent its request, and to take each piece of a stream; twice that for 64 KiB of a whole answer."""
    reply: Positive = 64 * 1024 * 1024
    conversations: Positive = 256 * 1024 * 1024
    """Bytes, about, that all conversations take; when it is more, the callers that have most lose theirs first."""
    remember: Seconds = 86_400.0
    """Seconds for which the label of a conversation with a name is kept after the conversation itself is gone."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    plan: Path
    file: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8088
    keys: tuple[ApiKey, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    certificates: ClientCertificates | None = None
    models: tuple[ModelRoute, ...] = ()
    tools: tuple[ToolMeaning, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    content: Content = Content()
    budgets: tuple[Budget, ...] = ()
    loops: Loops = Loops()
    abuse: Abuse = Abuse()
    redis: Secret | None = None
    """Address of a Redis, when several guards share their counters."""
    approvals: ApprovalSettings = ApprovalSettings()
    log: LogSettings = LogSettings()
    bounds: Bounds = Bounds()
    policies: tuple[Path, ...] = ()
    """Cedar files of the user's own."""
    required_integrity: Trust = "user"
    """The least trusted author who may steer a side effect without approval."""
    location: Location = Location()

    @property
    def folder(self) -> Path:
        """The folder to which what the file names is relative."""
        return self.file.resolve().parent if self.file else Path.cwd()
