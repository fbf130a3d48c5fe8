"""Runs the graph: for each of a buyer's messages once, for a purchase as a thread that waits and is woken."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from wattmesh_agents.brain.graph import BUYING, Party, Scene, TradeState, build_graph
from wattmesh_agents.store.contracts import ContractTable
from wattmesh_agents.trade.contracts import OPEN
from wattmesh_beckn.receiver import Received


class Brain:
    """The graph, with a durable thread for each purchase. Runs within the transaction of whatever woke it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._saver = SqliteSaver(connection)
        self._saver.setup()
        self._connection = connection
        self._looked_at = ""
        self._graph = build_graph().compile(checkpointer=self._saver)

    def wake(self, party: Party, slot: int, attempt: int) -> None:
        """Let the supervisor look at a slot. The thread, if one is started, is that of the purchase."""
        transaction_id = party.shopper.transaction_for(slot, attempt)
        state: TradeState = {
            "transaction_id": transaction_id,
            "slot": slot,
            "attempt": attempt,
            "event": "wake",
        }
        self._run(party, _buy_thread(party, transaction_id), state)

    def hear_buyer(self, party: Party, received: Received) -> None:
        """A buyer's message: answered by the sell flow, which waits for nothing. A Refusal passes through."""
        state: TradeState = {"transaction_id": received.context.transaction_id, "event": received.action}
        for _ in _selling().stream(state, context=Scene(party, received), stream_mode=[]):
            pass

    def buyer_event(self, party: Party, transaction_id: str, event: str) -> None:
        """A seller's callback was written down, or post or clock had something to say: go on, if the thread waits.

        An event that leads nowhere (a confirmation, an alarm when all is well) or to the end does not run the graph.
        """
        thread = _buy_thread(party, transaction_id)
        if not self._waits(thread):
            return
        if event not in BUYING and not party.shopper.collecting(transaction_id):
            step = party.buyer.next_step(transaction_id)
            if step == "end":
                self._forget(thread)
            if step != "choose":
                return
        self._run(party, thread, Command(resume=event))

    def forget_threads(self, before_slot: int, most: int) -> None:
        """Delete threads that wait for nothing, or are about slots before `before_slot`; each call looks at `most`.

        What is still open then needs none: it is said again from the ledger, and a buyer's word starts a new thread.
        """
        query = "SELECT DISTINCT thread_id FROM checkpoints WHERE thread_id > ? ORDER BY thread_id LIMIT ?"
        threads = [thread for (thread,) in self._connection.execute(query, (self._looked_at, most))]
        self._looked_at = threads[-1] if len(threads) == most else ""
        for thread in threads:
            slot = self._slot_waited_for(thread)
            if slot is None or slot < before_slot:
                self._forget(thread)

    def _slot_waited_for(self, thread: str) -> int | None:
        kind, party, transaction_id, *_ = thread.split("/")
        if kind != _BUY:
            return None  # older versions kept threads of sales
        table = ContractTable(self._connection, party)
        purchase = table.purchase(transaction_id)
        contracts = table.of_transaction(transaction_id)
        if purchase is None or (purchase.closed and all(contract.state not in OPEN for contract in contracts)):
            return None
        return purchase.slot

    def _run(self, party: Party, thread: str, value: Any) -> None:
        waits = False
        steps = self._graph.stream(
            value, _config(thread), context=Scene(party), durability="exit", stream_mode="updates"
        )
        for step in steps:
            waits = "__interrupt__" in step
        if not waits:
            self._forget(thread)

    def _forget(self, thread: str) -> None:
        self._saver.delete_thread(thread)

    def _waits(self, thread: str) -> bool:
        """Whether a thread stands at an interrupt: one that has ended is deleted, so it does when it is there."""
        query = "SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1"
        return self._connection.execute(query, (thread,)).fetchone() is not None


_BUY = "buy"


@cache
def _selling() -> CompiledStateGraph[TradeState, Scene, TradeState, TradeState]:
    return build_graph().compile()


def _config(thread: str) -> RunnableConfig:
    return cast(RunnableConfig, {"configurable": {"thread_id": thread}})


def _buy_thread(party: Party, transaction_id: str) -> str:
    return f"{_BUY}/{party.trader.id}/{transaction_id}"
