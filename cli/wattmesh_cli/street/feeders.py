"""A street by its feeders, which have nothing to do with each other. Pure.

Energy is traded within a feeder and supplied by a utility of it, a pod's parties are all on one feeder, and a gateway
hands a search to its own feeder's sellers only. So a feeder with a gateway of its own does what it does among others.
"""

from __future__ import annotations

from dataclasses import replace

from wattmesh_operator.plan import GatewayPlan, PodPlan


def by_feeder(plan: GatewayPlan) -> tuple[GatewayPlan, ...]:
    """The plan of each feeder, in the order in which the manifests have them."""
    pods: dict[str, list[PodPlan]] = {}
    for pod in plan.pods:
        if pod.participants:
            pods.setdefault(_feeder(pod), []).append(pod)
    return tuple(replace(plan, pods=tuple(of_feeder)) for of_feeder in pods.values())


def feeder_of(plan: GatewayPlan) -> str:
    """The feeder of a plan that `by_feeder` made."""
    return _feeder(plan.pods[0])


def parties_of(plan: GatewayPlan) -> int:
    """How many households and utilities there are: about how much there is to compute."""
    return sum(len(pod.participants) for pod in plan.pods)


def _feeder(pod: PodPlan) -> str:
    (feeder,) = {participant.feeder for participant in pod.participants}
    return feeder
