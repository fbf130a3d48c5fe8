"""A gateway whose pods share a PostgreSQL database."""

from __future__ import annotations

import json

from tests.operator.world import STREET, World, run
from wattmesh_operator.desired.settings import Network, PodSettings

SHARED = STREET.replace(
    "{clock: {speed: 120}}", "{clock: {speed: 120}, replicas: 3, database: {secretRef: {name: pg}}}"
)
NETWORK = Network.model_validate({"operatorNamespace": "wattmesh-system", "operatorLabels": {"app": "wattmesh"}})


async def market(text: str = SHARED, network: Network | None = NETWORK) -> World:
    world = World(settings=PodSettings(image="runtime:1", network=network))
    world.apply(text)
    await world.settle()
    return world


def test_its_pods_stand_for_each_other_and_keep_nothing_of_their_own() -> None:
    async def main() -> None:
        world = await market()
        deployment = world.read("Deployment", "market")["spec"]
        pod = deployment["template"]["spec"]
        [container] = pod["containers"]
        assert deployment["replicas"] == 3
        assert deployment["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }
        assert "market" not in world.names("PersistentVolumeClaim")
        [data] = [volume for volume in pod["volumes"] if volume["name"] == "data"]
        items = [{"key": "uri", "path": "uri"}]
        assert data == {"name": "data", "secret": {"secretName": "pg", "defaultMode": 0o440, "items": items}}
        assert container["lifecycle"]["preStop"]["exec"]["command"][0] == "python"
        assert pod["affinity"]["podAntiAffinity"].keys() == {"preferredDuringSchedulingIgnoredDuringExecution"}
        config = json.loads(world.read("ConfigMap", "market")["data"]["config.json"])
        assert (config["database"], config["database_uri"]) == (None, "/data/uri")
        assert world.read("Service", "market")["spec"]["publishNotReadyAddresses"] is False
        budget = world.read("PodDisruptionBudget", "market")["spec"]
        assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": deployment["selector"]["matchLabels"]}}
        policy = world.read("NetworkPolicy", "market.database")["spec"]
        assert policy["podSelector"]["matchLabels"] == deployment["selector"]["matchLabels"]
        assert policy["egress"] == [{"ports": [{"port": 5432, "protocol": "TCP"}]}]

    run(main())


def test_status_and_the_scale_subresource_count_its_pods() -> None:
    async def main() -> None:
        world = await market()
        status = world.read("BecknGateway", "market")["status"]
        assert (status["ready"], status["replicas"]) == ("3/3", 3)
        assert status["selector"]
        assert world.condition("BecknGateway", "market") == ("True", "Ready")
        assert len(world.entries()) >= 3
        world.writes()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_back_on_a_file_it_is_one_pod_with_a_volume_and_what_only_replicas_have_is_gone() -> None:
    async def main() -> None:
        world = await market()
        world.apply(STREET)
        await world.settle()
        deployment = world.read("Deployment", "market")["spec"]
        assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
        assert "market" in world.names("PersistentVolumeClaim")
        assert world.names("PodDisruptionBudget") == []
        assert world.names("NetworkPolicy") == ["market"]
        assert world.condition("BecknGateway", "market") == ("True", "Ready")

    run(main())


def test_the_volume_of_one_that_moves_to_a_database_stays_until_its_resource_goes() -> None:
    async def main() -> None:
        world = await market(STREET)
        world.apply(SHARED)
        await world.settle()
        assert "market" in world.names("PersistentVolumeClaim")
        assert world.read("BecknGateway", "market")["status"]["ready"] == "3/3"

    run(main())


def test_without_network_policies_there_is_none_for_the_database() -> None:
    async def main() -> None:
        assert (await market(network=None)).names("NetworkPolicy") == []

    run(main())
