"""Volumes of pods: they grow where their class allows it, and never shrink."""

from __future__ import annotations

from tests.operator.world import STREET, World, run
from wattmesh_operator.desired.settings import PodSettings

STORAGE = """
kind: SolarAgent
metadata: {name: rooftop}
spec:
  replicas: 2
  battery: {capacityKwh: 10, initialKwh: 8.5}
  pv: {peakKw: 8}
  load: {annualKwh: 3500}
  pod: {storage: 2Gi, storageClass: fast}
"""


async def street() -> World:
    world = World()
    world.apply(STREET)
    world.apply(STORAGE)
    await world.settle()
    return world


def size(world: World, name: str) -> str:
    return str(world.read("PersistentVolumeClaim", name)["spec"]["resources"]["requests"]["storage"])


def told(world: World, kind: str = "SolarAgent", name: str = "rooftop") -> list[tuple[str, str]]:
    """Reason and message of the condition about volumes; none while all are as they shall be."""
    conditions = world.read(kind, name)["status"]["conditions"]
    return [(c["reason"], c["message"]) for c in conditions if c["type"] == "VolumeSizeDiffers"]


def test_a_volume_grows_without_a_restart() -> None:
    async def main() -> None:
        world = await street()
        template = world.read("Deployment", "rooftop-0")["spec"]["template"]
        world.apply(STORAGE.replace("2Gi", "5Gi"))
        await world.settle()
        assert (size(world, "rooftop-0"), size(world, "rooftop-1"), size(world, "utility")) == ("5Gi", "5Gi", "1Gi")
        assert world.read("Deployment", "rooftop-0")["spec"]["template"] == template
        assert told(world) == []
        assert world.events().count(("rooftop", "VolumeExpanded")) == 2
        world.writes()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_a_larger_default_of_the_chart_grows_all_and_a_smaller_one_changes_nothing() -> None:
    async def main() -> None:
        world = await street()
        world.reconciler = world.new_operator(
            PodSettings(image="runtime:1", agent_storage="3Gi", gateway_storage="4Gi")
        )
        await world.settle()
        assert [size(world, name) for name in ("market", "utility", "rooftop-0")] == ["4Gi", "3Gi", "2Gi"]
        world.reconciler = world.new_operator(PodSettings(image="runtime:1"))
        await world.settle()
        assert [size(world, name) for name in ("market", "utility", "rooftop-0")] == ["4Gi", "3Gi", "2Gi"]
        assert told(world, "UtilityAgent", "utility") == []

    run(main())


def test_a_class_that_does_not_expand_is_said_with_what_to_do_and_not_asked_in_each_pass() -> None:
    async def main() -> None:
        world = await street()
        world.cluster.expandable = False
        world.apply(STORAGE.replace("2Gi", "5Gi"))
        await world.settle()
        [(reason, message)] = told(world)
        assert reason == "VolumeNotExpandable"
        assert message == (
            "rooftop-0, rooftop-1: the volume has 2Gi, 5Gi is asked for, and its storage class fast does not expand"
            " volumes; set allowVolumeExpansion: true there, or spec.pod.storage to 2Gi"
        )
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert world.events().count(("rooftop", "VolumeNotExpandable")) == 1
        asked = []
        world.cluster.refuse = lambda verb, kind, _: asked.append(verb) if kind == "PersistentVolumeClaim" else None
        await world.reconcile()
        assert "apply" not in asked
        world.cluster.expandable = True
        await world.clock.sleep(600)
        await world.settle()
        assert (size(world, "rooftop-0"), told(world)) == ("5Gi", [])

    run(main())


def test_shrinking_is_refused_with_a_text() -> None:
    async def main() -> None:
        world = await street()
        world.apply(STORAGE.replace("2Gi", "1Gi"))
        await world.settle()
        assert size(world, "rooftop-0") == "2Gi"
        [(reason, message)] = told(world)
        assert reason == "VolumeShrinkRefused"
        assert message == (
            "rooftop-0, rooftop-1: the volume has 2Gi and cannot shrink to 1Gi; set spec.pod.storage to 2Gi or more"
        )
        world.apply(STORAGE.replace("2Gi", "2048Mi"))
        await world.settle()
        assert told(world) == []

    run(main())


