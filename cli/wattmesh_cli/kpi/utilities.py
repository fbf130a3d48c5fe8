"""What a utility's customers drew together, beside what it says it can supply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from wattmesh_cli.books import mean_power_w
from wattmesh_cli.kpi.rows import Rows, Slots


@dataclass(frozen=True)
class UtilityKpis:
    """`peak_w` is the most that the meters of its customers drew together in a slot, as mean power; None: nothing was
    metered. In `above` of `slots` metered slots it was more than `capacity_w`, which limits sales on the market only.
    """

    party: str
    capacity_w: int
    peak_w: int | None
    slots: int
    above: int


def utility_kpis(rows: Rows, utility: str, capacity_w: int, customers: Iterable[str], slots: Slots) -> UtilityKpis:
    """Of the slots asked for. What one customer gave while another drew is netted, as at one transformer."""
    drawn_wh: defaultdict[int, int] = defaultdict(int)
    for customer in customers:
        for reading in rows.readings.get(customer, ()):
            if reading.slot in slots:
                drawn_wh[reading.slot] += reading.drawn_wh
    drawn_w = [mean_power_w(max(0, wh)) for wh in drawn_wh.values()]
    above = sum(power > capacity_w for power in drawn_w)
    return UtilityKpis(utility, capacity_w, max(drawn_w, default=None), len(drawn_w), above)
