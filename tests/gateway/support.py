"""A gateway with its registry, its registrar and whatever subscribers a test wants, in virtual time."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import uuid
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from tests.world import clocks, postgresql
from tests.world.parties import FEEDER
from tests.world.subscribers import DOMAIN, entry_at, gateway_config, signer
from tests.world.tokens import TOKEN
from wattmesh_beckn.answers import ack
from wattmesh_beckn.context import request_context
from wattmesh_beckn.messages import (
    Descriptor,
    Fulfillment,
    Intent,
    IntentItem,
    PositiveMeasure,
    PositiveMeasureOf,
    SearchMessage,
    Sought,
    Stop,
    StopTime,
    TimeRange,
    write_call,
)
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport, TransportError
from wattmesh_common.clock import LoopClock, utc
from wattmesh_common.fields import V1_ONLY, Protocols
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.outcome import Outcome
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S

NOW = 1_790_000_000
TTL_S = 30.0
T = TypeVar("T")


REGISTRAR = signer("registrar")
GATEWAY = signer("gateway.street")


def entry(owner: Signer, role: SubscriberType = "BPP", **changes: Any) -> Subscription:
    """A subscription of an hour; `feeder` and fields of Subscription can be changed."""
    return entry_at(NOW, owner, role, **({"valid_until": utc(NOW + 3600)} | changes))


def answer_of(reply: Reply) -> Any:
    """The JSON of an answer."""
    return json.loads(reply.body)


def problem(reply: Reply) -> tuple[int, str, str]:
    """Status, code and text of a NACK."""
    answer = answer_of(reply)
    assert answer["message"]["ack"]["status"] == "NACK"
    return reply.status, answer["error"]["code"], answer["error"]["message"]


def asked(reply: Reply) -> int:
    """How many sellers an ACK says are asked."""
    answer = answer_of(reply)
    assert (reply.status, answer["message"]["ack"]["status"]) == (200, "ACK"), answer
    return int(answer["message"]["ack"]["tags"][0]["list"][0]["value"])


class SellerSite:
    """Keeps what it is sent, with the time, and gives always the same answer, after `delay_s`."""

    def __init__(self, world: World, reply: Reply | None = None, *, delay_s: float = 0.0) -> None:
        self.world = world
        self.reply = reply or ack()
        self.delay_s = delay_s
        self.got: list[tuple[float, str, bytes, Mapping[str, str]]] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.got.append((self.world.clock.wall() - NOW, path, body, headers))
        self.world.asked_in_order.append(self)
        await self.world.clock.sleep(self.delay_s)
        return self.reply

    @property
    def times(self) -> list[float]:
        return [time for time, *_ in self.got]


class NoPages:
    """Pages of nobody."""

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002
        raise TransportError(f"nobody listens at {url}")


def key_file(path: Path) -> Path:
    seed = hashlib.blake2b(b"gateway.street 1", digest_size=32).digest()
    key = {"key_id": GATEWAY.key_id, "private_key": base64.b64encode(seed).decode()}
    path.write_text(json.dumps({GATEWAY.subscriber_id: key}))
    return path


def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN.text)
    return path


kept_in_postgresql = False
"""Whether registries are kept in PostgreSQL, see `conftest`."""
_databases: dict[Path, str] = {}
_connected: list[postgresql.CountedDatabase] = []


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, which stands while PostgreSQL is waited for."""
    return clocks.run(_and_stop(main), postgresql.under_way if kept_in_postgresql else None)


