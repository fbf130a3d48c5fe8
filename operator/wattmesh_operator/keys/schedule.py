"""What the rotation of each pod's keys needs to know: whether they may be replaced now, and which are registered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import cache

from wattmesh_operator.cluster.objects import SECRET, annotations_of
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.desired.names import ROTATED_KEYS
from wattmesh_operator.keys.key_files import former_keys
from wattmesh_operator.keys.rotation import Rotation, asked_of
from wattmesh_operator.plan.pods import GatewayPlan, PodPlan
from wattmesh_operator.registry.registration import RegistryView
from wattmesh_operator.resources.parsing import Manifest

MOST_ROTATING = 200
"""At how many of a gateway's subscribers with former keys no more begin: a pass waits for all that it registers."""


def rotations(
    plan: GatewayPlan, seen: Observation, registry: RegistryView, now: float, overlap: timedelta
) -> dict[str, Rotation]:
    """The rotation of the keys of each of a gateway's pods, by the pod's name; `now` is unix seconds."""
    asked = {pod.name: asked_of(seen.resources[Manifest(pod.owner).identity]) for pod in plan.pods}
    begun = _may_begin(asked, seen)

    def rotation(pod: PodPlan) -> Rotation:
        @cache
        def wanted() -> Mapping[str, set[str]]:
            return {participant.subscriber_id: {*participant.roles} for participant in pod.participants}

        def registered(subscriber_id: str, key_id: str) -> bool:
            return wanted().get(subscriber_id, set()) <= {*registry.roles_of(subscriber_id, key_id, now)}

        return Rotation(asked[pod.name], pod.name in begun, int(now), int(overlap.total_seconds()), registered)

    return {pod.name: rotation(pod) for pod in plan.pods}


def _may_begin(asked: Mapping[str, str], seen: Observation) -> Collection[str]:
    """Those of the pods (with what is asked for) whose keys may be replaced now: the first ones, so many at a time."""
    rotating = 0
    waiting: list[tuple[str, int]] = []
    for pod, value in asked.items():
        if (secret := seen.child(SECRET, pod)) is not None:
            subscribers, former = former_keys(secret)
            rotating += former
            if value not in ("", annotations_of(secret).get(ROTATED_KEYS)):
                waiting.append((pod, subscribers))
    begun: set[str] = set()
    for pod, subscribers in waiting:
        if rotating < MOST_ROTATING:
            begun.add(pod)
            rotating += subscribers
    return begun
