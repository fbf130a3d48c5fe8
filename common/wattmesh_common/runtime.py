"""What a runtime process is told at start: its clock, its gateway, its households and utilities.

The operator (or `wattmesh up`) writes this as JSON; the runtime reads it once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
SubscriberId = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockConfig(_Config):
    """Grid time = `start` + (wall clock - `epoch`) x `speed`; no slot starting at or after `end` is traded."""

    start: datetime
    epoch: float = Field(description="unix seconds of the wall clock at which grid time was `start`")
    speed: float = Field(gt=0, le=100_000)
    end: datetime | None = None

    @model_validator(mode="after")
    def _zoned(self) -> Self:
        if self.start.tzinfo is None or (self.end is not None and self.end.tzinfo is None):
            raise ValueError("clock.start and clock.end need a time zone, for example 2026-06-21T06:00:00+02:00")
        return self


class GatewayAddress(_Config):
    """Where searches and look-ups go."""

    subscriber_id: SubscriberId
    url: str


class RuntimeConfig(_Config):
    """Everything one runtime process (a pod) runs."""

    pod: Name
    domain: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    gateway: GatewayAddress
    clock: ClockConfig
    registrar_keys: dict[str, str] = Field(
        default={}, description="key id to public key (base64) of whoever may ask a household to drain"
    )
    households: tuple[HouseholdConfig, ...] = ()
    utilities: tuple[UtilityConfig, ...] = ()
