"""Grid fees: what the buyer pays, what the seller passes on, and what each of them refuses."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pydantic_core
import pytest

from tests.agents.parties.test_buying import ANN, T1, TAKEN, Customer
from tests.agents.parties.test_market import RESPONSE, live
from tests.agents.street import Street
from tests.agents.support import (
    CURRENCY,
    FEES,
    FIRST_SLOT,
    GRID,
    SLOT_WALL_S,
    HandClock,
    Node,
    Weather,
    battery,
    call,
    household,
    utility,
    uuid_of,
)
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.terms import agreed_order, quoted_order, select_order
from wattmesh_agents.store.messages import Outgoing
from wattmesh_agents.store.readings import LedgerEntry
from wattmesh_agents.trade.contracts import DELIVERED, Side
from wattmesh_beckn.messages import (
    Breakup,
    OnInitMessage,
    OnSelectMessage,
    OnUpdateMessage,
    Price,
    SelectMessage,
    UpdateMessage,
    read_call,
    tag_group,
    tag_value,
)
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.strategies import Buy
from wattmesh_market.units import amount_micro

ROOF, OTHER_ROOF, HOME, FLAT = "roof-0.default", "roof-1.default", "home-0.default", "flat-0.default"
NEXT = FIRST_SLOT + 900
LOCAL, GRID_FEE = FEES.local_grid_fee_micro_per_kwh, FEES.grid_fee_micro_per_kwh


# --- a street ---


def test_buyers_pay_the_fee_and_sellers_pass_it_on() -> None:
    street = Street(tariff=FEES)
    live(street, Random(1), slots=6, faults=0)
    street.settle_down()
    street.check_end()
    sales = [
        contract
        for name in (ROOF, OTHER_ROOF)
        for contract in street.nodes[name].trader.contracts.in_states(Side.SELLER, DELIVERED)
    ]
    assert sales
    assert all(sale.fee_micro == amount_micro(LOCAL, sale.energy_wh) > 0 for sale in sales)
    prices = {ROOF: 180_000, OTHER_ROOF: 220_000}
    assert all(sale.amount_micro == amount_micro(prices[sale.party] + LOCAL, sale.energy_wh) for sale in sales)
    for slot in {sale.slot for sale in sales}:
        for name in (ROOF, OTHER_ROOF):
            sold_wh = sum(sale.energy_wh for sale in sales if (sale.slot, sale.party) == (slot, name))
            fee = amount_micro(LOCAL, sold_wh)
            owed = [(0, -fee)] if sold_wh else []
            assert [(e.energy_wh, e.amount_micro) for e in fees(street.nodes[name], slot, GRID)] == owed
            got = [(0, fee)] if sold_wh else []
            assert [(e.energy_wh, e.amount_micro) for e in fees(street.nodes[GRID], slot, name)] == got
    of_grid = street.nodes[GRID].trader.contracts.in_states(Side.SELLER, DELIVERED)
    assert of_grid, "what the roofs could not give"
    assert all(sale.fee_micro == amount_micro(GRID_FEE, sale.energy_wh) for sale in of_grid)
    assert all(sale.amount_micro == amount_micro(300_000 + GRID_FEE, sale.energy_wh) for sale in of_grid)
    street.close()


def test_what_a_utility_buys_bears_no_fee() -> None:
    street = Street(response=RESPONSE, tariff=FEES)
    slots = range(FIRST_SLOT, FIRST_SLOT + 10 * 900, 900)
    street.nodes[FLAT].weather.given = dict.fromkeys(slots, SlotProfile(0, 1200))
    live(street, Random(2), slots=6, faults=0)
    street.settle_down()
    street.check_end()
    relief = street.nodes[GRID].trader.contracts.in_states(Side.BUYER, DELIVERED)
    assert relief
    assert {contract.fee_micro for contract in relief} == {0}
    street.close()


def fees(node: Node, slot: int, counterparty: str) -> list[LedgerEntry]:
    return node.trader.meter.entries(["grid_fee"], slot, counterparty)


# --- a buyer ---


def test_a_household_buys_up_to_its_tariff_with_the_fee() -> None:
    node = Node(household("flat-0", None, tariff=FEES), HandClock(), Weather(SlotProfile(0, 500)))
    decision = node.party.decide(NEXT)
    assert isinstance(decision, Buy)
    assert decision.max_price_micro_per_kwh == 300_000 + GRID_FEE


def test_later_orders_repeat_the_quotes_breakup() -> None:
    customer = Customer()
    customer.want(T1, {ANN: 500})
    assert customer.quote(customer.terms(ANN, T1, fee_micro=15_000)) == TAKEN
    known = customer.table.get(T1, ANN)
    assert known is not None
    assert (known.amount_micro, known.fee_micro) == (100_000, 15_000)
    order = quoted_order(known, CURRENCY, customer.node.trader.now_ms)
    assert [(line.title, line.price.value_micro) for line in order.quote.breakup] == [
        ("energy", 85_000),
        ("grid fee", 15_000),
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Price(currency="EUR", value_micro=14_999), "the breakup sums to 0.099999 but the price is 0.100000"),
        (Price(currency="CHF", value_micro=15_000), "the breakup is not in EUR throughout, as the price is"),
    ],
)
def test_a_quote_whose_breakup_is_not_its_price_is_refused(line: Price, text: str) -> None:
    customer = Customer()
    customer.want(T1, {ANN: 500})
    order = quoted_order(customer.terms(ANN, T1, fee_micro=15_000), CURRENCY, customer.node.trader.now_ms)
    breakup = (order.quote.breakup[0], Breakup(title="grid fee", price=line))
    wrong = order.model_copy(update={"quote": order.quote.model_copy(update={"breakup": breakup})})
    assert customer.hear("on_select", OnSelectMessage(order=wrong), ANN, T1) == ("40003", text)
    assert customer.state(ANN, T1) is None


def test_terms_with_another_fee_are_refused() -> None:
    customer = Customer()
    customer.want(T1, {ANN: 500})
    quoted = customer.terms(ANN, T1, fee_micro=15_000)
    assert customer.quote(quoted) == TAKEN
    other = customer.terms(ANN, T1, fee_micro=16_000).agreed("o-1", customer.node.trader.now_ms)
    body = OnInitMessage(order=agreed_order(other, CURRENCY, customer.node.trader.now_ms))
    text = "order says a grid fee of 0.016000 but 0.015000 was quoted"
    assert customer.hear("on_init", body, ANN, T1) == ("40003", text)


# --- a seller and its utility ---


def test_a_seller_of_a_feeder_with_two_utilities_charges_neither() -> None:
    config = replace(household("roof-0", battery(9000), tariff=FEES), utility_ids=("other.default",))
    home = Node(config, HandClock()).party
    assert isinstance(home, Household)
    of = {buyer: home.grid_fee_micro_per_kwh(buyer) for buyer in (GRID, "other.default", FLAT)}
    assert of == {GRID: 0, "other.default": 0, FLAT: LOCAL}


class Account:
    """A roof that has sold 777 Wh in a slot in which it neither imported nor exported, and its utility."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.roof = Node(household("roof-0", battery(9000), tariff=FEES), self.clock, Weather())
        self.grid = Node(utility(tariff=FEES), self.clock)
        quote = SelectMessage(order=select_order(ROOF, f"energy-{NEXT}", NEXT, 777))
        self.say(self.roof, "select", quote, FLAT)
        with self.roof.database.transaction():
            [contract] = self.roof.trader.contracts.of_slot(Side.SELLER, NEXT)
            agreed = contract.agreed("o-1", self.roof.trader.now_ms)
            self.roof.trader.contracts.put(agreed)
            self.roof.trader.contracts.put(agreed.confirmed(self.roof.trader.now_ms))
        self.clock.now += 2 * SLOT_WALL_S
        self.roof.dispatcher.open_slot(self.roof.party)

    def say(self, node: Node, action: str, body: object, sender: str, transaction: str = T1, number: int = 0) -> str:
        """The refusal's text; empty for ACK."""
        message = call(
            action, body, sender=sender, recipient=node.id, transaction_id=transaction, now=self.clock.now,  # type: ignore[arg-type]
            message_id=uuid_of(action, number),
        )  # fmt: skip
        reply = node.dispatcher.receive(node.party, message)
        return str(pydantic_core.from_json(reply.body).get("error", {"message": ""})["message"])

    def report(self) -> Outgoing:
        """What the roof tells the utility of the slot."""
        [timer] = [timer for timer in self.roof.armed if (timer.kind, timer.subject) == ("report", str(NEXT))]
        self.roof.ring(timer)
        return next(message for message in reversed(self.roof.posted) if message.action == "update")

    def priced(self) -> Outgoing:
        return next(message for message in reversed(self.grid.posted) if message.action == "on_update")


