# SPDX-License-Identifier: Apache-2.0
"""Metrics: what is counted, and that their number stays small."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from bastide.guard.events import Usage
from bastide.guard.record.metrics import Metrics


def runtime(version: str = "v1") -> Any:
    return SimpleNamespace(in_flight=3, draining=False, engine=SimpleNamespace(version=version))


def trace(**changes: Any) -> Any:
    facts: dict[str, Any] = {
        "protocol": "openai.chat", "outcome": "allowed", "duration": 0.02, "usage": Usage(10, 5), "cost": 0.5, "unscanned": [],
    }  # fmt: skip
    return SimpleNamespace(**{**facts, **changes})


def test_requests() -> None:
    """Requests by outcome, tokens, cost, latency, what could not be scanned."""
    metrics = Metrics()
    metrics.request(trace())
    metrics.request(trace(outcome="blocked", usage=Usage(), cost=0.0, unscanned=["image"]))
    text = metrics.text(runtime()).decode()
    for said in (
        'bastide_requests_total{outcome="allowed",protocol="openai.chat"} 1.0',
        'bastide_requests_total{outcome="blocked",protocol="openai.chat"} 1.0',
        'bastide_tokens_total{direction="input"} 10.0',
        "bastide_cost_total 0.5",
        "bastide_unscanned_total 1.0",
        'bastide_request_seconds_count{protocol="openai.chat"} 2.0',
        "bastide_in_flight 3.0",
    ):
        assert said in text


def test_entries() -> None:
    """Decisions by effect, detections by detector, once for each text."""
    metrics = Metrics()
    metrics.entry({"kind": "decision", "ruling": {"effect": "deny"}})
    seen = [{"detector": "secret/aws-access-key"}] * 3
    metrics.entry({"kind": "detection", "outcome": "redact", "detections": seen})
    text = metrics.text(runtime()).decode()
    assert 'bastide_decisions_total{effect="deny"} 1.0' in text
    assert 'bastide_detections_total{detector="secret/aws-access-key",outcome="redact"} 1.0' in text


def test_one_policy() -> None:
    """Only the policy in force has a series, however often it is reloaded."""
    metrics = Metrics()
    for version in ("v1", "v2", "v3"):
        text = metrics.text(runtime(version)).decode()
    assert [line for line in text.splitlines() if line.startswith("bastide_policy_info{")] == [
        'bastide_policy_info{version="v3"} 1.0'
    ]


def test_spans_and_disconnects() -> None:
    """Spans that were dropped, and clients that went away."""
    metrics = Metrics()
    metrics.spans(SimpleNamespace(dropped=7))
    metrics.disconnected()
    text = metrics.text(runtime()).decode()
    assert "bastide_spans_dropped 7.0" in text
    assert "bastide_disconnects_total 1.0" in text


def test_own_registry() -> None:
    """Two guards in one process don't meet; a registry can be passed in."""
    registry = CollectorRegistry()
    Metrics()
    assert Metrics(registry).registry is registry
