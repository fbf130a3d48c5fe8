"""What a pod counts and shows, for Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge

from wattmesh_beckn.proofs import Proof
from wattmesh_common.pod_pages import PartyState
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.plugins.watch import Trouble


class PodMetrics:
    """Counters and gauges of one pod, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter("messages_received", "Messages acted on.", "action", "answer")
        self.limited = self._counter("messages_limited", "Messages refused because of a limit.", "action")
        self.sent = self._counter("messages_sent", "Messages sent, by outcome.", "action", "outcome")
        self._answers = self._counter(
            "answers_received", "Answers in Beckn v2, by what their signature proves.", "proof"
        )
        self.missed_gates = self._counter("missed_gates", "Trades missed because the gate had closed.")
        self.late_slots = self._counter("late_slots", "Slots that ended before this machine opened them.")
        self.faults = self._counter("faults", "Steps that ended in a fault.")
        self.refused = self._counter("refused_steps", "Steps that the disk refused; they are tried again.")
        self._gauges: list[Gauge] = []
        self._level = self._gauge("level_watt_hours", "Stored energy.")
        self._sold = self._gauge("sold_watt_hours", "Energy sold in trades.")
        self._bought = self._gauge("bought_watt_hours", "Energy bought in trades.")
        self._balance = self._gauge("balance", "Sum of all bookings, in the currency.")
        self._open = self._gauge("open_contracts", "Contracts not settled yet.")
        self._unbooked = self._gauge("unbooked_readings", "Readings not booked yet.")
        self._held = self._gauge("held_readings", "Readings that the utility holds for a person.")
        self._plugins = Gauge(
            "wattmesh_plugin_troubles",
            "What plug-ins did wrong since the pod has started.",
            ("plugin", "fault"),
            registry=self.registry,
        )
        self._unbooked_s = self._gauge("unbooked_seconds", "Grid time since the end of the oldest slot not booked yet.")

    @property
    def missed_gate_count(self) -> int:
        """Trades missed because the gate had closed."""
        return self._count(self.missed_gates)

    @property
    def fault_count(self) -> int:
        """Steps that ended in a fault."""
        return self._count(self.faults)

    def answered(self, proof: Proof) -> None:
        """An answer to a message came in a network that speaks v2."""
        self._answers.labels(proof).inc()

    @staticmethod
    def _count(counter: Counter) -> int:
        return int(sum(sample.value for metric in counter.collect() for sample in metric.samples[:1]))

    def show(self, state: PartyState, unbooked: Collection[int], now_s: float) -> None:
        """Take over how a party stands, and which slots' readings are not booked at a grid time, nor held."""
        name = state.name
        self._level.labels(name).set(state.level_wh)
        self._sold.labels(name).set(state.sold_wh)
        self._bought.labels(name).set(state.bought_wh)
        self._balance.labels(name).set(state.balance_micro / 1_000_000)
        self._open.labels(name).set(state.open_contracts)
        self._unbooked.labels(name).set(len(unbooked))
        self._held.labels(name).set(state.held_readings)
        self._unbooked_s.labels(name).set(now_s - min(unbooked) - SLOT_S if unbooked else 0)

    def show_plugins(self, troubles: Iterable[Trouble]) -> None:
        """Take over what plug-ins did wrong."""
        for one in troubles:
            self._plugins.labels(one.plugin, one.fault).set(one.times)

    def forget(self, name: str) -> None:
        """A household is not here any more."""
        for gauge in self._gauges:
            with suppress(KeyError):  # nobody has asked for it yet
                gauge.remove(name)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wattmesh_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        gauge = Gauge(f"wattmesh_household_{name}", text, ("household",), registry=self.registry)
        self._gauges.append(gauge)
        return gauge
