"""Runs the graph, within the transaction of whatever happened: an alarm, a message, an answer to one."""

from __future__ import annotations

from functools import cache

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from wattmesh_agents.brain.graph import HOLD, WAKE, Party, Scene, TradeState, build_graph, supervisor
from wattmesh_beckn.receiver import Received


class Brain:
    """The graph. It remembers nothing; what it needs to know of a trade is in the ledger."""

    def wake(self, party: Party, slot: int, attempt: int) -> None:
        """Let the supervisor look at a slot, and buy for it if it is to."""
        transaction_id = party.shopper.transaction_for(slot, attempt)
        self._go(party, {"transaction_id": transaction_id, "slot": slot, "attempt": attempt, "event": WAKE})

    def hear_buyer(self, party: Party, received: Received) -> None:
        """A buyer's message: answered by the sell flow. A Refusal passes through."""
        transaction_id = received.context.transaction_id
        self._run({"transaction_id": transaction_id, "event": received.action}, Scene(party, received))

    def buyer_event(self, party: Party, transaction_id: str, event: str) -> None:
        """A seller's callback was written down, or post or clock had something to say: go on with the purchase."""
        self._go(party, {"transaction_id": transaction_id, "event": event})

    def _go(self, party: Party, state: TradeState) -> None:
        # Most of what happens leads nowhere (a full battery, a receipt): the supervisor alone can tell, much faster.
        scene = Scene(party)
        if supervisor(state, Runtime(context=scene)) != HOLD:
            self._run(state, scene)

    def _run(self, state: TradeState, scene: Scene) -> None:
        for _ in _graph().stream(state, context=scene, stream_mode=[]):
            pass


@cache
def _graph() -> CompiledStateGraph[TradeState, Scene, TradeState, TradeState]:
    return build_graph().compile()
