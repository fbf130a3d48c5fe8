"""The brain goes by the ledger: what it does goes with the transaction, and another process takes a purchase up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langgraph.graph import END, START

from tests.agents.street import QuickBrain
from tests.agents.support import FIRST_SLOT, HandClock, Node, battery, entry, household, uuid_of
from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.brain.graph import build_graph
from wattmesh_agents.store.contracts import Purchase
from wattmesh_agents.store.messages import Outbox, Timers
from wattmesh_agents.trade.contracts import Contract, ContractState, Side
from wattmesh_market.trade.offers import Offer

NEXT = FIRST_SLOT + 900
ROOF = "roof-0.default"
LONG_AGO = uuid_of("long ago")


class Failure(Exception):
    pass


class CountingBrain(Brain):
    """Says how often the graph ran."""

    def __init__(self) -> None:
        self.runs = 0

    def _run(self, *what: object) -> None:
        self.runs += 1
        super()._run(*what)  # type: ignore[arg-type]


@pytest.fixture
def node() -> Iterator[Node]:
    """A household with a low battery, which buys when its brain is woken."""
    node = Node(household("home-0", battery(level_wh=1500)), HandClock())
    yield node
    node.database.close()


def effects(node: Node) -> dict[str, int]:
    tables = ("purchases", "roles", "outbox", "timers")
    query = "SELECT count(*) FROM "
    counts = {table: node.database.connection.execute(query + table).fetchone()[0] for table in tables}
    return {table: count for table, count in counts.items() if count}


def search(node: Node) -> str:
    """Let the household search for the next slot; the transaction's id."""
    with node.database.transaction():
        node.trader.peers.meet(entry(ROOF, "BPP"), node.trader.now_ms)
        Brain().wake(node.party, NEXT, 0)
    return node.posted[-1].transaction_id


def purchase(node: Node, transaction_id: str) -> Purchase:
    found = node.trader.contracts.purchase(transaction_id)
    assert found is not None
    return found


def contract(node: Node, transaction_id: str, state: ContractState) -> Contract:
    return Contract(
        party=node.id,
        side=Side.BUYER,
        transaction_id=transaction_id,
        counterparty=ROOF,
        item_id="item",
        slot=NEXT,
        energy_wh=500,
        amount_micro=90_000,
        state=state,
        expires_ms=int(node.trader.gate_ms(NEXT)),
        created_ms=0,
        updated_ms=0,
        order_id="order-1",
        delivered_wh=500 if state is ContractState.DELIVERED else None,
        settled_micro=90_000 if state is ContractState.DELIVERED else None,
    )


def test_a_low_battery_makes_the_household_search(node: Node) -> None:
    search(node)
    assert effects(node) == {"purchases": 1, "roles": 1, "outbox": 1, "timers": 1}
    assert [message.action for message in node.posted] == ["search"]
    assert [timer.kind for timer in node.armed] == ["collect"]


def test_what_a_run_did_goes_with_the_transaction_that_fails(node: Node) -> None:
    def search_then_fail() -> None:
        with node.database.transaction():
            Brain().wake(node.party, NEXT, 0)
            assert effects(node)
            raise Failure

    with pytest.raises(Failure):
        search_then_fail()
    assert effects(node) == {}
    assert (node.posted, node.armed) == ([], [])
    search(node)
    assert [message.action for message in node.posted] == ["search"]


def test_a_run_that_fails_leaves_the_purchase_where_it_was(node: Node) -> None:
    transaction_id = search(node)

    def give_up_then_fail() -> None:
        with node.database.transaction():
            Brain().buyer_event(node.party, transaction_id, "window closed")
            assert purchase(node, transaction_id).closed, "there are no offers"
            raise Failure

    with pytest.raises(Failure):
        give_up_then_fail()
    assert not purchase(node, transaction_id).closed
    with node.database.transaction():
        Brain().buyer_event(node.party, transaction_id, "window closed")
    assert purchase(node, transaction_id).closed


def test_another_process_takes_a_purchase_up(node: Node) -> None:
    transaction_id = search(node)
    with node.database.transaction():
        node.trader.contracts.add_offer(transaction_id, Offer(ROOF, "item", 180_000, 500))
    node.restart()
    (collect,) = node.armed
    assert [message.action for message in node.posted] == ["search"]
    assert Outbox(node.database.connection).waiting() == node.posted
    node.clock.now = collect.due_ms / 1000
    node.ring(collect)
    assert [(message.action, message.recipient) for message in node.posted[1:]] == [("select", ROOF)]
    assert [timer.kind for timer in Timers(node.database.connection).waiting()] == ["stall"]


def test_the_graph_does_not_run_for_what_leads_nowhere(node: Node) -> None:
    brain, transaction_id = CountingBrain(), search(node)
    with node.database.transaction():
        node.trader.contracts.close_purchase(transaction_id)
        node.trader.contracts.put(contract(node, transaction_id, ContractState.CONFIRMED))
        for event in ("on_confirm", "stalled", "expired"):
            brain.buyer_event(node.party, transaction_id, event)
    assert brain.runs == 0
    with node.database.transaction():
        brain.buyer_event(node.party, transaction_id, "on_status")
    assert brain.runs == 1


@pytest.mark.parametrize("brain", [Brain, QuickBrain])
def test_a_delivery_is_paid_when_only_its_contract_is_left_of_the_purchase(node: Node, brain: type[Brain]) -> None:
    with node.database.transaction():
        node.trader.peers.meet(entry(ROOF, "BPP"), node.trader.now_ms)
        node.trader.contracts.put(contract(node, LONG_AGO, ContractState.DELIVERED))
        brain().buyer_event(node.party, LONG_AGO, "on_status")
    assert [(message.action, message.recipient) for message in node.posted] == [("update", ROOF)]


def test_each_step_of_the_graph_leads_to_its_end() -> None:
    drawn = build_graph().compile().get_graph()
    nodes = set(drawn.nodes) - {START, END}
    assert {edge.target for edge in drawn.edges if edge.source == START} == {*nodes, END}
    assert {edge.source for edge in drawn.edges if edge.target == END} == {*nodes, START}
