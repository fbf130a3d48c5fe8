"""A pass over a registry that is true already writes nothing, on a clock that runs while the pass does."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.operator.world import NOW, STREET, World, run
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_common.clock import LoopClock


class RunningClock(LoopClock):
    """Virtual time that also passes between two looks at the clock, as a machine's does."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self._looks = 0

    def wall(self) -> float:
        self._looks += 1
        return super().wall() + self._looks * 1e-5


class Counting:
    """A transport that counts the calls to each path, and the entries of each page that was looked up."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.calls: dict[str, int] = {}
        self.received: list[int] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        path = url.rpartition("/")[2]
        self.calls[path] = self.calls.get(path, 0) + 1
        reply = await self._transport.post(url, body, headers, timeout_s=timeout_s)
        if path == "lookup":
            self.received.append(len(json.loads(reply.body)["entries"]))
        return reply


def test_a_pass_over_a_true_registry_writes_nothing() -> None:
    async def main() -> None:
        world = World(clock=RunningClock())
        world.apply(STREET)
        await world.settle()
        assert world.registered() == {"rooftop-0.street", "rooftop-1.street", "utility.street"}
        counting = Counting(world.transport)
        world.transport = counting
        for _ in range(4):
            await world.reconcile()
        assert "subscribe" not in counting.calls
        assert counting.calls["lookup"] >= 4

    run(main())


def test_an_entry_is_renewed_once_when_it_is_no_longer_good_for_long() -> None:
    async def main() -> None:
        world = World(clock=RunningClock())
        world.apply(STREET)
        await world.settle()
        counting = Counting(world.transport)
        world.transport = counting
        await world.clock.sleep(276 * 86_400)
        for _ in range(3):
            await world.reconcile()
        assert counting.calls["subscribe"] == len(world.entries())

    run(main())


def test_more_entries_than_one_answer_holds_keep_nothing_from_being_ready_and_heal() -> None:
    async def main() -> None:
        world = World(clock=RunningClock())
        world.apply(STREET)
        await world.settle()
        [some, *_] = world.entries()
        for number in range(2_100):
            left = some.model_copy(update={"subscriber_id": f"gone-{number}.street", "type": "BAP"})
            await world.registries["market"].put(left, world.clock.wall())
        await world.reconcile()
        assert world.condition("BecknGateway", "market") == ("True", "Ready")
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert world.registered() == {"rooftop-0.street", "rooftop-1.street", "utility.street"}

    run(main())


def test_a_pass_reads_no_more_than_what_has_changed() -> None:
    async def main() -> None:
        world = World(clock=RunningClock())
        world.apply(STREET)
        await world.settle()
        await world.reconcile()
        counting = Counting(world.transport)
        world.transport = counting
        await world.reconcile()
        assert (counting.calls, counting.received) == ({"lookup": 1}, [0])
        world.scale("rooftop", 3)
        await world.reconcile()
        await world.start_pods("rooftop-2")
        await world.reconcile()  # its pod has answered, so it is registered
        assert sum(counting.received) == 0
        await world.reconcile()
        assert sum(counting.received) == 2, "one more household, as buyer and as seller"

    run(main())
