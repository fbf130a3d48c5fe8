"""Observing households that leave: which are beyond `replicas`, how far each has come, which can go now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.cluster.objects import DEPLOYMENT, SECRET, Object, labels_of, namespace_of
from wattmesh_operator.cluster.observation import Observation, is_available
from wattmesh_operator.desired.names import GATEWAY, service_url
from wattmesh_operator.keys.key_files import KeysUnreadable, signers_of
from wattmesh_operator.plan.naming import registrar_name, subscriber_id
from wattmesh_operator.registry.registration import RegistryView
from wattmesh_operator.resources import Resource, SolarAgent
from wattmesh_operator.resources.mistakes import Identity
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.scale_down.drain import (
    Asked,
    Draining,
    Household,
    ask_all,
    households_of,
    limit_s,
    replicas_now,
)
from wattmesh_operator.status.reading_back import read_status
from wattmesh_operator.status.summary import is_summary


@dataclass
class ScaleDown:
    """How far the scale-downs of a namespace have come.

    `replicas`: how many households SolarAgents shall have now, by their name. `since`: since which unix second a
    household drains, by its name. `leaving`: those beyond `replicas`. `done`: subscriber ids of those of them that
    have nothing open any more.
    """

    replicas: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


async def observe_scale_down(
    resources: Iterable[Resource],
    seen: Observation,
    registries: Mapping[str, RegistryView],
    transport: Transport,
    clock: Clock,
) -> ScaleDown:
    """Ask all households that shall leave, or leave no longer, how they stand. `registries` are by gateway."""
    found = ScaleDown()
    agents = {resource.metadata.name: resource for resource in resources if isinstance(resource, SolarAgent)}
    for name, agent in agents.items():
        owner = seen.resources[Manifest(agent).identity]
        deployments = seen.children_of(owner, (DEPLOYMENT,))
        there = households_of(name, deployments)
        gateways = {d["metadata"]["name"]: labels_of(d).get(GATEWAY, "") for d in deployments}
        replicas = agent.spec.replicas
        leaving = [household for household in there if household.number >= replicas]
        returning = [h for h in there if h.number < replicas and h.since is not None]
        if not leaving and not returning:
            continue
        drains = await _drain(leaving, owner, seen, registries, gateways, transport, clock)
        gone = {
            drain.household.name
            for drain in drains
            if can_go(drain, registries.get(gateways[drain.household.pod]), namespace_of(owner), clock.wall())
        }
        found.replicas[name] = replicas_now(replicas, drains, gone)
        found.leaving |= {household.name for household in leaving}
        found.since |= {drain.household.name: drain.since for drain in drains}
        found.done |= {
            subscriber_id(drain.household.name, namespace_of(owner)) for drain in drains if drain.is_done(clock.wall())
        }
        answers = await ask_households(returning, False, namespace_of(owner), seen, gateways, transport, clock)
        # One that has not heard that it may stay is told again by the next pass.
        found.since |= {h.name: h.since for h in returning if answers.get(h.name) is None and h.since is not None}
    return found


async def _drain(
    leaving: list[Household],
    owner: Object,
    seen: Observation,
    registries: Mapping[str, RegistryView],
    gateways: Mapping[str, str],
    transport: Transport,
    clock: Clock,
) -> list[Draining]:
    answers = await ask_households(leaving, True, namespace_of(owner), seen, gateways, transport, clock)
    status = read_status(owner)
    heard = {household.name for household in status.households if household.level_wh is not None}
    now = int(clock.wall())
    drains: list[Draining] = []
    for household in leaving:
        settled = answers.get(household.name)
        registry = registries.get(gateways[household.pod])
        if registry is None or registry.entries is None:
            was_up = household.name in heard or is_summary(status)
        else:
            was_up = household.name in heard or registry.holds(subscriber_id(household.name, namespace_of(owner)))
        if settled is None and not was_up:
            # Its pod has never come up, for want of an image or of room: there is nothing to wait for.
            settled = None if is_available(seen.child(DEPLOYMENT, household.pod)) else True
        since = now if household.since is None else household.since
        drains.append(Draining(household, since, settled, limit_of(gateways[household.pod], namespace_of(owner), seen)))
    return drains


async def ask_households(
    households: Sequence[Household],
    draining: bool,
    namespace: str,
    seen: Observation,
    gateways: Mapping[str, str],
    transport: Transport,
    clock: Clock,
) -> dict[str, bool | None]:
    """Tell households whether to drain; which have settled, by name. `gateways` are those of their pods, by name."""
    asked = {
        h.name: Asked(subscriber_id(h.name, namespace), f"{service_url(h.pod, namespace)}/{h.name}", registrar)
        for h in households
        if (registrar := _registrar(seen, gateways[h.pod]))
    }
    return await ask_all(asked, draining, transport, clock)


def limit_of(gateway: str, namespace: str, seen: Observation) -> float:
    """How long the households of a gateway can be held up; see `limit_s`."""
    return limit_s(seen.resources.get(Identity("BecknGateway", namespace, gateway)))


def _registrar(seen: Observation, gateway: str) -> Signer | None:
    secret = seen.child(SECRET, registrar_name(gateway))
    try:
        return signers_of(secret).get(REGISTRAR) if secret else None
    except KeysUnreadable:
        return None


def can_go(drain: Draining, registry: RegistryView | None, namespace: str, now: float) -> bool:
    """Whether nothing is open and nobody finds it any more; a registry that does not answer is not waited for long."""
    if not drain.is_done(now):
        return False
    if registry is None or registry.entries is None:
        return drain.is_late(now)
    return not registry.holds(subscriber_id(drain.household.name, namespace))
