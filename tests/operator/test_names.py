"""Who has a name or a gateway keeps it; who comes later is told, and nobody waits for ever."""

from __future__ import annotations

import pytest

from tests.operator.world import STREET, World, run

UTILITY = """
kind: UtilityAgent
metadata: {{name: {}}}
spec: {{tariff: {{price: 0.3, feedIn: 0.08}}, capacityKw: 60, feeder: other}}
"""
SECOND_MARKET = "kind: BecknGateway\nmetadata: {name: second}"


async def street(*more: str) -> World:
    world = World()
    world.apply(STREET)
    await world.settle()
    for text in more:
        world.apply(text)
    await world.settle()
    return world


async def is_quiet(world: World) -> bool:
    """Whether passes neither write anything nor ask for the next one in haste."""
    world.writes()
    done = await world.reconcile()
    return world.writes() == [] and done.again_in_s is None


@pytest.mark.parametrize("name", ["market-registrar", "market-reader"])
def test_the_names_of_a_gateways_other_secrets_are_taken(name: str) -> None:
    async def main() -> None:
        world = await street(UTILITY.format(name))
        assert world.condition("UtilityAgent", name) == ("False", "NameNotAllowed")
        assert world.condition("BecknGateway", "market") == ("True", "Ready")
        assert await is_quiet(world)

    run(main())


def test_who_had_a_name_first_keeps_it_when_another_is_scaled_over_it() -> None:
    async def main() -> None:
        world = await street(UTILITY.format("rooftop-2"))
        world.scale("rooftop", 3)
        await world.settle()
        assert world.condition("SolarAgent", "rooftop") == ("False", "NameNotAllowed")
        assert world.condition("UtilityAgent", "rooftop-2") == ("True", "Ready")
        assert world.registered() >= {"rooftop-0.street", "rooftop-1.street", "rooftop-2.street"}
        assert await is_quiet(world)
        world.scale("rooftop", 2)
        await world.settle()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_second_gateway_takes_nobody_away_from_the_first() -> None:
    async def main() -> None:
        world = await street(SECOND_MARKET)
        for kind, name in (("SolarAgent", "rooftop"), ("UtilityAgent", "utility")):
            assert world.condition(kind, name) == ("True", "Ready")
            assert world.read(kind, name)["status"]["gateway"] == "market"
        world.apply("kind: SolarAgent\nmetadata: {name: late}\nspec: {load: {annualKwh: 1000}}")
        await world.settle()
        assert world.condition("SolarAgent", "late") == ("False", "GatewayAmbiguous")
        world.delete("BecknGateway", "market")
        await world.settle()
        assert world.read("SolarAgent", "rooftop")["status"]["gateway"] == "second"

    run(main())


def test_a_second_utility_takes_nobody_away_from_the_first() -> None:
    async def main() -> None:
        world = await street(UTILITY.format("rival").replace("other", "main"))
        for _ in range(3):  # its households hear of the rival, one pod after the other
            await world.settle()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert world.read("SolarAgent", "rooftop")["status"]["utility"] == "utility"

    run(main())


def test_a_household_is_registered_when_its_pod_answers() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.reconcile()
        await world.start_pods("market", "utility", "rooftop-0")
        await world.reconcile()
        assert world.registered() == {"utility.street", "rooftop-0.street"}
        await world.start_pods("rooftop-1")
        await world.reconcile()
        assert "rooftop-1.street" in world.registered()
        del world.pods["rooftop-1"]
        await world.reconcile()
        assert "rooftop-1.street" in world.registered()
        assert world.condition("SolarAgent", "rooftop", "Registered")[0] == "True"

    run(main())


def test_a_pod_with_more_households_than_an_object_holds_is_refused_with_the_reason() -> None:
    async def main() -> None:
        world = await street()
        spec = "{replicas: 1000, householdsPerPod: 1000, load: {annualKwh: 1000}}"
        world.apply(f"kind: SolarAgent\nmetadata: {{name: {'t' * 50}}}\nspec: {spec}")
        await world.settle()
        assert world.condition("SolarAgent", "t" * 50) == ("False", "ObjectTooLarge")
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())
