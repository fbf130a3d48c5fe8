"""A utility: sells to any search within its capacity, is everybody's backstop, and buys when demand is high."""

from __future__ import annotations

import logging

from wattmesh_agents.parties.buyer import CLOCK_TOLERANCE_S, Buyer
from wattmesh_agents.parties.seller import QUOTE_TTL_MS, Seller
from wattmesh_agents.parties.shopper import Shopper
from wattmesh_agents.parties.supply import GRID_FEE_TAG, SUPPLY, fee_reference, supply_order_id
from wattmesh_agents.parties.terms import priced, slot_of_fulfillment
from wattmesh_agents.parties.trader import Surroundings, Trader, delivery, short, ttl_until
from wattmesh_agents.store.readings import LedgerEntry, PartyState
from wattmesh_agents.trade.contracts import DELIVERED, OPEN, Contract, ContractState, Side
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.messages import (
    OnUpdatedOrder,
    OnUpdateMessage,
    Quote,
    TagGroup,
    UpdateMessage,
    tag_group,
    tag_value,
)
from wattmesh_beckn.receiver import Received
from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import all_in_micro_per_kwh, price_micro_per_kwh
from wattmesh_market.parties.config import UtilityConfig
from wattmesh_market.schedule import SURELY_REPORTED_S, UTILITY_LOOKS_PPM, look_ppm, moment_s
from wattmesh_market.strategies import Decision, Hold, UtilityView, strategy_named
from wattmesh_market.units import amount_micro, energy_from_kwh, kwh_text, money_text

log = logging.getLogger(__name__)


