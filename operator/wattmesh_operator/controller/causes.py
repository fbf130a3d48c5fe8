"""Why pods are not up as they shall be, and where a rollout has stopped."""

from __future__ import annotations

from wattmesh_operator.cluster.objects import EVENT, Object
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.cluster.port import Cluster
from wattmesh_operator.controller.applied import Applied
from wattmesh_operator.plan.graph import Graph
from wattmesh_operator.status.trouble import newest, pulled_by, trouble_of, waits_for_its_node

_WARNINGS_OF_PODS = "involvedObject.kind=Pod,type=Warning"
_PULLS_OF_PODS = "involvedObject.kind=Pod,reason=Pulling"


async def find_causes(cluster: Cluster, namespace: str, seen: Observation, applied: Applied) -> None:
    """Note why pods that were applied are not up, or what image they wait for."""
    pods = {name: newest(seen.pods.get(name, ())) for name in applied.deployments}
    events: list[Object] = []
    if waiting := {name: pod for name, pod in pods.items() if waits_for_its_node(pod)}:
        applied.unexplained = True
        events = await cluster.list(EVENT, namespace, fields=_WARNINGS_OF_PODS)
        pulls = await cluster.list(EVENT, namespace, fields=_PULLS_OF_PODS)
        applied.pulled = {name: image for name, pod in waiting.items() if (image := pulled_by(pod, pulls))}
    for name, deployment in applied.deployments.items():
        if name not in applied.trouble and (found := trouble_of(deployment, pods[name], events)) is not None:
            applied.trouble[name] = found


def halted(graph: Graph, applied: Applied) -> dict[str, str]:
    """Why the rollout does not reach them, by the names of those that keep their template."""
    found: dict[str, str] = {}
    for plan in graph.plans:
        names = [pod.name for pod in plan.pods]
        at = next((name for name in names if name in applied.trouble), None)
        why = f"{at}: {applied.trouble[at].message}" if at is not None else ""
        found |= {name: why for name in (*names, plan.resource.metadata.name) if name in applied.held}
    return found
