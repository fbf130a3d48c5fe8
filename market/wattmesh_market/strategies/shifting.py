"""When to give devices what they need: wherever a kWh costs the household least, as far as it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.flexible import Need, Schedule
from wattmesh_market.energy.value import Prospect

_PPM = 1_000_000
_ENDLESS_WH = 1_000_000_000_000

Source = tuple[int, int]
"""What a kWh costs (millionths), and how much there is at that (Wh at the terminals)."""


class Stored(NamedTuple):
    """A battery, and what a kWh in its store is expected to be worth (millionths)."""

    battery: Battery
    micro: int


def sources(of: Prospect, surplus_wh: int, stored: Stored | None) -> list[Source]:
    """What a slot has for devices, in which the house leaves `surplus_wh` (negative: what it lacks).

    Surplus costs what it would earn else: sold to neighbours, stored, or fed in. Beside it there are what is stored,
    what neighbours can be expected to sell, and the utility.
    """
    _, buy, local_buy, local_sell, feed_in, local_wh = of
    lacking_wh, sold_wh = max(0, -surplus_wh), min(max(0, surplus_wh), local_wh)
    fed_in_wh, charged_wh = max(0, surplus_wh - sold_wh), 0
    found = [(buy, _ENDLESS_WH), (local_buy, local_wh - lacking_wh), (local_sell, sold_wh)]
    if stored is not None:
        battery, micro = stored
        found.append((-(-micro * _PPM // battery.discharge_efficiency_ppm), battery.discharge_limit_wh - lacking_wh))
        charge = micro * battery.charge_efficiency_ppm // _PPM
        if charge > feed_in:
            charged_wh = min(fed_in_wh, battery.charge_limit_wh)
            found.append((min(charge, buy), charged_wh))
    found.append((feed_in, fed_in_wh - charged_wh))
    return found


def cheapest(needs: Sequence[Need], sources_at: Callable[[int, int], Sequence[Source]]) -> list[Schedule]:
    """Give each device what it needs where that is cheapest, and of what costs the same the earliest.

    `sources_at` says what a slot has, of which so many Wh are given to other devices already. As a device's last source
    in each slot is endless, it is given all, as long as it can take that within its window.
    """
    found: list[Schedule] = []
    given_wh: dict[int, int] = {}
    for need in needs:
        schedule: dict[int, int] = {}
        left_wh = need.energy_wh
        if left_wh:
            offers = [(micro, at, wh) for at in need.slots for micro, wh in sources_at(at, given_wh.get(at, 0))]
            for _, at, wh in sorted(offers):
                before_wh = schedule.get(at, 0)
                taken_wh = min(left_wh, wh, need.limit_wh - before_wh)
                if taken_wh > 0:
                    schedule[at] = before_wh + taken_wh
                    left_wh -= taken_wh
                    if not left_wh:
                        break
        for at, wh in schedule.items():
            given_wh[at] = given_wh.get(at, 0) + wh
        found.append(schedule)
    return found
