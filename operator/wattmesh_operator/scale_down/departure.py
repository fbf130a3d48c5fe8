"""Households whose SolarAgent was deleted: they settle and close their accounts before anything of them is deleted.

What is made for a household has two owners, its SolarAgent and its gateway's resource: the garbage collector leaves it
when one of them goes, and takes it, settled or not, when both are gone. So nothing waits for the operator, and no
finalizer is needed. Once the SolarAgent is gone, the annotation with its uid tells that these objects have been left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import (
    DEPLOYMENT,
    INSTANCE,
    WATTMESH,
    Object,
    annotations_of,
    goes,
    labels_of,
    name_of,
    namespace_of,
)
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.desired.names import DRAINING, GATEWAY, OWNER_UID, owner_reference, resource_of
from wattmesh_operator.plan.naming import subscriber_id
from wattmesh_operator.registry.registration import RegistryView
from wattmesh_operator.scale_down.drain import Draining, Household, drains_of, households_of
from wattmesh_operator.scale_down.progress import ask_households, can_go, limit_of


@dataclass
class Departures:
    """What there is to do for households whose SolarAgent was deleted.

    `staying`: subscriber ids of those that are still to be found by others. `patches`: objects and what to merge into
    their metadata, so that Deployments say since when their households drain, and that what is needed no more has no
    owner but the one that is gone: then the garbage collector takes it, and the operator needs no right to delete keys
    and ledgers. `left`: names of households that go with that, and whether each has closed its account.
    """

    staying: set[str] = field(default_factory=set)
    patches: list[tuple[Object, Mapping[str, Any]]] = field(default_factory=list)
    left: dict[str, bool] = field(default_factory=dict)
    waits: bool = False


def was_left(item: Object, seen: Observation) -> bool:
    """Whether an object was made for a SolarAgent that has been deleted, and waits for its households to settle."""
    uid = annotations_of(item).get(OWNER_UID)
    owned = bool(item["metadata"].get("ownerReferences"))  # a claim that is retained has no owner
    return owned and uid is not None and uid not in seen.uids and (resource_of(item) or ("",))[0] == "SolarAgent"


async def observe_departures(
    seen: Observation, registries: Mapping[str, RegistryView], transport: Transport, clock: Clock
) -> Departures:
    """Ask all households whose SolarAgent was deleted how they stand. `registries` are by gateway."""
    found = Departures()
    items = [item for item in seen.children.values() if was_left(item, seen) and not goes(item)]
    deployments = [item for item in items if item["kind"] == DEPLOYMENT.kind]
    households = {name_of(item): households_of(_agent_of(item), [item]) for item in deployments}
    gateways = {name_of(item): labels_of(item).get(GATEWAY, "") for item in deployments}
    asked = [household for listed in households.values() for household in listed]
    namespace = namespace_of(deployments[0]) if deployments else ""
    answers = await ask_households(asked, True, namespace, seen, gateways, transport, clock)
    now = clock.wall()
    kept: set[str] = set()
    for item in deployments:
        name, registry = name_of(item), registries.get(gateways[name_of(item)])
        drains = [
            Draining(
                household,
                int(now) if household.since is None else household.since,
                _has_settled(household, answers, registry, namespace),
                limit_of(gateways[name], namespace, seen),
            )
            for household in households[name]
        ]
        found.staying |= {subscriber_id(d.household.name, namespace) for d in drains if not d.is_done(now)}
        if all(can_go(drain, registry, namespace, now) for drain in drains):
            found.left |= {drain.household.name: drain.has_settled is True for drain in drains}
            continue
        kept.add(name)
        since = {drain.household.name: drain.since for drain in drains}
        if drains_of(item) != since:
            found.patches.append((item, {"annotations": {DRAINING: json.dumps(dict(sorted(since.items())))}}))
    gone = [item for item in items if labels_of(item).get(INSTANCE) not in kept]
    found.patches += [(item, {"ownerReferences": [_former_owner(item)]}) for item in gone]
    found.waits = bool(items)
    return found


def _agent_of(item: Object) -> str:
    """The name of the resource that an object was made for."""
    return (resource_of(item) or ("", ""))[1]


def _has_settled(
    household: Household, answers: Mapping[str, bool | None], registry: RegistryView | None, namespace: str
) -> bool | None:
    answer = answers.get(household.name)
    if answer is None and registry is not None and registry.entries is not None:
        # Who has never answered is not registered, and has nothing to settle.
        return None if registry.holds(subscriber_id(household.name, namespace)) else True
    return answer


def _former_owner(item: Object) -> dict[str, Any]:
    """The reference to the SolarAgent that an object was made for."""
    kind, name = resource_of(item) or ("", "")
    uid = annotations_of(item)[OWNER_UID]
    return owner_reference({"apiVersion": WATTMESH, "kind": kind, "metadata": {"name": name, "uid": uid}})
