"""Lets volumes grow, and keeps those that no pod has now as their resource says.

Whether a storage class allows it, the API server says when asked: so the operator needs no right to read storage
classes, which belong to no namespace.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import CLAIM, Object, controller_of, goes, uid_of
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.cluster.port import Cluster, ClusterError, NamespaceTerminating
from wattmesh_operator.controller.applied import Applied, Prepared, each
from wattmesh_operator.controller.apply import Applier
from wattmesh_operator.desired.names import resource_of
from wattmesh_operator.desired.storage import WantedVolume, grown, is_retained, size_of, unused_claim
from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.scale_down.departure import was_left
from wattmesh_operator.status.news import News
from wattmesh_operator.status.trouble import Trouble
from wattmesh_operator.status.volumes import expansion_refused, size_differs

RETRY_S = 300.0
"""How soon is asked again for what was refused; not in each pass, for it may be so for good."""
_REFUSALS = (403, 422)


class VolumeGrowth:
    """Keeps, for a while, what the API server refused."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._refused: dict[str, tuple[str, float, str]] = {}
        """The size, the wall time and the answer, by the claim's uid."""

    async def adjust(self, live: Object, manifest: Object, wanted: WantedVolume) -> tuple[bool, Trouble | None]:
        """Let a claim grow to what is wanted: whether it was asked to just now, and why its volume differs.

        `manifest` is the claim's, with the size that `live` has. Raises ClusterError when there is no clear answer.
        """
        uid, now = uid_of(live), self._clock.wall()
        # One that is not bound yet cannot grow; it is looked at again by a later pass.
        if not wanted.is_larger_than(live) or (live.get("status") or {}).get("phase", "Bound") != "Bound":
            self._refused.pop(uid, None)
            return False, size_differs(live, wanted)
        size, since, message = self._refused.get(uid, ("", 0.0, ""))
        if size != wanted.size or now - since >= RETRY_S:
            try:
                made = await self._cluster.apply(grown(manifest, wanted.size))
            except NamespaceTerminating:
                raise
            except ClusterError as error:
                if error.status not in _REFUSALS:
                    raise
                message = str(error)
                self._refused[uid] = (wanted.size, now, message)
            else:
                self._refused.pop(uid, None)
                return True, size_differs(made, wanted)
        return False, expansion_refused(live, wanted, message)

    def forget_all_but(self, uids: set[str]) -> None:
        """Claims that are gone."""
        for uid in self._refused.keys() - uids:
            del self._refused[uid]


async def grow_volumes(
    growth: VolumeGrowth,
    seen: Observation,
    applied: Applied,
    prepared: Mapping[str, Prepared],
    events: list[tuple[Object, News]],
) -> None:
    """Let the claims that were there before this pass grow. What is refused keeps nobody from trading."""

    async def grow(name: str, one: Prepared, wanted: WantedVolume, live: Object) -> None:
        manifest = next(item for item in one.manifests if item["kind"] == CLAIM.kind)
        asked, trouble = await growth.adjust(live, manifest, wanted)
        if asked:
            events.append((one.owner, News("Normal", "VolumeExpanded", _expanded(live, wanted))))
        if trouble is not None:
            applied.volumes[name] = trouble

    there = {name: live for name in prepared if (live := seen.child(CLAIM, name)) is not None}
    growth.forget_all_but({uid_of(live) for live in there.values()})
    work = {
        name: grow(name, prepared[name], wanted, live)
        for name, live in there.items()
        if name not in applied.trouble and (wanted := prepared[name].volume) is not None
    }
    await each(work, applied)


async def settle_unused_claims(
    resources: Iterable[Resource],
    seen: Observation,
    applier: Applier,
    applied: Applied,
    prepared: Mapping[str, Prepared],
) -> None:
    """Claims of households that were scaled down, or of a gateway that shares a database now, are retained, or go with
    their resource, as the others.
    """
    templates = {
        (resource.kind, resource.metadata.name): (resource.spec.pod, seen.resources[Manifest(resource).identity])
        for resource in resources
    }

    async def settle(live: Object, template: PodTemplate | None, owner: Object) -> None:
        await applier.apply([unused_claim(owner, live, retained=is_retained(template))], owner)

    used = {name for name, one in prepared.items() if one.volume is not None}
    work: dict[str, Coroutine[Any, Any, None]] = {}
    for (kind, name), live in seen.children.items():
        resource = resource_of(live)
        if kind == CLAIM.kind and name not in used and not goes(live) and resource in templates:
            template, owner = templates[resource]
            if controller_of(live) in (None, uid_of(owner)) and not was_left(live, seen):
                work[name] = settle(live, template, owner)
    await each(work, applied)


def _expanded(live: Object, wanted: WantedVolume) -> str:
    """What people are told of it."""
    return f"PersistentVolumeClaim {live['metadata']['name']}: {size_of(live)} → {wanted.size}"
