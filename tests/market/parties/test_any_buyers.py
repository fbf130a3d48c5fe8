"""A household that sells to buyers that search, order, cancel, pay and repeat themselves in any order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.market.invariants import check_journal, check_meter, check_promises
from tests.world.market import World
from tests.world.parties import Weather, battery, household
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.parties.selling import item_id
from wattmesh_market.trade.contracts import DELIVERED, PROMISED, TENTATIVE, Contract, ContractState, Side
from wattmesh_market.trade.ledger import EntryKind
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Cancel,
    Cancelled,
    Confirm,
    Init,
    Message,
    Offers,
    Pay,
    Quote,
    Receipt,
    Search,
    Select,
    Status,
    Wanted,
)
from wattmesh_market.trade.refusal import Reason, Refused
from wattmesh_market.units import amount_micro

SELLER, ANN, BOB = "roof-0.default", "ann.default", "bob.default"
PRICE = 200_001


@dataclass
class Deal:
    """What a buyer holds of the seller's answers."""

    buyer: str
    transaction: str
    slots: tuple[int, ...]
    quote: Quote
    terms: Agreed | None = None
    confirmed: bool = False


some_deal = st.runner().flatmap(lambda machine: st.sampled_from(machine.deals))
some_order = st.runner().flatmap(lambda machine: st.sampled_from([deal for deal in machine.deals if deal.terms]))
any_deal = precondition(lambda machine: machine.deals)
any_order = precondition(lambda machine: any(deal.terms for deal in machine.deals))