def test_an_expansion_that_is_under_way_or_fails_is_told() -> None:
    async def main() -> None:
        world = await street()
        world.apply(STORAGE.replace("2Gi", "5Gi"))
        await world.settle()
        claim = world.read("PersistentVolumeClaim", "rooftop-0")
        claim["status"] = {"phase": "Bound", "capacity": {"storage": "2Gi"}}
        world.cluster.put(claim)
        await world.reconcile()
        assert told(world) == [("VolumeExpanding", "rooftop-0: the volume grows from 2Gi to 5Gi")]
        claim["status"]["conditions"] = [{"type": "ControllerResizeError", "status": "True", "message": "disk is full"}]
        world.cluster.put(claim)
        await world.reconcile()
        text = "rooftop-0: the volume has 2Gi and does not grow to 5Gi: disk is full"
        assert told(world) == [("VolumeExpansionFailed", text)]
        claim["status"] = {"phase": "Bound", "capacity": {"storage": "5Gi"}}
        world.cluster.put(claim)
        await world.reconcile()
        assert told(world) == []

    run(main())


def owners(world: World, name: str) -> list[str]:
    references = world.read("PersistentVolumeClaim", name)["metadata"].get("ownerReferences") or ()
    return [reference["name"] for reference in references]


KEPT = STORAGE.replace("storageClass: fast", "storageClass: fast, storageRetention: Retain")


def test_volumes_go_with_their_resource_unless_it_retains_them() -> None:
    async def main() -> None:
        world = await street()
        assert owners(world, "rooftop-0") == ["rooftop", "market"]
        world.apply(KEPT)
        await world.settle()
        assert (owners(world, "rooftop-0"), owners(world, "utility")) == ([], ["utility"])
        template = world.read("Deployment", "rooftop-0")["spec"]["template"]
        uid = world.read("PersistentVolumeClaim", "rooftop-0")["metadata"]["uid"]
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        await world.reconcile()
        assert world.names("PersistentVolumeClaim") == ["market", "rooftop-0", "rooftop-1", "utility"]
        assert world.names("Deployment") == ["market", "utility"]
        world.apply(STORAGE)
        await world.settle()
        assert world.read("PersistentVolumeClaim", "rooftop-0")["metadata"]["uid"] == uid
        assert owners(world, "rooftop-0") == ["rooftop", "market"]
        assert world.read("Deployment", "rooftop-0")["spec"]["template"]["spec"] == template["spec"]
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        await world.reconcile()
        assert world.names("PersistentVolumeClaim") == ["market", "utility"]

    run(main())


def test_retention_holds_for_volumes_of_households_that_were_scaled_down_too() -> None:
    async def main() -> None:
        world = await street()
        world.scale("rooftop", 1)
        for _ in range(4):
            await world.settle()
        assert "rooftop-1" not in world.names("Deployment")
        before = world.read("PersistentVolumeClaim", "rooftop-1")["spec"]
        world.apply(KEPT.replace("replicas: 2", "replicas: 1"))
        await world.settle()
        assert (owners(world, "rooftop-0"), owners(world, "rooftop-1")) == ([], [])
        assert world.read("PersistentVolumeClaim", "rooftop-1")["spec"] == before
        world.writes()
        await world.reconcile()
        assert world.writes() == []
        world.apply(STORAGE.replace("replicas: 2", "replicas: 1"))
        await world.settle()
        assert owners(world, "rooftop-1") == ["rooftop"]

    run(main())


def test_a_gateways_volume_can_be_retained() -> None:
    async def main() -> None:
        world = await street()
        gateway = world.read("BecknGateway", "market")
        gateway["spec"]["pod"] = {"storageRetention": "Retain"}
        world.cluster.put(gateway)
        await world.settle()
        world.delete("BecknGateway", "market")
        assert "market" in world.names("PersistentVolumeClaim")

    run(main())


def test_a_retained_volume_is_not_given_to_another_resource() -> None:
    async def main() -> None:
        world = await street()
        world.apply(KEPT)
        await world.settle()
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        await world.reconcile()
        world.apply(
            STREET.split("---")[1].replace("name: utility", "name: rooftop-0").replace("spec: {", "spec: {feeder: b, ")
        )
        await world.settle()
        status, reason = world.condition("UtilityAgent", "rooftop-0")
        assert (status, reason) == ("False", "PodFailed")
        [message] = {
            c["message"]
            for c in world.read("UtilityAgent", "rooftop-0")["status"]["conditions"]
            if c["type"] == "Ready"
        }
        assert message == (
            "rooftop-0: PersistentVolumeClaim rooftop-0 was retained for SolarAgent rooftop; delete the claim if that"
            " one shall not return, or rename this resource"
        )
        assert owners(world, "rooftop-0") == []

    run(main())
