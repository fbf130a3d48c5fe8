"""A street as it is in a cluster: the operator, real gateways, real pods whose Secrets are brought to them late."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pydantic_core
from fastapi import FastAPI

from tests.operator.world import NOW, World, party_status
from tests.world.clocks import HeldClock
from tests.world.loopback import Loopback
from tests.world.tokens import TOKEN
from wattmesh_agents.app import create_app as agents_app
from wattmesh_agents.keyring import KeyRing
from wattmesh_agents.pod import Pod
from wattmesh_agents.store.database import Database
from wattmesh_beckn.keys import read_keys
from wattmesh_beckn.signature import AUTHORIZATION, Signer, parse_header
from wattmesh_beckn.transport import Reply, Transport, TransportError
from wattmesh_cli.audit import audit
from wattmesh_cli.books import ContractRow
from wattmesh_cli.sqlite_books import read_books
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_gateway.app import create_app as gateway_app
from wattmesh_gateway.gateway import Gateway
from wattmesh_operator.desired.settings import PodSettings

OVERLAP_S = 120


@dataclass(frozen=True)
class Call:
    """A call that was answered: whose key signed it, and what the answer was."""

    url: str
    body: bytes
    signer: str
    key_id: str
    status: int
    answer: bytes

    @property
    def action(self) -> str:
        return self.url.rpartition("/")[2]


class Wire:
    """What everybody sends through. `before` may do something before a call goes on its way."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.calls: list[Call] = []
        self.under_way = 0
        self.cut: set[str] = set()
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        self.under_way += 1
        try:
            if self.before:
                await self.before(url)
            if url.removeprefix("http://").partition(".")[0] in self.cut:
                raise TransportError("connection refused")
            reply = await self._inner.post(url, body, headers, timeout_s=timeout_s)
        finally:
            self.under_way -= 1
        if AUTHORIZATION in headers:
            header = parse_header(headers[AUTHORIZATION])
            self.calls.append(Call(url, body, header.subscriber_id, header.key_id, reply.status, reply.body))
        return reply

    @property
    def refused(self) -> list[bytes]:
        """Answers to calls whose signatures were not taken."""
        return [call.answer for call in self.calls if call.status == 401]

    def keys_of(self, signer: str) -> list[str]:
        """The keys that somebody has signed with, in the order of their first use."""
        return list(dict.fromkeys(call.key_id for call in self.calls if call.signer == signer))


class LiveWorld(World):
    """Pods live in this process. `state` holds their databases, and the key files that they see as volumes."""

    def __init__(self, state: Path, clock: Clock, end: datetime) -> None:
        super().__init__(clock=clock, settings=PodSettings(image="runtime:1", key_overlap=timedelta(seconds=OVERLAP_S)))
        self.wire = Wire(self.sites)
        self.transport = self.wire
        self.live: dict[str, Pod] = {}
        self.rings: dict[str, KeyRing] = {}
        self._state = state
        self._end = end
        self._configs: dict[str, tuple[str, RuntimeConfig]] = {}
        (state / "agents").mkdir(parents=True)

    # --- what people and Kubernetes do ---

    async def come_up(self) -> None:
        """The gateway first, so that everybody is registered before the first search."""
        await self.reconciler.run()
        await self.start_pods("market")
        await self.reconciler.run()
        await self.start_pods(*(name for name in self.names("Deployment") if name != "market"))
        await self.reconciler.run()

    def rotate(self, kind: str, name: str, value: str) -> None:
        """`kubectl annotate --overwrite`."""
        item = self.read(kind, name)
        item["metadata"]["annotations"] = {"wattmesh.io/rotate-keys": value}
        self.cluster.put(item)

    def bring_secret(self, pod: str) -> None:
        """The kubelet: the pod's volume is now as its Secret is."""
        self._key_file(pod).write_bytes(base64.b64decode(self.read("Secret", pod)["data"]["keys.json"]))

    async def start_agents(self, name: str, origin: str, config: RuntimeConfig) -> None:
        ended = config.model_copy(update={"clock": config.clock.model_copy(update={"end": self._end})})
        self._configs[name] = (origin, ended)
        self.bring_secret(name)
        await self.revive(name)

    async def revive(self, name: str) -> None:
        """A new process on the pod's database and volumes."""
        origin, config = self._configs[name]
        database = Database.open(self._state / "agents" / f"{name}.db")
        self.rings[name] = KeyRing(read_keys(self._key_file(name)), partial(self._read_keys, name), self.clock)
        rng = random.Random(1)
        self.live[name] = Pod(config, origin, self.rings[name], database, self.wire, self.clock, rng)
        await self.serve_pod(origin, self.live[name])
        self.live[name].start()

    async def kill(self, name: str) -> None:
        """The process ends. What is not on disk is gone."""
        pod = self.live.pop(name)
        await pod.stop()
        pod.database.close()

    async def serve_pod(self, origin: str, pod: Pod) -> None:
        """The pod can be reached."""
        self.sites.attach(origin, pod)

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002 - Pages
        name = url.removeprefix("http://").partition(".")[0]
        if name not in self.live:
            raise TransportError(f"nobody listens at {url}")
        _, config = self._configs[name]
        parties = [*(party.name for party in config.households), *(party.name for party in config.utilities)]
        return Reply(200, pydantic_core.to_json([party_status(party) for party in parties]))

    async def _read_keys(self, pod: str) -> Mapping[str, Signer]:
        return read_keys(self._key_file(pod))

    def _key_file(self, pod: str) -> Path:
        return self._state / f"{pod}-keys.json"

    # --- what is left ---

    async def finish(self) -> list[ContractRow]:
        """Stop all; what the books say of contracts. They are in order, and nobody has failed."""
        faults = {name: pod.metrics.fault_count for name, pod in self.live.items()}
        for name in [*self.live]:
            await self.kill(name)
        books = read_books(self._state)
        assert audit(books).findings == ()
        assert not any(faults.values()), faults
        return [row for book in books for row in book.contracts]


class HttpWorld(LiveWorld):
    """A LiveWorld in which all that is said goes over loopback HTTP, and key files are read as a pod's process does."""

    def __init__(self, state: Path, end: datetime) -> None:
        self.held = HeldClock(NOW, lambda: self.wire.under_way)
        super().__init__(state, self.held, end)
        self.net = Loopback()
        self.wire = Wire(self.net)
        self.transport = self.wire
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self.net.close)

    async def __aenter__(self) -> HttpWorld:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def serve_gateway(self, origin: str, gateway: Gateway) -> None:
        await self._serve(origin, gateway_app(gateway, self.net, TOKEN))
        self._stack.push_async_callback(gateway.stop)

    async def serve_pod(self, origin: str, pod: Pod) -> None:
        await self._serve(origin, agents_app(pod))

    async def _serve(self, origin: str, app: FastAPI) -> None:
        await self.net.serve(origin.removeprefix("http://"), app)

    async def _read_keys(self, pod: str) -> Mapping[str, Signer]:
        return await asyncio.to_thread(read_keys, self._key_file(pod))