async def _and_stop(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        while _connected:
            await _connected.pop().stop()


def registry_at(path: Path | None) -> Registry:
    """The registry in a file, or in the database that stands for it."""
    if not kept_in_postgresql:
        return Registry(path)
    server = postgresql.server()
    uri = server.new_database() if path is None else _databases.setdefault(path, server.new_database())
    folder = Path(tempfile.mkdtemp(dir=server.folder))
    database = postgresql.CountedDatabase(postgresql.uri_file(folder, uri), GATEWAY.subscriber_id)
    _connected.append(database)
    return Registry(database)


class World:
    """A gateway and what surrounds it."""

    def __init__(
        self,
        database: Path | None = None,
        transport: Transport | None = None,
        protocols: Protocols = V1_ONLY,
        registry: Registry | None = None,
    ) -> None:
        self.clock = LoopClock(NOW)
        self.memory = MemoryTransport()
        self.registry = registry or registry_at(database)
        self.config = config = gateway_config(
            GATEWAY.subscriber_id, REGISTRAR, "http://gateway.street", database, protocols=protocols
        )
        self.gateway = Gateway(config, GATEWAY, self.registry, transport or self.memory, self.clock)
        self.memory.attach("http://gateway.street", self.gateway.site)
        self.asked_in_order: list[SellerSite] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        return await self.gateway.site.post(path, body, headers or {})

    async def subscribe(
        self, wanted: Subscription | dict[str, Any], by: Signer = REGISTRAR, *, created: int | None = None
    ) -> Reply:
        if isinstance(wanted, Subscription):
            wanted = json.loads(wanted.model_dump_json(exclude_none=True))
        body = json.dumps(wanted).encode()
        created = int(self.clock.wall()) if created is None else created
        return await self.post(
            "/subscribe", body, {AUTHORIZATION: by.sign(body, created=created, expires=created + 30)}
        )

    async def lookup(self, **subset: Any) -> Any:
        return answer_of(await self.post("/lookup", json.dumps(subset).encode()))

    async def search(self, by: Signer, **changes: Any) -> Reply:
        body = self.search_body(by.subscriber_id, **changes)
        return await self.post("/search", body, self.signed(by, body))

    def signed(self, by: Signer, body: bytes) -> dict[str, str]:
        now = int(self.clock.wall())
        return {AUTHORIZATION: by.sign(body, created=now, expires=now + int(TTL_S))}

    def search_body(self, bap: str, **changes: Any) -> bytes:
        now = self.clock.wall()
        start = utc(NOW // SLOT_S * SLOT_S)
        slot = TimeRange(start=start, end=start + timedelta(seconds=SLOT_S))
        message = SearchMessage(
            intent=Intent(
                item=IntentItem(
                    descriptor=Descriptor(code="energy"),
                    quantity=Sought(selected=PositiveMeasureOf(measure=PositiveMeasure(energy_wh=5200))),
                ),
                fulfillment=Fulfillment(stops=(Stop(time=StopTime(range=slot)),)),
            )
        )
        values: dict[str, Any] = {
            "domain": DOMAIN,
            "feeder": FEEDER,
            "action": "search",
            "bap": (bap, f"http://{bap}"),
            "bpp": None,
            "transaction_id": str(uuid.uuid4()),
            "message_id": str(uuid.uuid4()),
            "now": now,
            "ttl_s": TTL_S,
        }
        return write_call(request_context(**(values | changes)), message)

    async def buyer(self, name: str = "buyer", **changes: Any) -> Signer:
        """A registered BAP."""
        assert (await self.subscribe(entry(signer(name), "BAP", **changes))).status == 200
        return signer(name)

    async def seller(
        self, name: str, reply: Reply | None = None, *, delay_s: float = 0.0, **changes: Any
    ) -> SellerSite:
        """A registered BPP that listens."""
        assert (await self.subscribe(entry(signer(name), "BPP", **changes))).status == 200
        site = SellerSite(self, reply, delay_s=delay_s)
        self.memory.attach(f"http://{name}", site)
        return site

    def outcomes(self) -> dict[str, int]:
        """What became of all pairs so far."""
        return outcomes(self.gateway.metrics)


def outcomes(metrics: Metrics) -> dict[str, int]:
    """How many pairs came to each outcome, without those that none came to."""
    counts = {outcome.value: metrics.broadcasts(outcome) for outcome in Outcome}
    return {outcome: count for outcome, count in counts.items() if count}
