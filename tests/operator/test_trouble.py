"""Why a pod is not up: status names the cause, for each household where they differ."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.cluster.port import ClusterError

SCHEDULED = {"type": "PodScheduled", "status": "True"}
NOT_FOUND = "failed to pull and unpack image: not found"
NO_PULL = f"image runtime:2 cannot be pulled: {NOT_FOUND}"


def pod_of(name: str, *, conditions: Any = (SCHEDULED,), **container: Any) -> Object:
    """The pod of a Deployment, not ready."""
    labels = {"app.kubernetes.io/managed-by": "wattmesh-operator", "app.kubernetes.io/instance": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-6b7f8-x2x4z", "namespace": "street", "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "runtime:2"}]},
        "status": {
            "conditions": list(conditions),
            "containerStatuses": [{"name": "main", "ready": False, **container}] if container else [],
        },
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def exited(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


async def street_without(*names: str) -> World:
    """A street that was up, before the pods of these Deployments went down."""
    world = World()
    world.apply(STREET)
    await world.settle()
    world.take_down(*names)
    return world


def message_of(world: World) -> str:
    conditions = world.read("SolarAgent", "rooftop")["status"]["conditions"]
    return str(next(condition["message"] for condition in conditions if condition["type"] == "Ready"))


CRASHED = exited(1, "Traceback\nwattmesh_agents: the database is damaged\n")
DAMAGED = "exited with 1: wattmesh_agents: the database is damaged"
BACK_OFF = f'Back-off pulling image "runtime:2": ErrImagePull: {NOT_FOUND}'
FULL = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no cpu"}
NO_PLUGIN = (
    "wattmesh_agents: no strategy 'lp'; there are: chat, plan, rules. Install the package that has it among its entry"
    " points of wattmesh.strategies"
)
CASES: dict[str, tuple[Object, str, str]] = {
    "image": (pod_of("rooftop-0", **waiting("ErrImagePull", NOT_FOUND)), "ImagePullBackOff", NO_PULL),
    "between pulls": (pod_of("rooftop-0", **waiting("ImagePullBackOff", BACK_OFF)), "ImagePullBackOff", NO_PULL),
    "crash": (
        pod_of("rooftop-0", **waiting("CrashLoopBackOff", "back-off 10s"), lastState=CRASHED),
        "CrashLoopBackOff",
        DAMAGED,
    ),
    "between crashes": (
        pod_of("rooftop-0", state={"running": {}}, restartCount=2, lastState=CRASHED),
        "CrashLoopBackOff",
        DAMAGED,
    ),
    "plug-in": (
        pod_of("rooftop-0", **waiting("CrashLoopBackOff"), lastState=exited(2, NO_PLUGIN)),
        "CrashLoopBackOff",
        f"exited with 2: {NO_PLUGIN}",
    ),
    "memory": (
        pod_of("rooftop-0", **waiting("CrashLoopBackOff"), lastState=exited(137, reason="OOMKilled")),
        "CrashLoopBackOff",
        "exited with 137: out of memory: raise the memory limit",
    ),
    "no room": (pod_of("rooftop-0", conditions=[FULL]), "Unschedulable", "0/1 nodes: no cpu"),
    "no Secret": (
        pod_of("rooftop-0", **waiting("CreateContainerConfigError", 'secret "chat" not found')),
        "CreateContainerConfigError",
        'secret "chat" not found',
    ),
}


@pytest.mark.parametrize(("pod", "reason", "message"), CASES.values(), ids=CASES)
def test_the_cause_is_named(pod: Object, reason: str, message: str) -> None:
    async def main() -> None:
        world = await street_without("rooftop-0")
        world.cluster.put(pod)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", reason)
        assert message_of(world) == f"rooftop-0: {message}"
        household, other = world.read("SolarAgent", "rooftop")["status"]["households"]
        assert (household["reason"], household["message"]) == (reason, message)
        assert "reason" not in other
        assert ("rooftop", reason) in world.events()

    run(main())


def test_a_single_restart_is_no_crash_loop() -> None:
    async def main() -> None:
        world = await street_without("rooftop-0")
        world.cluster.put(pod_of("rooftop-0", state={"running": {}}, restartCount=1, lastState=exited(137)))
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodNotReady")

    run(main())


def test_an_image_that_is_still_being_pulled_is_named() -> None:
    """A registry that does not answer is a cause only when the node gives up, which may take it a while."""

    async def main() -> None:
        world = await street_without("rooftop-0")
        pod = world.cluster.put(pod_of("rooftop-0", **waiting("ContainerCreating")))
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "street"},
            "involvedObject": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
            "type": "Normal",
            "reason": "Pulling",
        }
        world.cluster.put(event)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodNotReady")
        assert message_of(world) == "rooftop-0: the pod is not ready yet; its node is pulling image runtime:2"
        world.cluster.put({**pod, **pod_of("rooftop-0", state={"running": {}})})
        await world.reconcile()
        assert message_of(world) == "rooftop-0: the pod is not ready yet"

    run(main())


def test_a_volume_that_cannot_be_mounted_is_known_from_events() -> None:
    async def main() -> None:
        world = await street_without("rooftop-0")
        pod = world.cluster.put(pod_of("rooftop-0", **waiting("ContainerCreating")))
        done = await world.reconcile()
        assert done.again_in_s == 2.0
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "street"},
            "involvedObject": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
            "type": "Warning",
            "reason": "FailedMount",
            "message": 'MountVolume.SetUp failed: configmap "rooftop-profiles" not found',
        }
        world.cluster.put(event)
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "FailedMount")

    run(main())


def test_two_causes_are_both_told() -> None:
    async def main() -> None:
        world = await street_without("rooftop-0", "rooftop-1")
        world.cluster.put(pod_of("rooftop-0", **waiting("ErrImagePull", NOT_FOUND)))
        world.cluster.put(pod_of("rooftop-1", **waiting("CrashLoopBackOff"), lastState=exited(1, "no")))
        await world.reconcile()
        assert message_of(world) == f"rooftop-0: {NO_PULL}; rooftop-1: exited with 1: no"

    run(main())


def test_a_quota_is_a_cause_of_its_own() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        full = ClusterError(403, 'persistentvolumeclaims "rooftop-1" is forbidden: exceeded quota: volumes')
        refused = ("apply", "PersistentVolumeClaim", "rooftop-1")
        world.cluster.refuse = lambda *call: full if call == refused else None
        await world.settle()
        assert world.condition("SolarAgent", "rooftop") == ("False", "QuotaExceeded")
        assert world.condition("UtilityAgent", "utility") == ("True", "Ready")

    run(main())


def test_prices_in_a_file_of_some_machine_are_refused_in_a_cluster() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.apply(
            "kind: UtilityAgent\nmetadata: {name: dear}\nspec: {capacityKw: 5, feeder: other,"
            " tariff: {price: 0, feedIn: 0, series: {csv: spot.csv}}}"
        )
        await world.reconcile()
        assert world.condition("UtilityAgent", "dear") == ("False", "InvalidSpec")

    run(main())


def test_prices_in_the_resource_that_cannot_be_read_are_told_before_a_pod_starts_with_them() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        spec = "{{capacityKw: 5, feeder: other, tariff: {{price: 0, feedIn: 0, series: {{inline: {}}}}}}}"
        text = r'"time,EUR/kWh price\n2026-06-21T00:00Z,0.3\n2026-06-21T00:30Z,0.2"'
        for name, prices in (("dear", "junk"), ("cheap", text)):
            world.apply(f"kind: UtilityAgent\nmetadata: {{name: {name}}}\nspec: {spec.format(prices)}")
        await world.reconcile()
        assert world.condition("UtilityAgent", "dear") == ("False", "InvalidSpec")
        assert world.condition("UtilityAgent", "cheap") != ("False", "InvalidSpec")

    run(main())


def test_a_profile_in_a_file_of_some_machine_is_refused_in_a_cluster() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.apply("kind: SolarAgent\nmetadata: {name: rooftop}\nspec: {profile: {csv: day.csv}}")
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "InvalidSpec")
        assert message_of(world).startswith(
            "spec.profile.csv: is read by `wattmesh up` only; in a cluster use configMap"
        )

    run(main())