def test_sales_without_import_or_export_are_reported_and_booked_once_on_both_sides() -> None:
    account = Account()
    told = account.report()
    message = read_call("update", pydantic_core.from_json(told.body)).message
    assert isinstance(message, UpdateMessage)
    assert message.order.fulfillments
    tags = message.order.fulfillments[0].tags
    assert [tag_value(tags, "meter", f"{name}_kwh") for name in ("imported", "exported", "delivered")] == [
        "0.000", "0.000", "0.777",
    ]  # fmt: skip
    assert not account.roof.party.settled()
    account.grid.receive(told.body, "update")
    for _ in range(2):
        account.roof.receive(account.priced().body, "on_update")
    fee = 23_309  # 0.777 kWh at 0.029999: 0.023309223
    assert fees(account.roof, NEXT, GRID) == [LedgerEntry("grid_fee", NEXT, GRID, "0.777 kWh sold", 0, -fee)]
    assert fees(account.grid, NEXT, ROOF) == [LedgerEntry("grid_fee", NEXT, ROOF, "0.777 kWh sold", 0, fee)]
    assert account.roof.trader.meter.entries(["backstop"], NEXT, GRID) == []
    reading = account.roof.trader.meter.reading(NEXT)
    assert reading is not None
    assert reading.state == "booked"


