"""The clock of a gateway's name. It outlives the gateway: it is written on the volumes of those who trade by it.

So grid time goes on for as long as there are books that it dates, whatever becomes of the gateway and its spec.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from wattmesh_market.energy.grid_time import GridTime
from wattmesh_operator.cluster.objects import Object, annotations_of, labels_of
from wattmesh_operator.desired.names import GATEWAY, GRID_CLOCK
from wattmesh_operator.resources.beckn_gateway import Clock

_Seconds = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


class MarketClock(BaseModel):
    """Grid time = `start` + (wall clock - `epoch`) x `speed`; so it is since `since`. Both in unix seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    start: AwareDatetime
    epoch: _Seconds
    speed: Annotated[float, Field(gt=0, le=100_000)]
    since: _Seconds

    def at(self, wall_s: float) -> float:
        """Grid time at a wall time; both in unix seconds."""
        return GridTime(self.start.timestamp(), self.epoch, self.speed).at(wall_s)


def market_clock(spec: Clock, created: float, kept: Iterable[MarketClock], now: float) -> MarketClock:
    """The clock of a gateway that was created at unix seconds `created`, with `kept` on the volumes of its agents.

    A new one starts when the gateway was declared, which is the same for every operator. One that is kept goes on; with
    another speed, or an earlier start, from where it is now, so that grid time never goes back.
    """
    start, speed = spec.start, float(spec.speed)
    former = max(kept, key=lambda clock: (clock.since, clock.at(now)), default=None)
    if former is None:
        return MarketClock(start=start, epoch=created, speed=speed, since=created)
    if (former.start, former.speed) == (start, speed):
        return former.model_copy(update={"start": start})
    gone_s = max(0.0, former.at(now) - start.timestamp())
    return MarketClock(start=start, epoch=floor(now - gone_s / speed), speed=speed, since=now)


def kept_clocks(gateway: str, claims: Iterable[Object | None]) -> list[MarketClock]:
    """The clocks on those claims that are of agents of a gateway of this name. What cannot be read is passed over."""
    found: list[MarketClock] = []
    for claim in claims:
        if claim is not None and labels_of(claim).get(GATEWAY) == gateway:
            try:
                found.append(MarketClock.model_validate_json(annotations_of(claim).get(GRID_CLOCK, "")))
            except ValidationError:
                continue
    return found
