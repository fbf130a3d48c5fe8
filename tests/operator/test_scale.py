"""Scaling: who comes, who goes, and what must be settled before."""

from __future__ import annotations

import json

from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import Object


def test_scaling_up_adds_households_with_their_own_keys() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.scale("rooftop", 4)
        await world.settle()
        households = [f"rooftop-{number}" for number in range(4)]
        assert [name for name in world.names("Service") if name.startswith("rooftop")] == households
        assert len({world.keys(name)[f"{name}.street"].public_key for name in households}) == 4
        assert world.read("SolarAgent", "rooftop")["status"]["replicas"] == 4
        assert ("rooftop", "ScaledUp") in world.events()

    run(main())


def test_scaling_down_waits_for_open_contracts_then_deregisters_then_deletes() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.scale("rooftop", 3)
        await world.settle()
        key = world.keys("rooftop-2")["rooftop-2.street"].public_key
        world.pods["rooftop-2"].has_open("rooftop-2", 1)
        world.scale("rooftop", 1)

        done = await world.reconcile()
        assert done.again_in_s == 2.0
        assert world.pods["rooftop-1"].draining == {"rooftop-1": True}
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("True", "Draining")
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert "rooftop-2.street" in world.registered()
        status = world.read("SolarAgent", "rooftop")["status"]
        assert [h["phase"] for h in status["households"]] == ["Ready", "Draining", "Draining"]
        assert (status["ready"], status["replicas"]) == ("1/1", 3)

        world.pods["rooftop-2"].has_open("rooftop-2", 0)
        await world.reconcile()
        assert world.registered() == {"utility.street", "rooftop-0.street"}
        assert "rooftop-2" in world.names("Deployment")
        await world.reconcile()
        for kind in ("Deployment", "Service", "ConfigMap"):
            assert [name for name in world.names(kind) if name.startswith("rooftop")] == ["rooftop-0"]
        for kind in ("Secret", "PersistentVolumeClaim"):
            assert [n for n in world.names(kind) if n.startswith("rooftop")] == ["rooftop-0", "rooftop-1", "rooftop-2"]
        assert {reason for name, reason in world.events() if name == "rooftop"} >= {"Draining", "ScaledDown"}

        world.scale("rooftop", 3)
        await world.settle()
        assert world.keys("rooftop-2")["rooftop-2.street"].public_key == key
        assert "rooftop-2.street" in world.registered()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_drain_is_bounded() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.pods["rooftop-1"].has_open("rooftop-1", 1)
        world.scale("rooftop", 1)
        await world.reconcile()
        closed_s = 5 * 900 / 120  # until what it trades for the next slot is shared, and asked for
        await world.clock.sleep(closed_s + 500)
        await world.reconcile()
        assert "rooftop-1" in world.names("Deployment")
        await world.clock.sleep(100)
        await world.reconcile()
        await world.reconcile()
        assert "rooftop-1" not in world.names("Deployment")

    run(main())


def test_a_household_stays_until_its_readings_are_priced() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        pod = world.pods["rooftop-1"]
        pod.unpriced["rooftop-1"] = 2
        world.scale("rooftop", 1)
        await world.settle()
        assert "rooftop-1" in world.names("Deployment")
        pod.unpriced.clear()
        await world.settle()
        assert "rooftop-1" not in world.names("Deployment")

    run(main())


def test_who_is_called_back_while_draining_trades_again() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.pods["rooftop-1"].has_open("rooftop-1", 1)
        world.scale("rooftop", 1)
        await world.reconcile()
        assert "wattmesh.io/draining" in world.read("Deployment", "rooftop-1")["metadata"]["annotations"]
        template = world.read("Deployment", "rooftop-1")["spec"]["template"]
        world.scale("rooftop", 2)
        await world.reconcile()
        assert world.pods["rooftop-1"].draining == {"rooftop-1": False}
        assert "wattmesh.io/draining" not in world.read("Deployment", "rooftop-1")["metadata"]["annotations"]
        assert world.read("Deployment", "rooftop-1")["spec"]["template"] == template
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        world.writes()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_a_shared_pod_loses_only_the_households_that_go() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET.replace("replicas: 2", "replicas: 5, householdsPerPod: 3"))
        await world.settle()
        assert [n for n in world.names("Deployment") if n.startswith("rooftop")] == ["rooftop-pod-0", "rooftop-pod-1"]
        assert len(world.keys("rooftop-pod-1")) == 2
        world.scale("rooftop", 1)
        await world.reconcile()
        await world.reconcile()
        await world.settle()
        assert [n for n in world.names("Deployment") if n.startswith("rooftop")] == ["rooftop-pod-0"]
        config = json.loads(world.read("ConfigMap", "rooftop-pod-0")["data"]["config.json"])
        assert [household["name"] for household in config["households"]] == ["rooftop-0"]
        assert len(world.keys("rooftop-pod-0")) == 3
        assert world.registered() == {"utility.street", "rooftop-0.street"}
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_shared_pod_is_not_restarted_for_those_who_come_and_go() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET.replace("replicas: 2", "replicas: 2, householdsPerPod: 4"))
        await world.settle()
        world.cluster.put(pod("rooftop-pod-0"))
        await world.reconcile()
        template = world.read("Deployment", "rooftop-pod-0")["spec"]["template"]
        told = [files_of(world)]
        for replicas in (4, 3, 1):
            world.scale("rooftop", replicas)
            for _ in range(3):
                await world.reconcile()
                await world.start_pods()
            await world.reconcile()
            deployment = world.read("Deployment", "rooftop-pod-0")
            assert deployment["spec"]["template"] == template
            names = [f"rooftop-{number}" for number in range(replicas)]
            assert deployment["metadata"]["annotations"]["wattmesh.io/households"] == ",".join(names)
            assert world.registered() == {"utility.street", *(f"{name}.street" for name in names)}
            assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
            told.append(files_of(world))
        assert len({*told}) == 4, "the kubelet is told of each new file"

    run(main())


def pod(name: str) -> Object:
    labels = {
        "app.kubernetes.io/managed-by": "wattmesh-operator",
        "app.kubernetes.io/instance": name,
    }
    status = {"containerStatuses": [{"name": "main", "ready": True}]}
    metadata = {"name": f"{name}-x", "namespace": "street", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{}]}, "status": status}


def files_of(world: World) -> str:
    files: str = world.read("Pod", "rooftop-pod-0-x")["metadata"]["annotations"]["wattmesh.io/files"]
    return files


def test_all_can_go() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.scale("rooftop", 0)
        for _ in range(3):
            await world.reconcile()
        assert world.names("Deployment") == ["market", "utility"]
        assert world.read("SolarAgent", "rooftop")["status"]["ready"] == "0/0"

    run(main())


def test_a_household_that_never_came_up_is_not_waited_for() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        world.scale("rooftop", 3)
        await world.reconcile()
        assert "rooftop-2" in world.names("Deployment")
        world.scale("rooftop", 2)
        await world.reconcile()
        await world.reconcile()
        assert "rooftop-2" not in world.names("Deployment")
        assert "rooftop-2.street" not in world.registered()

    run(main())
