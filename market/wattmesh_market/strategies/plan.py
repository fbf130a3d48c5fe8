"""Planning by what a stored kWh is worth: what to ask, what to bid, how much, and what the battery does meanwhile.

Sellers ask the price that they have learned neighbours pay at that time of day, for what is worth no more to them;
buyers bid all that the energy is worth to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery, Metered, SlotPlan, meter_slot
from wattmesh_market.energy.devices.flexible import Need
from wattmesh_market.energy.devices.vehicle import Wishes
from wattmesh_market.energy.forecast import Forecast
from wattmesh_market.energy.slots import DAY_S, SLOT_S, SLOTS_PER_DAY
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.energy.value import Prospect, Segments, Worth, worth_of, worths
from wattmesh_market.schedule import AHEAD_S
from wattmesh_market.strategies.shifting import Look, Sources, cheapest
from wattmesh_market.trade.offers import Block

_PPM = 1_000_000
PLANNED_EVERY_S = 4 * 3600
"""How often a household looks ahead anew."""
_KEPT = (PLANNED_EVERY_S + AHEAD_S) // SLOT_S
"""For how many slots such a plan serves: until the next, and for what is traded ahead meanwhile."""
AHEAD = 144
"""How many slots it looks ahead: the coming day, and the night after it."""
SOLD_WH = 400
"""How much of its stored energy a household expects its neighbours to take in a slot, at the local price."""
SURE_PPM = 850_000
"""How sure it is of trading at that price: so much of the way to it counts, from what the utility takes or pays."""
LEARNED_PPM = 300_000
"""Which part of the way to what a slot has taught its idea of a price goes."""


_FULL_MICRO = 10**12
"""What a kWh in a car's store is worth when the car leaves, and must have it: more than any price."""


class Traded(NamedTuple):
    """What is traded for a slot already, in Wh: at the terminals, and what promises for later slots hold and keep free
    in the store.
    """

    sold_wh: int = 0
    bought_wh: int = 0
    held_wh: int = 0
    room_wh: int = 0


NOTHING = Traded()
_NOTHING_STORED = worth_of((), 0)


class Valued(NamedTuple):
    """What stored energy is worth at the end of a slot, and what the battery shall do in the slot because of that."""

    worth: Worth
    wishes: Wishes


class Outlook(NamedTuple):
    """How a slot is expected to go with what is traded for it already, and what stored energy is worth at its end."""

    metered: Metered
    worth: Worth
    traded: Traded

    @property
    def charged_wh(self) -> int:
        """What enters the battery (Wh at the terminals), negative where it leaves it."""
        return charged(self.metered)


def _made(slot: int, traded: int | None = None) -> int:
    """When the plan was made that holds for a slot while `traded` is traded (default: that slot)."""
    return min(slot, slot if traded is None else traded) // PLANNED_EVERY_S * PLANNED_EVERY_S


def charged(metered: Metered) -> int:
    """What a battery took in a slot (Wh at the terminals), negative where it gave."""
    taken_wh = metered.pv_wh + metered.bought_wh + metered.imported_wh
    return taken_wh - metered.load_wh - metered.sold_wh - metered.exported_wh


class Shiftable(NamedTuple):
    """What of a household can be shifted: `house` is the forecast without it; `needs` says what devices are to be given
    from a slot on, in windows that begin before another, by what was metered before the first.
    """

    house: Forecast
    needs: Callable[[int, int], Sequence[Need]]


