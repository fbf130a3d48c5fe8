"""Runs the graph's threads: starts them, wakes them with events, forgets them when they end."""

from __future__ import annotations

import sqlite3
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from wattmesh_agents.brain.graph import BUYING, Party, Scene, TradeState, build_graph
from wattmesh_agents.store.contracts import ContractTable
from wattmesh_agents.trade.contracts import OPEN, Side
from wattmesh_beckn.receiver import Received


class Brain:
    """The graph with its durable threads. Runs within the transaction of whatever woke it."""

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
        thread = _buy_thread(party, transaction_id)
        if not self._waits(thread):
            return
        if (
            event in BUYING
            or party.shopper.collecting(transaction_id)
            or party.buyer.next_step(transaction_id) != "wait"
        ):
            self._run(party, thread, Command(resume=event), None)

    def forget_buyer(self, party: Party, transaction_id: str, counterparty: str) -> None:
        """A buyer's quote ran out: its thread waits for nothing any more."""
        self._saver.delete_thread(_sell_thread(party, transaction_id, counterparty))

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
                self._saver.delete_thread(thread)

    def _slot_waited_for(self, thread: str) -> int | None:
        kind, party, transaction_id, *buyer = thread.split("/")
        table = ContractTable(self._connection, party)
        if kind == "sell":
            contract = table.get(transaction_id, buyer[0])
            waits = contract is not None and contract.side is Side.SELLER and contract.state in OPEN
            return contract.slot if contract is not None and waits else None
        purchase = table.purchase(transaction_id)
        contracts = table.of_transaction(transaction_id)
        if purchase is None or (purchase.closed and all(contract.state not in OPEN for contract in contracts)):
            return None
        return purchase.slot

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
