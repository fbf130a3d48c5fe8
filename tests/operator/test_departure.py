"""Deleting a SolarAgent: its households settle and close their accounts before anything of them is deleted."""

from __future__ import annotations

import json

import pytest

from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import Object

CHILDREN = ("Deployment", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim")


async def street() -> World:
    world = World()
    world.apply(STREET)
    await world.settle()
    return world


def households(world: World, kind: str) -> list[str]:
    return [name for name in world.names(kind) if name.startswith("rooftop")]


def test_households_settle_then_leave_the_registry_then_go() -> None:
    async def main() -> None:
        world = await street()
        world.pods["rooftop-0"].has_open("rooftop-0", 1)
        world.delete("SolarAgent", "rooftop")

        done = await world.reconcile()
        assert done.again_in_s == 2.0
        assert world.pods["rooftop-0"].draining == {"rooftop-0": True}
        assert "rooftop-0.street" in world.registered()
        assert "rooftop-1.street" not in world.registered()
        for kind in CHILDREN:
            assert households(world, kind) == ["rooftop-0", "rooftop-1"], kind
        await world.reconcile()
        for kind in CHILDREN:
            assert households(world, kind) == ["rooftop-0"], kind

        world.pods["rooftop-0"].has_open("rooftop-0", 0)
        await world.reconcile()
        assert world.registered() == {"utility.street"}
        done = await world.reconcile()
        for kind in CHILDREN:
            assert households(world, kind) == [], kind
        assert (await world.reconcile()).again_in_s is None
        world.writes()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_the_time_it_takes_is_bounded_and_known_to_the_next_operator() -> None:
    async def main() -> None:
        world = await street()
        world.pods["rooftop-0"].has_open("rooftop-0", 1)
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        since = json.loads(world.read("Deployment", "rooftop-0")["metadata"]["annotations"]["wattmesh.io/draining"])
        template = world.read("Deployment", "rooftop-0")["spec"]["template"]
        await world.clock.sleep(537)  # and what five slots take
        world.reconciler = world.new_operator()
        await world.reconcile()
        deployment = world.read("Deployment", "rooftop-0")
        assert json.loads(deployment["metadata"]["annotations"]["wattmesh.io/draining"]) == since
        assert deployment["spec"]["template"] == template
        await world.clock.sleep(100)
        await world.reconcile()
        await world.reconcile()
        assert households(world, "Deployment") == []

    run(main())


def test_at_the_speed_of_the_wall_clock_contracts_of_the_next_slot_are_waited_for() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET.replace("speed: 120", "speed: 1"))
        await world.settle()
        world.pods["rooftop-0"].has_open("rooftop-0", 1)
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        await world.clock.sleep(5_000)
        await world.reconcile()
        assert households(world, "Deployment") == ["rooftop-0"]
        await world.clock.sleep(200)
        await world.reconcile()
        await world.reconcile()
        assert households(world, "Deployment") == []

    run(main())


def test_one_that_never_came_up_is_not_waited_for() -> None:
    async def main() -> None:
        world = await street()
        world.apply(STREET.split("---")[2].replace("name: rooftop", "name: rooftop-c"))
        await world.reconcile()
        assert households(world, "Deployment") == ["rooftop-0", "rooftop-1", "rooftop-c-0", "rooftop-c-1"]
        world.delete("SolarAgent", "rooftop-c")
        await world.reconcile()
        for kind in CHILDREN:
            assert households(world, kind) == ["rooftop-0", "rooftop-1"], kind

    run(main())


def test_made_again_it_waits_for_the_former_one_and_begins_anew() -> None:
    async def main() -> None:
        world = await street()
        keys, claim = world.keys("rooftop-0"), uid(world, "rooftop-0")
        world.pods["rooftop-0"].has_open("rooftop-0", 1)
        world.delete("SolarAgent", "rooftop")
        world.apply(STREET)
        done = await world.reconcile()
        assert done.again_in_s == 2.0
        assert uid(world, "rooftop-0") == claim
        assert world.keys("rooftop-0")["rooftop-0.street"].key_id == keys["rooftop-0.street"].key_id
        assert world.condition("SolarAgent", "rooftop") == ("False", "FormerLeaving")

        world.pods["rooftop-0"].has_open("rooftop-0", 0)
        for _ in range(3):
            await world.reconcile()
        await world.settle()
        assert uid(world, "rooftop-0") != claim
        assert world.keys("rooftop-0")["rooftop-0.street"].key_id != keys["rooftop-0.street"].key_id
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def uid(world: World, name: str) -> str:
    claim: Object = world.read("PersistentVolumeClaim", name)
    return str(claim["metadata"]["uid"])


@pytest.mark.parametrize("first", ["SolarAgent", "BecknGateway"])
def test_without_gateway_and_without_operator_all_goes_at_once(first: str) -> None:
    async def main() -> None:
        world = await street()
        kinds = {"SolarAgent": "rooftop", "BecknGateway": "market"}
        world.delete(first, kinds.pop(first))
        [(kind, name)] = kinds.items()
        world.delete(kind, name)
        for child in CHILDREN:
            assert households(world, child) == [], child

    run(main())


def test_keys_and_volumes_of_households_that_were_scaled_down_go_too() -> None:
    async def main() -> None:
        world = await street()
        world.scale("rooftop", 1)
        for _ in range(4):
            await world.reconcile()
        assert households(world, "Secret") == ["rooftop-0", "rooftop-1"]
        world.delete("SolarAgent", "rooftop")
        for _ in range(3):
            await world.reconcile()
        for kind in CHILDREN:
            assert households(world, kind) == [], kind

    run(main())


def test_an_owner_reference_that_somebody_takes_away_is_put_back() -> None:
    async def main() -> None:
        world = await street()
        deployment = world.read("Deployment", "rooftop-0")
        del deployment["metadata"]["ownerReferences"]
        world.cluster.put(deployment)
        await world.reconcile()
        owners = world.read("Deployment", "rooftop-0")["metadata"]["ownerReferences"]
        assert [(owner["kind"], owner["name"]) for owner in owners] == [
            ("SolarAgent", "rooftop"),
            ("BecknGateway", "market"),
        ]

    run(main())
