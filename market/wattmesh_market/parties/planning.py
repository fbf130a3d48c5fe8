"""A household's plan at work: what its books say goes in, asks and bids come out."""

from __future__ import annotations

from collections.abc import Sequence

from wattmesh_market.energy.availability import held_wh, room_wh
from wattmesh_market.energy.battery import NO_BATTERY, Battery, Metered
from wattmesh_market.energy.devices.flexible import Need, Schedule
from wattmesh_market.energy.devices.vehicle import Wishes
from wattmesh_market.energy.forecast import Forecast, Seen
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.parties.appliances import Appliances
from wattmesh_market.parties.books import Books
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.strategies import Buy, Decision, Hold, Sell
from wattmesh_market.strategies.plan import NOTHING, Outlook, Planner, Shiftable, Traded
from wattmesh_market.strategies.shifting import Shifted, cheapest, taken_now
from wattmesh_market.trade.contracts import OVER, PROMISED, Side
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block
from wattmesh_market.units import money_text


class Planning:
    """What one household plans. Prices are in millionths of the currency per kWh; a price limit of its owner holds."""

    def __init__(
        self,
        config: HouseholdConfig,
        rates: Rates,
        forecast: Forecast,
        books: Books,
        grid: GridTime,
        seen: Seen,
        appliances: Appliances | None = None,
    ) -> None:
        """`forecast` is of house and devices by what was `seen`; from now on `appliances` run when it is cheapest."""
        self._config = config
        self._rates = rates
        self._battery = config.battery or NO_BATTERY
        self._books = books
        self._grid = grid
        self._path: list[Outlook] = []
        self._path_from = (-1, -1)
        self._checked = (-1, 0)
        self._shifted_in: tuple[int, Sequence[Shifted]] = (-1, ())
        self._utilities = config.utilities
        devices = None
        if appliances is not None:
            appliances.control = self
            devices = Shiftable(appliances.house, appliances.needs.until)
        self._planner = Planner(self._battery, rates, forecast, self._remembered_micro, devices, seen.until)

    def wishes(self, slot: int) -> Wishes:
        """What the battery shall do in a slot, by itself."""
        return self._planner.wishes(slot)

    def ask_micro(self, slot: int) -> int:
        """What it asks of its neighbours in a slot, without grid fee."""
        own_micro = self._config.trading.sell_price_micro_per_kwh or 0
        return max(own_micro, self._planner.ask_micro(slot, self._books.standing.next_slot))

    def supply(self, slot: int, most_wh: int) -> list[Block]:
        """What it can give up in a slot, `most_wh` at most, the cheapest first; and what a kWh of it must earn, without
        grid fee.
        """
        own_micro, found = self._config.trading.sell_price_micro_per_kwh or 0, []
        for micro, energy_wh in self._planner.supply(self._outlook(slot), slot):
            given_wh = min(energy_wh, most_wh)
            most_wh -= given_wh
            found.append(Block(max(own_micro, micro or 0), given_wh))
        return found

    def decide(self, slot: int, sellable_wh: int) -> Decision:
        """Buy what would be imported; else sell or buy, whichever side of the local price what is stored is worth."""
        outlook = self._outlook(slot)
        if sellable_wh >= MIN_TRADE_WH and not outlook.metered.imported_wh:
            return Sell()
        least_micro = max(0, self._rates.feed_in(slot) + self._rates.local_grid_fee(slot))
        wants = [
            Block(self._limited_micro(micro or 0), wh)
            for micro, wh in self._planner.demand(outlook, slot)
            if (micro or 0) >= least_micro
        ]
        wanted_wh = sum([block.energy_wh for block in wants])
        if wanted_wh >= MIN_TRADE_WH:
            reason = f"{wanted_wh / 1000:.3f} kWh are worth up to {money_text(wants[0].price_micro_per_kwh or 0)} here"
            return Buy(tuple(wants), reason)
        return Sell() if sellable_wh >= MIN_TRADE_WH else Hold()

    def ahead(self, slot: int) -> Block | None:
        """What would be imported in a later slot, at what energy of neighbours should cost; None if too little."""
        imported_wh, fee_micro = self._outlook(slot).metered.imported_wh, self._rates.local_grid_fee(slot)
        if imported_wh < MIN_TRADE_WH:
            return None
        expected_micro = self._planner.ask_micro(slot, self._books.standing.next_slot) + fee_micro
        if expected_micro < 0:
            return None
        return Block(self._limited_micro(expected_micro), imported_wh)

    def schedules(self, needs: Sequence[Need], slot: int) -> Sequence[Schedule]:
        """When to give devices what they need, as thought at the start of the slot that is to be metered next."""
        return [shifted.schedule for shifted in self._shifted(needs, slot)]

    def taken(self, needs: Sequence[Need], slot: int, left_wh: int) -> Sequence[int]:
        """What devices take in that slot, in which `left_wh` are left without them."""
        if not any(need.begin == slot and need.energy_wh for need in needs):
            return [0] * len(needs)
        shifted = self._shifted(needs, slot)
        known = {slot: left_wh - self._planner.surplus_wh(slot)}
        sources = self._planner.sources(slot, self._books.standing.battery_wh, known)
        found: list[int] = []
        for need, of in zip(needs, shifted, strict=True):
            runs = need.begin == slot and need.energy_wh
            found.append(taken_now(need, of, sources.at(slot, sum(found))) if runs else 0)
        return found

    def wishes_of_vehicle(self, store: Battery, slot: int, end: int, now: int) -> Wishes:
        """What the house wishes of a car's store in a slot, as thought in slot `now`; the car leaves at slot `end`."""
        return self._planner.vehicle_wishes(store, slot, end, now)

    def _shifted(self, needs: Sequence[Need], slot: int) -> Sequence[Shifted]:
        if not needs:
            return ()
        if self._shifted_in[0] != slot:
            sources = self._planner.sources(slot, self._books.standing.battery_wh, self._traded_before(slot))
            self._shifted_in = slot, cheapest(needs, sources.at)
        return self._shifted_in[1]

    def _traded_before(self, slot: int) -> dict[int, int]:
        """What was bought by the start of a slot for slots from then on, less what was sold of the sun (Wh)."""
        found: dict[int, int] = {}
        start_ms = self._grid.wall_ms(slot)
        for side, open_contracts in self._books.open.items():
            for contract in open_contracts.values():
                if contract.created_ms >= start_ms or contract.last_slot < slot:
                    continue
                for delivery in contract.deliveries:
                    if delivery.slot >= slot and delivery.state in PROMISED:
                        more_wh = delivery.energy_wh if side is Side.BUYER else -delivery.sun_wh
                        found[delivery.slot] = found.get(delivery.slot, 0) + more_wh
        return found

    def _limited_micro(self, bid_micro: int) -> int:
        limit_micro = self._config.trading.max_buy_price_micro_per_kwh
        return bid_micro if limit_micro is None else min(bid_micro, limit_micro)

    def learned(self, slot: int, metered: Metered) -> tuple[int, int]:
        """What a slot has taught: what neighbours' energy costs at its time of day, and what is stored is worth."""
        local_micro = self._planner.learned_micro(slot, metered, self._paid_micro(slot))
        return local_micro, self._planner.worth(slot).of_last(metered.level_after_wh)

    def _remembered_micro(self, slot: int) -> int:
        reading = self._books.readings.get(slot)
        return reading.local_micro if reading else 0

    def _paid_micro(self, slot: int) -> int | None:
        """What was paid per kWh, without fee, for what was bought of neighbours in a slot; None where nothing was."""
        energy_wh = amount_micro = 0
        for contract, delivery in self._books.deliveries(Side.BUYER, slot):
            if delivery.state in OVER or contract.in_doubt:
                continue  # what nobody stands by is no price
            if contract.counterparty not in self._utilities:
                energy_wh += delivery.energy_wh
                amount_micro += delivery.amount_micro - delivery.fee_micro
        return amount_micro * 1000 // energy_wh if energy_wh else None

    def _outlook(self, slot: int) -> Outlook:
        """How a slot is expected to go: from now on, slot by slot, those anew that begin with another level
        than was thought or for which something else is traded.
        """
        standing, version, path = self._books.standing, self._books.version, self._path
        now = standing.next_slot
        if self._path_from != (now, standing.battery_wh):
            self._path_from = now, standing.battery_wh
            path.clear()
        at = (slot - now) // SLOT_S
        if at < 0:
            raise ValueError("a slot must not lie before the current one")
        checked = min(len(path), self._checked[1]) if self._checked[0] == version else 0
        while checked <= at:
            begun = now + checked * SLOT_S
            of_slot = traded_in(self._books, self._battery, begun)
            level_wh = path[checked - 1].metered.level_after_wh if checked else standing.battery_wh
            if checked == len(path):
                path.append(self._planner.outlook(level_wh, begun, of_slot, now + SLOT_S))
            elif (path[checked].metered.level_before_wh, path[checked].traded) != (level_wh, of_slot):
                path[checked] = self._planner.outlook(level_wh, begun, of_slot, now + SLOT_S)
            checked += 1
        self._checked = version, checked
        return path[at]


def traded_in(books: Books, battery: Battery, slot: int) -> Traded:
    """What is traded for a slot, and what must be held and kept free for later ones."""
    sold_wh = bought_wh = held = room = 0
    if selling := books.promises(Side.SELLER):
        sold_wh = sum([promise.energy_wh for promise in selling if promise.slot == slot])
        held = held_wh(battery, [promise for promise in selling if promise.slot > slot], slot + SLOT_S)
    if buying := books.promises(Side.BUYER):
        bought_wh = sum([promise.energy_wh for promise in buying if promise.slot == slot])
        room = room_wh(battery, [promise for promise in buying if promise.slot > slot])
    return Traded(sold_wh, bought_wh, held, room) if selling or buying else NOTHING
