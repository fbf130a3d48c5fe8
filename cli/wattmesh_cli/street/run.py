"""One gateway with its pods, built from a plan and ports; the same code over HTTP and in memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wattmesh_agents.pod import Pod
from wattmesh_agents.store.database import Database
from wattmesh_beckn.registry import Directory
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.runtime import REGISTRAR, ClockConfig, GatewayConfig
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.schedule import CLOSED_AFTER_S
from wattmesh_market.trade.advice import Adviser
from wattmesh_operator.plan import GatewayPlan, PodPlan, runtime_config
from wattmesh_operator.registry.entries import Registrant
from wattmesh_operator.registry.registration import register_all


@dataclass(frozen=True)
class GridTime:
    """Grid time: `start` at wall time `epoch` (unix seconds), `speed` times as fast; no trading from `end` on."""

    start: datetime
    epoch: float
    speed: float
    end: datetime | None = None

    def at(self, wall: float) -> datetime:
        """Grid time at a wall time."""
        return datetime.fromtimestamp(self.start.timestamp() + (wall - self.epoch) * self.speed, self.start.tzinfo)

    def wall_at(self, grid: datetime) -> float:
        """The wall time at which grid time is `grid`."""
        return self.epoch + (grid - self.start).total_seconds() / self.speed


@dataclass(frozen=True)
class Ports:
    """What a run stands on. `database` opens a pod's database by name, `registry` the gateway's.

    `adviser` is for those whose strategy has one choose among offers. `directory` finds subscribers for all pods;
    without it each asks the registry itself. `token` opens the pods' pages; without it nothing does. `watch` asks
    plug-ins; without it each pod has its own.
    """

    transport: Transport
    clock: Clock
    rng: random.Random
    signers: Mapping[str, Signer]
    registry: Callable[[], Registry]
    database: Callable[[str], Database]
    adviser: Adviser | None = None
    directory: Directory | None = None
    token: ReadingToken | None = None
    watch: Watch | None = None


class StreetRun:
    """A gateway and its pods. Build it, let its sites be reached at the given URLs, then `start` it."""

    def __init__(
        self, plan: GatewayPlan, time: GridTime, ports: Ports, gateway_url: str, pod_urls: Mapping[str, str]
    ) -> None:
        self.plan = plan
        self.time = time
        self.gateway_url = gateway_url
        self.token = ports.token
        self._ports = ports
        self._registrar = ports.signers[REGISTRAR]
        self._registrar_keys = {self._registrar.key_id: self._registrar.public_key}
        self._registry = ports.registry()
        self.gateway = self.new_gateway()
        self.pods = {pod.name: self._pod(pod, pod_urls[pod.name]) for pod in plan.pods}
        self._registrants = [
            self._registrant(pod, index, pod_urls[pod.name])
            for pod in plan.pods
            for index in range(len(pod.participants))
        ]

    def new_gateway(self) -> Gateway:
        """A gateway on the registry, as it is in a new process."""
        config = GatewayConfig(
            subscriber_id=self.plan.subscriber_id,
            url=self.gateway_url,
            domain=self.plan.resource.spec.domain,
            protocols=self.plan.resource.spec.protocols,
            clock=ClockConfig(start=self.time.start, epoch=self.time.epoch, speed=self.time.speed, end=self.time.end),
            database=Path("gateway.db"),
            registrar_keys=self._registrar_keys,
        )
        ports = self._ports
        signer = ports.signers[self.plan.subscriber_id]
        return Gateway(config, signer, self._registry, ports.transport, ports.clock)

    def _pod(self, pod: PodPlan, url: str) -> Pod:
        config = runtime_config(
            pod,
            gateway_url=self.gateway_url,
            epoch=self.time.epoch,
            start=self.time.start,
            end=self.time.end,
            speed=self.time.speed,
            registrar_keys=self._registrar_keys,
            readers=self.token.pod_digests(url) if self.token else (),
        )
        ports = self._ports
        return Pod(
            config,
            url,
            {participant.subscriber_id: ports.signers[participant.subscriber_id] for participant in pod.participants},
            ports.database(pod.name),
            ports.transport,
            ports.clock,
            ports.rng,
            ports.adviser,
            ports.directory,
            ports.watch,
        )

    def _registrant(self, pod: PodPlan, index: int, url: str) -> Registrant:
        participant = pod.participants[index]
        signer = self._ports.signers[participant.subscriber_id]
        return Registrant(participant, f"{url}/{participant.name}", signer.key_id, signer.public_key)

    async def start(self, at_wall: float = 0.0) -> None:
        """Register everybody, then let the pods trade, at a wall time if it is still to come.

        The gateway must have been started and be reachable.
        """
        await self.register()
        await self._ports.clock.sleep(at_wall - self._ports.clock.wall())
        self.begin()

    async def register(self) -> None:
        """Make the registry true. The gateway must have been started and be reachable."""
        ports = self._ports
        domain = self.plan.resource.spec.domain
        await register_all(self._registrants, domain, self.gateway_url, self._registrar, ports.transport, ports.clock)

    def begin(self) -> None:
        """Let the pods trade, who must be registered; again after a `stop`, too, with a new gateway."""
        for pod in self.pods.values():
            pod.start()

    @property
    def under_way(self) -> bool:
        """Whether anybody is saying something now."""
        return self.gateway.under_way or any(pod.under_way for pod in self.pods.values())

    def remaining_s(self) -> float:
        """Wall seconds until trading ends."""
        if self.time.end is None:
            raise ValueError("this street has no end")
        return self.time.wall_at(self.time.end) - self._ports.clock.wall()

    async def until_end(self) -> None:
        """Wait until trading ends."""
        await self._ports.clock.sleep(self.remaining_s())

    async def until(self, grid: datetime) -> None:
        """Wait until that grid time, as it is in the street."""
        await self._ports.clock.sleep(self.time.wall_at(grid) - self._ports.clock.wall())

    async def finish(self, at_most_s: float) -> None:
        """Let everything that was delivered be paid, shared and booked, for a bounded time: until the last slot is
        closed, and so many wall seconds more.
        """
        until = self._ports.clock.wall() + at_most_s + (CLOSED_AFTER_S + SLOT_S) / self.time.speed
        while not all(pod.settled for pod in self.pods.values()) and self._ports.clock.wall() < until:
            await self._ports.clock.sleep(0.02)

    async def stop(self) -> None:
        """Stop trading; what is open stands in the databases."""
        for pod in self.pods.values():
            await pod.stop()
        await self.gateway.stop()

    def close(self) -> None:
        """Close the databases."""
        for pod in self.pods.values():
            pod.database.close()
        self._registry.close()


def subscriber_ids(plan: GatewayPlan) -> Sequence[str]:
    """Everybody who needs a key in a street, the registrar included."""
    return [
        REGISTRAR,
        plan.subscriber_id,
        *(participant.subscriber_id for pod in plan.pods for participant in pod.participants),
    ]
