"""Applies desired manifests, one pod's objects at a time; what is so already is not written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable

from wattmesh_common.reading_token import ReadingToken
from wattmesh_operator.cluster.objects import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    MANAGED_BY,
    NETWORK_POLICY,
    OPERATOR,
    SECRET,
    SERVICE,
    Kind,
    Object,
    annotations_of,
    controller_of,
    goes,
    kind_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.cluster.port import Cluster
from wattmesh_operator.controller.drift import differs
from wattmesh_operator.desired.files import key_secret, token_of, token_secret
from wattmesh_operator.desired.manifest import Belonging
from wattmesh_operator.desired.names import HASH, resource_of
from wattmesh_operator.keys.key_files import (
    HeldKeys,
    KeysUnreadable,
    held_keys,
    key_file,
    new_key_file,
    next_key_file,
)
from wattmesh_operator.keys.rotation import Rotation
from wattmesh_operator.scale_down.departure import was_left
from wattmesh_operator.status.news import News

MOST_BYTES = 2**20
"""Of the data of a Secret or ConfigMap."""

Report = Callable[[Object, News], None]
"""Takes what a person wants to know of a resource."""

_GOES_WITH_ITS_POD = (DEPLOYMENT, SERVICE, CONFIG_MAP)
"""In this order. Secret and claim stay: who comes back finds key, battery and ledger as they were."""


class NotOurs(Exception):
    """An object of the name that is needed belongs to somebody else."""


class TooLarge(Exception):
    """An object is larger than an API server takes."""


class Leaving(Exception):
    """An object of the name that is needed is being deleted; the next pass may find it gone."""


class Applier:
    """Applies manifests within one pass. `seen` is what was observed at its start."""

    def __init__(self, cluster: Cluster, seen: Observation, report: Report) -> None:
        self._cluster = cluster
        self._seen = seen
        self._report = report

    async def apply(self, manifests: Iterable[Object], owner: Object) -> Object:
        """Apply the manifests, the last one when all others are there; returns it as it is then.

        Raises ClusterError, NotOurs, Leaving or TooLarge.
        """
        *others, last = manifests
        if self._seen.child(kind_of(last), name_of(last)) is None:
            # A new pod: every call one after the other would be a part of how long it takes to trade.
            done = await asyncio.gather(*(self._apply_one(one, owner) for one in others), return_exceptions=True)
            for made in done:
                if isinstance(made, BaseException):
                    raise made
        else:
            for one in others:
                await self._apply_one(one, owner)
        return await self._apply_one(last, owner)

    async def keys(
        self,
        to: Belonging,
        subscriber_ids: Collection[str],
        rotation: Rotation | None = None,
        *,
        name: str | None = None,
    ) -> HeldKeys:
        """The keys of these subscribers from their Secret; those that it lacks are made, and all go on rotating.

        Raises ClusterError (Conflict when somebody else was quicker), NotOurs, Leaving or KeysUnreadable.
        """
        rotation = rotation or Rotation()
        secret = await self._find(SECRET, name or to.pod, to.owner)
        if secret is None:
            made = key_secret(to, new_key_file(subscriber_ids), name=name, rotated=rotation.asked)
            _check_size(made)
            await self._cluster.create(made)
            if self._has_run(to):
                self._report(
                    to.owner, News("Normal", "KeyCreated", f"{name_of(made)}: a new key, as the Secret was gone")
                )
            return held_keys(made)
        held = held_keys(secret)  # what cannot be read is not written over
        if held.rest(subscriber_ids, rotation):
            file, rotated = key_file(secret), held.rotated
        else:
            file, rotated = next_key_file(secret, subscriber_ids, rotation)
        made = key_secret(to, file, name=name, rotated=rotated)
        if differs(made, secret):
            # Only over what was read: a key that somebody else has added meanwhile must not be lost. Keys and how far
            # they have rotated are written at once, so that whoever is killed leaves one step or the next.
            _check_size(made)
            made["metadata"]["resourceVersion"] = secret["metadata"]["resourceVersion"]
            await self._cluster.apply(made)
        return held_keys(made)

    async def token(self, to: Belonging, name: str) -> ReadingToken:
        """The reading token in the Secret of that name, which is made if there is none. Raises as `keys` does."""
        secret = await self._find(SECRET, name, to.owner)
        if secret is None:
            token = ReadingToken.new()
            await self._cluster.create(token_secret(to, token, name))
            return token
        try:
            token = token_of(secret)
        except ValueError as error:
            raise KeysUnreadable(f"Secret {name}: {error}; mend it, or delete it for a new one") from None
        made = token_secret(to, token, name)
        if differs(made, secret):
            made["metadata"]["resourceVersion"] = secret["metadata"]["resourceVersion"]
            await self._cluster.apply(made)
        return token

    async def remove_all_but(self, pods: Collection[str], owner: Object) -> None:
        """Delete what belongs to the owner's pods that are not among these. Raises ClusterError."""
        for child in self._seen.children_of(owner, _GOES_WITH_ITS_POD):
            if name_of(child) not in pods and not goes(child):
                await self._cluster.delete(child)

    async def remove_unwanted(self, owner: Object, manifests: Collection[Object]) -> None:
        """Delete the owner's NetworkPolicies and PodDisruptionBudgets that are not among these. Raises ClusterError."""
        wanted = {(item["kind"], name_of(item)) for item in manifests}
        for child in self._seen.children_of(owner, (NETWORK_POLICY, DISRUPTION_BUDGET)):
            if (child["kind"], name_of(child)) not in wanted and not goes(child):
                await self._cluster.delete(child)

    async def _apply_one(self, manifest: Object, owner: Object) -> Object:
        kind, name = kind_of(manifest), name_of(manifest)
        live = await self._find(kind, name, owner)
        difference = differs(manifest, live) if live is not None else ["it"]
        if live is not None and not difference:
            # One text for what shall be and what is: with two, each household takes 1.3 kB more.
            live.get("data", {}).update(manifest.get("data", {}))
            return live
        _check_size(manifest)
        made = await self._cluster.apply(manifest)
        if live is None:
            # The Deployment comes last: when it is there, the others have been made before.
            repaired = kind is not DEPLOYMENT and self._seen.child(DEPLOYMENT, name) is not None
            what = f"{kind.kind} {name} was gone and is made again"
            if repaired and kind is CLAIM:
                self._report(owner, News("Warning", "VolumeLost", f"{what}; what was on its volume is lost"))
                return made
        else:
            repaired = annotations_of(live).get(HASH) == manifest["metadata"]["annotations"][HASH]
            what = f"{kind.kind} {name}: {', '.join(difference[:5])} put right"
        if repaired:
            self._report(owner, News("Normal", "DriftRepaired", what))
        return made

    async def _find(self, kind: Kind, name: str, owner: Object) -> Object | None:
        """The object of that name, if it is the owner's or an orphan of ours; None if there is none."""
        # One that is not among ours may have lost the label by which ours are found, or may be somebody else's.
        live = self._seen.child(kind, name) or await self._cluster.get(kind, namespace_of(owner), name)
        if live is None:
            return None
        if goes(live):
            raise Leaving(f"{kind.kind} {name} is being deleted")
        if was_left(live, self._seen):
            raise Leaving(f"{kind.kind} {name} belongs to an earlier resource, whose households settle first")
        controller = controller_of(live)
        ours = labels_of(live).get(MANAGED_BY) == OPERATOR
        if kind is CLAIM and controller is None and ours:
            # A ledger must not come to somebody else by its name.
            former = resource_of(live)
            if former not in (None, (owner["kind"], name_of(owner))):
                raise NotOurs(
                    f"{kind.kind} {name} was retained for {' '.join(former or ())}; delete the claim if that one"
                    " shall not return, or rename this resource"
                )
        if controller == uid_of(owner) or (controller is None and ours):
            return live
        if controller is not None and controller in {uid_of(item) for item in self._seen.resources.values()}:
            raise NotOurs(f"{kind.kind} {name} belongs to another resource; rename one of them")
        if ours:  # of a resource that was deleted: the garbage collector comes for it
            raise Leaving(f"{kind.kind} {name} belongs to an earlier resource and has not gone yet")
        raise NotOurs(f"there is a {kind.kind} {name} that wattmesh has not made; rename one of them")

    def _has_run(self, to: Belonging) -> bool:
        return self._seen.child(DEPLOYMENT, to.pod) is not None


def _check_size(manifest: Object) -> None:
    """Raises TooLarge."""
    size = len(json.dumps(manifest.get("data", {})).encode())
    if size > MOST_BYTES:
        what = f"{manifest['kind']} {name_of(manifest)} would have {size / 2**20:.1f} MiB, and 1 MiB is the most"
        raise TooLarge(f"{what}; make a SolarAgent with fewer householdsPerPod")
