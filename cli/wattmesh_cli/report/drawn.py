"""What is drawn of a report: its rows slot by slot, or put together where there are more than a plot can show. Pure.

Steps begin on the street's local clock, so that a day's look the same from one day to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import TypeVar

from wattmesh_cli.books import SLOT_S
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.series import Metered, Traded, UtilityPrices

MOST_POINTS = 800
"""More of them on a curve take longer to draw and are not told apart on a screen."""
STEPS_S = (SLOT_S, 3600, 3 * 3600, 6 * 3600, 24 * 3600)

Row = TypeVar("Row", Metered, Traded)


def drawn(shown: Content) -> Content:
    """The same report in the shortest steps of which a plot can show all."""
    slots = shown.slots
    whole_s = slots[-1] + SLOT_S - slots[0] if slots else 0
    step_s = next((step_s for step_s in STEPS_S if whole_s <= MOST_POINTS * step_s), STEPS_S[-1])
    if step_s == SLOT_S:
        return shown
    zone = shown.market.zone
    starts = [_start(slot, step_s, zone) for slot in slots]
    return replace(
        shown,
        step_s=step_s,
        slots=tuple(dict.fromkeys(starts)),
        community=_put_together(shown.community, step_s, zone, _metered),
        households={name: _put_together(rows, step_s, zone, _metered) for name, rows in shown.households.items()},
        traded=_put_together(shown.traded, step_s, zone, _traded),
        prices=tuple(
            UtilityPrices(one.utility, _means(one.tariff_micro, starts), _means(one.feed_in_micro, starts))
            for one in shown.prices
        ),
    )


def _start(slot: int, step_s: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(slot, zone).utcoffset()
    local = slot + (int(offset.total_seconds()) if offset else 0)
    return slot - local % step_s


def _put_together(
    rows: Sequence[Row], step_s: int, zone: tzinfo, together: Callable[[int, Sequence[Row]], Row]
) -> tuple[Row, ...]:
    steps: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        steps[_start(row.slot, step_s, zone)].append(row)
    return tuple(together(start, found) for start, found in steps.items())


def _metered(start: int, rows: Sequence[Metered]) -> Metered:
    return Metered(
        start,
        max(row.households for row in rows),
        sum(row.pv_wh for row in rows),
        sum(row.load_wh for row in rows),
        sum(row.bought_wh for row in rows),
        sum(row.sold_wh for row in rows),
        sum(row.imported_wh for row in rows),
        sum(row.exported_wh for row in rows),
        rows[0].level_before_wh,
        rows[-1].level_after_wh,
        rows[-1].capacity_wh,
        slots=len(rows),
    )


def _traded(start: int, rows: Sequence[Traded]) -> Traded:
    return Traded(
        start,
        sum(row.local_wh for row in rows),
        sum(row.local_micro for row in rows),
        sum(row.from_utilities_wh for row in rows),
        sum(row.to_utilities_wh for row in rows),
    )


def _means(values: Sequence[int], starts: Sequence[int]) -> tuple[int, ...]:
    steps: defaultdict[int, list[int]] = defaultdict(list)
    for start, value in zip(starts, values, strict=True):
        steps[start].append(value)
    return tuple(sum(found) // len(found) for found in steps.values())
