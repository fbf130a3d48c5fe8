"""Who is slow holds up nobody: pods that do not answer, households that drain, a registry with much to take in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.operator.world import NOW, STREET, World, party_status, run
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import LoopClock, utc
from wattmesh_operator.controller.enrolment import REGISTER_S
from wattmesh_operator.controller.memo import Memo


class Slow(World):
    """A world in which some pods take their time."""

    def __init__(self, *pods: str, takes_s: float) -> None:
        super().__init__()
        self.slow, self.takes_s = pods, takes_s
        self.asked: list[str] = []

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:
        self.asked.append(url)
        if any(f"//{pod}." in url for pod in self.slow):
            await asyncio.sleep(self.takes_s)
        return await super().get(url, timeout_s=timeout_s, headers=headers)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if any(f"//{pod}." in url for pod in self.slow):
            await asyncio.sleep(self.takes_s)
        return await super().post(url, body, headers, timeout_s=timeout_s)

    async def took_s(self) -> float:
        """How long a pass takes."""
        began = self.clock.wall()
        await self.reconciler.run()
        return self.clock.wall() - began


def test_a_pass_goes_on_without_a_pod_that_is_slow_and_hears_of_it_in_the_next_one() -> None:
    async def main() -> None:
        world = Slow("rooftop-0", takes_s=1.5)
        world.apply(STREET)
        await world.reconcile()
        await world.start_pods()
        assert await world.took_s() < 0.5
        assert world.registered() == {"utility.street", "rooftop-1.street"}
        await world.clock.sleep(1.5)
        assert await world.took_s() < 0.5
        assert world.registered() == {"utility.street", "rooftop-0.street", "rooftop-1.street"}

    run(main())


def test_a_pod_that_hangs_keeps_its_numbers_and_is_told_of_after_a_while() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        del world.pods["rooftop-0"]
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        await world.clock.sleep(30)
        await world.reconcile()
        household = world.read("SolarAgent", "rooftop")["status"]["households"][0]
        assert (household["phase"], household["levelWh"]) == ("Unreachable", 5_000)

    run(main())


@pytest.mark.parametrize(
    ("changes", "phase", "reason"),
    [
        ({"waits_until": utc(NOW + 3600)}, "Waiting", "BooksAhead"),
        (None, "Unreachable", "PodUnreachable"),
        ({}, "Ready", "Ready"),
    ],
)
def test_what_an_operator_that_has_just_started_has_not_heard_of_stands_as_the_one_before_told(
    changes: Mapping[str, Any] | None, phase: str, reason: str
) -> None:
    async def main() -> None:
        world = Slow(takes_s=1.5)
        world.apply(STREET)
        await world.settle()
        for name in ("rooftop-0", "utility"):
            pod = world.pods[name]
            pod.parties[name] = pod.parties[name].model_copy(update=changes or {})
            if changes is None:
                del world.pods[name]
        await world.reconcile()
        await world.clock.sleep(30)
        await world.reconcile()
        world.slow = ("rooftop-0", "utility")
        world.reconciler = world.new_operator()
        assert await world.took_s() < 0.5
        assert world.read("SolarAgent", "rooftop")["status"]["households"][0]["phase"] == phase
        assert world.condition("SolarAgent", "rooftop")[1] == reason
        assert world.condition("UtilityAgent", "utility")[1] == reason

    run(main())


def test_an_operator_that_has_just_started_tells_of_a_slow_pod_what_it_says_when_it_has_heard_of_it() -> None:
    async def main() -> None:
        world = Slow("rooftop-0", takes_s=1.5)
        world.apply(STREET)
        await world.settle()
        await world.clock.sleep(2)
        waiting = world.pods["rooftop-0"].parties["rooftop-0"].model_copy(update={"waits_until": utc(NOW + 3600)})
        world.pods["rooftop-0"].parties["rooftop-0"] = waiting
        for _ in range(2):
            await world.reconcile()
            await world.clock.sleep(2)
        assert world.condition("SolarAgent", "rooftop") == ("False", "BooksAhead")
        world.pods["rooftop-0"].parties["rooftop-0"] = party_status("rooftop-0")
        world.reconciler = world.new_operator()
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "BooksAhead")
        await world.clock.sleep(2)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_households_that_drain_and_do_not_answer_have_two_seconds_together() -> None:
    async def main() -> None:
        world = Slow("rooftop-pod-0", takes_s=60)
        world.apply(STREET.replace("replicas: 2", "replicas: 200, householdsPerPod: 200"))
        world.slow = ()
        await world.settle()
        world.scale("rooftop", 1)
        world.slow = ("rooftop-pod-0",)
        assert await world.took_s() < 2.5

    run(main())


def test_a_pass_registers_for_a_while_and_the_next_one_goes_on() -> None:
    async def main() -> None:
        world = Slow(takes_s=1.0)
        world.apply(STREET.replace("replicas: 2", "replicas: 200, householdsPerPod: 200"))
        await world.reconcile()
        await world.start_pods()
        world.slow = ("market",)
        assert REGISTER_S < await world.took_s() < REGISTER_S + 10
        some = len(world.registered())
        assert 0 < some < 201
        for _ in range(5):
            done = await world.reconcile()
        assert len(world.registered()) == 201
        assert done.again_in_s is None

    run(main())


def test_a_pod_that_has_just_answered_is_not_asked_again() -> None:
    async def main() -> None:
        world = Slow(takes_s=0)
        world.apply(STREET)
        await world.settle()
        world.asked.clear()
        await world.reconcile()
        await world.reconciler.run()
        assert len(world.asked) == 3
        await world.reconcile()
        assert len(world.asked) == 6

    run(main())


def test_the_same_is_made_once() -> None:
    memo: Memo[str, object] = Memo()
    first = memo.get("pod", (1, "a"), object)
    assert memo.get("pod", (1, "a"), object) is first
    assert memo.get("pod", (2, "a"), object) is not first
    memo.sweep()
    kept = memo.get("other", (), object)
    memo.sweep()
    assert memo.get("other", (), object) is kept
    memo.sweep()
    memo.sweep()
    assert memo.get("other", (), object) is not kept, "what is not asked for is forgotten"


def test_a_new_answer_of_a_pod_is_told_at_once() -> None:
    async def main() -> None:
        world = World(clock=LoopClock(NOW))
        world.apply(STREET)
        await world.settle()
        world.pods["rooftop-0"].parties["rooftop-0"] = party_status("rooftop-0", sold_wh=2_234)
        await world.reconcile()
        assert world.read("SolarAgent", "rooftop")["status"]["soldKwh"] == "3.47"

    run(main())
