# SPDX-License-Identifier: Apache-2.0
"""Counters for Prometheus. Labels have few values each: names that callers choose never become one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime
    from bastide.guard.gateway.trace import Trace

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Seconds. The small ones are for what the guard refuses itself."""


class Metrics:
    """The guard's metrics, in a registry of their own unless one is passed in."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        one: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("bastide_requests", "Requests, by how they ended.", ["protocol", "outcome"], **one)
        self._seconds = Histogram(
            "bastide_request_seconds", "Duration of requests.", ["protocol"], buckets=BUCKETS, **one
        )
        self._tokens = Counter("bastide_tokens", "Tokens, as providers count them.", ["direction"], **one)
        self._cost = Counter("bastide_cost", "Cost, in the unit of the settings' prices.", **one)
        self._decisions = Counter("bastide_decisions", "Tool calls, by the policy's ruling.", ["effect"], **one)
        self._detections = Counter(
            "bastide_detections", "Texts in which something was detected.", ["detector", "outcome"], **one
        )
        self._unscanned = Counter("bastide_unscanned", "Requests with content that could not be scanned.", **one)
        self._entries = Counter("bastide_log_entries", "Entries in the ledger.", ["kind"], **one)
        self._lost = Counter("bastide_disconnects", "Clients that went away before their answer was whole.", **one)
        self._flight = Gauge("bastide_in_flight", "Requests that are being served.", **one)
        self._draining = Gauge("bastide_draining", "1 while no new requests are taken.", **one)
        self._dropped = Gauge("bastide_spans_dropped", "Spans that could not be sent.", **one)
        self._policy = Gauge("bastide_policy_info", "The policy in force.", ["version"], **one)
        self._version = ""
        self._known: dict[tuple[Any, ...], Any] = {}
        self._spans: Any = None

    def request(self, trace: Trace) -> None:
        """A request ended."""
        protocol = trace.protocol
        self._child(self._requests, protocol, trace.outcome).inc()
        self._child(self._seconds, protocol).observe(trace.duration)
        usage = trace.usage
        if usage.input or usage.output:
            self._child(self._tokens, "input").inc(usage.input)
            self._child(self._tokens, "output").inc(usage.output)
        if trace.cost:
            self._cost.inc(trace.cost)
        if trace.unscanned:
            self._unscanned.inc()

    def entry(self, entry: Mapping[str, Any]) -> None:
        """An entry was written to the ledger."""
        kind = entry.get("kind", "")
        self._child(self._entries, kind).inc()
        if kind == "decision":
            self._child(self._decisions, entry["ruling"]["effect"]).inc()
        elif kind == "detection":
            for detector in {one["detector"] for one in entry["detections"]}:
                self._child(self._detections, detector, entry["outcome"]).inc()

    def disconnected(self) -> None:
        """A client went away."""
        self._lost.inc()

    def spans(self, source: Any) -> None:
        """Whose `dropped` says how many spans could not be sent."""
        self._spans = source

    def text(self, runtime: Runtime) -> bytes:
        """Everything in Prometheus' text format."""
        self._flight.set(runtime.in_flight)
        self._draining.set(runtime.draining)
        if self._spans is not None:
            self._dropped.set(self._spans.dropped)
        version = runtime.engine.version
        if version != self._version:
            # Only the one in force: else each reload would leave a series behind.
            self._policy.clear()
            self._policy.labels(version).set(1)
            self._version = version
        return generate_latest(self.registry)

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, *labels)
        child = self._known.get(key)
        if child is None:
            child = self._known[key] = metric.labels(*labels)
        return child
