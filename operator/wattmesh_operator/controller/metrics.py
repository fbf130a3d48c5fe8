"""Prometheus metrics of the operator."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector


class OperatorMetrics:
    """What the operator counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.passes = Counter(
            "wattmesh_operator_reconciles", "Passes over a namespace.", ["namespace", "result"], registry=self.registry
        )
        self.faults = Counter(
            "wattmesh_operator_errors",
            "What went wrong within passes: pods not made, registrations refused, status not written.",
            ["namespace"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "wattmesh_operator_reconcile_seconds",
            "How long a pass took.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.writes = Counter(
            "wattmesh_operator_api_writes", "Writes to the API server.", ["verb", "kind"], registry=self.registry
        )
        self.events = Counter(
            "wattmesh_operator_watch_events", "Events that the watches brought.", ["kind"], registry=self.registry
        )
        self.watch_lag = Gauge(
            "wattmesh_operator_watch_lag_seconds",
            "For how long a watch has not brought what a list has shown.",
            ["kind"],
            registry=self.registry,
        )

        self.readable = Gauge(
            "wattmesh_operator_namespace_readable",
            "Whether a watched namespace can be read (1), or is gone or closed to the operator (0).",
            ["namespace"],
            registry=self.registry,
        )

    def wrote(self, verb: str, kind: str) -> None:
        """Count a write."""
        self.writes.labels(verb, kind).inc()
