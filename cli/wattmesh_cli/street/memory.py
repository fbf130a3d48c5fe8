"""A street in memory: the same agents, messages and ledger, without network, files or waiting.

Time is the event loop's, and the loop jumps to the next alarm when nobody has anything to do, so a day takes as long as
its computing does; the same seed gives the same ledger.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import async_solipsism

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_beckn.transport import MemoryTransport, Transport
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import LoopClock
from wattmesh_gateway.registry import Registry
from wattmesh_market.trade.advice import Adviser
from wattmesh_operator.plan import GatewayPlan

_SETTLE_S = 60.0

T = TypeVar("T")


def simulate(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in virtual time."""

    async def main() -> T:
        return await work()

    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(main())


async def run_in_memory(
    plan: GatewayPlan,
    end: datetime,
    *,
    seed: int = 0,
    speed: float | None = None,
    wrap: Callable[[Transport, LoopClock], Transport] | None = None,
    watch: Callable[[StreetRun], Awaitable[None]] | None = None,
    database: Callable[[str, str], Database] = lambda _, salt: Database.open(IN_MEMORY, salt=salt),
    adviser: Adviser | None = None,
) -> StreetRun:
    """Run a street until grid time `end` within `simulate`; returns it stopped, its databases open.

    `wrap` may put something between the parties and the network (loss, delay); `watch` runs beside the street;
    `database` opens that of a pod, by its name and salt; `adviser` chooses for those whose strategy asks one.
    """
    clock = LoopClock(EPOCH)
    sites = MemoryTransport()
    transport = wrap(sites, clock) if wrap else sites
    chosen = plan.resource.spec.clock
    time = GridTime(chosen.start, EPOCH, speed or float(chosen.speed), end)
    ports = Ports(
        transport,
        clock,
        random.Random(seed),  # noqa: S311 - jitter
        derived_signers(subscriber_ids(plan), seed),
        lambda: Registry(None),
        lambda name: database(name, f"{seed}/{name}"),
        adviser,
    )
    street = StreetRun(plan, time, ports, "http://gateway", {pod.name: f"http://{pod.name}" for pod in plan.pods})
    sites.attach("http://gateway", street.gateway.site)
    for name, pod in street.pods.items():
        sites.attach(f"http://{name}", pod)
    await street.gateway.start()
    await street.start()
    watching = asyncio.ensure_future(watch(street)) if watch else None
    await clock.sleep(time.wall_at(end) - clock.wall() + 0.001)
    await street.finish(_SETTLE_S)
    if watching:
        watching.cancel()
    await street.stop()
    return street
