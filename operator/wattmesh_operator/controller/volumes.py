"""Lets volumes grow.

Whether a storage class allows it, the API server says when asked: so the operator needs no right to read storage
classes, which belong to no namespace.
"""

from __future__ import annotations

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import Object, uid_of
from wattmesh_operator.cluster.port import Cluster, ClusterError, NamespaceTerminating
from wattmesh_operator.desired.storage import WantedVolume, grown, size_of
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


def expanded(live: Object, wanted: WantedVolume) -> str:
    """What people are told of it."""
    return f"PersistentVolumeClaim {live['metadata']['name']}: {size_of(live)} → {wanted.size}"
