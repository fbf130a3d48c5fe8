"""One order for several delivery slots: terms hold for the whole, each delivery has its own course."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.parties.config import UtilityConfig
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.party import Now, Surroundings, standing_at
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.contracts import OVER, Contract, ContractState, Delivery, Side, WrongState
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry
from wattmesh_market.trade.messages import (
    Agreed,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Init,
    Message,
    Pay,
    Quote,
    Receipt,
    Select,
    Send,
    Status,
    Wanted,
)
from wattmesh_market.trade.refusal import Reason, Refused

SLOT = 1_800_000_000
SLOTS = (SLOT + SLOT_S, SLOT + 2 * SLOT_S, SLOT + 3 * SLOT_S)
FIRST, SECOND, THIRD = SLOTS
BUYER, TRANSACTION = "flat.default", "t-1"
CONFIRMED, DELIVERED, SETTLED = ContractState.CONFIRMED, ContractState.DELIVERED, ContractState.SETTLED
CANCELLED = ContractState.CANCELLED


class Seller:
    """A utility with 1 kWh for each slot at 0.30 EUR/kWh, called without any network. Grid time is wall time."""

    def __init__(self) -> None:
        tariff = Tariff(price_micro_per_kwh=300_000, feed_in_micro_per_kwh=80_000)
        config = UtilityConfig("grid", "grid.default", "feeder-1", tariff, capacity_w=4_000)
        self.now = Now()
        self._at(SLOT)
        around = Surroundings("EUR", "gateway.default", GridTime(SLOT, SLOT, 1), self.now)
        self.party = Utility(config, around, Books(standing_at(SLOT)), "salt")
        self.events = Events(self.party)
        self.ledger: list[LedgerEntry] = []
        self._count = 0

    def _at(self, grid_s: float) -> None:
        self.now.move(int(grid_s * 1000), grid_s)

    def until(self, grid_s: float) -> list[Send]:
        """Time goes on, past the ends of slots."""
        self._at(grid_s)
        self.events.catch_up()
        return self._sent()

    def says(self, message: Message) -> Message:
        """Its answer to a message. Raises Refused, with nothing changed."""
        self._count += 1
        try:
            assert self.events.receive(Call(BUYER, TRANSACTION, f"m-{self._count}", message)) is None
        except Refused:
            self.party.books.take_back()
            raise
        (answer,) = self._sent()
        assert (answer.to, answer.reply_to) == (BUYER, f"m-{self._count}")
        return answer.message

    def confirmed(self) -> str:
        """Sell 0.4, 0.5 and 0.6 kWh in the three slots; the order's id."""
        quote = self.says(Select("grid.default", tuple(map(Wanted, SLOTS, map(_item, SLOTS), (400, 500, 600)))))
        assert isinstance(quote, Quote)
        agreed = self.says(Init(quote.terms))
        assert isinstance(agreed, Agreed)
        confirmed = self.says(Confirm(agreed.order_id, agreed.terms, agreed.due_micro))
        assert isinstance(confirmed, Confirmed)
        return confirmed.order_id

    @property
    def contract(self) -> Contract:
        """The one contract that it has."""
        (contract,) = self.party.books.contracts.values()
        return contract

    def states(self) -> list[ContractState]:
        """Of its deliveries, in order."""
        return [delivery.state for delivery in self.contract.deliveries]

    def _sent(self) -> list[Send]:
        books = self.party.books
        changes, books.changes = books.changes, Changes()
        self.ledger += changes.ledger
        return changes.sends


def _item(slot: int) -> str:
    return f"energy-{slot}"


def test_an_order_is_priced_slot_by_slot_and_due_in_all() -> None:
    seller = Seller()
    quote = seller.says(Select("grid.default", tuple(map(Wanted, SLOTS, map(_item, SLOTS), (400, 500, 600)))))
    assert isinstance(quote, Quote)
    assert [(line.slot, line.energy_wh, line.amount_micro) for line in quote.terms.lines] == [
        (FIRST, 400, 120_000),
        (SECOND, 500, 150_000),
        (THIRD, 600, 180_000),
    ]
    assert quote.terms.total_micro == 450_000


