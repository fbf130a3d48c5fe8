"""The BecknGateway resource: a market, with its registry, its currency and its clock."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from wattmesh_common.fields import V1_ONLY
from wattmesh_common.runtime import SCHEMA_HOST, Vocabulary
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.resources.quantities import Speed
from wattmesh_operator.resources.resource import CustomResource, Part
from wattmesh_operator.resources.values import (
    Currency,
    Domain,
    HostName,
    ObjectName,
    SecretKey,
    SpokenProtocols,
    Whole,
    ZonedTime,
    rule_broken,
)


class Clock(Part):
    """Grid time, the same for all who trade through this gateway."""

    start: Annotated[datetime, ZonedTime()] = Field(
        default=datetime(2026, 6, 21, 6, tzinfo=UTC),
        description="Grid time at which the market starts, as RFC 3339; its zone is that of tariffs and load shapes.",
    )
    speed: Speed = Field(default=Decimal(1), description="Seconds of grid time per second of wall clock.")


class SecretRef(Part):
    """A key of a Secret of the same namespace."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace.")
    key: SecretKey = Field(
        default="uri", description="Its key that holds the URI, as postgresql://user:password@host/db."
    )


class Database(Part):
    """A PostgreSQL database that the replicas of a gateway share."""

    secret_ref: SecretRef = Field(description="Where its URI is. A changed password is taken at the next connection.")
    port: Annotated[int, Whole(1, 65535)] = Field(
        default=5432, description="The URI's port, which the gateway's NetworkPolicy lets its pods call."
    )


class BecknGatewaySpec(Part):
    """What a gateway is told."""

    domain: Domain = Field(default="uei:p2p_trading", description="Beckn domain of all messages.")
    currency: Currency = Field(default="EUR", description="ISO 4217 code of the currency of all prices.")
    vocabulary: Vocabulary = Field(
        default="core",
        description="Words of all messages: those of Beckn core, or those that the energy networks' layer-2 document "
        "for uei:p2p_trading asks for (deg). Both are understood.",
    )
    protocols: SpokenProtocols = Field(
        default=V1_ONLY,
        description="Versions of Beckn that its members speak: v1 (core 1.1), v2 (2.0.0 LTS) or both. Where two speak "
        "both, a new contract is made in v2.",
    )
    schema_host: HostName = Field(
        default=SCHEMA_HOST, description="Host of the JSON-LD contexts that messages in v2 name (schemaContext)."
    )
    clock: Clock = Field(default_factory=Clock, description="Grid time: when it starts and how fast it runs.")
    database: Database | None = Field(
        default=None,
        description="PostgreSQL database of its registry, catalogs and limits. Default: a SQLite file on a volume of"
        " its own. `wattmesh up` always has a file.",
    )
    replicas: Annotated[int, Whole(1, 10)] = Field(
        default=1, description="How many pods it has. More than one need a database that they share."
    )
    pod: PodTemplate | None = Field(default=None, description="What its pods have beside what the chart says for all.")

    @field_validator("replicas")
    @classmethod
    def _shared(cls, replicas: int, info: ValidationInfo) -> int:
        if replicas > 1 and "database" in info.data and info.data["database"] is None:
            raise rule_broken("more than 1 need a database that they share; add spec.database")
        return replicas


class BecknGateway(CustomResource):
    """Registers sellers and broadcasts searches."""

    kind: Literal["BecknGateway"] = Field(default="BecknGateway", description="Always BecknGateway.")
    spec: BecknGatewaySpec = Field(default_factory=BecknGatewaySpec, description="The desired gateway.")
