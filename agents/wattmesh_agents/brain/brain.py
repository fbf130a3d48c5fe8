"""Runs the graph's threads: starts them, wakes them with events, forgets them when they end."""

from __future__ import annotations

import sqlite3
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from wattmesh_agents.brain.graph import BUYING, Party, Scene, TradeState, build_graph
from wattmesh_beckn.receiver import Received


class Brain:
    """The graph with its durable threads. Runs within the transaction of whatever woke it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._saver = SqliteSaver(connection)
        self._saver.setup()
        self._connection = connection
        self._graph = build_graph().compile(checkpointer=self._saver)

    def wake(self, party: Party, slot: int, attempt: int) -> None:
        """Let the supervisor look at a slot. The thread, if one is started, is that of the purchase."""
        transaction_id = party.shopper.transaction_for(slot, attempt)
        state: TradeState = {
            "transaction_id": transaction_id,
            "slot": slot,
            "attempt": attempt,
            "event": "wake",
            "counterparty": "",
        }
        self._run(party, _buy_thread(party, transaction_id), state, None)

    def hear_buyer(self, party: Party, received: Received) -> None:
        """A buyer's message: answered by the sell flow. A Refusal passes through."""
        context = received.context
        state: TradeState = {
            "transaction_id": context.transaction_id,
            "event": received.action,
            "counterparty": context.bap_id,
        }
        thread = _sell_thread(party, context.transaction_id, context.bap_id)
        waiting = self._waits(thread)
        self._run(party, thread, Command(resume=received.action) if waiting else state, received)

    def buyer_event(self, party: Party, transaction_id: str, event: str) -> None:
        """A seller's callback was written down, or post or clock had something to say: go on, if the thread waits.

        An event that leads nowhere (a confirmation, an alarm when all is well) does not run the graph at all.
        """
        buyer, thread = party.buyer, _buy_thread(party, transaction_id)
        if (
            event not in BUYING
            and not party.shopper.collecting(transaction_id)
            and buyer.next_step(transaction_id) == "wait"
        ):
            return
        if self._waits(thread):
            self._run(party, thread, Command(resume=event), None)

    def forget_buyer(self, party: Party, transaction_id: str, counterparty: str) -> None:
        """A buyer's quote ran out: its thread waits for nothing any more."""
        self._saver.delete_thread(_sell_thread(party, transaction_id, counterparty))

    def _run(self, party: Party, thread: str, value: Any, received: Received | None) -> None:
        result = self._graph.invoke(value, _config(thread), context=Scene(party, received), durability="exit")
        if "__interrupt__" not in result:
            self._saver.delete_thread(thread)

    def _waits(self, thread: str) -> bool:
        """Whether a thread stands at an interrupt: one that has ended is deleted, so it does when it is there."""
        query = "SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1"
        return self._connection.execute(query, (thread,)).fetchone() is not None


def _config(thread: str) -> RunnableConfig:
    return cast(RunnableConfig, {"configurable": {"thread_id": thread}})


def _buy_thread(party: Party, transaction_id: str) -> str:
    return f"buy/{party.trader.id}/{transaction_id}"


def _sell_thread(party: Party, transaction_id: str, buyer: str) -> str:
    return f"sell/{party.trader.id}/{transaction_id}/{buyer}"
