"""A pass over a registry that is true already writes nothing, on a clock that runs while the pass does."""

from __future__ import annotations

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
    """A transport that counts the calls to each path."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.calls: dict[str, int] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        path = url.rpartition("/")[2]
        self.calls[path] = self.calls.get(path, 0) + 1
        return await self._transport.post(url, body, headers, timeout_s=timeout_s)


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
