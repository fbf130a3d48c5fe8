"""A household: its meter, its battery, its role in each slot, and its account with the backstop utility."""

from __future__ import annotations

from wattmesh_market.energy.availability import Promise, buyable_wh, drawn_wh, held_wh, room_wh, sellable_wh, sunny_wh
from wattmesh_market.energy.battery import NO_BATTERY, Metered, SlotPlan, meter_slot
from wattmesh_market.energy.forecast import forecast_named
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import all_in_micro_per_kwh
from wattmesh_market.parties import buying, selling
from wattmesh_market.parties.books import Alarm, AlarmKind, Books, Role, Standing
from wattmesh_market.parties.buying import scheduled
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.party import MOST_REPEATED, Party, Surroundings
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.supply import CORRECTION, SHARED, SUPPLY, fee_reference, supply_order_id
from wattmesh_market.pricing import PricingView, pricing_named
from wattmesh_market.schedule import CLOSED_AFTER_S, HOUSEHOLD_LOOKS_PPM, look_ppm, moment_s, report_ppm
from wattmesh_market.strategies import Buy, Decision, Hold, HouseholdView, Sell, strategy_named
from wattmesh_market.strategies.plan import NOTHING, Outlook, Planner, Traded
from wattmesh_market.trade.contracts import DELIVERED, OVER, Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry, Reading, ReadingState
from wattmesh_market.trade.messages import Call, PricedReading, ReportReading, SharedPart
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import amount_micro, kwh_text, money_text


