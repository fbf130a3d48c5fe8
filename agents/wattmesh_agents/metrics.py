"""What a pod counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class PodMetrics:
    """Counters of one pod, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = Counter(
            "wattmesh_messages_received_total", "Messages acted on.", ("action", "answer"), registry=self.registry
        )
        self.sent = Counter(
            "wattmesh_messages_sent_total", "Messages sent, by outcome.", ("action", "outcome"), registry=self.registry
        )
        self.missed_gates = Counter(
            "wattmesh_missed_gates_total", "Trades missed because the gate had closed.", registry=self.registry
        )
        self.late_slots = Counter(
            "wattmesh_late_slots_total", "Slots that ended before this machine opened them.", registry=self.registry
        )
        self.faults = Counter("wattmesh_faults_total", "Steps undone because of a fault.", registry=self.registry)