def test_a_quote_holds_no_longer_than_the_earliest_gate_is_open() -> None:
    seller = Seller()
    seller.until(FIRST - 10)
    quote = seller.says(Select("grid.default", tuple(map(Wanted, SLOTS, map(_item, SLOTS), (400, 500, 600)))))
    assert isinstance(quote, Quote)
    assert quote.expires_ms == FIRST * 1000
    seller.until(FIRST)
    assert seller.states() == [ContractState.EXPIRED] * 3
    with pytest.raises(Refused, match="the quote is EXPIRED"):
        seller.says(Init(quote.terms))


def test_what_cannot_be_had_is_left_out_of_the_quote() -> None:
    seller = Seller()
    seller.until(FIRST)  # the first slot's gate is closed
    quote = seller.says(Select("grid.default", tuple(map(Wanted, SLOTS, map(_item, SLOTS), (400, 1_500, 600)))))
    assert isinstance(quote, Quote)
    assert [(line.slot, line.energy_wh) for line in quote.terms.lines] == [(SECOND, 1_000), (THIRD, 600)]


@pytest.mark.parametrize("slots", [(SECOND, FIRST), (FIRST, FIRST)], ids=["out of order", "twice"])
def test_slots_of_an_order_differ_and_are_in_order(slots: tuple[int, ...]) -> None:
    seller = Seller()
    with pytest.raises(Refused, match="must differ and be in order") as refused:
        seller.says(Select("grid.default", tuple(Wanted(slot, _item(slot), 400) for slot in slots)))
    assert refused.value.reason is Reason.UNSOUND
    assert not seller.party.books.contracts


def test_each_delivery_is_told_and_paid_singly() -> None:
    seller = Seller()
    order_id = seller.confirmed()
    (told,) = seller.until(SECOND)
    assert isinstance(told.message, Status)
    assert [(one.state, one.delivered_wh, one.due_micro) for one in told.message.deliveries] == [
        (DELIVERED, 400, 120_000),
        (CONFIRMED, None, None),
        (CONFIRMED, None, None),
    ]
    assert seller.says(Pay(order_id, FIRST, 120_000, "EUR")) == Receipt(order_id, FIRST, 120_000, "EUR")
    assert (seller.states(), seller.contract.state) == ([SETTLED, CONFIRMED, CONFIRMED], CONFIRMED)
    with pytest.raises(Refused, match="nothing to pay yet: the order is CONFIRMED"):
        seller.says(Pay(order_id, SECOND, 150_000, "EUR"))
    with pytest.raises(Refused, match="must name a delivery"):
        seller.says(Pay(order_id, None, 150_000, "EUR"))
    assert len(seller.until(THIRD + SLOT_S)) == 2
    seller.says(Pay(order_id, THIRD, 180_000, "EUR"))
    assert seller.contract.state is DELIVERED
    seller.says(Pay(order_id, SECOND, 150_000, "EUR"))
    assert seller.contract.state is SETTLED
    booked = [(entry.kind, entry.slot, entry.energy_wh, entry.amount_micro) for entry in seller.ledger]
    assert booked == [
        (EntryKind.TRADE, FIRST, -400, 120_000),
        (EntryKind.TRADE, SECOND, -500, 150_000),
        (EntryKind.TRADE, THIRD, -600, 180_000),
    ]