class Household(Party):
    """One household."""

    kind = "household"

    def __init__(
        self, config: HouseholdConfig, profile: Profile, around: Surroundings, books: Books, salt: str
    ) -> None:
        super().__init__(config, around, books, salt)
        self.config = config
        self.battery = config.battery or NO_BATTERY
        strategy = strategy_named(config.strategy)
        self.advised = strategy.advised
        self._decide = strategy.household
        self._profile = profile
        self._forecast = forecast_named(config.forecast, profile, self._metered)
        self._pricing = pricing_named(config.trading.pricing)
        self._planner = (
            Planner(
                self.battery, config.backstop.tariff, around.grid.utc_offset_s, self._forecast, self._remembered_micro
            )
            if strategy.plans
            else None
        )
        self._utilities = frozenset((config.backstop.utility_id, *config.utility_ids))
        self.shares = config.backstop.shares
        self._sellable: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._sellable_version = self._ask_slot = -1
        self._supply = (-1, "")
        self._decided: tuple[tuple[int, int], Decision] = (-1, -1), Hold()

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
                self._finalise(reading)
        # What waits for its slot's closing is not late; the answer comes with it, and is asked for a slot later.
        priced_before = before - (CLOSED_AFTER_S - SLOT_S if self.shares else 0)
        late = [one.slot for one in unbooked if one.state is ReadingState.FINAL and one.slot < priced_before]
        for slot in late[:MOST_REPEATED]:
            self.report(slot)

    def _close(self, standing: Standing) -> Standing:
        """Meter one slot: deliver what was sold, take what was bought, book and report both."""
        slot, books = standing.next_slot, self.books
        sales = [
            (contract, delivery.energy_wh)
            for contract, delivery in books.of_slot(Side.SELLER, slot)
            if delivery.state is ContractState.CONFIRMED
        ]
        relief_wh = sum([energy_wh for contract, energy_wh in sales if contract.counterparty in self._utilities])
        purchases = [found for found in books.of_slot(Side.BUYER, slot) if scheduled(*found)]
        sun = self._profile.actual(slot)
        plan = SlotPlan(
            slot=slot,
            pv_wh=sun.pv_wh,
            load_wh=sun.load_wh,
            bought_wh=sum([delivery.energy_wh for _, delivery in purchases]),
            sold_wh=sum([energy_wh for _, energy_wh in sales]) - relief_wh,
            held_wh=held_wh(self.battery, self._promises_after(Side.SELLER, slot), slot + SLOT_S),
            room_wh=room_wh(self.battery, self._promises_after(Side.BUYER, slot)),
            relief_wh=relief_wh,
            **({} if self._planner is None else self._planner.wishes(slot)._asdict()),
        )
        metered = meter_slot(self.battery, standing.level_wh, plan, standing.carried_uwh)
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
        standing = standing._replace(
            capacity_wh=self.battery.capacity_wh,
            level_wh=level_wh,
            next_slot=slot + SLOT_S,
            buying=self._buying(standing.buying, level_wh),
            carried_uwh=metered.carried_uwh,
        )
        reading = Reading(slot, metered, self.battery.capacity_wh, ReadingState.OPEN, *self._learned(slot, metered))
        books.stand(standing)
        for contract, delivery in purchases:
            if delivery.state in DELIVERED:
                self._tell_success(contract, delivery, level_wh)
        self._finalise(reading)
        return standing

    def _buying(self, buying: bool, level_wh: int) -> bool:
        trading = self.config.trading
        return level_wh < trading.buy_below_wh or (buying and level_wh < trading.buy_target_wh)

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """What to do for a slot: by strategy, within the role already taken for it."""
        if self.draining:
            return Hold()
        role = self.books.roles.get(slot)
        decided, decision = self._decided
        if decided != (slot, self.books.version):
            decision = self._decide(self._view(slot)) if self._planner is None else self._planned(self._planner, slot)
            self._decided = (slot, self.books.version), decision
        if role is None:
            buys, sells = isinstance(decision, Buy), isinstance(decision, Sell)
            self.books.take_role(slot, Role.BUYER if buys else Role.SELLER if sells else Role.NEITHER)
        elif isinstance(decision, Buy) and role is not Role.BUYER:
            return Sell()
        return decision

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
        standing, promises = books.standing, books.promises(Side.SELLER)
        floor_wh = 0 if self._planner is not None else self.config.trading.sell_above_wh
        found = sellable_wh(self.battery, standing.level_wh, floor_wh, promises, standing.next_slot, slot)
        if self._planner is not None:
            found = min(found + self._sunny_wh(slot), self._spare_wh(self._planner, slot))
        sold_wh = sum([promise.energy_wh for promise in promises if promise.slot == slot])
        found = max(0, min(found, slot_energy_wh(self.config.connection_w) - sold_wh))
        self._sellable[slot] = found
        return found

    def sun_wh(self, slot: int, energy_wh: int) -> int:
        """How much of a promise is counted on the slot's own surplus: as much as there is."""
        return 0 if self._planner is None else min(energy_wh, self._sunny_wh(slot))

    def _sunny_wh(self, slot: int) -> int:
        pv_wh, load_wh = self._forecast.expected(slot)
        return sunny_wh(pv_wh - load_wh, self.books.promises(Side.SELLER), slot)

    # --- by plan ---

    def _learned(self, slot: int, metered: Metered) -> tuple[int, int]:
        """What a slot has taught: what neighbours' energy costs at its time of day, and what is stored is worth."""
        planner = self._planner
        if planner is None:
            return 0, 0
        local_micro = planner.learned_micro(slot, metered, self._paid_micro(slot))
        return local_micro, planner.worth(slot).of_last(metered.level_after_wh)

    def _remembered_micro(self, slot: int) -> int:
        reading = self.books.readings.get(slot)
        return reading.local_micro if reading else 0

    def _paid_micro(self, slot: int) -> int | None:
        """What was paid per kWh, without fee, for what was bought of neighbours in a slot; None where nothing was."""
        energy_wh = amount_micro = 0
        for contract, delivery in self.books.deliveries(Side.BUYER, slot):
            if delivery.state not in OVER and contract.counterparty not in self._utilities:
                energy_wh += delivery.energy_wh
                amount_micro += delivery.amount_micro - delivery.fee_micro
        return amount_micro * 1000 // energy_wh if energy_wh else None

    def _traded(self, slot: int) -> Traded:
        """What is traded for a slot, and what must be held and kept free for later ones."""
        selling, buying = self.books.promises(Side.SELLER), self.books.promises(Side.BUYER)
        if not (selling or buying):
            return NOTHING
        return Traded(
            sum([promise.energy_wh for promise in selling if promise.slot == slot]),
            sum([promise.energy_wh for promise in buying if promise.slot == slot]),
            held_wh(self.battery, [promise for promise in selling if promise.slot > slot], slot + SLOT_S),
            room_wh(self.battery, [promise for promise in buying if promise.slot > slot]),
        )

    def _outlook(self, planner: Planner, slot: int) -> Outlook:
        standing = self.books.standing
        return planner.outlook(standing.level_wh, standing.next_slot, slot, self._traded)

    def _spare_wh(self, planner: Planner, slot: int) -> int:
        """What is worth no more to the household than it asks."""
        ask_micro = self.price_micro_per_kwh(slot)
        return sum(
            [wh for micro, wh in planner.supply(self._outlook(planner, slot)) if micro is None or micro <= ask_micro]
        )

    def _planned(self, planner: Planner, slot: int) -> Decision:
        """Buy what would be imported; else sell or buy, whichever side of the local price what is stored is worth."""
        outlook = self._outlook(planner, slot)
        tariff = self.config.backstop.tariff
        least_micro = tariff.feed_in_micro_per_kwh + tariff.local_grid_fee_micro_per_kwh
        limit_micro = self.config.trading.max_buy_price_micro_per_kwh
        wants = [
            Block(micro if limit_micro is None else min(micro or 0, limit_micro), wh)
            for micro, wh in planner.demand(outlook, slot)
            if (micro or 0) >= least_micro
        ]
        wanted_wh = sum([block.energy_wh for block in wants])
        if wanted_wh >= MIN_TRADE_WH and (outlook.metered.imported_wh or self.sellable_wh(slot) < MIN_TRADE_WH):
            reason = f"{wanted_wh / 1000:.3f} kWh are worth up to {money_text(wants[0].price_micro_per_kwh or 0)} here"
            return Buy(tuple(wants), reason)
        return Sell() if self.sellable_wh(slot) >= MIN_TRADE_WH else Hold()

    def price_micro_per_kwh(self, slot: int) -> int:
        """The household's selling price: it does not move while a slot lasts."""
        if self._ask_slot != self.books.standing.next_slot:
            self._ask_slot = self.books.standing.next_slot
            self._asks.clear()
        if slot not in self._asks:
            if self._planner is None:
                self._asks[slot] = self._pricing.ask(self._pricing_view(slot))
            else:
                own_micro = self.config.trading.sell_price_micro_per_kwh or 0
                self._asks[slot] = max(own_micro, self._planner.ask_micro(slot, self.books.standing.next_slot))
        return self._asks[slot]

    def grid_fee_micro_per_kwh(self, buyer: str) -> int:
        """What the utility, as the operator of the grid, takes for energy that goes to another household."""
        return 0 if buyer in self._utilities else self.config.backstop.tariff.local_grid_fee_micro_per_kwh

    def _pricing_view(self, slot: int) -> PricingView:
        trading, tariff = self.config.trading, self.config.backstop.tariff
        return PricingView(
            slot=slot,
            seed=self.config.seed,
            utility_price_micro_per_kwh=all_in_micro_per_kwh(tariff, slot, self.grid.utc_offset_s),
            local_grid_fee_micro_per_kwh=tariff.local_grid_fee_micro_per_kwh,
            feed_in_micro_per_kwh=tariff.feed_in_micro_per_kwh,
            sell_price_micro_per_kwh=trading.sell_price_micro_per_kwh,
            max_buy_price_micro_per_kwh=trading.max_buy_price_micro_per_kwh,
            capacity_wh=self.battery.capacity_wh,
            level_wh=self.books.standing.level_wh,
            sell_above_wh=trading.sell_above_wh,
            buy_target_wh=trading.buy_target_wh,
        )

    def _metered(self, slot: int) -> SlotProfile | None:
        reading = self.books.readings.get(slot)
        return None if reading is None else SlotProfile(reading.metered.pv_wh, reading.metered.load_wh)

    def _view(self, slot: int) -> HouseholdView:
        trading, standing = self.config.trading, self.books.standing
        incoming = self._promises_after(Side.BUYER, standing.next_slot - SLOT_S)  # earlier ones are metered
        outgoing = self.books.promises(Side.SELLER)
        coming = range(standing.next_slot, slot + SLOT_S, SLOT_S)
        expected = [self._forecast.expected(at) for at in coming]
        surplus_wh = sum([profile.pv_wh - profile.load_wh for profile in expected])
        level_wh, battery = standing.level_wh, self.battery
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
            max_buy_price_micro_per_kwh=self._pricing.bid(self._pricing_view(slot)),
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
        self._tell_success(contract, delivery, self.books.standing.level_wh)
        self._finalise(reading._replace(metered=moved))

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

    def _finalise(self, reading: Reading) -> None:
        """When every purchase of a slot has ended, what is left was exchanged with the backstop: report it.

        So is what was sold under a grid fee, which is owed to the utility. Where the utility shares, everything is
        reported, in doubt or nothing at all.
        """
        slot, metered = reading.slot, reading.metered
        if reading.state is not ReadingState.OPEN or self._awaits_delivery(slot):
            self.books.read(reading)
            self.report_later(slot)
            return
        netted_wh = min(metered.imported_wh, metered.exported_wh)
        if netted_wh:
            metered = metered._replace(
                imported_wh=metered.imported_wh - netted_wh, exported_wh=metered.exported_wh - netted_wh
            )
        exchanged = self.shares or metered.imported_wh or metered.exported_wh or self._sold_under_fee_wh(slot)
        state = ReadingState.FINAL if exchanged else ReadingState.BOOKED
        self.books.read(reading._replace(metered=metered, state=state))
        if exchanged:
            self.report_later(slot)

    def _awaits_delivery(self, slot: int) -> bool:
        return any(
            delivery.state not in DELIVERED and scheduled(contract, delivery)
            for contract, delivery in self.books.deliveries(Side.BUYER, slot)
        )

    def report_later(self, slot: int) -> None:
        """Report a reading at its next moment: not at once, as at the start of a slot everybody delivers and pays."""
        state, now_s = self.books.readings[slot].state, self.now.grid_s
        if state is ReadingState.FINAL or (state is ReadingState.OPEN and self.shares):
            due_s = self._reported_s(slot)
            if self.shares and (state is ReadingState.OPEN or due_s <= now_s):
                due_s += SLOT_S
            self.alarm(Alarm(AlarmKind.REPORT, slot), max(due_s, now_s))

    def _reported_s(self, slot: int) -> float:
        """When (grid time) a reading is reported; a slot later whatever is in doubt or was not heard."""
        return moment_s(slot + SLOT_S, report_ppm(self.config.seed, self.id, slot))

    def report(self, slot: int) -> None:
        """Tell the utility what was imported or exported in a slot, and what was sold under a grid fee.

        What is in doubt by then is told as import; what becomes of it, later.
        """
        reading = self.books.readings.get(slot)
        if reading is None or reading.state is ReadingState.BOOKED:
            return
        in_doubt, metered = reading.state is ReadingState.OPEN, reading.metered
        if in_doubt and not (self.shares and self.now.grid_s >= self._reported_s(slot) + SLOT_S):
            return
        netted_wh = min(metered.imported_wh, metered.exported_wh)
        told = ReportReading(
            supply_order_id(self.id),
            slot,
            metered.imported_wh - netted_wh,
            metered.exported_wh - netted_wh,
            self._sold_under_fee_wh(slot),
            in_doubt,
        )
        utility = self.config.backstop.utility_id
        occasion = f"{slot} {self.now.ms}{' provisional' * in_doubt}"
        self.send(utility, self._supply_transaction(slot), told, occasion)

    def report_unanswered(self, transaction_id: str) -> None:
        """What was not heard is told again before the slot is closed; later, with what else is unfinished."""
        for slot in self.books.unbooked:
            if self._supply_transaction(slot) == transaction_id and self.now.grid_s < self._reported_s(slot) + SLOT_S:
                self.report_later(slot)

    def on_priced_reading(self, call: Call, priced: PricedReading) -> None:
        """The utility has priced a reading; book what it says, unless that is dearer than its tariff."""
        books, utility, slot = self.books, self.config.backstop.utility_id, priced.reading.slot
        if call.sender != utility:
            raise Refused(Reason.BUSINESS, "no priced reading of this household's supply", About.ORDER)
        reading = books.readings.get(slot)
        if reading is None or self._supply_transaction(slot) != call.transaction_id:
            raise Refused(Reason.BUSINESS, "no reading of that slot was reported", About.ORDER)
        if reading.state is not ReadingState.FINAL or priced.reading.provisional:
            return
        energy_wh = reading.metered.imported_wh - reading.metered.exported_wh
        if priced.reading.imported_wh - priced.reading.exported_wh != energy_wh:
            raise Refused(Reason.BUSINESS, "another reading of that slot was reported", About.READING)
        entries = self._billed(priced)
        earned_micro, due_micro = sum([one.amount_micro for one in entries]), self.supply_micro(slot, energy_wh)
        if earned_micro < due_micro or (not energy_wh and earned_micro):
            text = f"priced {money_text(earned_micro)} but the tariff makes it {money_text(due_micro)}"
            raise Refused(Reason.BUSINESS, text, About.PRICE)
        for entry in entries:
            books.book(entry)
        if sold_wh := self._sold_under_fee_wh(slot):
            fee_micro = self._fee_asked_micro(priced, sold_wh)
            books.book(LedgerEntry(EntryKind.GRID_FEE, slot, utility, fee_reference(sold_wh), 0, -fee_micro))
        books.read(reading._replace(state=ReadingState.BOOKED))

    def _billed(self, priced: PricedReading) -> list[LedgerEntry]:
        """What a priced reading makes the household book: supply, what was shared, and a correction."""
        reading, shared = priced.reading, priced.shared or SharedPart(0, 0, 0)
        net_wh = billed_wh = reading.imported_wh - reading.exported_wh
        back_micro = 0
        if priced.correction is not None:
            imported_wh, exported_wh, back_micro = priced.correction
            billed_wh = imported_wh - exported_wh
        sign = 1 if billed_wh > 0 else -1
        supply = (billed_wh - sign * shared.energy_wh, -sign * (priced.amount_micro - shared.amount_micro))
        if supply[0] * sign < 0:
            raise Refused(Reason.UNSOUND, "more is shared than was imported or exported", About.READING)
        parts = (
            (EntryKind.BACKSTOP, SUPPLY, supply),
            (EntryKind.SHARED, SHARED, (sign * shared.energy_wh, -sign * shared.amount_micro)),
            (EntryKind.BACKSTOP, CORRECTION, (net_wh - billed_wh, back_micro)),
        )
        utility, slot = self.config.backstop.utility_id, reading.slot
        return [LedgerEntry(kind, slot, utility, reference, *part) for kind, reference, part in parts if any(part)]

    def _supply_transaction(self, slot: int) -> str:
        """The transaction id under which a slot's reading is reported."""
        if self._supply[0] != slot:
            self._supply = (slot, self.derive_id("supply", slot))
        return self._supply[1]

    def _sold_under_fee_wh(self, slot: int) -> int:
        """What others got in a slot by contracts that bear a grid fee."""
        sales = self.books.deliveries(Side.SELLER, slot)
        return sum([delivery.delivered_wh or 0 for _, delivery in sales if delivery.fee_micro])

    def _fee_asked_micro(self, priced: PricedReading, sold_wh: int) -> int:
        """The grid fee in a priced reading; Refused when it is not stated or dearer than the tariff."""
        asked_micro = priced.local_fee_micro
        if asked_micro is None:
            raise Refused(Reason.UNSOUND, "a grid fee must be stated for what was sold to others", About.GRID_FEE)
        due_micro = amount_micro(self.config.backstop.tariff.local_grid_fee_micro_per_kwh, sold_wh)
        if asked_micro > due_micro:
            text = f"grid fee of {money_text(asked_micro)} but the tariff makes it {money_text(due_micro)}"
            raise Refused(Reason.BUSINESS, text, About.GRID_FEE)
        return asked_micro

    def supply_micro(self, slot: int, energy_wh: int) -> int:
        """What the tariff makes of net import (energy_wh > 0: a cost) or export in a slot."""
        tariff = self.config.backstop.tariff
        if energy_wh > 0:
            return -amount_micro(all_in_micro_per_kwh(tariff, slot, self.grid.utc_offset_s), energy_wh)
        return amount_micro(tariff.feed_in_micro_per_kwh, -energy_wh)


def _with_purchases_booked(metered: Metered, booked_wh: int) -> Metered:
    """What is bought and not booked yet stands as import."""
    missing_wh = metered.bought_wh - booked_wh
    return (
        metered._replace(bought_wh=booked_wh, imported_wh=metered.imported_wh + missing_wh) if missing_wh else metered
    )
