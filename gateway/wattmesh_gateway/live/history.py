"""The street's last days, slot by slot and feeder by feeder, from the books of its pods. Pure.

A pod is asked from its first slot on that is not booked yet. What is booked is added to its feeder's slot and is not
asked for again; what is not stands beside it until the pod's next word. A pod is believed about feeders on which
somebody is registered at it. Where households move from pod to pod, a history begins anew: it does not know whose part
of a sum is whose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from wattmesh_common.pod_pages import HistoryPage, HistoryRow
from wattmesh_market.energy.slots import DAY_S, SLOT_S

KEPT_S = 7 * DAY_S


@dataclass
class _Pod:
    since: int
    told: bool = False
    unbooked: dict[str, list[HistoryRow]] = field(default_factory=dict)


class History:
    """Sums of the last `KEPT_S`."""

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}
        self._feeders: defaultdict[str, dict[int, HistoryRow]] = defaultdict(dict)

    def wanted(self, pod: str, now_s: float) -> int:
        """The slot from which on a pod is to be asked."""
        oldest = max(0, int(now_s) - KEPT_S)
        known = self._pods.setdefault(pod, _Pod(oldest))
        known.since = max(known.since, oldest)
        return known.since

    def learn(self, pod: str, page: HistoryPage, feeders: Set[str]) -> bool:
        """Take over a page that was asked for by `wanted`; whether the pod has more.

        `feeders` are those on which somebody lives in the pod.
        """
        known = self._pods[pod]
        rows = [(name, row) for name, found in page.feeders.items() if name in feeders for row in found]
        rows = [(name, row) for name, row in rows if known.since <= row.slot < page.until]
        before, known.since = known.since, min([max(known.since, page.until), *(r.slot for _, r in rows if r.unbooked)])
        known.unbooked = {}
        for name, row in sorted(rows, key=lambda one: one[1].slot):
            if row.slot < known.since:
                booked = self._feeders[name]
                booked[row.slot] = add_rows(row, booked.get(row.slot))
                if len(booked) > KEPT_S // SLOT_S:
                    del booked[min(booked)]
            else:
                known.unbooked.setdefault(name, []).append(row)
        known.told |= not page.more
        return page.more and known.since > before

    def told(self, pod: str) -> bool:
        """Whether a pod has told all that it had when it was asked first."""
        return pod in self._pods and self._pods[pod].told

    def booked_until(self, pod: str) -> int | None:
        """The slot before which a pod has booked all that it has told; None before it has told all that it had."""
        return self._pods[pod].since if self.told(pod) else None

    def rows(self, feeder: str) -> list[HistoryRow]:
        """A feeder's slots, oldest first."""
        found = dict(self._feeders.get(feeder, {}))
        for pod in self._pods.values():
            for row in pod.unbooked.get(feeder, ()):
                found[row.slot] = add_rows(row, found.get(row.slot))
        return [found[slot] for slot in sorted(found)]

    def today(self, feeder: str, utc_offset_s: int) -> dict[str, Any] | None:
        """A feeder's sums of its newest local day, JSON-able; None without a metered slot.

        `used_pv_wh` is what the load used of the own PV, at once or out of the batteries (docs/kpis.md).
        """
        rows = self.rows(feeder)
        if not rows:
            return None
        begin = rows[-1].slot - (rows[-1].slot + utc_offset_s) % DAY_S
        of_day = [(row, used_wh) for row, used_wh in zip(rows, _used_pv(rows), strict=True) if row.slot >= begin]
        return {
            "since": of_day[0][0].slot,
            "until": rows[-1].slot + SLOT_S,
            "used_pv_wh": sum(used_wh for _, used_wh in of_day),
            **{
                name: sum(getattr(row, name) for row, _ in of_day)
                for name in ("pv_wh", "load_wh", "taken_wh", "local_wh", "saved_micro", "unbooked")
            },
        }


def add_rows(one: HistoryRow, other: HistoryRow | None) -> HistoryRow:
    """The sum of two rows of the same slot."""
    return one if other is None else HistoryRow(one.slot, *(a + b for a, b in zip(one[1:], other[1:], strict=True)))


def _used_pv(rows: Iterable[HistoryRow]) -> Iterator[int]:
    """Of each slot, what the load used of the own PV (Wh), as docs/kpis.md defines it for self-sufficiency."""
    stored_pv_wh = after_wh = 0
    for row in rows:
        before_wh = row.level_before_wh
        if before_wh < after_wh:
            stored_pv_wh = stored_pv_wh * before_wh // after_wh
        after_wh = row.level_after_wh
        direct_wh = min(row.pv_wh, row.load_wh)
        discharged_wh = row.load_wh - row.pv_wh - row.net_wh
        drawn_wh = max(0, min(row.load_wh - direct_wh, discharged_wh))
        yield direct_wh + (drawn_wh * stored_pv_wh // before_wh if before_wh else 0)
        if after_wh > before_wh and discharged_wh < 0:
            charged_pv_wh = min(row.pv_wh - direct_wh, -discharged_wh)
            stored_pv_wh += (after_wh - before_wh) * charged_pv_wh // -discharged_wh
        elif before_wh:
            stored_pv_wh = stored_pv_wh * after_wh // before_wh
