"""What a process is told at its start: a pod its clock, gateway, households and utilities; a gateway its registry.

The operator (or `wattmesh up`) makes these models and writes them as JSON. The process reads them at its start; a pod
also follows which households are in it, and who may read.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wattmesh_common.fields import V1_ONLY, Name, Protocols, SubscriberId, Url, Uuid
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig

Vocabulary = Literal["core", "deg"]
"""Whose words a network's messages are in: Beckn core's, or those of the energy networks' layer-2 document."""
SCHEMA_HOST = "schema.nfh.global"
"""Where the JSON-LD contexts of Beckn v2's messages lie; they have moved once, from schema.beckn.io."""
REGISTRAR = "registrar"
"""Name under which a registrar signs: whoever registers subscribers, may ask households to drain, and decides about
readings that are held."""


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

    @property
    def grid_time(self) -> GridTime:
        """The same in unix seconds; the time zone is that of `start`."""
        offset = self.start.utcoffset()
        return GridTime(
            self.start.timestamp(),
            self.epoch,
            self.speed,
            int(offset.total_seconds()) if offset else 0,
            self.end.timestamp() if self.end else None,
        )


class GatewayAddress(_Config):
    """Where searches and look-ups go."""

    subscriber_id: SubscriberId
    url: str


class RuntimeConfig(_Config):
    """Everything one runtime process (a pod) runs."""

    pod: Name
    domain: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    vocabulary: Vocabulary = "core"
    protocols: Protocols = V1_ONLY
    schema_host: str = Field(
        default=SCHEMA_HOST,
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?$",
        description="host of the JSON-LD contexts that messages in Beckn v2 name",
    )
    gateway: GatewayAddress
    clock: ClockConfig
    registrar_keys: dict[str, str] = Field(
        default={},
        description="key id to public key (base64) of who may have households drain, and decide about held readings",
    )
    readers: tuple[str, ...] = Field(
        default=(), description="digests of the tokens that open the pages of its books, see `reading_token`"
    )
    households: tuple[HouseholdConfig, ...] = ()
    utilities: tuple[UtilityConfig, ...] = ()


class GatewayConfig(_Config):
    """A gateway's identity, where it keeps its registry and who may register subscribers.

    The registry is in the SQLite file `database`, or in the PostgreSQL database whose URI is in the file
    `database_uri`.

    `registrar_keys` maps a registrar's key id to its public key (base64 of 32 bytes); `url` is where subscribers
    reach the gateway, `protocols` what its network speaks, `clock` dates what is offered.
    """

    subscriber_id: SubscriberId
    url: Url
    domain: str = Field(default="uei:p2p_trading", min_length=1, max_length=100)
    protocols: Protocols = V1_ONLY
    clock: ClockConfig
    database: Path | None = None
    database_uri: Path | None = None
    registrar_keys: dict[Uuid, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if (self.database is None) == (self.database_uri is None):
            raise ValueError("needs one of database (a SQLite file) and database_uri (a file with PostgreSQL's URI)")
        return self
