"""What the gateway counts."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wattmesh_beckn.client import Acked, Nacked, Undelivered
from wattmesh_beckn.client import Outcome as SendOutcome
from wattmesh_beckn.codec.v2.messages import DISCOVER, OF_DISCOVERY, PUBLISH
from wattmesh_beckn.proofs import Proof
from wattmesh_beckn.transport import Reply
from wattmesh_gateway.outcome import Outcome

_OUTCOMES: Mapping[type[SendOutcome], str] = {Acked: "acked", Nacked: "nacked", Undelivered: "undelivered"}
_RESULTS = {200: "acked", 401: "bad_signature", 429: "limited", 503: "busy"}


class Metrics:
    """Prometheus metrics of one gateway, in a collector registry of their own."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry()
        self._subscriptions = Gauge(
            "wattmesh_gateway_subscriptions", "Live registry entries.", ["type"], registry=self.collectors
        )
        self._searches = Counter(
            "wattmesh_gateway_searches", "Searches by result.", ["result"], registry=self.collectors
        )
        self._discovers = Counter(
            "wattmesh_gateway_discovers", "Questions of Beckn v2 by result.", ["result"], registry=self.collectors
        )
        self._publications = Counter(
            "wattmesh_gateway_publications", "Publications by result.", ["result"], registry=self.collectors
        )
        self._callbacks = Counter(
            "wattmesh_gateway_callbacks",
            "Answers to questions, by pages, and to publications, by what became of them.",
            ["call", "outcome"],
            registry=self.collectors,
        )
        self._answers = Counter(
            "wattmesh_gateway_answers_received",
            "Answers to callbacks of Beckn v2, by what their signature proves.",
            ["proof"],
            registry=self.collectors,
        )
        self._broadcasts = Counter(
            "wattmesh_gateway_broadcasts", "(search, seller) pairs by outcome.", ["outcome"], registry=self.collectors
        )
        self._waiting = Gauge(
            "wattmesh_gateway_queue_depth", "(search, seller) pairs that wait to be sent.", registry=self.collectors
        )
        self._limited = Counter(
            "wattmesh_gateway_limited", "Calls refused because of a limit.", ["call"], registry=self.collectors
        )
        self._answer_s = Histogram(
            "wattmesh_gateway_answer_seconds",
            "How long sellers take to answer a search.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
            registry=self.collectors,
        )
        self._calls = {"search": self._searches, DISCOVER: self._discovers, PUBLISH: self._publications}
        for counter in self._calls.values():
            for result in (*_RESULTS.values(), "invalid"):
                counter.labels(result)
        for call in OF_DISCOVERY:
            for kind in _OUTCOMES.values():
                self._callbacks.labels(call, kind)
        for proof in Proof:
            self._answers.labels(proof)
        for outcome in Outcome:
            self._broadcasts.labels(outcome)

    def answer(self, call: str, answer: Reply) -> None:
        """Count a search, a question or a publication by the answer it was given."""
        result = "invalid" if answer.status == 200 and answer.refused else _RESULTS.get(answer.status, "invalid")
        self._calls[call].labels(result).inc()

    def callback(self, call: str, outcome: SendOutcome) -> None:
        """Count what became of a callback."""
        self._callbacks.labels(call, _OUTCOMES[type(outcome)]).inc()

    def proven(self, proof: Proof) -> None:
        """Count what the signature of an answer to a callback proves."""
        self._answers.labels(proof).inc()

    def limited(self, call: str) -> None:
        """Count a call that was refused because of a limit."""
        self._limited.labels(call).inc()

    def broadcast(self, outcome: Outcome, pairs: int = 1) -> None:
        """Count what became of (search, seller) pairs."""
        self._broadcasts.labels(outcome).inc(pairs)

    def answered(self, seconds: float) -> None:
        """Count how long a seller took to answer."""
        self._answer_s.observe(seconds)

    def broadcasts(self, outcome: Outcome) -> int:
        """How many pairs came to `outcome`."""
        value = self.collectors.get_sample_value("wattmesh_gateway_broadcasts_total", {"outcome": outcome})
        return int(value or 0)

    def text(self, live_by_type: Mapping[str, int], waiting: int) -> bytes:
        """The Prometheus text format, with what is true only at this moment."""
        for kind, count in live_by_type.items():
            self._subscriptions.labels(kind).set(count)
        self._waiting.set(waiting)
        return generate_latest(self.collectors)
