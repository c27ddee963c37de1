# SPDX-License-Identifier: Apache-2.0
"""How words and numbers of the Open Threat Model correspond to those of a plan.

OTM fixes neither the types of components nor what a number of its scales means. So everything here that goes from
OTM to a plan is a guess and is listed as one in `x-otm: {guessed: [...]}`, except types that are our own kinds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from bastide.plan.elements import is_identifier

_TYPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ai.mcp-server", ("mcp",)),
    ("data.vector-store", ("vector", "pinecone", "weaviate", "qdrant", "milvus", "chroma")),
    ("ai.embedder", ("embedding", "embedder")),
    ("ai.guardrail", ("guardrail", "guardrails")),
    ("ai.agent", ("agent", "copilot")),
    ("ai.model.endpoint", ("llm", "gpt", "openai", "bedrock", "foundation-model", "language-model")),
    ("ai.model", ("model", "inference")),
    ("ml.notebook", ("notebook", "jupyter")),
    ("ml.training", ("training", "sagemaker")),
    ("data.dataset", ("dataset",)),
    ("actor.user", ("web-client", "mobile-client", "browser", "client", "user", "actor", "person", "customer", "human")),
    ("app.gateway", ("gateway", "load-balancer", "proxy", "waf", "cdn", "ingress", "cloudfront", "elb", "alb")),
    ("data.object-store", ("bucket", "s3", "blob", "object-storage", "file-storage", "file-system", "share", "disk")),
    ("data.cache", ("cache", "redis", "memcached", "elasticache")),
    ("data.queue", ("queue", "broker", "topic", "kafka", "rabbitmq", "sqs", "sns", "pubsub", "event-bus", "stream")),
    ("ops.secrets", ("secret", "secrets", "vault", "secrets-manager")),
    ("ops.kms", ("kms", "hsm", "key-management")),
    ("ops.identity-provider", ("identity", "idp", "iam", "cognito", "ldap", "active-directory", "authentication", "sso")),
    ("ops.log", ("log", "logs", "logging", "cloudwatch", "cloudtrail", "siem")),
    ("ops.monitor", ("monitor", "monitoring", "metrics")),
    ("ops.code-repository", ("repository", "git", "github", "gitlab")),
    ("ops.image-registry", ("registry", "ecr", "acr")),
    ("ops.ci", ("ci", "cd", "pipeline", "jenkins")),
    ("ops.cluster", ("cluster", "kubernetes", "eks", "aks", "gke")),
    ("ops.edge-device", ("device", "iot")),
    ("ext.mail", ("email", "mail", "smtp")),
    ("ext.service", ("external", "third-party", "saas")),
    ("data.database", (
        "database", "db", "sql", "postgres", "postgresql", "mysql", "mariadb", "oracle", "mongodb", "mongo", "dynamodb", "rds",
        "datastore", "data-store", "store", "storage", "elasticsearch",
    )),
    ("app.worker", ("worker", "job", "batch", "cron", "scheduler", "function", "lambda")),
    ("app.workflow", ("workflow", "orchestrator", "step-functions")),
    ("app.web", ("web-application", "web-app", "web-ui", "web-server", "frontend", "front-end", "website", "ui")),
)  # fmt: skip
"""Kind <- words that may occur in a type; the first kind of which a word occurs is taken."""
FALLBACK = "app.api"
"""The kind of a component whose type says nothing to us: code that answers others, the widest of them."""
TRUST_RATINGS = {"none": 0, "third-party": 25, "enterprise": 50, "workload": 75, "restricted": 100}
CONFIDENTIALITY = {"public": 0, "internal": 33, "confidential": 67, "restricted": 100}


def guess_kind(type: str) -> str:
    """The nearest kind for a component type of OTM."""
    words = "-" + re.sub(r"[^a-z0-9]+", "-", type.lower()).strip("-") + "-"
    for kind, names in _TYPES:
        if any(f"-{name}-" in words for name in names):
            return kind
    return FALLBACK


def guess_trust(rating: float) -> str:
    """The trust level for a rating from 0 to 100; never `restricted`, which says more than a number can."""
    for level, highest in (("none", 20), ("third-party", 40), ("enterprise", 60)):
        if rating <= highest:
            return level
    return "workload"


def assign_ids(groups: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """For each group, id of OTM -> id in the plan.

    OTM allows any text, and the same id in two groups. Ids that a plan can use stay as they are; the others become the
    nearest that it can. The result depends on the document only.
    """
    ids = {group: list(dict.fromkeys(own)) for group, own in groups.items()}
    found: dict[str, dict[str, str]] = {group: {} for group in ids}
    taken: set[str] = set()
    for group, own in ids.items():
        for id in own:
            if is_identifier(id) and id not in taken:
                found[group][id] = id
                taken.add(id)
    for group, own in ids.items():
        for id in own:
            if id not in found[group]:
                found[group][id] = free_id(id, group, taken)
                taken.add(found[group][id])
    return found


def free_id(wanted: str, group: str, taken: Iterable[str]) -> str:
    """An id like `wanted` that a plan can use and that isn't taken."""
    ascii_only = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode("ascii")
    base = re.sub(r"[^a-z0-9_.-]+", "-", ascii_only.lower()).strip("-._")[:100].rstrip("-._") or group
    known = taken if isinstance(taken, (set, frozenset, dict)) else set(taken)
    for candidate in (base, f"{base}-{group}"):
        if candidate not in known:
            return candidate
    number = 2
    while f"{base}-{number}" in known:
        number += 1
    return f"{base}-{number}"
