"""A household: its meter, its battery, its role in each slot, and its account with the backstop utility."""

from __future__ import annotations

import logging

from wattmesh_agents.parties.buyer import Buyer
from wattmesh_agents.parties.seller import Seller
from wattmesh_agents.parties.shopper import Shopper
from wattmesh_agents.parties.supply import GRID_FEE_TAG, SUPPLY, fee_reference, supply_order_id
from wattmesh_agents.parties.terms import broken_up
from wattmesh_agents.parties.trader import MOST_DRIVEN, Surroundings, Trader, delivery, short
from wattmesh_agents.store.readings import LedgerEntry, PartyState
from wattmesh_agents.trade.contracts import DELIVERED, OPEN, PROMISED, Contract, ContractState, Side
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.messages import Fulfillment, OnUpdateMessage, UpdatedOrder, UpdateMessage, tag_group, tag_value
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.transport import Reply
from wattmesh_market.energy.availability import Promise, buyable_wh, drawn_wh, held_wh, room_wh, sellable_wh
from wattmesh_market.energy.battery import NO_BATTERY, SlotPlan, meter_slot
from wattmesh_market.energy.forecast import forecast_named
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import all_in_micro_per_kwh
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.pricing import PricingView, pricing_named
from wattmesh_market.schedule import HOUSEHOLD_LOOKS_PPM, look_ppm, moment_s, report_ppm
from wattmesh_market.strategies import Buy, Decision, Hold, HouseholdView, Sell, strategy_named
from wattmesh_market.units import amount_micro, kwh_text, money_from_text, money_text

log = logging.getLogger(__name__)


