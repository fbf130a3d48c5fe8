"""A namespace in a cluster in memory, with real gateways and pods that answer as they are told, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import async_solipsism
import pydantic_core
import yaml

from tests.world.clocks import at_once
from wattmesh_agents.registrar import asked_by_registrar, drain_reply
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport, TransportError
from wattmesh_common.clock import Clock, LoopClock
from wattmesh_common.drain import DrainCall
from wattmesh_common.pod_pages import PartyStatus
from wattmesh_common.runtime import GatewayConfig, RuntimeConfig
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry
from wattmesh_operator.cluster.cache import CachedCluster
from wattmesh_operator.cluster.memory import MemoryCluster
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.controller.reconcile import Pass, Reconciler
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.keys.key_files import signers_of

NOW = 1_790_000_000
T = TypeVar("T")

STREET = """
kind: BecknGateway
metadata: {name: market}
spec: {clock: {speed: 120}}
---
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 60}
---
kind: SolarAgent
metadata: {name: rooftop}
spec: {replicas: 2, battery: {capacityKwh: 10, initialKwh: 8.5}, pv: {peakKw: 8}, load: {annualKwh: 3500}}
"""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(main)


def party_status(name: str, **changes: Any) -> PartyStatus:
    """How a household stands, as its pod's page `/status` has it."""
    usual: dict[str, Any] = {
        "name": name,
        "kind": "household",
        "subscriber_id": f"{name}.street",
        "feeder": "main",
        "level_wh": 5_000,
        "capacity_wh": 10_000,
        "sold_wh": 1_234,
        "bought_wh": 250,
        "balance_micro": -1_204_999,
        "currency": "EUR",
        "open_contracts": 0,
        "in_doubt": 0,
        "draining": False,
        "metered_until": datetime(2026, 6, 21, 6, tzinfo=UTC),
        "key_id": "k",
    }
    return PartyStatus(**(usual | changes))


