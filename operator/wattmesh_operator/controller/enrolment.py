"""Makes the registries of a namespace true: who is registered, and whose entries must stay for now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping
from dataclasses import replace

from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import DEPLOYMENT, annotations_of, controller_of, uid_of
from wattmesh_operator.cluster.observation import Observation, is_available, is_rolled_out
from wattmesh_operator.controller.applied import Applied
from wattmesh_operator.controller.polling import Heard
from wattmesh_operator.desired.names import HOUSEHOLDS, is_paused, service_url
from wattmesh_operator.desired.pod import pod_url
from wattmesh_operator.plan.graph import Graph
from wattmesh_operator.plan.naming import subscriber_id
from wattmesh_operator.registry.entries import Registrant
from wattmesh_operator.registry.registration import Registered, RegistryView, register, view_registry
from wattmesh_operator.resources import BecknGateway, Resource
from wattmesh_operator.resources.parsing import Manifest

log = logging.getLogger(__name__)


class Enrolment:
    """Keeps, from pass to pass, copies of the registries, which are brought up to date in each."""

    def __init__(self, namespace: str, transport: Transport, clock: Clock) -> None:
        self._namespace = namespace
        self._transport = transport
        self._clock = clock
        self._copies: dict[str, RegistryCopy] = {}

    async def view(self, resources: Iterable[Resource], seen: Observation) -> dict[str, RegistryView]:
        """What each gateway's registry holds, by the gateway's name."""
        views: dict[str, Awaitable[RegistryView]] = {}
        copies: dict[str, RegistryCopy] = {}
        for resource in resources:
            if isinstance(resource, BecknGateway):
                name = resource.metadata.name
                up = is_available(seen.child(DEPLOYMENT, name))
                copy = copies[name] = self._copies.get(name) or RegistryCopy(
                    service_url(name, self._namespace), self._transport
                )
                views[name] = view_registry(copy, resource.spec.domain, self._clock) if up else _not_up()
        self._copies = copies
        return dict(zip(views, await asyncio.gather(*views.values()), strict=True))

    async def make_true(
        self,
        graph: Graph,
        seen: Observation,
        applied: Applied,
        registries: Mapping[str, RegistryView],
        heard: Mapping[str, Heard],
        *,
        done: Collection[str],
        staying: Collection[str],
    ) -> dict[str, Registered]:
        """Register who shall be, and end what nobody wants any more; who is registered, by the gateway's name.

        Who has never answered is not registered: nobody shall find a seller that is not there. Who is registered stays
        it while its pod is away. `done` are the ids of those that have settled and go, `staying` those that are still
        to settle.
        """
        keep = (self._still_needed(graph, seen, applied) | {*staying}) - {*done}
        away = {
            participant.subscriber_id
            for plan in graph.plans
            for pod in plan.pods
            for participant in pod.participants
            if heard.get(pod.name, Heard()).of(participant.name) is None
            and not registries[plan.resource.metadata.name].holds(participant.subscriber_id)
        }
        results: dict[str, Awaitable[Registered]] = {}
        for plan in graph.plans:
            name = plan.resource.metadata.name
            if name not in applied.registrars:
                continue
            registrants = [
                Registrant(
                    participant,
                    f"{pod_url(pod)}/{participant.name}",
                    keys.current.key_id,
                    keys.current.public_key,
                    keys.retiring,
                )
                for pod in plan.pods
                if pod.name in applied.keys
                for participant in pod.participants
                if participant.subscriber_id not in away.union(done)
                for keys in [applied.keys[pod.name].keys[participant.subscriber_id]]
            ]
            results[name] = register(
                registries[name],
                registrants,
                keep | away,
                url=service_url(name, self._namespace),
                domain=plan.resource.spec.domain,
                registrar=applied.registrars[name],
                transport=self._transport,
                clock=self._clock,
            )
        registered = dict(zip(results, await asyncio.gather(*results.values()), strict=True))
        left_alone = {
            participant.subscriber_id
            for plan in graph.plans
            for pod in plan.pods
            if is_paused(seen.resources[Manifest(pod.owner).identity])
            for participant in pod.participants
        }
        registered = {
            name: replace(result, ids=result.ids | {one for one in left_alone if registries[name].holds(one)})
            for name, result in registered.items()
        }
        known = {one for result in registered.values() for one in result.ids}
        applied.unanswered = any(
            participant.subscriber_id not in known
            for plan in graph.plans
            for pod in plan.pods
            if is_available(applied.deployments.get(pod.name))
            for participant in pod.participants
        )
        for name, result in registered.items():
            if result.writes:
                log.info("%s/%s: %d registry entries written", self._namespace, name, result.writes)
        return registered

    def _still_needed(self, graph: Graph, seen: Observation, applied: Applied) -> set[str]:
        """Ids of those whose entries must not be ended now, although this pass may not want them.

        They are in pods that go on as they are while their resource cannot be made real, or in pods that still sign
        with their former key.
        """
        held_up = {uid_of(seen.resources[identity]) for identity in graph.problems}
        held_up |= {uid_of(item) for item in seen.resources.values() if is_paused(item)}
        pods = [
            child
            for (kind, name), child in seen.children.items()
            if kind == DEPLOYMENT.kind
            and (
                controller_of(child) in held_up
                or name in applied.trouble
                or (name in applied.deployments and not is_rolled_out(applied.deployments[name]))
            )
        ]
        return {
            subscriber_id(name, self._namespace)
            for pod in pods
            for name in annotations_of(pod).get(HOUSEHOLDS, "").split(",")
        }


async def _not_up() -> RegistryView:
    return RegistryView(None, "the gateway is not up yet")
