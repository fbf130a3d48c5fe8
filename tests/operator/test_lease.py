"""Two operators on one namespace: the second waits, says so, and takes over."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
import pytest

from tests.operator.test_operation import Recorder
from tests.operator.world import World, run
from wattmesh_operator.cluster.objects import LEASE
from wattmesh_operator.cluster.port import ClusterError, Missing
from wattmesh_operator.controller.lease import DURATION_S, RENEW_S, Leases, own_identity
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.watch import watch
from wattmesh_operator.controller.workers import LEASE_RETRY_S, Workers, hand_over


def test_a_second_operator_waits_and_takes_over_when_the_first_stops(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World()
        leases = [Leases(world.cluster, name, world.clock) for name in ("a", "b")]
        recorders = [Recorder(world.clock) for _ in leases]
        workers = []
        for held, recorder in zip(leases, recorders, strict=True):
            operator = Workers(lambda _, recorder=recorder: recorder, world.clock, OperatorMetrics(), held)  # type: ignore[misc]
            operator.changed("street")
            await world.clock.sleep(1)
            workers.append(operator)
        assert (len(recorders[0].ran), len(recorders[1].ran)) == (1, 0)
        assert leases[1].waits_for == {"street": "a"}
        await world.clock.sleep(30)
        assert not recorders[1].ran
        assert [r.message for r in caplog.records if "works there" in r.message] == [
            "street: the operator a works there; waiting until it stops"
        ]
        await workers[0].stop()
        await leases[0].release()
        await world.clock.sleep(LEASE_RETRY_S + 1)
        assert (len(recorders[1].ran), leases[1].waits_for) == (1, {})
        await workers[1].stop()

    run(main())


def test_the_next_operator_works_while_the_former_one_is_still_ending() -> None:
    async def main() -> None:
        world = World()
        leases = [Leases(world.cluster, name, world.clock) for name in ("former", "next")]
        recorders = [Recorder(world.clock) for _ in leases]
        former, following = (
            Workers(lambda _, recorder=recorder: recorder, world.clock, OperatorMetrics(), held)  # type: ignore[misc]
            for held, recorder in zip(leases, recorders, strict=True)
        )
        stop = asyncio.Event()

        async def kopf_ends_slowly(*, stop_flag: asyncio.Event, **_: Any) -> None:
            await stop_flag.wait()
            await world.clock.sleep(5)

        handing_over = asyncio.create_task(hand_over(stop, former, leases[0]))
        watching = asyncio.create_task(watch(kopf.OperatorRegistry(), (), world.clock, stop, kopf_ends_slowly))
        former.changed("street")
        await world.clock.sleep(60)
        stop.set()
        await world.clock.sleep(0.1)
        former.changed("street")  # what kopf still brings
        following.changed("street")
        await world.clock.sleep(1)
        assert not watching.done()
        assert [len(recorder.ran) for recorder in recorders] == [1, 1]
        await watching
        await handing_over
        await following.stop()

    run(main())


def test_the_lease_of_an_operator_that_died_is_taken_when_it_is_over() -> None:
    async def main() -> None:
        world = World()
        dead, other = (Leases(world.cluster, name, world.clock) for name in ("a", "b"))
        assert await dead.hold("street")
        await world.clock.sleep(DURATION_S - 1)
        assert not await other.hold("street")
        await world.clock.sleep(2)
        assert await other.hold("street")
        assert not await dead.hold("street")

    run(main())


def test_a_container_that_follows_one_that_died_in_its_pod_goes_on_at_once() -> None:
    async def main() -> None:
        world, in_a_pod = World(), {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
        dead, following = (Leases(world.cluster, own_identity(in_a_pod), world.clock) for _ in range(2))
        assert await dead.hold("street")
        assert await following.hold("street")

    run(main())


def test_two_operators_of_one_machine_are_told_apart() -> None:
    assert own_identity({}) != own_identity({})


def test_a_lease_is_written_no_more_often_than_it_is_renewed() -> None:
    async def main() -> None:
        world = World()
        leases = Leases(world.cluster, "a", world.clock)
        for _ in range(5):
            assert await leases.hold("street")
        assert world.writes() == [("create", "Lease", "wattmesh-operator")]
        await world.clock.sleep(RENEW_S)
        assert await leases.hold("street")
        assert world.writes() == [("apply", "Lease", "wattmesh-operator")]
        lease = await world.cluster.get(LEASE, "street", "wattmesh-operator")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "a"

    run(main())


def test_the_lease_of_a_namespace_that_is_gone_is_not_renewed_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World()
        leases = Leases(world.cluster, "a", world.clock)
        assert await leases.hold("street")
        asked: list[str] = []

        def gone(verb: str, kind: str, _name: str) -> ClusterError | None:
            asked.append(f"{verb} {kind}")
            return Missing(404, 'namespaces "street" not found')

        world.cluster.refuse = gone
        renewing = asyncio.create_task(leases.renew())
        await world.clock.sleep(6 * RENEW_S)
        renewing.cancel()
        assert asked == ["get Lease"]
        assert not caplog.records

    run(main())
