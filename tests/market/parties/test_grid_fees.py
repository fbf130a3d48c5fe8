"""Grid fees: what the buyer pays, what the seller passes on, and what each of them refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.market.invariants import check_end
from tests.world.market import Letter, Member, World, street
from tests.world.parties import CURRENCY, FEES, FIRST_SLOT, GRID, NEXT, Weather, battery, household, utility
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import AlarmKind
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.parties.selling import item_id
from wattmesh_market.strategies import Buy
from wattmesh_market.trade.contracts import DELIVERED, Contract, Side
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry, ReadingState
from wattmesh_market.trade.messages import Confirm, Init, Message, PricedReading, ReportReading, Select, Wanted
from wattmesh_market.trade.refusal import About, Reason
from wattmesh_market.units import amount_micro

ROOF, OTHER_ROOF, FLAT = "roof-0.default", "roof-1.default", "flat-0.default"
LOCAL, GRID_FEE = FEES.local_grid_fee_micro_per_kwh, FEES.grid_fee_micro_per_kwh
SOLD_WH, FEE = 777, 23_309  # 0.777 kWh at 0.029999: 0.023309223


def fees(member: Member, slot: int, counterparty: str) -> list[LedgerEntry]:
    return member.journal.booked(EntryKind.GRID_FEE, slot, counterparty)


def delivered(member: Member, side: Side) -> list[Contract]:
    return [one for one in member.journal.contracts.values() if one.side is side and one.state in DELIVERED]


# --- a street ---


def test_buyers_pay_the_fee_and_sellers_pass_it_on() -> None:
    world = street(tariff=FEES)
    world.live(6)
    world.settle_down()
    check_end(world)
    prices = {ROOF: 180_000, OTHER_ROOF: 220_000}
    for roof, price in prices.items():
        sales = delivered(world[roof], Side.SELLER)
        assert sales
        for sale in sales:
            assert sale.fee_micro == amount_micro(LOCAL, sale.energy_wh) > 0
            assert sale.amount_micro == amount_micro(price + LOCAL, sale.energy_wh)
        for slot in {sale.first_slot for sale in sales}:
            fee = amount_micro(LOCAL, sum(sale.energy_wh for sale in sales if sale.first_slot == slot))
            assert [(one.energy_wh, one.amount_micro) for one in fees(world[roof], slot, GRID)] == [(0, -fee)]
            assert [(one.energy_wh, one.amount_micro) for one in fees(world[GRID], slot, roof)] == [(0, fee)]
    of_grid = delivered(world[GRID], Side.SELLER)
    assert of_grid, "what the roofs could not give"
    for sale in of_grid:
        assert sale.fee_micro == amount_micro(GRID_FEE, sale.energy_wh)
        assert sale.amount_micro == amount_micro(300_000 + GRID_FEE, sale.energy_wh)


def test_what_a_utility_buys_bears_no_fee() -> None:
    world = street(response=DemandResponse(5_000, 280_000), tariff=FEES)
    slots = range(FIRST_SLOT, FIRST_SLOT + 10 * SLOT_S, SLOT_S)
    world[FLAT].weather.given = dict.fromkeys(slots, SlotProfile(0, 1200))
    world.live(6)
    world.settle_down()
    check_end(world)
    relief = delivered(world[GRID], Side.BUYER)
    assert relief
    assert {contract.fee_micro for contract in relief} == {0}


# --- a buyer ---


def test_a_household_buys_up_to_its_tariff_with_the_fee() -> None:
    world = World(household("flat-0", tariff=FEES), weather={FLAT: Weather(0, 500)})
    decision = world[FLAT].home.decide(NEXT)
    assert isinstance(decision, Buy)
    assert [block.price_micro_per_kwh for block in decision.wants] == [300_000 + GRID_FEE]


# --- a seller and its utility ---


def test_a_seller_of_a_feeder_with_two_utilities_charges_neither() -> None:
    home = World(household("roof-0", battery(), tariff=FEES, utility_ids=("other.default",)))[ROOF].home
    of = {buyer: home.grid_fee_micro_per_kwh(buyer, NEXT) for buyer in (GRID, "other.default", FLAT)}
    assert of == {GRID: 0, "other.default": 0, FLAT: LOCAL}


class Account(World):
    """A roof that has sold 777 Wh in a slot in which it neither imported nor exported, and its utility."""

    def __init__(self) -> None:
        super().__init__(household("roof-0", battery(), tariff=FEES), utility(tariff=FEES))
        quote = self.say(ROOF, FLAT, Select(ROOF, (Wanted(NEXT, item_id(NEXT), SOLD_WH),)))
        agreed = self.say(ROOF, FLAT, Init(quote.terms))
        self.say(ROOF, FLAT, Confirm(agreed.order_id, agreed.terms, agreed.due_micro))
        self.begin_slot(2, [ROOF])
        self.under_way.clear()

    def report(self, slot: int = NEXT) -> Letter:
        """What the roof tells the utility of a slot."""
        self.under_way.clear()
        self.at(max(self.now.grid_s, slot + 1.5 * SLOT_S))
        self.ring(self[ROOF], self.alarm_of(ROOF, AlarmKind.REPORT, slot))
        (letter,) = self.sent(ROOF, ReportReading)
        self.under_way.remove(letter)
        return letter

    def priced(self, report: Letter) -> PricedReading:
        """What the utility answers."""
        answer = self.say(GRID, ROOF, report.message, report.transaction_id)
        assert isinstance(answer, PricedReading)
        return answer

    def why(self, to: str, sender: str, message: Message, transaction: str) -> tuple[Reason, About | None]:
        refused = self.refusal(to, sender, message, transaction)
        return refused.reason, refused.about


def test_sales_without_import_or_export_are_reported_and_booked_once_on_both_sides() -> None:
    account = Account()
    told = account.report()
    assert told.message == ReportReading(f"supply-{ROOF}", NEXT, 0, 0, SOLD_WH)
    assert not account[ROOF].party.settled()
    for _ in range(2):
        priced = account.priced(told)
        account.say(ROOF, GRID, priced, told.transaction_id)
    assert fees(account[ROOF], NEXT, GRID) == [LedgerEntry(EntryKind.GRID_FEE, NEXT, GRID, "0.777 kWh sold", 0, -FEE)]
    assert fees(account[GRID], NEXT, ROOF) == [LedgerEntry(EntryKind.GRID_FEE, NEXT, ROOF, "0.777 kWh sold", 0, FEE)]
    assert account[ROOF].journal.booked(EntryKind.BACKSTOP, NEXT, GRID) == []
    assert account[ROOF].books.readings[NEXT].state is ReadingState.BOOKED


def test_a_fee_that_is_dearer_than_the_tariff_or_not_stated_is_refused() -> None:
    account = Account()
    told = account.report()
    priced, transaction = account.priced(told), told.transaction_id
    assert priced.local_fee_micro == FEE
    dearer, unstated = priced._replace(local_fee_micro=FEE + 1), priced._replace(local_fee_micro=None)
    assert account.why(ROOF, GRID, dearer, transaction) == (Reason.BUSINESS, About.GRID_FEE)
    assert account.why(ROOF, GRID, unstated, transaction) == (Reason.UNSOUND, About.GRID_FEE)
    assert account.why(ROOF, GRID, priced._replace(amount_micro=1), transaction) == (Reason.BUSINESS, About.PRICE)
    assert account.why(ROOF, FLAT, priced, transaction) == (Reason.BUSINESS, About.ORDER)
    assert account.why(ROOF, GRID, priced, "other") == (Reason.BUSINESS, About.ORDER)
    assert fees(account[ROOF], NEXT, GRID) == []
    account.say(ROOF, GRID, priced, transaction)
    assert [entry.amount_micro for entry in fees(account[ROOF], NEXT, GRID)] == [-FEE]


@pytest.mark.parametrize(
    "changes", [{"sold_wh": SOLD_WH - 1}, {"sold_wh": 0}, {"imported_wh": 100}], ids=["less", "nothing", "import"]
)
def test_another_reading_of_what_was_sold_is_refused(changes: dict[str, Any]) -> None:
    account = Account()
    told = account.report()
    account.priced(told)
    assert isinstance(told.message, ReportReading)
    other = told.message._replace(**changes)
    assert account.why(GRID, ROOF, other, told.transaction_id) == (Reason.BUSINESS, About.READING)
    account.priced(told)
    assert len(fees(account[GRID], NEXT, ROOF)) == 1
    assert account[GRID].journal.booked(EntryKind.BACKSTOP, NEXT, ROOF) == []


@pytest.mark.parametrize(
    ("changes", "reason", "about"),
    [
        ({"order_id": "supply-other"}, Reason.ORDER_NOT_FOUND, About.ORDER_ID),
        ({"slot": NEXT + SLOT_S}, Reason.BUSINESS, About.SLOT),
        ({"imported_wh": 1, "exported_wh": 1}, Reason.BUSINESS, About.READING),
    ],
    ids=["another's order", "a slot that has not ended", "not net"],
)
def test_a_reading_that_cannot_be_is_refused(changes: dict[str, Any], reason: Reason, about: About) -> None:
    account = Account()
    reading = ReportReading(f"supply-{ROOF}", NEXT, 0, 0, 0)._replace(**changes)
    assert account.why(GRID, ROOF, reading, "t-1") == (reason, about)
    assert account[GRID].journal.ledger == []


def test_readings_are_for_utilities_and_their_prices_for_households() -> None:
    account = Account()
    told = account.report()
    priced = account.priced(told)
    assert account.why(ROOF, FLAT, told.message, "t-1") == (Reason.POLICY, About.TARGET)
    assert account.why(GRID, ROOF, priced, "t-1") == (Reason.POLICY, None)


def test_import_is_priced_with_the_grid_fee_in_it() -> None:
    account, slot = Account(), NEXT + SLOT_S
    account[ROOF].weather.given[slot] = SlotProfile(0, 7_000)
    account.begin_slot(1, [ROOF])
    imported_wh = account[ROOF].books.readings[slot].metered.imported_wh
    assert imported_wh > 0
    told = account.report(slot)
    priced = account.priced(told)
    cost = amount_micro(300_000 + GRID_FEE, imported_wh)
    assert (priced.amount_micro, priced.fee_micro) == (cost, amount_micro(GRID_FEE, imported_wh))
    assert priced.currency == CURRENCY
    account.say(ROOF, GRID, priced, told.transaction_id)
    (booked,) = account[ROOF].journal.booked(EntryKind.BACKSTOP, slot, GRID)
    assert (booked.energy_wh, booked.amount_micro) == (imported_wh, -cost)