class AgentPod:
    """The process in a pod: what the operator asks of it, and nothing else."""

    def __init__(self, config: RuntimeConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.draining: dict[str, bool] = {}
        self.unpriced: dict[str, int] = {}
        names = [*(party.name for party in config.households), *(party.name for party in config.utilities)]
        self.parties = {name: party_status(name) for name in names}

    def has_open(self, name: str, contracts: int) -> None:
        """So many contracts of a household are open."""
        self.parties[name] = self.parties[name].model_copy(update={"open_contracts": contracts})

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        name, action = path.strip("/").split("/")
        assert action == "drain"
        [subscriber_id] = [home.subscriber_id for home in self.config.households if home.name == name]
        keys = self.config.registrar_keys
        call, _ = asked_by_registrar(DrainCall, body, headers, keys, subscriber_id, self.clock)
        self.draining[name] = call.draining
        open_contracts, unpriced = self.parties[name].open_contracts, self.unpriced.get(name, 0)
        return drain_reply(
            draining=call.draining,
            open_contracts=open_contracts,
            unpriced_readings=unpriced,
            closed=call.draining and not open_contracts and not unpriced,
        )


class World:
    """One namespace, its reconciler, and what runs in it."""

    def __init__(
        self, namespace: str = "street", *, clock: Clock | None = None, settings: PodSettings | None = None
    ) -> None:
        self.namespace = namespace
        self.clock = clock or LoopClock(NOW)
        self.cluster = MemoryCluster(self.clock.wall)
        self.sites = MemoryTransport()
        self.transport: Transport = self.sites
        self.pods: dict[str, AgentPod] = {}
        self.registries: dict[str, Registry] = {}
        self.settings = settings or PodSettings(image="runtime:1")
        self.reconciler = self.new_operator()

    def new_operator(self, settings: PodSettings | None = None) -> Reconciler:
        """An operator that has just started, with new settings where given."""
        self.settings = settings or self.settings
        cache = self.cache = CachedCluster(self.cluster, self.clock)
        self.cluster.watches.append(lambda what, item: cache.brought(item, gone=what == "DELETED"))
        return Reconciler(self.namespace, cache, self, self, self.clock, self.settings)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        """What the operator sends; see Transport."""
        return await self.transport.post(url, body, headers, timeout_s=timeout_s)

    # --- what people do ---

    def apply(self, text: str) -> None:
        """`kubectl apply -f`."""
        for document in yaml.safe_load_all(text):
            metadata = {"namespace": self.namespace, **document["metadata"]}
            self.cluster.put({"apiVersion": "wattmesh.io/v1alpha1", **document, "metadata": metadata})

    def scale(self, name: str, replicas: int) -> None:
        """`kubectl scale`."""
        item = self.read("SolarAgent", name)
        item["spec"]["replicas"] = replicas
        self.cluster.put(item)

    def delete(self, kind: str, name: str) -> None:
        """`kubectl delete`."""
        self.cluster.remove(kind, self.namespace, name)

    # --- what the cluster does ---

    async def start_pods(self, *names: str) -> None:
        """Pods of these Deployments (default: all) come up as templates say, gateways with the registry they had."""
        self.cluster.roll_out(*names)
        for name in names or self.cluster.names("Deployment", self.namespace):
            config = json.loads(self.read("ConfigMap", name)["data"]["config.json"])
            origin = f"http://{name}.{self.namespace}.svc:8080"
            if "households" in config:
                await self.start_agents(name, origin, RuntimeConfig.model_validate(config))
            else:
                registry = self.registries.setdefault(name, Registry(None))
                parsed = GatewayConfig.model_validate(config)
                signer = self.keys(name)[parsed.subscriber_id]
                gateway = Gateway(parsed, signer, registry, self.transport, self.clock)
                await gateway.start()
                await self.serve_gateway(origin, gateway)

    def take_down(self, *names: str) -> None:
        """The pods of these Deployments are not ready any more."""
        for name in names:
            deployment = self.read("Deployment", name)
            deployment["status"] |= {"readyReplicas": 0, "availableReplicas": 0}
            self.cluster.put(deployment)

    async def start_agents(self, name: str, origin: str, config: RuntimeConfig) -> None:
        """The pod of households or of a utility comes up."""
        self.pods[name] = AgentPod(config, self.clock)
        self.sites.attach(origin, self.pods[name])

    async def serve_gateway(self, origin: str, gateway: Gateway) -> None:
        """The gateway can be reached."""
        self.sites.attach(origin, gateway.site)

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002 - Pages
        """The status page of a pod; see Pages."""
        pod = self.pods.get(url.removeprefix("http://").split(".")[0])
        if pod is None:
            raise TransportError(f"nobody listens at {url}")
        return Reply(200, pydantic_core.to_json([*pod.parties.values()]))

    # --- what is looked at ---

    async def settle(self) -> None:
        """Pass, pods come up, pass."""
        await self.reconcile()
        await self.start_pods()
        await self.reconcile()

    async def reconcile(self) -> Pass:
        """One pass, a moment after the last one."""
        await self.clock.sleep(1)
        return await self.reconciler.run()

    def read(self, kind: str, name: str) -> Object:
        return self.cluster.read(kind, self.namespace, name)

    def names(self, kind: str) -> list[str]:
        return [*self.cluster.names(kind, self.namespace)]

    def keys(self, name: str) -> dict[str, Signer]:
        return signers_of(self.read("Secret", name))

    def condition(self, kind: str, name: str, condition: str = "Ready") -> tuple[str, str]:
        """Status and reason."""
        found = [c for c in self.read(kind, name)["status"]["conditions"] if c["type"] == condition]
        return found[0]["status"], found[0]["reason"]

    def events(self) -> list[tuple[str, str]]:
        """Name of the resource and reason of all Events so far, in no order."""
        events = [self.read("Event", name) for name in self.names("Event")]
        return sorted((event["involvedObject"]["name"], event["reason"]) for event in events)

    def entries(self, gateway: str = "market") -> list[Subscription]:
        """Live entries of buyers and sellers."""
        now = self.clock.wall()
        found = at_once(self.registries[gateway].lookup({}, now, most=100_000))
        return [entry for entry in found if entry.type != "BG" and entry.is_live(now)]

    def registered(self, gateway: str = "market") -> set[str]:
        return {entry.subscriber_id for entry in self.entries(gateway)}

    def writes(self) -> list[tuple[str, str, str]]:
        """Writes since last asked."""
        writes, self.cluster.writes = self.cluster.writes, []
        return writes
