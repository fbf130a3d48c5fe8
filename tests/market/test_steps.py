"""The table of steps: what a party may find after an event has a row, and each row is a step that it can do."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.world.market import World, street
from tests.world.parties import NEXT, Weather, household
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Outcome, Purchase, Selection
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.selling import item_id
from wattmesh_market.steps import STEPS, THEN, Event, Situation, Step, Trigger, Walker, next_step, walk
from wattmesh_market.trade.contracts import ContractState, Side
from wattmesh_market.trade.messages import Cancel, Search, Select
from wattmesh_market.trade.offers import Block, Offer

HOME, PURCHASE = "home-0.default", "purchase"
Row = tuple[Event, Situation]


def home(load_wh: int = 1000, strategy: str = "chat") -> World:
    """A household that has an adviser."""
    return World(household("home-0", strategy=strategy), weather={HOME: Weather(0, load_wh)}, adviser=True)


def with_offers(*outcomes: Outcome, asked: bool = False, closed: bool = False) -> World:
    """A purchase with an offer of 500 Wh for each outcome."""
    world = home()
    books = world[HOME].books
    found = Purchase(PURCHASE, NEXT, 0, (Block(None, 1000),), world.now.ms, closed, asked)

    def note() -> None:
        books.purchase(found)
        for number, outcome in enumerate(outcomes):
            seller = f"roof-{number}.default"
            selected_wh = None if outcome is Outcome.OPEN else 400
            books.select(PURCHASE, seller, Selection(Offer(seller, item_id(NEXT), 1, 500), selected_wh, outcome))

    world.act(world[HOME], note)
    return world


def late(world: World) -> World:
    """The gate has closed."""
    world.at(NEXT)
    return world


OPEN, SELECTED, FAILED = Outcome.OPEN, Outcome.SELECTED, Outcome.FAILED
FOUND: list[tuple[Row, Callable[[], World]]] = [
    ((Event.LOOK, Situation.NEEDS_ENERGY), home),
    ((Event.LOOK, Situation.NEEDS_NOTHING), lambda: home(0)),
    ((Event.OFFERS_IN, Situation.ADVISER_WANTED), lambda: with_offers(OPEN, OPEN)),
    ((Event.OFFERS_IN, Situation.CHOICE), lambda: with_offers(OPEN)),
    ((Event.OFFERS_IN, Situation.CHOICE), lambda: with_offers(OPEN, OPEN, asked=True)),
    ((Event.OFFERS_IN, Situation.NO_CHOICE), with_offers),
    ((Event.OFFERS_IN, Situation.NO_CHOICE), lambda: late(with_offers(OPEN, OPEN))),
    ((Event.OFFERS_IN, Situation.UNDER_WAY), lambda: with_offers(SELECTED, OPEN)),
    ((Event.OFFERS_IN, Situation.UNDER_WAY), lambda: with_offers(OPEN, closed=True)),
    ((Event.ADVISED, Situation.CHOICE), lambda: with_offers(OPEN, OPEN, asked=True)),
    ((Event.ADVISED, Situation.NO_CHOICE), lambda: late(with_offers(OPEN, OPEN, asked=True))),
    ((Event.ADVISED, Situation.UNDER_WAY), lambda: with_offers(SELECTED)),
    ((Event.CHECK, Situation.CHOICE), lambda: with_offers(FAILED, OPEN)),
    ((Event.CHECK, Situation.NO_CHOICE), lambda: late(with_offers(FAILED, OPEN))),
    ((Event.CHECK, Situation.UNDER_WAY), lambda: with_offers(SELECTED)),
    ((Event.CHECK, Situation.UNDER_WAY), home),
    ((Event.CHECK, Situation.DONE), lambda: with_offers(FAILED)),
]


@pytest.mark.parametrize(("row", "given"), FOUND)
def test_what_a_party_finds_has_a_step_that_it_can_do(row: Row, given: Callable[[], World]) -> None:
    world = given()
    member, (event, situation) = world[HOME], row
    trigger = Trigger(event, PURCHASE, NEXT, 0)
    assert member.events.situation(trigger) is situation
    step = next_step(member.events, trigger)
    assert step is STEPS[row]
    if step is not Step.HOLD:
        world.act(member, lambda: member.events.perform(step, trigger))
    sent = {type(letter.message) for letter in world.under_way}
    assert sent == {Step.SEARCH: {Search}, Step.SELECT: {Select}}.get(step, set())
    assert bool(member.consultations) == (step is Step.ASK_ADVISER)
    if step in (Step.GIVE_UP, Step.CLOSE):
        assert member.books.purchases[PURCHASE].closed


def test_every_situation_of_a_purchase_has_an_example() -> None:
    assert {row for row, _ in FOUND} == {row for row in STEPS if row[1] is not Situation.ALWAYS}


class Recorder(World):
    """Notes each row of the table that its parties come to, and each step that they do."""

    def watch(self) -> set[tuple[Row, Step]]:
        rows: set[tuple[Row, Step]] = set()

        def watched(walker: Walker, trigger: Trigger) -> None:
            walk(_Watched(walker, rows), trigger)

        for member in self.members.values():
            member.events = Events(member.party, watched)
        return rows


class _Watched:
    def __init__(self, walker: Walker, rows: set[tuple[Row, Step]]) -> None:
        self.walker, self.rows = walker, rows

    def situation(self, trigger: Trigger) -> Situation:
        found = self.walker.situation(trigger)
        self.rows.add(((trigger.event, found), STEPS[trigger.event, found]))
        return found

    def perform(self, step: Step, trigger: Trigger) -> None:
        always = (trigger.event, Situation.ALWAYS)
        if always in STEPS:
            self.rows.add((always, step))
        self.walker.perform(step, trigger)


@pytest.mark.parametrize("faults", [0, 3])
def test_a_market_walks_rows_of_the_table_only(faults: int) -> None:
    world = street(world=Recorder)
    assert isinstance(world, Recorder)
    rows = world.watch()
    chance = Random(faults)
    world.live(4, chance, faults)
    _cancel_one(world)
    world.settle_down()
    walked = {row for row, _ in rows}
    assert all(STEPS[row] is step for row, step in rows)
    always = {row for row in STEPS if row[1] is Situation.ALWAYS}
    assert always <= walked | {(Event.STATUS_ASKED, Situation.ALWAYS)}
    assert faults == 0 or (Event.STATUS_ASKED, Situation.ALWAYS) in walked


def _cancel_one(world: World) -> None:
    """Have a buyer cancel what it has in force."""
    world.begin_slot()
    world.until(world.now.slot + 0.4 * SLOT_S)
    in_force = [
        (member, contract)
        for member in world.members.values()
        for contract in member.books.open[Side.BUYER].values()
        if contract.state is ContractState.CONFIRMED and contract.first_slot > world.now.slot
    ]
    member, contract = in_force[0]
    cancel = Cancel(contract.order_id or "", "changed-mind")
    world.act(member, lambda: member.party.send(contract.counterparty, contract.transaction_id, cancel))
    world.until(world.now.grid_s + 1)
    assert member.books.contracts[contract.key].state is ContractState.CANCELLED


def test_after_a_step_there_is_nothing_but_a_check_and_checks_come_to_an_end() -> None:
    assert set(THEN.values()) == {Event.CHECK}
    after_check = {step for (event, _), step in STEPS.items() if event is Event.CHECK}
    assert not after_check & THEN.keys()
    assert set(STEPS.values()) == set(Step)