def test_a_fee_that_is_dearer_than_the_tariff_or_not_stated_is_refused() -> None:
    account = Account()
    account.grid.receive(account.report().body, "update")
    answer = read_call("on_update", pydantic_core.from_json(account.priced().body)).message
    assert isinstance(answer, OnUpdateMessage)
    assert answer.order.fulfillments
    meter, fee = answer.order.fulfillments[0].tags
    assert (fee.descriptor.code, fee.values[0].value) == ("grid_fee", "0.023309")
    assert isinstance(account.roof.party, Household)
    transaction = account.roof.party.supply_transaction(NEXT)

    def said(number: int, *tags: object) -> str:
        assert answer.order.fulfillments
        one = answer.order.fulfillments[0].model_copy(update={"tags": (meter, *tags)})
        body = OnUpdateMessage(order=answer.order.model_copy(update={"fulfillments": (one,)}))
        return account.say(account.roof, "on_update", body, GRID, transaction, number)

    dearer = tag_group("grid_fee", amount="0.023310")
    assert said(1, dearer) == "grid fee of 0.023310 but the tariff makes it 0.023309"
    assert said(2).startswith("tag grid_fee.amount must be a decimal string")
    assert fees(account.roof, NEXT, GRID) == []
    assert said(3, fee) == ""
    assert [entry.amount_micro for entry in fees(account.roof, NEXT, GRID)] == [-23_309]


def test_another_reading_of_what_was_sold_is_refused() -> None:
    account = Account()
    told = account.report()
    account.grid.receive(told.body, "update")
    message = read_call("update", pydantic_core.from_json(told.body)).message
    assert isinstance(message, UpdateMessage)
    assert message.order.fulfillments

    def said(number: int, **metered: str) -> str:
        assert isinstance(message, UpdateMessage)
        assert message.order.fulfillments
        one = message.order.fulfillments[0].model_copy(update={"tags": (tag_group("meter", **metered),)})
        body = UpdateMessage(
            update_target="order.fulfillments", order=message.order.model_copy(update={"fulfillments": (one,)})
        )
        return account.say(account.grid, "update", body, ROOF, T1, number)

    nothing = {"imported_kwh": "0.000", "exported_kwh": "0.000"}
    other = "another reading of that slot is booked already"
    assert said(1, **nothing, delivered_kwh="0.776") == other
    assert said(2, **nothing) == other
    assert said(3, imported_kwh="0.100", exported_kwh="0.000", delivered_kwh="0.777") == other
    assert said(4, **nothing, delivered_kwh="0.777") == ""
    assert len(fees(account.grid, NEXT, ROOF)) == 1


def test_import_is_priced_with_the_grid_fee_and_broken_up() -> None:
    account = Account()
    account.roof.weather.given[NEXT + 900] = SlotProfile(0, 10_000)
    account.clock.now += SLOT_WALL_S
    account.roof.dispatcher.open_slot(account.roof.party)
    reading = account.roof.trader.meter.reading(NEXT + 900)
    assert reading is not None
    imported_wh = reading.metered.imported_wh
    [timer] = [timer for timer in account.roof.armed if timer.subject == str(NEXT + 900)]
    account.roof.ring(timer)
    account.grid.receive(account.roof.posted[-1].body, "update")
    answer = read_call("on_update", pydantic_core.from_json(account.priced().body)).message
    assert isinstance(answer, OnUpdateMessage)
    assert answer.order.quote
    all_in = amount_micro(300_000 + GRID_FEE, imported_wh)
    fee = amount_micro(GRID_FEE, imported_wh)
    assert answer.order.quote.price.value_micro == all_in
    assert [(line.title, line.price.value_micro) for line in answer.order.quote.breakup] == [
        ("energy", all_in - fee),
        ("grid fee", fee),
    ]
    account.roof.receive(account.priced().body, "on_update")
    [booked] = account.roof.trader.meter.entries(["backstop"], NEXT + 900, GRID)
    assert booked.amount_micro == -all_in
