"""What a resource says of its own pods."""

from __future__ import annotations

from tests.operator.world import STREET, World, run

TEMPLATE = """
kind: SolarAgent
metadata: {name: shed}
spec:
  load: {annualKwh: 900}
  pod:
    labels: {team: grid}
    annotations: {note: shed}
    resources: {limits: {memory: 1Gi}}
    nodeSelector: {disk: ssd}
    affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}
    tolerations: [{key: edge, operator: Exists}]
    topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
    priorityClassName: low
    imagePullSecrets: [{name: registry}]
    storage: 5Gi
    storageClass: fast
"""


def test_pods_have_what_their_resource_says_and_others_have_not() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.apply(TEMPLATE)
        await world.settle()
        template = world.read("Deployment", "shed-0")["spec"]["template"]
        pod = template["spec"]
        assert template["metadata"]["labels"]["team"] == "grid"
        assert template["metadata"]["annotations"]["note"] == "shed"
        assert pod["containers"][0]["resources"] == {
            "requests": {"cpu": "20m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        }
        assert (pod["nodeSelector"], pod["priorityClassName"]) == ({"disk": "ssd"}, "low")
        assert pod["tolerations"] == [{"key": "edge", "operator": "Exists"}]
        assert pod["topologySpreadConstraints"][0]["topologyKey"] == "zone"
        assert "nodeAffinity" in pod["affinity"]
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        volume = world.read("PersistentVolumeClaim", "shed-0")["spec"]
        assert (volume["storageClassName"], volume["resources"]["requests"]["storage"]) == ("fast", "5Gi")
        assert "nodeSelector" not in world.read("Deployment", "utility")["spec"]["template"]["spec"]

    run(main())


def test_labels_of_kubernetes_and_of_the_operator_are_refused() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        world.apply(TEMPLATE.replace("team: grid", "wattmesh.io/pod: other"))
        await world.settle()
        assert world.condition("SolarAgent", "shed") == ("False", "InvalidSpec")

    run(main())