class Utility:
    """One utility. It is a seller's Stock, and what a pod wakes each slot."""

    kind = "utility"

    def __init__(self, around: Surroundings, config: UtilityConfig, url: str) -> None:
        self.config = config
        self.name = config.name
        self.trader = Trader(around, config.subscriber_id, url, config.feeder, log)
        self.seller = Seller(self.trader, self)
        strategy = strategy_named(config.strategy)
        self.shopper = Shopper(self.trader, advised=strategy.advised)
        self.buyer = Buyer(self.trader, self.shopper, self._tell_success)
        self._decide = strategy.utility
        self._capacity_wh = slot_energy_wh(config.capacity_w)

    def enrol(self) -> None:
        """Enter the books at the current slot, if this is the first time."""
        self.trader.meter.enrol(self.kind, 0, 0, self.trader.current_slot)

    # --- each slot ---

    def looks(self, slot: int) -> list[float]:
        """When (grid time) to look at demand for a slot; households have bought by then."""
        if self.config.demand_response is None:
            return []
        now, looks = self.trader.current_slot, UTILITY_LOOKS_PPM
        return [moment_s(now, look_ppm(looks, 0, self.trader.id, slot, attempt)) for attempt in range(len(looks))]

    def take_role(self, slot: int) -> None:
        """A utility sells in every slot."""

    def catch_up(self) -> None:
        """Deliver what was sold for every slot that has ended, and free expired quotes."""
        state = self.trader.meter.state()
        current = self.trader.current_slot
        while state.next_slot < current:
            for contract in self.trader.contracts.of_slot(Side.SELLER, state.next_slot):
                if contract.state is ContractState.CONFIRMED:
                    self.seller.deliver(contract, contract.energy_wh)
            state = PartyState(0, state.next_slot + SLOT_S, buying=False)
            self.trader.meter.set_state(state)
        self.seller.expire()

    def drive(self) -> None:
        """Say again whatever should have been settled by now."""
        occasion = self.trader.new_occasion()
        if occasion is not None:
            before = self.trader.current_slot - SLOT_S
            self.seller.drive(before, occasion)
            self.buyer.drive(before, occasion)

    def settled(self) -> bool:
        """Whether every slot that has ended is metered, delivered, paid and booked."""
        trader = self.trader
        if trader.meter.state().next_slot < trader.current_slot:
            return False
        open_contracts = [c for side in Side for c in trader.contracts.in_states(side, OPEN)]
        return not any(contract.slot < trader.current_slot for contract in open_contracts)

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """Sell, or in high demand buy what lies above the start of demand response."""
        if self.trader.draining:
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
        return not self.trader.draining

    def sellable_wh(self, slot: int) -> int:
        """Capacity not sold and not expected to be drawn as backstop, and what was surely bought to relieve it."""
        used_wh = self._energy_wh(Side.SELLER, slot) + max(0, self.backstop_forecast_wh())
        sure = (ContractState.CONFIRMED, *DELIVERED)
        bought = self.trader.contracts.of_slot(Side.BUYER, slot)
        relief_wh = sum(contract.energy_wh for contract in bought if contract.state in sure)
        return max(0, self._capacity_wh - used_wh + relief_wh)

    def price_micro_per_kwh(self, slot: int) -> int:
        """The tariff."""
        return price_micro_per_kwh(self.config.tariff, slot, self.trader.around.grid.utc_offset_s)

    def grid_fee_micro_per_kwh(self, buyer: str) -> int:  # noqa: ARG002 - the same for all
        """What comes on top of the tariff."""
        return self.config.tariff.grid_fee_micro_per_kwh

    def backstop_forecast_wh(self) -> int:
        """Persistence: the higher net import of the two newest slots that all households have surely reported."""
        meter, newest = self.trader.meter, self.trader.current_slot - SURELY_REPORTED_S
        return max(0, meter.backstop_import_wh(newest), meter.backstop_import_wh(newest - SLOT_S))

    def _energy_wh(self, side: Side, slot: int) -> int:
        ended = (ContractState.EXPIRED, ContractState.CANCELLED)
        contracts = self.trader.contracts.of_slot(side, slot)
        return sum(contract.energy_wh for contract in contracts if contract.state not in ended)

    # --- bookings ---

    def _tell_success(self, contract: Contract) -> None:
        self.trader.story(
            "✅ Contract confirmed! Energy purchased. %.3f kWh from %s relieve the feeder",
            (contract.delivered_wh or 0) / 1000,
            short(contract.counterparty),
            transaction_id=contract.transaction_id,
        )

    def supply(self, received: Received) -> None:
        """`update` of the supply order → `on_update`: price a household's reading, book it, once per slot."""
        trader, context = self.trader, received.context
        order = received.read(UpdateMessage).order
        household = received.sender.subscriber_id
        if order.id != supply_order_id(household):
            raise declined(ErrorCode.ORDER_NOT_FOUND, f"no supply order {order.id!r} of yours here", "message.order.id")
        trader.require_near(received.sender)
        if not order.fulfillments:
            raise invalid("a reading needs its slot", "message.order.fulfillments")
        path = "message.order.fulfillments.0"
        slot = slot_of_fulfillment(order.fulfillments[0], path)
        if slot + SLOT_S > trader.around.grid.now() + CLOCK_TOLERANCE_S * trader.around.grid.speed:
            raise declined(ErrorCode.BUSINESS_ERROR, "a reading of a slot that has not ended", path)
        imported_wh, exported_wh, sold_wh = (_reading(order.fulfillments[0].tags, name, path) for name in _READINGS)
        if min(imported_wh, exported_wh) > 0:
            raise declined(ErrorCode.BUSINESS_ERROR, "a slot's reading is import or export, net", f"{path}.tags")
        entries = self._entries(household, slot, imported_wh, exported_wh, sold_wh)
        known = trader.meter.entries(("backstop", "grid_fee"), slot, household)
        if not known:
            for entry in entries:
                trader.meter.book(entry)
        elif [(one.reference, one.energy_wh) for one in known] != [(one.reference, one.energy_wh) for one in entries]:
            raise declined(ErrorCode.BUSINESS_ERROR, "another reading of that slot is booked already", f"{path}.tags")
        amounts = {entry.kind: abs(entry.amount_micro) for entry in known or entries}
        metered = dict(zip(_READINGS, (imported_wh, exported_wh, sold_wh), strict=True))
        tags = [tag_group("meter", **{name: kwh_text(energy_wh) for name, energy_wh in metered.items()})]
        if sold_wh:
            group, code = GRID_FEE_TAG
            tags.append(tag_group(group, **{code: money_text(amounts["grid_fee"])}))
        amount = amounts.get("backstop", 0)
        fee = min(amount, amount_micro(self.config.tariff.grid_fee_micro_per_kwh, imported_wh))
        reply = OnUpdatedOrder(
            id=order.id,
            fulfillments=(delivery(slot, tags=tuple(tags)),),
            status="ACTIVE",
            quote=Quote(**priced(amount, fee, trader.currency), ttl=ttl_until(QUOTE_TTL_MS, 0)),
        )
        trader.tell(
            "on_update",
            household,
            OnUpdateMessage(order=reply),
            transaction_id=context.transaction_id,
            message_id=context.message_id,
        )

    def _entries(
        self, household: str, slot: int, imported_wh: int, exported_wh: int, sold_wh: int
    ) -> list[LedgerEntry]:
        """What a reading makes the utility book."""
        tariff, entries = self.config.tariff, []
        if imported_wh:
            all_in_micro = all_in_micro_per_kwh(tariff, slot, self.trader.around.grid.utc_offset_s)
            cost_micro = amount_micro(all_in_micro, imported_wh)
            entries.append(LedgerEntry("backstop", slot, household, SUPPLY, -imported_wh, cost_micro))
        elif exported_wh:
            paid_micro = amount_micro(tariff.feed_in_micro_per_kwh, exported_wh)
            entries.append(LedgerEntry("backstop", slot, household, SUPPLY, exported_wh, -paid_micro))
        if sold_wh:
            fee_micro = amount_micro(tariff.local_grid_fee_micro_per_kwh, sold_wh)
            entries.append(LedgerEntry("grid_fee", slot, household, fee_reference(sold_wh), 0, fee_micro))
        return entries


_READINGS = ("imported_kwh", "exported_kwh", "delivered_kwh")


def _reading(tags: tuple[TagGroup, ...], name: str, path: str) -> int:
    text = tag_value(tags, "meter", name)
    if text is None and name == "delivered_kwh":
        return 0  # stated only by who has sold under a grid fee
    try:
        return energy_from_kwh(text or "")
    except ValueError as error:
        raise invalid(f"tag meter.{name} {error}", f"{path}.tags") from None
