"""A paused resource is left as it is, and says so; kstatus conditions say what a person must do."""

from __future__ import annotations

from tests.operator.test_trouble import NOT_FOUND, pod_of, waiting
from tests.operator.world import STREET, World, run


def pause(world: World, value: str) -> None:
    """`kubectl annotate --overwrite solaragent/rooftop wattmesh.io/paused=…`."""
    item = world.read("SolarAgent", "rooftop")
    item["metadata"]["annotations"] = {"wattmesh.io/paused": value}
    world.cluster.put(item)


def image_of(world: World) -> str:
    template = world.read("Deployment", "rooftop-0")["spec"]["template"]
    return str(template["spec"]["containers"][0]["image"])


def test_what_belongs_to_a_paused_resource_is_left_as_it_is() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        pause(world, "true")
        deployment = world.read("Deployment", "rooftop-0")
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "mine:1"
        world.cluster.put(deployment)
        world.cluster.roll_out()
        world.delete("Service", "rooftop-1")
        world.scale("rooftop", 1)
        await world.settle()
        assert image_of(world) == "mine:1"
        assert "rooftop-1" not in world.names("Service")
        assert "rooftop-1" in world.names("Deployment")
        assert world.registered() == {"utility.street", "rooftop-0.street", "rooftop-1.street"}
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("False", "Paused")
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        pause(world, "false")
        await world.settle()
        await world.settle()
        assert image_of(world) == "runtime:1"
        assert "rooftop-1" not in world.names("Deployment")

    run(main())


def test_kstatus_conditions_say_whether_it_becomes_ready_by_itself() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop", "Reconciling")[0] == "True"
        assert world.condition("SolarAgent", "rooftop", "Stalled")[0] == "False"
        await world.settle()
        assert world.condition("SolarAgent", "rooftop", "Reconciling")[0] == "False"
        assert world.condition("SolarAgent", "rooftop", "Stalled")[0] == "False"
        world.take_down("rooftop-0")
        world.cluster.put(pod_of("rooftop-0", **waiting("ErrImagePull", NOT_FOUND)))
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop", "Reconciling")[0] == "False"
        assert world.condition("SolarAgent", "rooftop", "Stalled") == ("True", "ImagePullBackOff")

    run(main())