def test_a_delivery_is_cancelled_singly_until_its_slot_starts() -> None:
    seller = Seller()
    order_id = seller.confirmed()
    cancelled = seller.says(Cancel(order_id, "changed-my-mind", (SECOND,)))
    assert isinstance(cancelled, Cancelled)
    assert seller.states() == [CONFIRMED, CANCELLED, CONFIRMED]
    assert seller.party.sellable_wh(SECOND) == 1_000
    assert seller.says(Cancel(order_id, "changed-my-mind", (SECOND,))) == cancelled  # said twice, done once
    seller.until(SECOND)
    with pytest.raises(Refused, match="the order is DELIVERED"):
        seller.says(Cancel(order_id, "too-late", (FIRST,)))
    with pytest.raises(Refused, match="the order is DELIVERED"):
        seller.says(Cancel(order_id, "too-late"))
    assert seller.states() == [DELIVERED, CANCELLED, CONFIRMED]
    seller.until(THIRD + SLOT_S)
    seller.says(Pay(order_id, FIRST, 120_000, "EUR"))
    seller.says(Pay(order_id, THIRD, 180_000, "EUR"))
    assert (seller.states(), seller.contract.state) == ([SETTLED, CANCELLED, SETTLED], SETTLED)


def test_single_deliveries_of_a_quote_are_not_cancelled() -> None:
    seller = Seller()
    quote = seller.says(Select("grid.default", tuple(map(Wanted, SLOTS, map(_item, SLOTS), (400, 500, 600)))))
    assert isinstance(quote, Quote)
    agreed = seller.says(Init(quote.terms))
    assert isinstance(agreed, Agreed)
    with pytest.raises(Refused, match="of a confirmed order only"):
        seller.says(Cancel(agreed.order_id or "", "changed-my-mind", (SECOND,)))
    seller.says(Cancel(agreed.order_id or "", "changed-my-mind"))
    assert seller.states() == [CANCELLED] * 3


deliveries = st.lists(
    st.builds(
        Delivery,
        slot=st.integers(1, 100).map(lambda number: number * SLOT_S),
        item_id=st.just("energy"),
        energy_wh=st.integers(1, 10_000),
        amount_micro=st.integers(0, 10**9),
        fee_micro=st.integers(0, 10**6),
        state=st.sampled_from(ContractState),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda delivery: delivery.slot,
).map(lambda found: tuple(sorted(found)))


@given(deliveries)
def test_a_contract_is_as_far_as_the_least_advanced_delivery_that_is_not_over(found: tuple[Delivery, ...]) -> None:
    contract = Contract("grid", Side.SELLER, TRANSACTION, BUYER, found, 0, 0, 0)
    assert (contract.first_slot, contract.last_slot) == (found[0].slot, found[-1].slot)
    assert contract.amount_micro == sum(one.amount_micro for one in found)
    live = [one.state for one in found if one.state not in OVER]
    order = list(ContractState)
    if live:
        assert order.index(contract.state) == min(map(order.index, live))
    else:
        assert contract.state in OVER


@given(deliveries, st.data())
def test_a_step_of_one_delivery_leaves_the_others(found: tuple[Delivery, ...], data: st.DataObject) -> None:
    contract = Contract("grid", Side.SELLER, TRANSACTION, BUYER, found, 0, 0, 0)
    chosen = data.draw(st.sampled_from(found))
    try:
        after = contract.delivered(chosen.slot, chosen.energy_wh, 7, now_ms=1)
    except WrongState:
        assert chosen.state is not CONFIRMED
        return
    assert chosen.state is CONFIRMED
    assert after.of_slot(chosen.slot) == chosen._replace(
        state=DELIVERED, delivered_wh=chosen.energy_wh, settled_micro=7
    )
    assert [one for one in after.deliveries if one.slot != chosen.slot] == [
        one for one in found if one.slot != chosen.slot
    ]


def test_no_more_than_contracted_is_ever_booked() -> None:
    confirmed = Delivery(FIRST, "energy", 400, 120_000, 0, CONFIRMED)
    contract = Contract("grid", Side.SELLER, TRANSACTION, BUYER, (confirmed,), 0, 0, 0)
    with pytest.raises(WrongState, match="cannot book 401 Wh of a contract over 400 Wh"):
        contract.delivered(FIRST, 401, 1, now_ms=1)
