"""A household: its meter, its battery, and its role in each slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from wattmesh_market.energy.availability import Promise, buyable_wh, drawn_wh, held_wh, room_wh, sellable_wh, sunny_wh
from wattmesh_market.energy.battery import NO_BATTERY, Metered, SlotPlan, meter_slot
from wattmesh_market.energy.devices.demand import Demand
from wattmesh_market.energy.devices.flexible import DeviceReading
from wattmesh_market.energy.forecast import Forecast, Guarded, Seen, forecast_named
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import DAY_S, SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import PriceSeries
from wattmesh_market.parties import buying, selling
from wattmesh_market.parties.appliances import Appliances, Needs
from wattmesh_market.parties.books import Books, Role, Standing
from wattmesh_market.parties.buying import scheduled
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.outside import Outside
from wattmesh_market.parties.party import MOST_REPEATED, Surroundings, standing_at
from wattmesh_market.parties.planning import Planning
from wattmesh_market.parties.priced import Priced
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.supplied import Supplied
from wattmesh_market.plugins import Plugin
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.schedule import AHEAD_S, CLOSED_AFTER_S, HOUSEHOLD_LOOKS_PPM, billed_s, look_ppm, moment_s
from wattmesh_market.strategies import Buy, Decision, Hold, HouseholdView, Sell, strategy_named
from wattmesh_market.trade.contracts import DELIVERED, Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Reading, ReadingState
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block
from wattmesh_market.trade.quotas import CUSTOMER_WH, NEWCOMER_WH
from wattmesh_market.units import kwh_text

T = TypeVar("T")


class Household(Supplied):
    """One household."""

    kind = "household"
    is_neighbour = True

    def __init__(
        self,
        config: HouseholdConfig,
        profile: Profile,
        around: Surroundings,
        books: Books,
        salt: str,
        prices: PriceSeries | None = None,
    ) -> None:
        """`prices` is what the file of its utility's tariff says, if there is one."""
        super().__init__(config, around, books, salt, prices)
        self.battery = config.battery or NO_BATTERY
        strategy = strategy_named(config.strategy)
        self.advised = strategy.advised
        self._decide = strategy.household
        self._by_rules = not (strategy.plans or strategy.plugin)
        self._profile = profile
        self._watch = watch = around.watch or Watch()
        self._priced = Priced(config, self.rates, books, watch)
        seen = Seen(self._metered, lambda: books.standing.next_slot)
        self._house = forecast_named(config.forecast, profile, seen, self._ask)
        demand = Demand(self.id, config.seed, around.grid.utc_offset_s, self._ask)
        needs = Needs(config.devices, books, around.grid.utc_offset_s, demand)
        self._appliances = Appliances(needs, self._house) if config.devices else None
        self._forecast: Forecast = self._appliances or self._house
        planned = (config, self.rates, self._forecast, books, around.grid, seen, self._appliances)
        self._plan = Planning(*planned) if strategy.plans else None
        self._outside = (
            Outside(strategy.plugin, config, around.grid.utc_offset_s, self.rates, self._forecast, books, watch)
            if strategy.plugin
            else None
        )
        self._plugged = isinstance(self._house, Guarded) or self._priced.plugged
        self.plugged = self._plugged or strategy.plugin is not None or any(one.plugin for one in config.devices)
        self._utilities = config.utilities
        self._sellable: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._sales: dict[int, Sell] = {}
        self._sellable_version = self._ask_slot = -1
        self._decided: dict[int, Decision] = {}
        self._decided_version = -1

    # --- each slot ---

    def looks_s(self, slot: int) -> list[float]:
        """When (grid time) to look whether to buy for a slot: see `schedule`."""
        seed, start = self.config.seed, slot - SLOT_S
        looks = HOUSEHOLD_LOOKS_PPM
        return [moment_s(start, look_ppm(looks, seed, self.id, slot, attempt)) for attempt in range(len(looks))]

    def enter_slot(self, following: int | None) -> None:
        """Take the role for the slot that is traded now, whoever asks first."""
        if following is not None and not self.draining and following not in self.books.roles:
            self.decide(following)

    def meter(self) -> None:
        """Meter every slot that has ended and was not metered yet."""
        standing, until = self.books.standing, self.metered_until(self.now.slot)
        while standing.next_slot < until:
            standing = self._close(standing)

    def repeat(self, before: int, occasion: int) -> None:
        """Say again whatever should have been settled or booked by now."""
        selling.repeat(self, before, occasion)
        buying.repeat(self, before, occasion)
        unbooked = [self.books.readings[slot] for slot in sorted(self.books.unbooked)]
        for reading in unbooked:
            if reading.state is ReadingState.OPEN:
                self.finalise(reading)
        late = [one.slot for one in unbooked if one.state is ReadingState.FINAL and self._billed_s(one.slot) <= before]
        for slot in late[:MOST_REPEATED]:
            self.report(slot)
        # A person takes days; what was decided is told at once, and asked for in case that was lost.
        for reading in unbooked:
            if reading.state is ReadingState.HELD and (before - reading.slot) % DAY_S == 0:
                self.report(reading.slot)
        for slot in sorted(self.books.estimated):
            if (before - slot) % DAY_S == 0:
                self.report(slot)

    def _billed_s(self, slot: int) -> int:
        """When (grid time) the bill of a slot is there, unless it was lost. Who drains asks when the slot is closed."""
        if not self.shares:
            return slot + SLOT_S
        return slot + CLOSED_AFTER_S if self.draining else billed_s(slot, self.end_slot())

    def _close(self, standing: Standing) -> Standing:
        """Meter one slot: deliver what was sold, take what was bought, book and report both."""
        slot, books = standing.next_slot, self.books
        sales = [
            (contract, self.told.get((*contract.key, slot), delivery.energy_wh))
            for contract, delivery in books.of_slot(Side.SELLER, slot)
            if delivery.state is ContractState.CONFIRMED
        ]
        relief_wh = sum([energy_wh for contract, energy_wh in sales if contract.counterparty in self._utilities])
        purchases = [found for found in books.of_slot(Side.BUYER, slot) if scheduled(*found)]
        pv_wh, load_wh = self._profile.actual(slot)
        bought_wh = sum([delivery.energy_wh for _, delivery in purchases])
        sold_wh = sum([energy_wh for _, energy_wh in sales]) - relief_wh
        devices: tuple[DeviceReading, ...] = ()
        vehicle_wh = moved_wh = 0
        if self._appliances:
            vehicle_wh = min(standing.vehicle_wh, self.config.vehicle_wh)
            devices = self._appliances.run(slot, pv_wh - load_wh + bought_wh - sold_wh, sold_wh, vehicle_wh)
            for device in devices:
                load_wh += device.taken_wh
                moved_wh += device.charged_wh - device.discharged_wh
                vehicle_wh += device.level_after_wh - device.level_before_wh
        plan = SlotPlan(
            slot,
            pv_wh,
            load_wh + moved_wh,
            bought_wh,
            sold_wh,
            held_wh(self.battery, self._promises_after(Side.SELLER, slot), slot + SLOT_S),
            room_wh(self.battery, self._promises_after(Side.BUYER, slot)),
            relief_wh,
            *(self._plan.wishes(slot) if self._plan else ()),
        )
        metered = meter_slot(self.battery, standing.battery_wh, plan, standing.carried_uwh)
        left_wh = metered.sold_wh - plan.sold_wh
        for contract, energy_wh in sales:
            delivered_wh = energy_wh
            if contract.counterparty in self._utilities:
                delivered_wh = min(left_wh, energy_wh)
                left_wh -= delivered_wh
            selling.deliver(self, contract, slot, delivered_wh)
        booked_wh = sum([delivery.delivered_wh or 0 for _, delivery in purchases])
        metered = _with_purchases_booked(metered, booked_wh)
        level_wh = metered.level_after_wh
        learned = self._plan.learned(slot, metered) if self._plan else (0, 0)
        if standing.vehicle_wh or vehicle_wh:
            metered = _with_vehicle(metered, standing.vehicle_wh, vehicle_wh, moved_wh)
        capacity_wh = self.battery.capacity_wh + self.config.vehicle_wh
        standing = standing._replace(
            capacity_wh=capacity_wh,
            level_wh=metered.level_after_wh,
            next_slot=slot + SLOT_S,
            buying=self._buying(standing.buying, level_wh),
            carried_uwh=metered.carried_uwh,
            vehicle_wh=vehicle_wh,
        )
        reading = Reading(slot, metered, capacity_wh, ReadingState.OPEN, *learned, devices=devices)
        books.stand(standing)
        for contract, delivery in purchases:
            if delivery.state in DELIVERED:
                self._tell_success(contract, delivery, level_wh)
        self.finalise(reading)
        return standing

    def _buying(self, buying: bool, level_wh: int) -> bool:
        trading = self.config.trading
        return level_wh < trading.buy_below_wh or (buying and level_wh < trading.buy_target_wh)

    # --- books that are restored ---

    def begin(self, slot: int) -> None:
        """Stand at the start of a slot; what was stored then nobody knows any more."""
        self.books.stand(standing_at(slot, self.config))

    def take_part(self, slot: int, side: Side) -> None:
        """Take the role that a contract shows was taken."""
        if slot not in self.books.roles:
            self.books.take_role(slot, Role.BUYER if side is Side.BUYER else Role.SELLER)

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """What to do for a slot: by strategy, within the role already taken for it."""
        if self.draining:
            return Hold()
        role, decision = self.books.roles.get(slot), self._decision(slot)
        if role is None:
            buys, sells = isinstance(decision, Buy), isinstance(decision, Sell)
            self.books.take_role(slot, Role.BUYER if buys else Role.SELLER if sells else Role.NEITHER)
        elif isinstance(decision, Buy) and role is not Role.BUYER:
            return Sell()
        return decision

    def _decision(self, slot: int) -> Decision:
        """What the strategy says, whatever role was taken."""
        if self._decided_version != self.books.version:
            self._decided_version = self.books.version
            self._decided.clear()
        if slot not in self._decided:
            plan = self._plan
            if self._plugged and not self._known(slot):
                self._decided[slot] = Hold()
            elif self._outside:
                self._decided[slot] = self._decided_outside(self._outside, slot)
            else:
                decided = plan.decide(slot, self.sellable_wh(slot)) if plan else self._decide(self._view(slot))
                self._decided[slot] = decided
        return self._decided[slot]

    def _decided_outside(self, outside: Outside, slot: int) -> Decision:
        """What a plug-in says. What it sells, and at which price, holds as long as asked prices do."""
        self._begin_asks()
        sale = self._sales.get(slot)
        if sale is not None and sale.energy_wh:
            return sale
        return outside.decide(slot, self._possible_wh(slot), self._priced.view(slot))

    def _sale(self, slot: int) -> Sell:
        """What a plug-in sells in a slot; it is asked again where that is not known any more."""
        self._begin_asks()
        if slot not in self._sales:
            decision = self._decision(slot)
            self._sales[slot] = decision if isinstance(decision, Sell) else Sell(0)
        return self._sales[slot]

    def _ask(self, plugin: Plugin, slot: int, answer: Callable[[], T]) -> T | None:
        return self._watch.ask(plugin, self.id, slot, answer, self.now.slot)

    def _known(self, slot: int) -> bool:
        """Whether the forecast and the pricing that come from outside have an answer for a slot."""
        if isinstance(self._house, Guarded) and self._house.known(slot) is None:
            return False
        return self._priced.known(slot)

    def ahead_until(self, slot: int) -> int | None:
        """Up to which later slot (not included) to look for offers, beside those for `slot`; None: for none."""
        until, end = slot + AHEAD_S, self.end_slot()
        if end is not None:
            until = min(until, end)
        return until if self._plan and until > slot + SLOT_S else None

    def buys_ahead(self, slot: int, until: int) -> Sequence[tuple[int, Block]]:
        """What it would import, at no more than neighbours' energy is expected to cost then."""
        if self._plan is None:
            return ()
        return [
            (later, block)
            for later in range(slot + SLOT_S, until, SLOT_S)
            if self.may_buy(later)
            and not (self._plugged and not self._known(later))
            and (block := self._plan.ahead(later)) is not None
        ]

    def sells_ahead(self, slot: int) -> bool:
        """By plan only: rules decide about a slot when it is traded."""
        if self._plan is None or self.draining:
            return False
        role = self.books.roles.get(slot)
        if role is not None:
            return role is Role.SELLER
        # Who has too little to sell decides for something else; that need not be known.
        return self.sellable_wh(slot) >= MIN_TRADE_WH and isinstance(self._decision(slot), Sell)

    def may_buy(self, slot: int) -> bool:
        """Only a buyer buys: its role was taken when the slot began in which `slot` is traded."""
        return self.books.roles.get(slot, Role.BUYER) is Role.BUYER and not self.draining

    def sells(self, slot: int) -> bool:
        """Whether the household is a seller for this slot; for a later one, the first to ask makes it decide."""
        if self.draining:
            return False
        role = self.books.roles.get(slot)
        if role is None:
            self.decide(slot)
            role = self.books.roles.get(slot)
        return role is Role.SELLER

    def sellable_wh(self, slot: int) -> int:
        """What can still be promised for a slot: out of store and sun, within its powers and its connection's."""
        books = self.books
        if self._sellable_version != books.version:
            self._sellable_version = books.version
            self._sellable.clear()
        if (known := self._sellable.get(slot)) is not None:
            return known
        ask_micro = self.price_micro_per_kwh(slot)
        found = sum([wh for micro, wh in self.supply(slot) if (micro or 0) <= ask_micro])
        if self._plugged and not self._known(slot):
            found = 0
        self._sellable[slot] = found
        return found

    def supply(self, slot: int) -> list[Block]:
        """What can still be promised for a slot, the cheapest first, and what a kWh must earn (without grid fee)."""
        left_wh = self._possible_wh(slot)
        if self._outside:
            sold_wh = sum([promise.energy_wh for promise in self.books.promises(Side.SELLER) if promise.slot == slot])
            left_wh = max(0, min(left_wh, (self._sale(slot).energy_wh or 0) - sold_wh))
        if self._plan is None:
            return [Block(self.price_micro_per_kwh(slot), left_wh)]
        return self._plan.supply(slot, left_wh) if left_wh else []

    def _possible_wh(self, slot: int) -> int:
        """What is neither promised nor, by rules, to be kept: out of store and sun, within all powers."""
        standing, promises = self.books.standing, self.books.promises(Side.SELLER)
        floor_wh = self.config.trading.sell_above_wh if self._by_rules else 0
        found = sellable_wh(self.battery, standing.battery_wh, floor_wh, promises, standing.next_slot, slot)
        if not self._by_rules:
            found += self._sunny_wh(slot)
        sold_wh = sum([promise.energy_wh for promise in promises if promise.slot == slot])
        return max(0, min(found, slot_energy_wh(self.config.connection_w) - sold_wh))

    def sun_wh(self, slot: int, energy_wh: int) -> int:
        """How much of a promise is counted on the slot's own surplus: as much as there is."""
        return 0 if self._by_rules else min(energy_wh, self._sunny_wh(slot))

    def _sunny_wh(self, slot: int) -> int:
        pv_wh, load_wh = self._forecast.expected(slot)
        return sunny_wh(pv_wh - load_wh, self.books.promises(Side.SELLER), slot)

    def price_micro_per_kwh(self, slot: int) -> int:
        """The household's selling price: it does not move while a slot lasts."""
        self._begin_asks()
        if slot not in self._asks:
            ask_micro = self._sale(slot).price_micro_per_kwh if self._outside else None
            if ask_micro is None:
                ask_micro = self._plan.ask_micro(slot) if self._plan else self._priced.ask_micro(slot)
            self._asks[slot] = ask_micro
        return self._asks[slot]

    def _begin_asks(self) -> None:
        """What is asked holds while a slot lasts."""
        if self._ask_slot != self.books.standing.next_slot:
            self._ask_slot = self.books.standing.next_slot
            self._asks.clear()
            self._sales.clear()

    def ask(self, slot: int, micro_per_kwh: int) -> None:
        """Ask what a mechanism has found for a slot, until the next slot begins."""
        self.price_micro_per_kwh(slot)
        self._asks[slot] = micro_per_kwh
        self._sellable_version = -1

    def grid_fee_micro_per_kwh(self, buyer: str, slot: int) -> int:
        """What the utility, as the operator of the grid, takes for energy that goes to another household."""
        return 0 if buyer in self._utilities else self.rates.local_grid_fee(slot)

    def lends_wh(self, buyer: str) -> int:
        """A little to anybody, and more to a utility: it bills the household anyway."""
        return CUSTOMER_WH if buyer in self._utilities else NEWCOMER_WH

    def _metered(self, slot: int) -> SlotProfile | None:
        """What was metered in a slot, without what devices took."""
        reading = self.books.readings.get(slot)
        if reading is None:
            return None
        taken_wh = sum([device.taken_wh for device in reading.devices])
        return SlotProfile(reading.metered.pv_wh, reading.metered.load_wh - taken_wh)

    def _view(self, slot: int) -> HouseholdView:
        trading, standing = self.config.trading, self.books.standing
        incoming = self._promises_after(Side.BUYER, standing.next_slot - SLOT_S)  # earlier ones are metered
        outgoing = self.books.promises(Side.SELLER)
        coming = range(standing.next_slot, slot + SLOT_S, SLOT_S)
        expected = [self._forecast.expected(at) for at in coming]
        surplus_wh = sum([profile.pv_wh - profile.load_wh for profile in expected])
        level_wh, battery = standing.battery_wh, self.battery
        return HouseholdView(
            capacity_wh=battery.capacity_wh,
            level_wh=level_wh,
            projected_wh=level_wh
            + room_wh(battery, incoming)
            - drawn_wh(battery, outgoing)
            - sum([battery.leaked_wh(level_wh, at) for at in coming])
            + surplus_wh,
            deficit_wh=expected[-1].load_wh
            - expected[-1].pv_wh
            - sum([promise.energy_wh for promise in incoming if promise.slot == slot]),
            buyable_wh=buyable_wh(battery, level_wh, incoming, slot),
            sellable_wh=self.sellable_wh(slot),
            buying=self._buying(standing.buying, level_wh),
            buy_below_wh=trading.buy_below_wh,
            buy_target_wh=trading.buy_target_wh,
            charge_efficiency_ppm=battery.charge_efficiency_ppm,
            max_buy_price_micro_per_kwh=self._priced.bid_micro(slot),
        )

    def _promises_after(self, side: Side, slot: int) -> list[Promise]:
        promises = self.books.promises(side)
        return [promise for promise in promises if promise.slot > slot] if promises else []

    # --- bookings ---

    def on_delivered(self, contract: Contract, delivery: Delivery) -> None:
        """The seller has said what it delivered: what stood as import was bought."""
        reading = self.books.readings.get(delivery.slot)
        if reading is None:
            return
        delivered_wh = delivery.delivered_wh or 0
        metered = reading.metered
        moved = metered._replace(
            bought_wh=metered.bought_wh + delivered_wh, imported_wh=metered.imported_wh - delivered_wh
        )
        self._tell_success(contract, delivery, self.books.standing.battery_wh)
        self.finalise(reading._replace(metered=moved))

    def _tell_success(self, contract: Contract, delivery: Delivery, level_wh: int) -> None:
        if not self.tells:
            return
        delivered_wh = delivery.delivered_wh or 0
        text = "✅ Contract confirmed! Energy purchased."
        if self.battery.capacity_wh:
            text += f" New battery level: {level_wh / 1000:.2f} kWh"
        else:
            text += f" {delivered_wh / 1000:.2f} kWh used in the house"
        seller = short(contract.counterparty)
        self.tell("%s (%s kWh from %s)", text, kwh_text(delivered_wh), seller, transaction_id=contract.transaction_id)


def _with_vehicle(metered: Metered, before_wh: int, after_wh: int, moved_wh: int) -> Metered:
    """With what is in a car's store, which was metered as load; what was charged less what was discharged is
    `moved_wh`.
    """
    return metered._replace(
        level_before_wh=metered.level_before_wh + before_wh,
        level_after_wh=metered.level_after_wh + after_wh,
        load_wh=metered.load_wh - moved_wh,
        losses_wh=metered.losses_wh + moved_wh - after_wh + before_wh,
    )


def _with_purchases_booked(metered: Metered, booked_wh: int) -> Metered:
    """What is bought and not booked yet stands as import."""
    missing_wh = metered.bought_wh - booked_wh
    return (
        metered._replace(bought_wh=booked_wh, imported_wh=metered.imported_wh + missing_wh) if missing_wh else metered
    )
