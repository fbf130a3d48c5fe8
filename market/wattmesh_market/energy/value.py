"""What a stored kWh is worth to its owner: the slope of the value of stored energy, by backward dynamic programming.

The value V[t](level) of what is stored when slot t begins is what a household can still earn and save with it, as a
price taker with known prices (R. Bellman: Dynamic Programming, 1957; the water value of hydropower planning, e.g.
O. B. Fosso et al., IEEE Transactions on Power Systems 14 (1999) 75-81). As V[t + 1] and a slot's gain are concave and
piecewise linear, V[t] is their sup-convolution: its slopes are those of both, sorted (R. T. Rockafellar: Convex
Analysis, 1970, section 5). So each slot costs one merge of sorted lists, and no grid of levels is needed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.slots import SLOTS_PER_DAY

_PPM = 1_000_000


class Prospect(NamedTuple):
    """What a household expects of a slot: PV less load (Wh), and prices (millionths of the currency per kWh).

    Neighbours sell it `local_wh` (at the terminals) at `local_buy_micro` and take as much at `local_sell_micro`; beyond
    that it buys at `buy_micro` and feeds in at `feed_in_micro`. From the dearest: buy, local buy, local sell, feed-in.
    """

    surplus_wh: int
    buy_micro: int
    local_buy_micro: int
    local_sell_micro: int
    feed_in_micro: int
    local_wh: int


class Worth(NamedTuple):
    """What stored energy is worth, from the battery's minimum level up: `slopes` (millionths of the currency per kWh in
    the store, descending, as negative numbers) hold up to `levels` (Wh in the store), one after the other.

    A town keeps many of them, so they are arrays.
    """

    slopes: array[int]
    levels: array[int]

    def level_at(self, micro: int) -> int:
        """Up to which level another kWh is worth more than `micro`."""
        at = bisect_left(self.slopes, -micro)
        return self.levels[at - 1] if at else 0

    def of_next(self, level_wh: int) -> int:
        """What the next kWh above a level is worth; 0 at the top."""
        at = bisect_left(self.levels, level_wh + 1)
        return -self.slopes[at] if at < len(self.slopes) else 0

    def of_last(self, level_wh: int) -> int:
        """What the last kWh below a level is worth."""
        at = bisect_left(self.levels, level_wh)
        return -self.slopes[min(at, len(self.slopes) - 1)] if self.slopes else 0

    def below(self, level_wh: int, least_wh: int) -> Iterator[tuple[int, int]]:
        """From a level down to the least: what each part of the store is worth per kWh, and how wide it is."""
        slopes, levels = self.slopes, self.levels
        for at in range(min(bisect_left(levels, level_wh), len(levels) - 1), -1, -1):
            bottom_wh = max(least_wh, levels[at - 1]) if at else least_wh
            if level_wh > bottom_wh:
                yield -slopes[at], level_wh - bottom_wh
                level_wh = bottom_wh

    def above(self, level_wh: int, most_wh: int) -> Iterator[tuple[int, int]]:
        """The same from a level up to the most."""
        slopes, levels = self.slopes, self.levels
        for at in range(bisect_left(levels, level_wh + 1), len(levels)):
            top_wh = min(levels[at], most_wh)
            if top_wh > level_wh:
                yield -slopes[at], top_wh - level_wh
                level_wh = top_wh


Segments = Sequence[tuple[int, int]]
"""What stored energy is worth: slopes as in `Worth`, each with its width (Wh in the store)."""


def worth_of(segments: Segments, min_level_wh: int) -> Worth:
    """The same as a `Worth`, to be asked."""
    levels = accumulate([width for _, width in segments], initial=min_level_wh)
    next(levels)
    return Worth(array("q", [slope for slope, _ in segments]), array("q", levels))


def worths(battery: Battery, ahead: Sequence[Prospect], end_micro: int) -> list[Segments]:
    """What stored energy is worth at the end of each slot ahead; after the last one, `end_micro` per kWh."""
    size = battery.capacity_wh - battery.min_level_wh
    eff_in, eff_out = battery.charge_efficiency_ppm, battery.discharge_efficiency_ppm
    up_wh = battery.charge_limit_wh * eff_in // _PPM
    down_wh = battery.discharge_limit_wh * _PPM // eff_out
    kept_ppm = _PPM - battery.self_discharge_ppm_per_day // SLOTS_PER_DAY
    segments = [(-end_micro, size)] if size else []
    found: list[Segments] = []
    for surplus_wh, buy, local_buy, local_sell, feed_in, local_wh in reversed(ahead):
        found.append(segments.copy())
        # The slot's gain, from the most that can be charged to the most that can be discharged (Wh in the store).
        if surplus_wh > 0:
            sun_wh = min(up_wh, surplus_wh * eff_in // _PPM)
            fed_in_wh = min(sun_wh, max(0, surplus_wh - local_wh) * eff_in // _PPM)
            bought_wh = min(up_wh - sun_wh, local_wh * eff_in // _PPM)
            dear_wh = cheap_wh = 0
            sold_wh = min(down_wh, max(0, local_wh - surplus_wh) * _PPM // eff_out)
        else:
            sun_wh = fed_in_wh = 0
            bought_wh = min(up_wh, max(0, local_wh + surplus_wh) * eff_in // _PPM)
            dear_wh = min(down_wh, max(0, -surplus_wh - local_wh) * _PPM // eff_out)
            cheap_wh = min(down_wh - dear_wh, min(-surplus_wh, local_wh) * _PPM // eff_out)
            sold_wh = min(down_wh - dear_wh - cheap_wh, local_wh * _PPM // eff_out)
        if kept_ppm != _PPM:
            segments = _leaked(segments, kept_ppm)
        for slope, width in (
            (-buy * _PPM // eff_in, up_wh - sun_wh - bought_wh),
            (-local_buy * _PPM // eff_in, bought_wh),
            (-local_sell * _PPM // eff_in, sun_wh - fed_in_wh),
            (-feed_in * _PPM // eff_in, fed_in_wh),
            (-buy * eff_out // _PPM, dear_wh),
            (-local_buy * eff_out // _PPM, cheap_wh),
            (-local_sell * eff_out // _PPM, sold_wh),
            (-feed_in * eff_out // _PPM, down_wh - dear_wh - cheap_wh - sold_wh),
        ):
            if width:
                _merge(segments, slope, width)
        # What lies within the battery: it is charged by no more than that, nor discharged.
        _shorten(segments, up_wh, first=True)
        _shorten(segments, down_wh, first=False)
    found.reverse()
    return found


def _leaked(segments: Segments, kept_ppm: int) -> list[tuple[int, int]]:
    """Segments of a store of which so much is left a slot later."""
    found: list[tuple[int, int]] = []
    for slope, width in segments:
        _merge(found, slope * kept_ppm // _PPM, width)
    return found


def _merge(segments: list[tuple[int, int]], slope: int, width: int) -> None:
    """Add a segment to sorted ones; those of equal slope are one."""
    at = bisect_left(segments, (slope,))
    if at < len(segments) and segments[at][0] == slope:
        segments[at] = slope, segments[at][1] + width
    else:
        segments.insert(at, (slope, width))


def _shorten(segments: list[tuple[int, int]], by_wh: int, *, first: bool) -> None:
    """Take so many Wh away where the first segments are, or the last."""
    at = 0 if first else -1
    while by_wh:
        slope, width = segments[at]
        if width > by_wh:
            segments[at] = slope, width - by_wh
            return
        del segments[at]
        by_wh -= width
