"""The graph: supervisor, buy flow, sell flow.

A purchase is a thread: it waits for offers, callbacks and the clock. A seller waits for nothing: each of a buyer's
messages runs the graph once, from the supervisor to the end. Nodes call the party's buyer or seller, which write to the
ledger and the outbox; a thread itself remembers only which transaction it is and where it waits. All that a node needs
it reads from the ledger, so a node may run twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.utility import Utility
from wattmesh_agents.trade.strategies import Buy
from wattmesh_beckn.receiver import Received

Party = Household | Utility


class TradeState(TypedDict, total=False):
    """What a run is about, and what a thread remembers.

    `event` is what woke it: an action, or a word of the post or the clock.
    """

    transaction_id: str
    slot: int
    attempt: int
    event: str


@dataclass(frozen=True)
class Scene:
    """Who runs the graph, and the message that set it going, if one did."""

    party: Party
    received: Received | None = None

    @property
    def message(self) -> Received:
        """The message to answer."""
        if self.received is None:
            raise TypeError("a sell flow runs only on a message")
        return self.received


_SELL = {
    "select": "quote",
    "init": "agree",
    "confirm": "commit",
    "status": "report",
    "cancel": "withdraw",
    "update": "receive_payment",
}
BUYING = {"on_select": "init", "on_init": "confirm", "on_status": "settle"}
"""The node that a callback leads to; everything else leads to `review`."""

AfterSeller = Literal["choose", "wait_for_seller", "__end__"]


def supervisor(state: TradeState, runtime: Runtime[Scene]) -> Command[Any]:
    """Look at level, forecast and open contracts; route to buy, sell or hold."""
    if state["event"] in _SELL:
        return Command(goto=_SELL[state["event"]])
    decision = runtime.context.party.decide(state["slot"])
    return Command(goto="search" if isinstance(decision, Buy) else END)


# --- buy ---


def search(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Ask for offers."""
    party = runtime.context.party
    decision = party.decide(state["slot"])
    if isinstance(decision, Buy):
        party.shopper.search(state["slot"], state["attempt"], decision)


def collect(state: TradeState) -> TradeState:  # noqa: ARG001
    """Wait until the window closes or all have answered."""
    return {"event": interrupt("offers")}


def choose(state: TradeState, runtime: Runtime[Scene]) -> Command[Literal["select", "wait_for_seller", "__end__"]]:
    """Take the cheapest mix; when there is none, see what is still under way."""
    shopper = runtime.context.party.shopper
    if shopper.has_choice(state["transaction_id"]):
        return Command(goto="select")
    shopper.give_up(state["transaction_id"])
    return _after_seller(state, runtime)  # type: ignore[return-value]


def select(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Ask the chosen sellers for quotes."""
    runtime.context.party.shopper.select(state["transaction_id"])


def wait_for_seller(state: TradeState) -> Command[Any]:  # noqa: ARG001
    """Wait for a callback, a refusal or the clock."""
    event = interrupt("seller")
    return Command(update={"event": event}, goto=BUYING.get(event, "review"))


def init(state: TradeState, runtime: Runtime[Scene]) -> Command[AfterSeller]:
    """Take the quotes."""
    runtime.context.party.buyer.init(state["transaction_id"])
    return _after_seller(state, runtime)


def confirm(state: TradeState, runtime: Runtime[Scene]) -> Command[AfterSeller]:
    """Confirm what is agreed."""
    runtime.context.party.buyer.confirm(state["transaction_id"])
    return _after_seller(state, runtime)


def settle(state: TradeState, runtime: Runtime[Scene]) -> Command[AfterSeller]:
    """Pay for what was delivered."""
    runtime.context.party.buyer.settle(state["transaction_id"])
    return _after_seller(state, runtime)


def review(state: TradeState, runtime: Runtime[Scene]) -> Command[AfterSeller]:
    """See what is missing."""
    return _after_seller(state, runtime)


def _after_seller(state: TradeState, runtime: Runtime[Scene]) -> Command[AfterSeller]:
    step = runtime.context.party.buyer.next_step(state["transaction_id"])
    return Command(goto={"choose": "choose", "wait": "wait_for_seller", "end": END}[step])  # type: ignore[arg-type]


# --- sell ---


def quote(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Reserve and price."""
    runtime.context.party.seller.quote(runtime.context.message)


def agree(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Fix the terms."""
    runtime.context.party.seller.agree(runtime.context.message)


def commit(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Make the reservation a commitment."""
    runtime.context.party.seller.commit(runtime.context.message)


def report(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Say how the order stands."""
    runtime.context.party.seller.report(runtime.context.message)


def withdraw(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Cancel."""
    runtime.context.party.seller.withdraw(runtime.context.message)


def receive_payment(state: TradeState, runtime: Runtime[Scene]) -> None:  # noqa: ARG001
    """Settle."""
    runtime.context.party.seller.receive_payment(runtime.context.message)


def build_graph() -> StateGraph[TradeState, Scene, TradeState, TradeState]:
    """The graph, to be compiled with or without a checkpointer."""
    graph: StateGraph[TradeState, Scene, TradeState, TradeState] = StateGraph(TradeState, context_schema=Scene)
    sells = (quote, agree, commit, report, withdraw, receive_payment)
    for node in (search, collect, choose, select, init, confirm, settle, review, *sells):
        graph.add_node(node.__name__, node)
    graph.add_node("supervisor", supervisor, destinations=("search", *_SELL.values(), END))
    graph.add_node("wait_for_seller", wait_for_seller, destinations=("init", "confirm", "settle", "review"))
    graph.add_edge(START, "supervisor")
    graph.add_edge("search", "collect")
    graph.add_edge("collect", "choose")
    graph.add_edge("select", "wait_for_seller")
    return graph
