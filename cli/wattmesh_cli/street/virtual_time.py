"""Virtual time: when it starts, and when its slots do. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_operator.plan import GatewayPlan

EPOCH = 1_800_000_000.0
"""The wall time at which every simulation starts."""


def slot_start(plan: GatewayPlan, number: int) -> datetime:
    """Grid time at which slot `number` of a run starts; 0 is the slot in which the gateway's clock starts."""
    start = plan.resource.spec.clock.start
    first = datetime.fromtimestamp(slot_of(start.timestamp()), start.tzinfo)
    return first + timedelta(seconds=SLOT_S * number)