class Planner:
    """One household's plan."""

    def __init__(
        self,
        battery: Battery,
        rates: Rates,
        forecast: Forecast,
        learned: Callable[[int], int],
        devices: Shiftable | None = None,
        seen_until: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """`learned` says what a past slot has taught about the price of neighbours' energy; 0: nothing. With
        `seen_until` the forecast goes by what was metered before a slot.
        """
        self._battery = battery
        self._rates = rates
        self._forecast = forecast
        self._learned = learned
        self._house = devices.house if devices else forecast
        self._needs = devices.needs if devices else None
        self._seen_until = seen_until
        self._looks: dict[tuple[int, int], Look] = {}
        self._vehicle: dict[tuple[int, int], Sequence[Segments]] = {}
        self._worths: dict[tuple[int, int], Sequence[Worth]] = {}
        self._valued: dict[tuple[int, int], Valued] = {}

    # --- looking ahead ---

    def worth(self, slot: int, traded: int | None = None) -> Worth:
        """What stored energy is worth at the end of a slot, as it is planned while `traded` is (default: that slot)."""
        return self._valued_in(slot, traded).worth

    def wishes(self, slot: int, traded: int | None = None) -> Wishes:
        """What the battery shall do in a slot, by itself; `traded` as in `worth`."""
        return self._valued_in(slot, traded).wishes

    def _valued_in(self, slot: int, traded: int | None) -> Valued:
        made = _made(slot, traded)
        found = self._valued.get((made, slot))
        if found is None:
            # Who asks for more than that plan tells has another made for that time.
            anchor = made if slot - made < _KEPT * SLOT_S else _made(slot)
            if (anchor, made) not in self._worths:
                # A slot is metered by the plan before the one that is made while the next is traded.
                self._worths = {key: of for key, of in self._worths.items() if key[1] >= made - PLANNED_EVERY_S}
                self._looks = {key: of for key, of in self._looks.items() if key in self._worths}
                self._worths[anchor, made] = self._plan(anchor, made)
                self._valued = {}
            worth = self._worths[anchor, made][(slot - anchor) // SLOT_S]
            found = self._valued[made, slot] = Valued(worth, self._wishes_by(worth, self._battery, slot))
        return found

    def _plan(self, anchor: int, made: int) -> Sequence[Worth]:
        """What stored energy is worth at the end of each slot from `anchor` on, as long as that plan is good.

        It is made from what was seen until `made`.
        """
        if not self._battery.capacity_wh and self._needs is None:
            return [_NOTHING_STORED] * _KEPT
        ahead = prospects = self._prospects(anchor, made)
        if self._needs is not None:
            ahead = self._with_devices(Look(anchor, prospects, (), ()), made, self._needs)
        feed_in = self._rates.feed_in(anchor + (AHEAD - 1) * SLOT_S)
        end_micro = max(0, feed_in) * self._battery.discharge_efficiency_ppm // _PPM
        found = worths(self._battery, ahead, end_micro) if self._battery.capacity_wh else []
        if self._needs is not None:
            worth_micro = [(-segments[-1][0], -segments[0][0]) for segments in found if segments]
            self._looks[anchor, made] = Look(anchor, prospects, ahead, worth_micro)
        return [worth_of(one, self._battery.min_level_wh) for one in found[:_KEPT]] or [_NOTHING_STORED] * _KEPT

    def _prospects(self, anchor: int, made: int) -> list[Prospect]:
        """What to expect of each slot from `anchor` on, without devices that can be shifted.

        Plans are made while the slot before `made` goes on. Who starts later makes the same.
        """
        day = []
        with self._seen_until(made - SLOT_S):
            for slot in range(anchor, anchor + DAY_S, SLOT_S):
                pv_wh, load_wh = self._house.expected(slot)
                day.append(self._prospect(slot, pv_wh - load_wh, self.local_micro(slot, made)))
        # What is expected of the coming day is expected of the one after it, too, but for the utility's prices.
        ahead = [*day, *day[: AHEAD - len(day)]]
        if not self._rates.daily:
            for at in range(len(day), AHEAD):
                slot, before = anchor + at * SLOT_S, day[at - len(day)]
                ahead[at] = self._prospect(slot, before.surplus_wh, self.local_micro(slot - DAY_S, made))
        return ahead

    def _with_devices(self, look: Look, made: int, needs: Callable[[int, int], Sequence[Need]]) -> list[Prospect]:
        """The same with devices, where utility, neighbours and sun are cheapest; the battery goes by what is left."""
        first = look.first
        coming = [need.after(first) for need in needs(made - SLOT_S, first + DAY_S) if need.end > first]
        given_wh = [0] * SLOTS_PER_DAY
        for shifted in cheapest(coming, Sources(look, self._battery, None, {}).at):
            for slot, energy_wh in shifted.schedule.items():
                given_wh[(slot - first) // SLOT_S % SLOTS_PER_DAY] += energy_wh
        return [
            of._replace(surplus_wh=of.surplus_wh - given_wh[place % SLOTS_PER_DAY])
            for place, of in enumerate(look.prospects)
        ]

    def sources(self, slot: int, level_wh: int, more_wh: Mapping[int, int]) -> Sources:
        """Where energy for devices may come from, as thought at the start of a slot in which `level_wh` is stored.

        `more_wh` is what is traded for slots from then on.
        """
        worth, made = self.worth(slot), _made(slot)
        return Sources(self._looks[made, made], self._battery, worth.of_last(level_wh), more_wh)

    def surplus_wh(self, slot: int) -> int:
        """What was expected to be left in a slot, without devices, when it was looked at last."""
        look = self._looks[_made(slot), _made(slot)]
        return look.prospects[look.place(slot)].surplus_wh

    def _prospect(self, slot: int, surplus_wh: int, expected_micro: int) -> Prospect:
        """What to expect of a slot in which neighbours' energy is expected to cost so much.

        Contracts cost 0 or more, so nobody trades below.
        """
        buy, fee, feed_in = self._rates.all_in(slot), self._rates.local_grid_fee(slot), self._rates.feed_in(slot)
        if buy < fee and min(buy, feed_in) < 0:
            return Prospect(surplus_wh, buy, buy, min(buy, feed_in), min(buy, feed_in), 0)
        local_micro = max(0, feed_in, min(buy - fee, expected_micro))
        bought_micro = buy - max(0, buy - fee - local_micro) * SURE_PPM // _PPM
        sold_micro = min(bought_micro, feed_in + (local_micro - feed_in) * SURE_PPM // _PPM)
        return Prospect(surplus_wh, buy, bought_micro, sold_micro, min(sold_micro, feed_in), SOLD_WH)

    def local_micro(self, slot: int, before: int) -> int:
        """What energy of neighbours is expected to cost in a slot (without fee), from what was seen until `before`."""
        at = slot - DAY_S
        return self._learned(at if at < before - SLOT_S else before - 2 * SLOT_S) or self.most_ask_micro(slot)

    def ask_micro(self, slot: int, next_slot: int) -> int:
        """The same as of `next_slot`: moved as much as the newest slot's was since the day before, but for a fifth.

        At most what a neighbour pays.
        """
        newest = next_slot - SLOT_S
        expected_micro, newest_micro = self.local_micro(slot, newest + 2 * SLOT_S), self._learned(newest)
        if newest_micro and slot < newest + DAY_S:
            expected_micro += (newest_micro - self.local_micro(newest, newest + SLOT_S)) * 4 // 5
        return min(expected_micro, self.most_ask_micro(slot))

    def most_ask_micro(self, slot: int) -> int:
        """What a neighbour pays at most, the grid fee taken off."""
        return self._rates.all_in(slot) - self._rates.local_grid_fee(slot)

    def _wishes_by(self, worth: Worth, battery: Battery, slot: int) -> Wishes:
        buy, feed_in = self._rates.all_in(slot), self._rates.feed_in(slot)
        # Rounded up, as slopes are: what is as well bought later is not bought now, nor saved for later.
        fill = worth.level_at(-(-buy * _PPM // battery.charge_efficiency_ppm))
        reserve = worth.level_at(-(-buy * battery.discharge_efficiency_ppm // _PPM))
        return Wishes(fill, reserve, worth.level_at(feed_in * _PPM // battery.charge_efficiency_ppm))

    def vehicle_wishes(self, store: Battery, slot: int, end: int, now: int) -> Wishes:
        """What the house wishes of a car's store in a slot, as planned in slot `now`; it is full when the car leaves at
        slot `end`.
        """
        made = _made(now)
        found = self._vehicle.get((made, end))
        if found is None:
            self.worth(now)  # the look ahead
            look = self._looks[made, made]
            ahead = [look.with_devices[look.place(at)] for at in range(made, end, SLOT_S)]
            self._vehicle = {(made, end): worths(store, ahead, _FULL_MICRO)}
            found = self._vehicle[made, end]
        return self._wishes_by(worth_of(found[(slot - made) // SLOT_S], 0), store, slot)

    def outlook(self, level_wh: int, slot: int, of_slot: Traded, traded: int | None = None) -> Outlook:
        """How a slot is expected to go, at whose start `level_wh` is stored, with what is traded for it already.

        `traded` as in `worth`.
        """
        pv_wh, load_wh = self._forecast.expected(slot)
        sold_wh, bought_wh, held_wh, room_wh = of_slot
        worth, wishes = self._valued_in(slot, traded)
        plan = SlotPlan(slot, pv_wh, load_wh, bought_wh, sold_wh, held_wh, room_wh, 0, *wishes)
        return Outlook(meter_slot(self._battery, level_wh, plan), worth, of_slot)

    # --- offers and bids ---

    def supply(self, outlook: Outlook, slot: int) -> list[Block]:
        """What can be given up, the cheapest first, and what a kWh of it is worth to the household.

        First what would be fed in, then what would be charged, then what the battery can give beside.
        """
        battery, one = self._battery, outlook.metered
        found = [Block(self._rates.feed_in(slot), one.exported_wh)] if one.exported_wh else []
        charged_wh, power_wh = max(0, outlook.charged_wh), battery.discharge_limit_wh + min(0, outlook.charged_wh)
        least_wh = battery.min_level_wh + outlook.traded.held_wh
        for slope, width_wh in outlook.worth.below(one.level_after_wh, least_wh):
            less_wh = min(charged_wh, width_wh * _PPM // battery.charge_efficiency_ppm)
            if less_wh:
                charged_wh -= less_wh
                found.append(Block(slope * battery.charge_efficiency_ppm // _PPM, less_wh))
            left_wh = width_wh - less_wh * battery.charge_efficiency_ppm // _PPM
            given_wh = min(power_wh, battery.dischargeable_wh(left_wh))
            if given_wh:
                power_wh -= given_wh
                found.append(Block(-(-slope * _PPM // battery.discharge_efficiency_ppm), given_wh))
            if not power_wh:
                break
        return found

    def demand(self, outlook: Outlook, slot: int) -> list[Block]:
        """What would be of use, the most valuable first, and what a kWh of it is worth to the household.

        What would be imported, then what spares the battery, then what charges it. All must cost less than the utility
        takes, which supplies as much when the slot is there, and then it is known how much that is.
        """
        battery, one = self._battery, outlook.metered
        most_micro = self._rates.all_in(slot) - 1
        found = [Block(most_micro, one.imported_wh)] if one.imported_wh else []
        spared_wh, power_wh = max(0, -outlook.charged_wh), battery.charge_limit_wh - max(0, outlook.charged_wh)
        most_wh = battery.capacity_wh - outlook.traded.room_wh
        for slope, width_wh in outlook.worth.above(one.level_after_wh, most_wh):
            less_wh = min(spared_wh, battery.dischargeable_wh(width_wh))
            if less_wh:
                spared_wh -= less_wh
                found.append(Block(min(most_micro, slope * _PPM // battery.discharge_efficiency_ppm), less_wh))
            left_wh = width_wh - less_wh * _PPM // battery.discharge_efficiency_ppm
            taken_wh = min(power_wh, max(0, left_wh) * _PPM // battery.charge_efficiency_ppm)
            if taken_wh:
                power_wh -= taken_wh
                found.append(Block(min(most_micro, slope * battery.charge_efficiency_ppm // _PPM), taken_wh))
            if not power_wh:
                break
        return sorted(found, key=lambda block: -(block.price_micro_per_kwh or 0))

    def learned_micro(self, slot: int, metered: Metered, paid_micro: int | None) -> int:
        """What a slot that was just metered teaches about the price of neighbours' energy at its time of day.

        Who has bought knows it (`paid_micro`, without fee). Who would have sold more at that price thinks it too high;
        anybody else, as nothing says so, too low: who asks too much finds out, who asks too little never would.
        """
        battery, feed_in = self._battery, self._rates.feed_in(slot)
        most_micro, level_wh, charged_wh = self.most_ask_micro(slot), metered.level_after_wh, charged(metered)
        local_micro, part_ppm = max(0, self.ask_micro(slot, slot)), LEARNED_PPM
        if paid_micro is not None:
            found_micro = paid_micro
        elif metered.exported_wh:
            found_micro = feed_in
        elif charged_wh > 0:
            found_micro = self.worth(slot).of_last(level_wh) * battery.charge_efficiency_ppm // _PPM
        elif level_wh > battery.min_level_wh and battery.discharge_limit_wh + charged_wh > 0:
            found_micro = self.worth(slot).of_last(level_wh) * _PPM // battery.discharge_efficiency_ppm
        else:
            found_micro = most_micro
        if paid_micro is None and found_micro >= local_micro:
            found_micro = most_micro
            if not (metered.sold_wh or metered.imported_wh):
                part_ppm //= 2
        found_micro = max(0, feed_in, min(found_micro, most_micro))
        return local_micro + (found_micro - local_micro) * part_ppm // _PPM
