"""What is drawn of a report: its rows slot by slot, or put together where there are more than a plot can show. Pure.

Steps begin on the street's local clock, so that a day's look the same from one day to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import TypeVar

from wattmesh_cli.books import SLOT_S
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.series import Metered, Traded, UtilityPrices, summed

MOST_POINTS = 800
"""More of them on a curve take longer to draw and are not told apart on a screen."""
STEPS_S = (SLOT_S, 3600, 3 * 3600, 6 * 3600, 24 * 3600)

T = TypeVar("T")


def step_s(shown: Content) -> int:
    """The shortest step of which a plot can show all of a report (seconds)."""
    slots = shown.slots
    whole_s = slots[-1] + SLOT_S - slots[0] if slots else 0
    return next((step_s for step_s in STEPS_S if whole_s <= MOST_POINTS * step_s), STEPS_S[-1])


def drawn(shown: Content) -> Content:
    """The same report in such steps."""
    step = step_s(shown)
    if step == SLOT_S:
        return shown
    starts = {slot: _start(slot, step, shown.market.zone) for slot in shown.slots}
    return replace(
        shown,
        step_s=step,
        slots=tuple(dict.fromkeys(starts.values())),
        community=_metered(shown.community, starts),
        households={name: _metered(rows, starts) for name, rows in shown.households.items()},
        traded=_traded(shown.traded, starts),
        prices=tuple(
            UtilityPrices(one.utility, _means(one.tariff_micro, starts), _means(one.feed_in_micro, starts))
            for one in shown.prices
        ),
    )


def _start(slot: int, step_s: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(slot, zone).utcoffset()
    local = slot + (int(offset.total_seconds()) if offset else 0)
    return slot - local % step_s


def _by_step(values: Iterable[tuple[int, T]], starts: Mapping[int, int]) -> dict[int, list[T]]:
    """Values with their slots, by the start of the step that the slot is in."""
    steps: defaultdict[int, list[T]] = defaultdict(list)
    for slot, value in values:
        steps[starts[slot]].append(value)
    return steps


def _metered(rows: Sequence[Metered], starts: Mapping[int, int]) -> tuple[Metered, ...]:
    return tuple(
        Metered(
            start,
            max(row.households for row in found),
            sum(row.pv_wh for row in found),
            sum(row.load_wh for row in found),
            sum(row.bought_wh for row in found),
            sum(row.sold_wh for row in found),
            sum(row.imported_wh for row in found),
            sum(row.exported_wh for row in found),
            found[0].level_before_wh,
            found[-1].level_after_wh,
            found[-1].capacity_wh,
            sum(row.plans for row in found),
            sum(row.worth_micro for row in found),
            slots=len(found),
            devices_wh=summed(*(row.devices_wh for row in found)),
        )
        for start, found in _by_step(((row.slot, row) for row in rows), starts).items()
    )


def _traded(rows: Sequence[Traded], starts: Mapping[int, int]) -> tuple[Traded, ...]:
    return tuple(
        Traded(
            start,
            sum(row.local_wh for row in found),
            sum(row.local_micro for row in found),
            sum(row.from_utilities_wh for row in found),
            sum(row.to_utilities_wh for row in found),
            sum(row.shared_wh for row in found),
        )
        for start, found in _by_step(((row.slot, row) for row in rows), starts).items()
    )


def _means(values: Sequence[int], starts: Mapping[int, int]) -> tuple[int, ...]:
    """Of one value for each slot."""
    return tuple(sum(found) // len(found) for found in _by_step(zip(starts, values, strict=True), starts).values())