class Selling(RuleBasedStateMachine):
    """Orders for one to three slots."""

    world_type: type[World] = World
    world: World
    deals: list[Deal]
    seen: dict[tuple[str, str], Contract]

    @initialize(
        level_wh=st.sampled_from([9000, 10_000]) | st.integers(0, 10_000),
        power_w=st.sampled_from([4_000, 20_000]) | st.integers(0, 20_000),
        leak=st.sampled_from([0, 0, 1_000, 50_000, 1_000_000]),
        minimum_wh=st.sampled_from([0, 1000, 8500]),
        charge=st.integers(700_000, 1_000_000),
        discharge=st.integers(700_000, 1_000_000),
        sell_percent=st.sampled_from([0, 10, 80]),
        strategy=st.sampled_from(["rules", "plan"]),
        stores=st.sampled_from([True, True, False]),
        expected=st.sampled_from([(2000, 100), (900, 300)]) | st.tuples(*[st.integers(0, 2500)] * 2),
        connection_w=st.sampled_from([3_000, 30_000]),
    )
    def open_shop(
        self,
        level_wh: int,
        power_w: int,
        leak: int,
        minimum_wh: int,
        charge: int,
        discharge: int,
        sell_percent: int,
        strategy: str,
        stores: bool,
        expected: tuple[int, int],
        connection_w: int,
    ) -> None:
        of = battery(
            level_wh,
            discharge_power_w=power_w,
            self_discharge_ppm_per_day=leak,
            min_level_wh=minimum_wh,
            charge_efficiency_ppm=charge,
            discharge_efficiency_ppm=discharge,
        )
        config = household(
            "roof-0",
            of if stores else None,
            price_micro=PRICE,
            sell_percent=sell_percent,
            strategy=strategy,
            connection_w=connection_w,
        )
        self.world = self.world_type(config, weather={SELLER: Weather(*expected)})
        self.deals, self.seen = [], {}

    def say(self, message: Message, buyer: str, transaction: str) -> object:
        """The answer, or the refusal."""
        try:
            return self.world.say(SELLER, buyer, message, transaction)
        except Refused as refused:
            return refused

    # --- buyers ---

    @rule(ahead=st.integers(-1, 4), buyer=st.sampled_from([ANN, BOB]))
    def ask(self, ahead: int, buyer: str) -> None:
        slot = self.world.now.slot + SLOT_S * ahead
        self.pass_time()
        before = self.contracts()
        answer = self.say(Search(slot, 500), buyer, "looking")
        if isinstance(answer, Offers):
            assert answer.offers[0][1].available_wh == self.world[SELLER].party.sellable_wh(slot) > 0
            assert ahead > 0
        assert self.contracts() == before

    @rule(
        ahead=st.integers(-1, 4),
        wanted_wh=st.lists(st.integers(1, 3000), min_size=1, max_size=3),
        buyer=st.sampled_from([ANN, BOB]),
    )
    def order(self, ahead: int, wanted_wh: list[int], buyer: str) -> None:
        first = self.world.now.slot + SLOT_S * ahead
        wanted = tuple(
            Wanted(slot, item_id(slot), energy_wh)
            for slot, energy_wh in zip(range(first, first + 3 * SLOT_S, SLOT_S), wanted_wh, strict=False)
        )
        transaction = f"deal-{len(self.deals)}"
        answer = self.say(Select(SELLER, wanted), buyer, transaction)
        if isinstance(answer, Quote):
            asked = {one.slot: one.energy_wh for one in wanted}
            for line in answer.terms.lines:
                assert line.slot > self.world.now.slot
                assert 0 < line.energy_wh <= asked[line.slot]
                price_micro = self.world[SELLER].party.price_micro_per_kwh(line.slot)
                assert price_micro == PRICE or (self.plans and price_micro > PRICE)
                assert line.amount_micro == amount_micro(price_micro, line.energy_wh)
            assert answer.terms.total_micro == sum(line.amount_micro for line in answer.terms.lines)
            assert answer.expires_ms <= self.world.grid.wall_ms(answer.terms.lines[0].slot)
            slots = tuple(line.slot for line in answer.terms.lines)
            self.deals.append(Deal(buyer, transaction, slots, answer))

    @rule(
        ahead=st.integers(1, 3),
        wanted_wh=st.lists(st.sampled_from([100, 900, 3000]), min_size=1, max_size=3),
        buyer=st.sampled_from([ANN, BOB]),
    )
    def buy(self, ahead: int, wanted_wh: list[int], buyer: str) -> None:
        """A buyer that does all in time."""
        before = len(self.deals)
        self.order(ahead, wanted_wh, buyer)
        for deal in self.deals[before:]:
            self.agree(deal)
            self.confirm(deal)
            assert deal.confirmed

    @any_deal
    @rule(deal=some_deal)
    def agree(self, deal: Deal) -> None:
        answer = self.say(Init(deal.quote.terms), deal.buyer, deal.transaction)
        if isinstance(answer, Agreed):
            assert deal.terms is None or deal.terms.order_id == answer.order_id
            assert answer.due_micro == deal.quote.terms.total_micro
            deal.terms = answer
        else:
            assert self.contract(deal).state not in TENTATIVE

    @any_order
    @rule(deal=some_order)
    def confirm(self, deal: Deal) -> None:
        assert deal.terms is not None
        message = Confirm(deal.terms.order_id or "", deal.terms.terms, deal.terms.due_micro)
        answer = self.say(message, deal.buyer, deal.transaction)
        assert isinstance(answer, Refused) == (self.contract(deal).state is not ContractState.CONFIRMED)
        deal.confirmed |= not isinstance(answer, Refused)

    @any_order
    @rule(deal=some_order, single=st.none() | st.integers(0, 2))
    def cancel(self, deal: Deal, single: int | None) -> None:
        assert deal.terms is not None
        slots = None if single is None else (deal.slots[single % len(deal.slots)],)
        self.pass_time()
        before = self.contract(deal)
        answer = self.say(Cancel(deal.terms.order_id or "", "changed-mind", slots), deal.buyer, deal.transaction)
        for delivery, was in zip(self.contract(deal).deliveries, before.deliveries, strict=True):
            if isinstance(answer, Cancelled) and (slots is None or delivery.slot in slots):
                assert delivery.state in (ContractState.CANCELLED, ContractState.EXPIRED)
                assert was.state in PROMISED or delivery == was
            else:
                assert delivery == was

    @any_order
    @rule(deal=some_order)
    def ask_status(self, deal: Deal) -> None:
        assert deal.terms is not None
        answer = self.say(AskStatus(deal.terms.order_id or ""), deal.buyer, deal.transaction)
        assert isinstance(answer, Status)
        assert [one.state for one in answer.deliveries] == [one.state for one in self.contract(deal).deliveries]

    @any_order
    @rule(deal=some_order, which=st.integers(0, 2), wrong_by=st.sampled_from([0, 0, 1]))
    def pay(self, deal: Deal, which: int, wrong_by: int) -> None:
        assert deal.terms is not None
        self.pass_time()
        delivery = self.contract(deal).deliveries[which % len(deal.slots)]
        due = delivery.settled_micro
        message = Pay(deal.terms.order_id or "", delivery.slot, (due or 0) + wrong_by, "EUR")
        answer = self.say(message, deal.buyer, deal.transaction)
        assert isinstance(answer, Receipt) == (due is not None and wrong_by == 0)

    @any_order
    @rule(deal=some_order)
    def say_what_another_agreed(self, deal: Deal) -> None:
        assert deal.terms is not None
        thief = BOB if deal.buyer == ANN else ANN
        taken = Confirm(deal.terms.order_id or "", deal.terms.terms, deal.terms.due_micro)
        for message in (taken, AskStatus(deal.terms.order_id or ""), Cancel(deal.terms.order_id or "", "spite")):
            refused = self.say(message, thief, deal.transaction)
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.ORDER_NOT_FOUND

    @any_deal
    @rule(deal=some_deal)
    def decline_the_quote(self, deal: Deal) -> None:
        before, member = self.contract(deal).state, self.world[SELLER]
        why = Unanswered(Reason.QUOTE_UNAVAILABLE, "too dear")
        self.world.act(member, lambda: member.events.unanswered(deal.buyer, deal.transaction, Action.ON_SELECT, why))
        assert self.contract(deal).state is (ContractState.CANCELLED if before in TENTATIVE else before)

    # --- time ---

    @rule(seconds=st.floats(0.001, 12))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(slots=st.integers(1, 3), pv_wh=st.integers(0, 2500), load_wh=st.integers(0, 2500))
    def live(self, slots: int, pv_wh: int, load_wh: int) -> None:
        weather, first = self.world[SELLER].weather, self.world.now.slot
        weather.given |= dict.fromkeys(range(first, first + slots * SLOT_S, SLOT_S), SlotProfile(pv_wh, load_wh))
        self.world.begin_slot(slots)
        self.world.under_way.clear()

    def pass_time(self) -> None:
        """Let the seller notice how late it is."""
        self.world.act(self.world[SELLER], self.world[SELLER].events.catch_up)
        self.world.under_way.clear()

    # --- what must always hold ---

    @property
    def plans(self) -> bool:
        return self.world[SELLER].home.config.strategy == "plan"

    def contract(self, deal: Deal) -> Contract:
        return self.world[SELLER].journal.contracts[deal.transaction, deal.buyer]

    def contracts(self) -> list[Contract]:
        return list(self.world[SELLER].journal.contracts.values())

    @invariant()
    def promises_can_be_kept_and_the_books_are_right(self) -> None:
        for check in (check_promises, check_meter, check_journal):
            check(self.world[SELLER])

    @invariant()
    def contracts_only_go_forwards(self) -> None:
        for contract in self.contracts():
            before = self.seen.get(contract.key, contract)
            assert [one[:5] for one in contract.deliveries] == [one[:5] for one in before.deliveries]
            assert before.order_id in (None, contract.order_id)
            for delivery, was in zip(contract.deliveries, before.deliveries, strict=True):
                assert delivery.sun_wh == was.sun_wh, "what is counted on the sun is frozen"
                assert was.state not in DELIVERED or delivery[6:] == was[6:]
            self.seen[contract.key] = contract
        assert len(self.seen) == len(self.deals), "no contract is ever forgotten"

    @invariant()
    def confirmed_is_delivered_in_full_once_its_slot_has_ended(self) -> None:
        journal = self.world[SELLER].journal
        for deal in self.deals:
            for delivery in self.contract(deal).deliveries:
                booked = [
                    one for one in journal.ledger if (one.reference, one.slot) == (deal.transaction, delivery.slot)
                ]
                if delivery.state in DELIVERED:
                    assert deal.confirmed
                    assert (delivery.delivered_wh, delivery.settled_micro) == delivery[2:4]
                    assert [(one.energy_wh, one.amount_micro) for one in booked] == [
                        (-delivery.energy_wh, delivery.amount_micro)
                    ]
                else:
                    assert booked == []
                    assert delivery.state not in PROMISED or delivery.slot >= journal.standing.next_slot

    def teardown(self) -> None:
        """In the end nothing is promised any more and all that was sold was delivered and booked."""
        if not hasattr(self, "world"):
            return
        self.live(8, 0, 0)
        self.confirmed_is_delivered_in_full_once_its_slot_has_ended()
        self.promises_can_be_kept_and_the_books_are_right()
        member = self.world[SELLER]
        deliveries = [one for contract in self.contracts() for one in contract.deliveries]
        assert not [one for one in deliveries if one.state in PROMISED]
        assert not list(member.books.promises(Side.SELLER))
        sold_wh = sum(one.delivered_wh or 0 for one in deliveries)
        assert member.books.totals[:2] == (sold_wh, 0)
        assert sold_wh == -sum(one.energy_wh for one in member.journal.ledger if one.kind is EntryKind.TRADE)


TestSelling = Selling.TestCase
TestSelling.settings = settings(max_examples=150, stateful_step_count=30)
