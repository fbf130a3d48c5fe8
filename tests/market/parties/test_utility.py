"""A utility: what it can sell, what it expects to supply as backstop, and when it buys."""

from __future__ import annotations

from tests.world.market import World
from tests.world.parties import GRID, NEXT, utility
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.parties.selling import item_id
from wattmesh_market.strategies import Buy, Sell
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Reported, ReportState
from wattmesh_market.trade.messages import Quote, Select, Wanted
from wattmesh_market.trade.offers import Block
from wattmesh_market.trade.refusal import Reason

ANN, BOB = "ann.default", "bob.default"


def order(energy_wh: int, slot: int = NEXT) -> Select:
    return Select(GRID, (Wanted(slot, item_id(slot), energy_wh),))


def quoted_wh(world: World, energy_wh: int, buyer: str, slot: int = NEXT) -> int:
    quote = world.say(GRID, buyer, order(energy_wh, slot))
    assert isinstance(quote, Quote)
    return quote.terms.lines[0].energy_wh


def supply(world: World, slot: int, import_wh: int) -> None:
    """A household has reported its net import of a slot."""
    reported = Reported(slot, ANN, "t-1", import_wh, 0, 0, False, ReportState.ALONE)
    world.act(world[GRID], lambda: world[GRID].books.report(reported))


def bought(world: World, slot: int, energy_wh: int, state: ContractState) -> None:
    """The utility has bought of a household."""
    contract = Contract(
        GRID, Side.BUYER, f"{state}", BOB, (Delivery(slot, "item", energy_wh, 1, 0, state),), 2**62, 0, 0
    )
    world.act(world[GRID], lambda: world[GRID].books.put(contract))


def test_it_sells_no_more_than_its_capacity_in_a_slot() -> None:
    world = World(utility(capacity_w=4_000))  # 1 kWh
    assert quoted_wh(world, 700, ANN) == 700
    assert quoted_wh(world, 700, BOB) == 300
    assert world.refusal(GRID, "cid.default", order(700)).reason is Reason.QUANTITY_UNAVAILABLE
    assert quoted_wh(world, 1_500, "cid.default", NEXT + SLOT_S) == 1_000


def test_what_households_are_expected_to_draw_is_not_sold() -> None:
    world = World(utility(capacity_w=4_000))
    for slot, import_wh in ((NEXT, 300), (NEXT + SLOT_S, 200), (NEXT + 2 * SLOT_S, 900)):
        supply(world, slot, import_wh)
    world.at(NEXT + 3 * SLOT_S)
    party, later = world[GRID].party, NEXT + 4 * SLOT_S
    # The newest two slots that all have surely reported are the two before the one that ended last.
    assert party.sellable_wh(later) == 700
    world.at(NEXT + 4 * SLOT_S)
    assert party.sellable_wh(later) == 100


def test_what_it_has_surely_bought_can_be_sold() -> None:
    world = World(utility(capacity_w=4_000))
    quoted_wh(world, 1_000, ANN)
    bought(world, NEXT, 200, ContractState.AGREED)
    assert world[GRID].party.sellable_wh(NEXT) == 0
    bought(world, NEXT, 300, ContractState.CONFIRMED)
    assert world[GRID].party.sellable_wh(NEXT) == 300


def test_in_high_demand_it_buys_what_lies_above_the_start_of_demand_response() -> None:
    world = World(utility(4_000, DemandResponse(500_000, 280_000)))
    party = world[GRID].party
    assert party.decide(NEXT) == Sell()
    quoted_wh(world, 800, ANN)
    decision = party.decide(NEXT)
    assert isinstance(decision, Buy)
    assert decision.wants == (Block(280_000, 300),)
    bought(world, NEXT, 300, ContractState.QUOTED)
    assert party.decide(NEXT) == Sell()
    assert len(party.looks_s(NEXT)) == 2
    assert World(utility())[GRID].party.looks_s(NEXT) == []
