"""A seller and a buyer of another network at a gateway that speaks v2, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.traffic import Exchange
from tests.foreign.platform_v2 import Json, PlatformV2, answered, signer_of
from tests.gateway.support import GATEWAY, REGISTRAR, NoPages, entry
from tests.world.loopback import Loopback
from tests.world.subscribers import gateway_config, signer
from tests.world.tokens import TOKEN
from wattmesh_beckn.registry import SubscriberType
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import SystemClock, utc
from wattmesh_gateway.app import create_app
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S

_PATIENCE_S = 10.0


class _Guest(PlatformV2):
    """A platform that listens. `seen` has all that went over the wires, with what it was answered."""

    def __init__(self, name: str, wires: Loopback, seen: list[Exchange]) -> None:
        key_id = "00000000-0000-4000-8000-000000000001"
        super().__init__(name, key_id, name.encode().ljust(32, b"."), f"http://{name}/beckn")
        self._wires, self._seen = wires, seen
        self._heard: asyncio.Queue[Json] = asyncio.Queue()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Hear a callback that the gateway has signed; acknowledge it as LTS does."""
        assert signer_of(headers, body, GATEWAY.public_key) == GATEWAY.subscriber_id
        assert path == f"/beckn/{json.loads(body)['context']['action']}"
        answer = {"status": "ACK"}
        answer["signature"] = self.counter_signature(json.dumps(answer).encode(), body, SystemClock().wall())
        self._seen.append(Exchange(path.removeprefix("/beckn"), json.loads(body), answer))
        self._heard.put_nowait(json.loads(body))
        return Reply(200, json.dumps(answer).encode(), {"content-type": "application/json"})

    async def say(self, action: str, message: Json, **context: Any) -> Json:
        """Say something to the gateway; its answer."""
        now = SystemClock().wall()
        body = json.dumps(self.call(action, message, now, **context)).encode()
        headers = {"authorization": self.signature(body, now)}
        reply = await self._wires.post(f"http://gateway/{action}", body, headers, timeout_s=_PATIENCE_S)
        said = answered(reply.body, body, GATEWAY.public_key)
        self._seen.append(Exchange(f"/{action}", json.loads(body), json.loads(reply.body)))
        return said

    async def hears(self, action: str) -> Json:
        """The next callback."""
        call = await asyncio.wait_for(self._heard.get(), _PATIENCE_S)
        assert call["context"]["action"] == action
        return call


async def _enter(guest: _Guest, role: SubscriberType, wires: Loopback) -> None:
    now = SystemClock().wall()
    values: dict[str, Any] = {"url": guest.url, "signing_public_key": guest.public_key, "protocols": ("v2",)}
    values |= {"valid_from": utc(now - 60), "valid_until": utc(now + 600)}
    await wires.listen(guest.id, guest)
    await subscribe("http://gateway", wires, SystemClock(), REGISTRAR, entry(signer(guest.id), role, **values))


async def discovered(database: Path) -> tuple[list[Exchange], Json]:
    """A seller publishes what it has and what cannot be taken; a buyer asks, in its own words and ones not understood.

    All that was said, and what the buyer found.
    """
    wires, seen = Loopback(), list[Exchange]()
    config = gateway_config(GATEWAY.subscriber_id, REGISTRAR, "http://gateway", database, protocols=("v2",))
    registry = Registry(database)
    gateway = Gateway(config, GATEWAY, registry, wires, SystemClock())
    try:
        await wires.serve("gateway", create_app(gateway, NoPages(), TOKEN))
        seller, buyer = _Guest("seller.example", wires, seen), _Guest("buyer.example", wires, seen)
        await _enter(seller, "BPP", wires)
        await _enter(buyer, "BAP", wires)
        slot = SystemClock().wall() // SLOT_S * SLOT_S + SLOT_S
        catalogs = [seller.catalog(slot), seller.catalog(slot, id="bad", bppId="another.example")]
        assert (await seller.say("catalog/publish", {"catalogs": catalogs}))["status"] == "ACK"
        await seller.hears("catalog/on_publish")
        kind = "$[?(@.resources[*].resourceAttributes['@type']=='EnergyResource')]"
        sought = {"intent": {"filters": {"type": "jsonpath", "expression": kind}}}
        assert (await buyer.say("discover", sought))["status"] == "ACK"
        found = await buyer.hears("on_discover")
        nonsense = {"intent": {"filters": {"type": "jsonpath", "expression": "$["}}}
        assert (await buyer.say("discover", nonsense))["status"] == "NACK"
        assert (await buyer.say("discover", sought, bapId="another.example"))["status"] == "NACK"
        failing = {"intent": {"filters": {"type": "jsonpath", "expression": "$[?count(1) == 1]"}}}
        assert (await buyer.say("discover", failing))["status"] == "ACK"
        assert "error" in await buyer.hears("on_discover")
    finally:
        await wires.close()
        registry.close()
    return seen, found