class Household:
    """One household. It is a seller's Stock, and what a pod wakes each slot."""

    kind = "household"

    def __init__(self, around: Surroundings, config: HouseholdConfig, url: str, profile: Profile) -> None:
        self.config = config
        self.name = config.name
        self.trader = Trader(around, config.subscriber_id, url, config.feeder, log)
        self.battery = config.battery or NO_BATTERY
        self.seller = Seller(self.trader, self)
        strategy = strategy_named(config.strategy)
        self.shopper = Shopper(self.trader, advised=strategy.advised)
        self.buyer = Buyer(self.trader, self.shopper, self._on_delivered)
        self._profile = profile
        self._forecast = forecast_named(config.forecast, profile, self._metered)
        self._pricing = pricing_named(config.trading.pricing)
        self._decide = strategy.household

    def enrol(self) -> None:
        """Enter the books at the current slot, if this is the first time."""
        initial_wh = self.config.battery.initial_level_wh if self.config.battery else 0
        self.trader.meter.enrol(self.kind, self.battery.capacity_wh, initial_wh, self.trader.current_slot)

    # --- each slot ---

    def looks(self, slot: int) -> list[float]:
        """When (grid time) to look whether to buy for a slot."""
        now, seed = self.trader.current_slot, self.config.seed
        looks = HOUSEHOLD_LOOKS_PPM
        return [moment_s(now, look_ppm(looks, seed, self.trader.id, slot, attempt)) for attempt in range(len(looks))]

    def take_role(self, slot: int) -> None:
        """At a slot's start: decide what to be for the next one, whoever asks first."""
        if not self.trader.draining and self.trader.meter.role(slot) is None:
            self.decide(slot)

    def catch_up(self) -> None:
        """Meter every slot that has ended and was not metered yet, and free expired quotes."""
        state = self.trader.meter.state()
        current = self.trader.current_slot
        while state.next_slot < current:
            state = self._close(state)
        self.seller.expire()

    def drive(self) -> None:
        """Say again whatever should have been settled or booked by now."""
        occasion = self.trader.new_occasion()
        if occasion is None:
            return
        before = self.trader.current_slot - SLOT_S
        self.seller.drive(before, occasion)
        self.buyer.drive(before, occasion)
        for reading in self.trader.meter.readings_in("open"):
            self._finalise(reading.slot)
        late = [reading for reading in self.trader.meter.readings_in("final") if reading.slot < before]
        for reading in late[:MOST_DRIVEN]:
            self.report(reading.slot)

    def _close(self, state: PartyState) -> PartyState:
        """Meter one slot: deliver what was sold, take what was bought, book and report both."""
        trader, slot = self.trader, state.next_slot
        sales = [c for c in trader.contracts.of_slot(Side.SELLER, slot) if c.state is ContractState.CONFIRMED]
        purchases = [c for c in trader.contracts.of_slot(Side.BUYER, slot) if _scheduled(c)]
        sun = self._profile.actual(slot)
        plan = SlotPlan(
            slot=slot,
            pv_wh=sun.pv_wh,
            load_wh=sun.load_wh,
            bought_wh=sum(contract.energy_wh for contract in purchases),
            sold_wh=sum(contract.energy_wh for contract in sales),
            held_wh=held_wh(self.battery, self._promises(Side.SELLER, after=slot), slot + SLOT_S),
            room_wh=room_wh(self.battery, self._promises(Side.BUYER, after=slot)),
        )
        metered = meter_slot(self.battery, state.level_wh, plan)
        left_wh = metered.sold_wh
        for contract in sales:
            delivered_wh = min(left_wh, contract.energy_wh)
            left_wh -= delivered_wh
            self.seller.deliver(contract, delivered_wh)
        booked_wh = sum(contract.delivered_wh or 0 for contract in purchases)
        missing_wh = metered.bought_wh - booked_wh
        metered = metered._replace(bought_wh=booked_wh, imported_wh=metered.imported_wh + missing_wh)
        trader.meter.add_reading(slot, metered, self.battery.capacity_wh)
        level_wh = metered.level_after_wh
        state = PartyState(level_wh, slot + SLOT_S, self._buying(state.buying, level_wh))
        trader.meter.set_state(state)
        for contract in purchases:
            if contract.state in DELIVERED:
                self._tell_success(contract, level_wh)
        self._finalise(slot)
        return state

    def _buying(self, buying: bool, level_wh: int) -> bool:
        trading = self.config.trading
        return level_wh < trading.buy_below_wh or (buying and level_wh < trading.buy_target_wh)

    def settled(self) -> bool:
        """Whether every slot that has ended is metered, delivered, paid and booked."""
        trader = self.trader
        if trader.meter.state().next_slot < trader.current_slot:
            return False
        open_contracts = [c for side in Side for c in trader.contracts.in_states(side, OPEN)]
        return not any(contract.slot < trader.current_slot for contract in open_contracts) and not any(
            trader.meter.readings_in(state) for state in ("open", "final")
        )

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """What to do for a slot: by strategy, within the role already taken for it."""
        if self.trader.draining:
            return Hold()
        role = self.trader.meter.role(slot)
        decision = self._decide(self._view(slot))
        if role is None:
            taken = "buyer" if isinstance(decision, Buy) else "seller" if isinstance(decision, Sell) else "neither"
            self.trader.meter.take_role(slot, taken)
        elif isinstance(decision, Buy) and role != "buyer":
            return Sell()
        return decision

    def sells(self, slot: int) -> bool:
        """Whether the household is a seller for this slot; the first to ask makes it decide."""
        if self.trader.draining:
            return False
        if self.trader.meter.role(slot) is None:
            self.decide(slot)
        return self.trader.meter.role(slot) == "seller"

    def sellable_wh(self, slot: int) -> int:
        """Stored above the selling threshold and not promised, within power x slot."""
        state = self.trader.meter.state()
        floor_wh = self.config.trading.sell_above_wh
        return sellable_wh(self.battery, state.level_wh, floor_wh, self._promises(Side.SELLER), state.next_slot, slot)

    def price_micro_per_kwh(self, slot: int) -> int:
        """The household's selling price."""
        return self._pricing.ask(self._pricing_view(slot))

    def _pricing_view(self, slot: int) -> PricingView:
        trading, tariff = self.config.trading, self.config.backstop.tariff
        return PricingView(
            slot=slot,
            seed=self.config.seed,
            utility_price_micro_per_kwh=all_in_micro_per_kwh(tariff, slot, self.trader.around.grid.utc_offset_s),
            local_grid_fee_micro_per_kwh=tariff.local_grid_fee_micro_per_kwh,
            feed_in_micro_per_kwh=tariff.feed_in_micro_per_kwh,
            sell_price_micro_per_kwh=trading.sell_price_micro_per_kwh,
            max_buy_price_micro_per_kwh=trading.max_buy_price_micro_per_kwh,
            capacity_wh=self.battery.capacity_wh,
            level_wh=self.trader.meter.state().level_wh,
            sell_above_wh=trading.sell_above_wh,
            buy_target_wh=trading.buy_target_wh,
        )

    def _metered(self, slot: int) -> SlotProfile | None:
        reading = self.trader.meter.reading(slot)
        return None if reading is None else SlotProfile(reading.metered.pv_wh, reading.metered.load_wh)

    def grid_fee_micro_per_kwh(self, buyer: str) -> int:
        """What the utility, as the operator of the grid, takes for energy that goes to another household."""
        backstop = self.config.backstop
        utilities = (backstop.utility_id, *self.config.utility_ids)
        return 0 if buyer in utilities else backstop.tariff.local_grid_fee_micro_per_kwh

    def _view(self, slot: int) -> HouseholdView:
        trading = self.config.trading
        state = self.trader.meter.state()
        incoming = self._promises(Side.BUYER, after=state.next_slot - SLOT_S)  # earlier ones are metered
        outgoing = self._promises(Side.SELLER)
        coming = range(state.next_slot, slot + SLOT_S, SLOT_S)
        expected = [self._forecast.expected(at) for at in coming]
        surplus_wh = sum(profile.pv_wh - profile.load_wh for profile in expected)
        return HouseholdView(
            capacity_wh=self.battery.capacity_wh,
            level_wh=state.level_wh,
            projected_wh=state.level_wh
            + room_wh(self.battery, incoming)
            - drawn_wh(self.battery, outgoing)
            - sum(self.battery.leaked_wh(state.level_wh, at) for at in coming)
            + surplus_wh,
            deficit_wh=expected[-1].load_wh
            - expected[-1].pv_wh
            - sum(promise.energy_wh for promise in incoming if promise.slot == slot),
            buyable_wh=buyable_wh(self.battery, state.level_wh, incoming, slot),
            sellable_wh=self.sellable_wh(slot),
            buying=self._buying(state.buying, state.level_wh),
            buy_below_wh=trading.buy_below_wh,
            buy_target_wh=trading.buy_target_wh,
            charge_efficiency_ppm=self.battery.charge_efficiency_ppm,
            max_buy_price_micro_per_kwh=self._pricing.bid(self._pricing_view(slot)),
        )

    def _promises(self, side: Side, after: int | None = None) -> list[Promise]:
        promised = self.trader.contracts.in_states(side, PROMISED)
        return [Promise(c.slot, c.energy_wh) for c in promised if after is None or c.slot > after]

    # --- bookings ---

    def _on_delivered(self, contract: Contract) -> None:
        """The seller has said what it delivered: what stood as import was bought."""
        reading = self.trader.meter.reading(contract.slot)
        if reading is not None:
            self.trader.meter.move_import_to_bought(contract.slot, contract.delivered_wh or 0)
            self._tell_success(contract, self.trader.meter.state().level_wh)
            self._finalise(contract.slot)

    def _tell_success(self, contract: Contract, level_wh: int) -> None:
        text = "✅ Contract confirmed! Energy purchased."
        if self.battery.capacity_wh:
            text += f" New battery level: {level_wh / 1000:.2f} kWh"
        else:
            text += f" {(contract.delivered_wh or 0) / 1000:.2f} kWh used in the house"
        self.trader.story(
            "%s (%s kWh from %s)",
            text,
            kwh_text(contract.delivered_wh or 0),
            short(contract.counterparty),
            transaction_id=contract.transaction_id,
        )

    def _finalise(self, slot: int) -> None:
        """When every purchase of a slot has ended, what is left was exchanged with the backstop: report it.

        So is what was sold under a grid fee, which is owed to the utility.
        """
        trader = self.trader
        reading = trader.meter.reading(slot)
        open_purchases = any(
            _scheduled(c) and c.state not in DELIVERED for c in trader.contracts.of_slot(Side.BUYER, slot)
        )
        if reading is None or reading.state != "open" or open_purchases:
            return
        if reading.metered.imported_wh == reading.metered.exported_wh and not self._sold_under_fee_wh(slot):
            trader.meter.set_reading_state(slot, "booked")
            return
        trader.meter.set_reading_state(slot, "final")
        # Not at once: at the start of a slot everybody delivers and pays.
        due_s = moment_s(slot + SLOT_S, report_ppm(self.config.seed, trader.id, slot))
        trader.set_timer("report", str(slot), max(trader.now_ms, trader.gate_ms(due_s)))

    def report(self, slot: int) -> None:
        """Tell the utility what was imported or exported in a slot, and what was sold under a grid fee."""
        trader = self.trader
        reading = trader.meter.reading(slot)
        utility = self.config.backstop.utility_id
        if reading is None or trader.peers.url_of(utility) is None:
            return
        metered = {"imported_kwh": reading.metered.imported_wh, "exported_kwh": reading.metered.exported_wh}
        if sold_wh := self._sold_under_fee_wh(slot):
            metered["delivered_kwh"] = sold_wh
        tags = tag_group("meter", **{name: kwh_text(energy_wh) for name, energy_wh in metered.items()})
        order = UpdatedOrder(id=supply_order_id(trader.id), fulfillments=(delivery(slot, tags=(tags,)),))
        trader.tell(
            "update",
            utility,
            UpdateMessage(update_target="order.fulfillments", order=order),
            transaction_id=self.supply_transaction(slot),
            message_id=trader.derive_id("reading", slot, trader.now_ms),
        )

    def supply_transaction(self, slot: int) -> str:
        """The transaction id under which a slot's reading is reported."""
        return self.trader.derive_id("supply", slot)

    def hear_supply(self, received: Received) -> Reply | None:
        """`on_update` of the supply order: the utility has priced a reading; book what it says, unless that is dearer
        than its tariff.
        """
        order = received.read(OnUpdateMessage).order
        trader, utility = self.trader, self.config.backstop.utility_id
        if received.sender.subscriber_id != utility or order.quote is None or not order.fulfillments:
            raise declined(ErrorCode.BUSINESS_ERROR, "no priced reading of this household's supply", "message.order")
        slot = int(order.fulfillments[0].slot[0].timestamp())
        reading = trader.meter.reading(slot)
        if reading is None or self.supply_transaction(slot) != received.context.transaction_id:
            raise declined(ErrorCode.BUSINESS_ERROR, "no reading of that slot was reported", "message.order")
        if reading.state != "final":
            return None
        energy_wh = reading.metered.imported_wh - reading.metered.exported_wh
        signed_micro = order.quote.price.value_micro * (-1 if energy_wh > 0 else 1)
        due_micro = self._supply_micro(slot, energy_wh)
        if signed_micro < due_micro or (not energy_wh and signed_micro):
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"priced {money_text(signed_micro)} but the tariff makes it {money_text(due_micro)}",
                "message.order.quote.price.value",
            )
        if (wrong := broken_up(order.quote)) is not None:
            raise declined(ErrorCode.BUSINESS_ERROR, wrong, "message.order.quote.breakup")
        if energy_wh:
            trader.meter.book(LedgerEntry("backstop", slot, utility, SUPPLY, energy_wh, signed_micro))
        if sold_wh := self._sold_under_fee_wh(slot):
            fee_micro = self._fee_asked_micro(order.fulfillments[0], sold_wh)
            trader.meter.book(LedgerEntry("grid_fee", slot, utility, fee_reference(sold_wh), 0, -fee_micro))
        trader.meter.set_reading_state(slot, "booked")
        return None

    def _sold_under_fee_wh(self, slot: int) -> int:
        """What others got in a slot by contracts that bear a grid fee."""
        sales = self.trader.contracts.of_slot(Side.SELLER, slot)
        return sum(contract.delivered_wh or 0 for contract in sales if contract.fee_micro)

    def _fee_asked_micro(self, fulfillment: Fulfillment, sold_wh: int) -> int:
        """The grid fee in a priced reading; Refusal when it is not stated or dearer than the tariff."""
        path = "message.order.fulfillments.0.tags"
        try:
            asked_micro = money_from_text(tag_value(fulfillment.tags, *GRID_FEE_TAG) or "")
        except ValueError as error:
            raise invalid(f"tag {'.'.join(GRID_FEE_TAG)} {error}", path) from None
        due_micro = amount_micro(self.config.backstop.tariff.local_grid_fee_micro_per_kwh, sold_wh)
        if asked_micro > due_micro:
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"grid fee of {money_text(asked_micro)} but the tariff makes it {money_text(due_micro)}",
                path,
            )
        return asked_micro

    def _supply_micro(self, slot: int, energy_wh: int) -> int:
        """What the tariff makes of net import (energy_wh > 0: a cost) or export in a slot."""
        tariff = self.config.backstop.tariff
        if energy_wh > 0:
            price_micro = all_in_micro_per_kwh(tariff, slot, self.trader.around.grid.utc_offset_s)
            return -amount_micro(price_micro, energy_wh)
        return amount_micro(tariff.feed_in_micro_per_kwh, -energy_wh)


def _scheduled(contract: Contract) -> bool:
    """Whether the household takes the energy: in doubt it does too, at the backstop's price if it must."""
    return contract.state in (ContractState.CONFIRMED, *DELIVERED) or contract.in_doubt
