"""Subscribers of tests' worlds: their keys, and what the registry says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.world.parties import FEEDER
from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.signature import Signer
from wattmesh_common.clock import utc
from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_common.runtime import ClockConfig, GatewayConfig

DOMAIN = "uei:p2p_trading"


def signer(subscriber_id: str, key: int = 1) -> Signer:
    """The subscriber's `key`-th key, the same in every test."""
    seed = hashlib.blake2b(f"{subscriber_id} {key}".encode(), digest_size=32).digest()
    return Signer.from_seed(subscriber_id, f"00000000-0000-4000-8000-{key:012d}", seed)


def entry_at(now: float, owner: Signer, role: SubscriberType, *, feeder: str = FEEDER, **changes: Any) -> Subscription:
    """A subscription for a day from a minute ago; other fields of Subscription can be changed, too."""
    values: dict[str, Any] = {
        "subscriber_id": owner.subscriber_id,
        "url": f"http://{owner.subscriber_id}",
        "type": role,
        "domain": DOMAIN,
        "location": Location(city=Code(code=feeder)),
        "key_id": owner.key_id,
        "signing_public_key": owner.public_key,
        "valid_from": utc(now - 60),
        "valid_until": utc(now + 86_400),
    }
    return Subscription(**(values | changes))


def gateway_config(
    subscriber_id: str,
    registrar: Signer,
    url: str = "http://gateway",
    database: Path | None = None,
    *,
    protocols: tuple[ProtocolVersion, ...] = V1_ONLY,
    clock: ClockConfig | None = None,
) -> GatewayConfig:
    """What the process of a gateway is told at its start; without a database, for one whose registry is in memory.

    Without a clock grid time is wall time.
    """
    return GatewayConfig(
        subscriber_id=subscriber_id,
        url=url,
        domain=DOMAIN,
        protocols=protocols,
        clock=clock or ClockConfig(start=utc(0), epoch=0, speed=1),
        database=database or Path("unused"),
        registrar_keys={registrar.key_id: registrar.public_key},
    )
