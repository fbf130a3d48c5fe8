"""When to give devices what they need: wherever a kWh costs the household least, as far as it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.flexible import Need, Schedule
from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY
from wattmesh_market.energy.value import Prospect

_PPM = 1_000_000
ENDLESS_WH = 1_000_000_000_000

Offer = tuple[int, int, int]
"""What a kWh costs (millionths), in which slot, and how much there is at that (Wh at the terminals)."""
Offers = Callable[[int, int], Sequence[Offer]]
"""What there is in a slot, of which so many Wh are given away already; the last resort is endless."""


class Look(NamedTuple):
    """A look ahead from slot `first` on: what to expect of each slot without devices that can be shifted and with them,
    and the least and most that a stored kWh is worth at its end (none without a battery).
    """

    first: int
    prospects: Sequence[Prospect]
    with_devices: Sequence[Prospect]
    worth_micro: Sequence[tuple[int, int]]

    def place(self, slot: int) -> int:
        """The place of a slot; of one that lies further ahead, that of a day before."""
        found = (slot - self.first) // SLOT_S
        return found if found < len(self.prospects) else found - SLOTS_PER_DAY


class Sources:
    """Where energy for devices may come from in slots to come."""

    def __init__(self, look: Look, battery: Battery, stored_micro: int | None, more_wh: Mapping[int, int]) -> None:
        """`more_wh` is on top of what is expected to be left in a slot. A kWh that is worth `stored_micro` in the store
        now is worth that later, too, but for what it is worth at least and at most then; None: it is not counted on.
        """
        self._look = look
        self._battery = battery
        self._stored_micro = stored_micro if look.worth_micro else None
        self._more_wh = more_wh

    def at(self, slot: int, given_wh: int) -> list[Offer]:
        """What a slot has.

        Surplus costs what it would earn else: sold to neighbours, stored, or fed in. Beside it there are what is
        stored, what neighbours can be expected to sell, and the utility.
        """
        place = self._look.place(slot)
        surplus_wh, buy, local_buy, local_sell, feed_in, local_wh = self._look.prospects[place]
        surplus_wh += self._more_wh.get(slot, 0) - given_wh
        found = [(buy, slot, ENDLESS_WH)]
        if surplus_wh < 0:
            lacking_wh, fed_in_wh = -surplus_wh, 0
        else:
            lacking_wh, sold_wh = 0, min(surplus_wh, local_wh)
            fed_in_wh = surplus_wh - sold_wh
            if sold_wh:
                found.append((local_sell, slot, sold_wh))
        if local_wh > lacking_wh:
            found.append((local_buy, slot, local_wh - lacking_wh))
        if self._stored_micro is not None:
            least_micro, most_micro = self._look.worth_micro[place]
            micro, battery = max(least_micro, min(most_micro, self._stored_micro)), self._battery
            given_micro = -(-micro * _PPM // battery.discharge_efficiency_ppm)
            if given_micro < buy and battery.discharge_limit_wh > lacking_wh:
                found.append((given_micro, slot, battery.discharge_limit_wh - lacking_wh))
            charge_micro = micro * battery.charge_efficiency_ppm // _PPM
            if fed_in_wh and charge_micro > feed_in:
                charged_wh = min(fed_in_wh, battery.charge_limit_wh)
                fed_in_wh -= charged_wh
                found.append((min(charge_micro, buy), slot, charged_wh))
        if fed_in_wh:
            found.append((feed_in, slot, fed_in_wh))
        return found


class Shifted(NamedTuple):
    """When a device is given what it needs: `limit_micro` is the most that a kWh of it costs, and `at_limit_wh` is what
    it is given at that in its first slot.
    """

    schedule: Schedule
    limit_micro: int
    at_limit_wh: int


def cheapest(needs: Sequence[Need], offers: Offers) -> list[Shifted]:
    """Give each device what it needs where that is cheapest, and of what costs the same the earliest.

    A device is given all, as long as it can take that within its window.
    """
    found: list[Shifted] = []
    given_wh: dict[int, int] = {}
    for need in needs:
        schedule: dict[int, int] = {}
        left_wh, limit_wh, first = need.energy_wh, need.limit_wh, need.begin
        limit_micro = at_limit_wh = 0
        if left_wh:
            offered: list[Offer] = []
            for at in need.slots:
                offered += offers(at, given_wh.get(at, 0))
            offered.sort()
            for micro, at, wh in offered:
                before_wh = schedule.get(at, 0)
                taken_wh = min(left_wh, wh, limit_wh - before_wh)
                if taken_wh > 0:
                    if micro != limit_micro:
                        limit_micro, at_limit_wh = micro, 0
                    if at == first:
                        at_limit_wh += taken_wh
                    schedule[at] = before_wh + taken_wh
                    left_wh -= taken_wh
                    if not left_wh:
                        break
            for at, wh in schedule.items():
                given_wh[at] = given_wh.get(at, 0) + wh
        found.append(Shifted(schedule, limit_micro, at_limit_wh))
    return found


def taken_now(need: Need, shifted: Shifted, offers: Sequence[Offer]) -> int:
    """What a device takes in its first slot, of which it is known now what there is: what costs less than the most that
    it was to pay, and at that price what it was to take; in any case what could not be given later any more.
    """
    cheap_wh = sum([wh for micro, _, wh in offers if micro < shifted.limit_micro])
    limit_wh = sum([wh for micro, _, wh in offers if micro == shifted.limit_micro])
    later_wh = (len(need.slots) - 1) * need.limit_wh
    wanted_wh = cheap_wh + min(limit_wh, shifted.at_limit_wh)
    return max(need.energy_wh - later_wh, min(wanted_wh, need.limit_wh, need.energy_wh))
