"""By the battery's level: cheap when there is plenty, dear when there is little."""

from __future__ import annotations

from wattmesh_market.pricing.view import PricingView


def ask(view: PricingView) -> int:
    """From the ceiling, where the battery is just above its selling threshold, down to the floor, where it is full."""
    spare_wh = min(view.level_wh, view.capacity_wh) - view.sell_above_wh
    return view.most_ask_micro_per_kwh - _share(
        view.most_ask_micro_per_kwh - view.least_ask_micro_per_kwh, spare_wh, view.capacity_wh - view.sell_above_wh
    )


def bid(view: PricingView) -> int:
    """From its limit, where the battery is empty (or there is none), down to the feed-in, where it has its target."""
    return view.most_bid_micro_per_kwh - _share(
        view.most_bid_micro_per_kwh - view.least_bid_micro_per_kwh,
        min(view.level_wh, view.buy_target_wh),
        view.buy_target_wh,
    )


def _share(span_micro: int, part_wh: int, whole_wh: int) -> int:
    return span_micro * max(0, part_wh) // whole_wh if whole_wh > 0 else 0
