"""A utility: sells to any search within its capacity, is everybody's backstop, and buys when demand is high."""

from __future__ import annotations

from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import all_in_micro_per_kwh, price_micro_per_kwh
from wattmesh_market.parties import buying, selling
from wattmesh_market.parties.books import Books
from wattmesh_market.parties.config import UtilityConfig
from wattmesh_market.parties.party import CLOCK_TOLERANCE_S, Party, Surroundings
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.supply import SUPPLY, fee_reference, supply_order_id
from wattmesh_market.schedule import SURELY_REPORTED_S, UTILITY_LOOKS_PPM, look_ppm, moment_s
from wattmesh_market.strategies import Decision, Hold, UtilityView, strategy_named
from wattmesh_market.trade.contracts import DELIVERED, OVER, Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry
from wattmesh_market.trade.messages import Call, PricedReading, ReportReading
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import amount_micro

_SURE = frozenset((ContractState.CONFIRMED, *DELIVERED))


class Utility(Party):
    """One utility."""

    kind = "utility"

    def __init__(self, config: UtilityConfig, around: Surroundings, books: Books, salt: str) -> None:
        super().__init__(config.name, config.subscriber_id, config.feeder, around, books, salt)
        self.config = config
        strategy = strategy_named(config.strategy)
        self.advised = strategy.advised
        self._decide = strategy.utility
        self._capacity_wh = slot_energy_wh(config.capacity_w)

    # --- each slot ---

    def looks_s(self, slot: int) -> list[float]:
        """When (grid time) to look at demand for a slot; households have bought by then: see `schedule`."""
        if self.config.demand_response is None:
            return []
        looks = UTILITY_LOOKS_PPM
        return [moment_s(slot - SLOT_S, look_ppm(looks, 0, self.id, slot, attempt)) for attempt in range(len(looks))]

    def enter_slot(self, following: int | None) -> None:
        """A utility sells in every slot."""

    def meter(self) -> None:
        """Deliver what was sold for every slot that has ended."""
        standing = self.books.standing
        while standing.next_slot < self.now.slot:
            slot = standing.next_slot
            for contract, delivery in self.books.of_slot(Side.SELLER, slot):
                if delivery.state is ContractState.CONFIRMED:
                    selling.deliver(self, contract, slot, delivery.energy_wh)
            standing = standing._replace(next_slot=slot + SLOT_S)
            self.books.stand(standing)

    def repeat(self, before: int, occasion: int) -> None:
        """Say again whatever should have been settled by now."""
        selling.repeat(self, before, occasion)
        buying.repeat(self, before, occasion)

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """Sell, or in high demand buy what lies above the start of demand response."""
        if self.draining:
            return Hold()
        response = self.config.demand_response
        start_wh = None if response is None else self._capacity_wh * response.start_at_ppm // 1_000_000
        view = UtilityView(
            sold_wh=self._energy_wh(Side.SELLER, slot),
            bought_wh=self._energy_wh(Side.BUYER, slot),
            backstop_wh=self.backstop_forecast_wh(),
            start_wh=start_wh,
            max_price_micro_per_kwh=response.max_price_micro_per_kwh if response else 0,
        )
        return self._decide(view)

    def sells(self, slot: int) -> bool:  # noqa: ARG002 - in every slot
        """A utility always sells, unless it drains."""
        return not self.draining

    def sellable_wh(self, slot: int) -> int:
        """Capacity not sold and not expected to be drawn as backstop, and what was surely bought to relieve it."""
        used_wh = self._energy_wh(Side.SELLER, slot) + self.backstop_forecast_wh()
        bought = self.books.deliveries(Side.BUYER, slot)
        relief_wh = sum([delivery.energy_wh for _, delivery in bought if delivery.state in _SURE])
        return max(0, self._capacity_wh - used_wh + relief_wh)

    def price_micro_per_kwh(self, slot: int) -> int:
        """The tariff."""
        return price_micro_per_kwh(self.config.tariff, slot, self.grid.utc_offset_s)

    def grid_fee_micro_per_kwh(self, buyer: str) -> int:  # noqa: ARG002 - the same for all
        """What comes on top of the tariff."""
        return self.config.tariff.grid_fee_micro_per_kwh

    def backstop_forecast_wh(self) -> int:
        """Persistence: the higher net import of the two newest slots that all households have surely reported."""
        newest = self.now.slot - SURELY_REPORTED_S
        imports = self.books.net_import_wh
        return max(0, imports.get(newest, 0), imports.get(newest - SLOT_S, 0))

    def _energy_wh(self, side: Side, slot: int) -> int:
        deliveries = self.books.deliveries(side, slot)
        return sum([delivery.energy_wh for _, delivery in deliveries if delivery.state not in OVER])

    # --- bookings ---

    def on_delivered(self, contract: Contract, delivery: Delivery) -> None:
        """The seller has said what it delivered."""
        if self.tells:
            self.tell(
                "✅ Contract confirmed! Energy purchased. %.3f kWh from %s relieve the feeder",
                (delivery.delivered_wh or 0) / 1000,
                short(contract.counterparty),
                transaction_id=contract.transaction_id,
            )

    def on_reading(self, call: Call, reading: ReportReading) -> None:
        """Price a household's reading and book it, once per slot."""
        household, slot = call.sender, reading.slot
        if reading.order_id != supply_order_id(household):
            raise Refused(Reason.ORDER_NOT_FOUND, f"no supply order {reading.order_id!r} of yours here", About.ORDER_ID)
        self.require_near(call)
        if slot + SLOT_S > self.now.grid_s + CLOCK_TOLERANCE_S * self.grid.speed:
            raise Refused(Reason.BUSINESS, "a reading of a slot that has not ended", About.SLOT)
        if min(reading.imported_wh, reading.exported_wh) > 0:
            raise Refused(Reason.BUSINESS, "a slot's reading is import or export, net", About.READING)
        entries = self._entries(household, reading)
        known = self.books.supplied.get((slot, household), ())
        if not known:
            for entry in entries:
                self.books.book(entry)
        elif [one[3:5] for one in known] != [one[3:5] for one in entries]:
            raise Refused(Reason.BUSINESS, "another reading of that slot is booked already", About.READING)
        amounts = {entry.kind: abs(entry.amount_micro) for entry in known or entries}
        amount = amounts.get(EntryKind.BACKSTOP, 0)
        fee = min(amount, amount_micro(self.config.tariff.grid_fee_micro_per_kwh, reading.imported_wh))
        local_fee = amounts.get(EntryKind.GRID_FEE)
        self.answer(call, PricedReading(reading.order_id, reading, amount, fee, local_fee, self.around.currency))

    def _entries(self, household: str, reading: ReportReading) -> list[LedgerEntry]:
        """What a reading makes the utility book."""
        tariff, slot, entries = self.config.tariff, reading.slot, []
        if reading.imported_wh:
            all_in_micro = all_in_micro_per_kwh(tariff, slot, self.grid.utc_offset_s)
            cost_micro = amount_micro(all_in_micro, reading.imported_wh)
            entries.append(LedgerEntry(EntryKind.BACKSTOP, slot, household, SUPPLY, -reading.imported_wh, cost_micro))
        elif reading.exported_wh:
            paid_micro = amount_micro(tariff.feed_in_micro_per_kwh, reading.exported_wh)
            entries.append(LedgerEntry(EntryKind.BACKSTOP, slot, household, SUPPLY, reading.exported_wh, -paid_micro))
        if reading.sold_wh:
            fee_micro = amount_micro(tariff.local_grid_fee_micro_per_kwh, reading.sold_wh)
            reference = fee_reference(reading.sold_wh)
            entries.append(LedgerEntry(EntryKind.GRID_FEE, slot, household, reference, 0, fee_micro))
        return entries
