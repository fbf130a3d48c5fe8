"""The graph: supervisor, buy flow, sell flow.

Whatever happens runs it once, from the supervisor to the end: an alarm, a message, an answer. It waits for nothing. How
far a purchase or a sale has come stands in the ledger, from which the supervisor and the nodes read all that they need;
nodes call the party's buyer or seller, which write to the ledger and the outbox. So a node may run twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.utility import Utility
from wattmesh_beckn.receiver import Received
from wattmesh_market.strategies import Buy

Party = Household | Utility
WAKE = "wake"


class TradeState(TypedDict, total=False):
    """What a run is about. `event` is what set it going: an action, or a word of the post or the clock."""

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


Buying = Literal["search", "select", "give_up", "init", "confirm", "settle"]
Selling = Literal["quote", "agree", "commit", "report", "withdraw", "receive_payment"]
Step = Buying | Selling | Literal["__end__"]
HOLD: Literal["__end__"] = "__end__"
"""LangGraph's END, typed."""

_SELL: dict[str, Selling] = {
    "select": "quote",
    "init": "agree",
    "confirm": "commit",
    "status": "report",
    "cancel": "withdraw",
    "update": "receive_payment",
}
CALLBACKS: dict[str, Buying] = {"on_select": "init", "on_init": "confirm", "on_status": "settle"}
"""Where a callback leads, and from there to what is missing; everything else leads to that at once."""


def supervisor(state: TradeState, runtime: Runtime[Scene]) -> Step:
    """Look at level, forecast and open contracts; route to buy, sell or hold."""
    event, party = state["event"], runtime.context.party
    if event in _SELL:
        return _SELL[event]
    if event in CALLBACKS:
        return CALLBACKS[event]
    if event == WAKE:
        return "search" if isinstance(party.decide(state["slot"]), Buy) else HOLD
    if party.shopper.collecting(state["transaction_id"]):
        return _choose(party, state["transaction_id"])
    return go_on(state, runtime)


def go_on(state: TradeState, runtime: Runtime[Scene]) -> Step:
    """What a purchase whose offers are in needs next: more from others, or nothing now."""
    party, transaction_id = runtime.context.party, state["transaction_id"]
    return _choose(party, transaction_id) if party.buyer.wants_more(transaction_id) else HOLD


def _choose(party: Party, transaction_id: str) -> Step:
    return "select" if party.shopper.has_choice(transaction_id) else "give_up"


# --- buy ---


def search(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Ask for offers."""
    party = runtime.context.party
    decision = party.decide(state["slot"])
    if isinstance(decision, Buy):
        party.shopper.search(state["slot"], state["attempt"], decision)


def select(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Take the cheapest mix: ask the chosen sellers for quotes."""
    runtime.context.party.shopper.select(state["transaction_id"])


def give_up(state: TradeState, runtime: Runtime[Scene]) -> None:
    """There is none: buy no more in this transaction."""
    runtime.context.party.shopper.give_up(state["transaction_id"])


def init(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Take the quotes."""
    runtime.context.party.buyer.init(state["transaction_id"])


def confirm(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Confirm what is agreed."""
    runtime.context.party.buyer.confirm(state["transaction_id"])


def settle(state: TradeState, runtime: Runtime[Scene]) -> None:
    """Pay for what was delivered."""
    runtime.context.party.buyer.settle(state["transaction_id"])


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
    """The graph, to be compiled."""
    graph: StateGraph[TradeState, Scene, TradeState, TradeState] = StateGraph(TradeState, context_schema=Scene)
    buys = (search, select, give_up, init, confirm, settle)
    sells = (quote, agree, commit, report, withdraw, receive_payment)
    for node in (*buys, *sells):
        graph.add_node(node.__name__, node)
    graph.add_conditional_edges(START, supervisor, [*graph.nodes, END])
    for name in CALLBACKS.values():
        graph.add_conditional_edges(name, go_on, ["select", "give_up", END])
    return graph
