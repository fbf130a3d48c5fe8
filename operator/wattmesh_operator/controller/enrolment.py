"""Makes the registries of a namespace true: who is registered, and whose entries must stay for now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import DEPLOYMENT, annotations_of, controller_of, uid_of
from wattmesh_operator.cluster.observation import Observation, is_available, is_rolled_out
from wattmesh_operator.controller.applied import Applied
from wattmesh_operator.controller.memo import Memo
from wattmesh_operator.controller.polling import Heard
from wattmesh_operator.desired.names import HOUSEHOLDS, is_paused, service_url
from wattmesh_operator.desired.pod import pod_url
from wattmesh_operator.plan.graph import Graph
from wattmesh_operator.plan.naming import subscriber_id
from wattmesh_operator.plan.pods import GatewayPlan, PodPlan
from wattmesh_operator.registry.entries import Registrant, Wanted, wanted_entries
from wattmesh_operator.registry.registration import (
    Registered,
    RegistryView,
    held_after,
    view_registry,
    wanted_writes,
    write_entries,
)
from wattmesh_operator.resources import BecknGateway, Resource
from wattmesh_operator.resources.parsing import Manifest

log = logging.getLogger(__name__)


REGISTER_S = 5.0
"""How long a pass registers households before it goes on with the rest; the next one registers more."""
_RECHECK_S = 3_600.0
"""How often entries that have not changed are looked at, which may have to be renewed."""


@dataclass(frozen=True)
class _PodEntries:
    """What a registry shall hold of a pod, and what is to be written so that it does.

    `ids` are all its participants, `away` those of them that have never answered and are not registered.
    """

    name: str
    ids: frozenset[str]
    away: frozenset[str]
    wanted_ids: frozenset[str]
    wanted: tuple[Wanted, ...]


class Enrolment:
    """Keeps, from pass to pass, copies of the registries, which are brought up to date in each."""

    def __init__(self, namespace: str, transport: Transport, clock: Clock) -> None:
        self._namespace = namespace
        self._transport = transport
        self._clock = clock
        self._copies: dict[str, RegistryCopy] = {}
        self._views: Memo[str, RegistryView] = Memo()
        self._entries: Memo[str, _PodEntries] = Memo()
        self._writes: Memo[str, Sequence[Subscription]] = Memo()

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
                views[name] = self._view(name, copy, resource.spec.domain) if up else _not_up()
        self._copies = copies
        return dict(zip(views, await asyncio.gather(*views.values()), strict=True))

    async def _view(self, name: str, copy: RegistryCopy, domain: str) -> RegistryView:
        view = await view_registry(copy, domain, self._clock)
        return view if view.entries is None else self._views.get(name, (copy.version, domain), lambda: view)

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
        gone = frozenset(done)
        keep = (self._still_needed(graph, seen, applied) | {*staying}) - gone
        pods = {
            plan.resource.metadata.name: [
                self._pod_entries(pod, plan, applied, registries[plan.resource.metadata.name], heard, gone)
                for pod in plan.pods
            ]
            for plan in graph.plans
        }
        names = [name for name in pods if name in applied.registrars]
        away = frozenset[str]().union(*(pod.away for of in pods.values() for pod in of))
        made = await asyncio.gather(
            *(
                self._register(name, pods[name], applied.registrars[name], registries[name], keep | away)
                for name in names
            )
        )
        registered = dict(zip(names, made, strict=True))
        for plan in graph.plans:
            name = plan.resource.metadata.name
            if name in registered:
                left_alone = {
                    participant.subscriber_id
                    for pod in plan.pods
                    if is_paused(seen.resources[Manifest(pod.owner).identity])
                    for participant in pod.participants
                    if registries[name].holds(participant.subscriber_id)
                }
                registered[name] = replace(registered[name], ids=registered[name].ids | left_alone)
        applied.unanswered = any(
            is_available(applied.deployments.get(pod.name)) and not entries.ids <= self._ids(registered, plan)
            for plan in graph.plans
            for pod, entries in zip(plan.pods, pods[plan.resource.metadata.name], strict=True)
        )
        for name, result in registered.items():
            if result.writes:
                log.info("%s/%s: %d registry entries written", self._namespace, name, result.writes)
        for memo in (self._views, self._entries, self._writes):
            memo.sweep()
        return registered

    def _ids(self, registered: Mapping[str, Registered], plan: GatewayPlan) -> frozenset[str]:
        return registered.get(plan.resource.metadata.name, Registered()).ids

    def _pod_entries(
        self,
        pod: PodPlan,
        plan: GatewayPlan,
        applied: Applied,
        view: RegistryView,
        heard: Mapping[str, Heard],
        done: frozenset[str],
    ) -> _PodEntries:
        said, keys = heard.get(pod.name, Heard()), applied.keys.get(pod.name)
        domain = plan.resource.spec.domain
        present = view.by_subscriber

        def make() -> _PodEntries:
            ids = frozenset(one.subscriber_id for one in pod.participants)
            away = frozenset(
                one.subscriber_id
                for one in pod.participants
                if said.of(one.name) is None and one.subscriber_id not in present
            )
            registrants = [
                Registrant(
                    one,
                    f"{pod_url(pod)}/{one.name}",
                    held.current.key_id,
                    held.current.public_key,
                    held.retiring,
                )
                for one in pod.participants
                if keys is not None and one.subscriber_id not in away and one.subscriber_id not in done
                for held in [keys.keys[one.subscriber_id]]
            ]
            wanted_ids = frozenset(one.participant.subscriber_id for one in registrants)
            return _PodEntries(pod.name, ids, away, wanted_ids, tuple(wanted_entries(registrants, domain)))

        # While all of a pod are heard of, it does not matter which of them are registered.
        silent = [one.subscriber_id in present for one in pod.participants if said.of(one.name) is None]
        answering = frozenset(said.parties) if said.silent_since is None else frozenset()
        made_of = (
            pod,
            keys,
            domain,
            answering,
            silent,
            done.intersection(one.subscriber_id for one in pod.participants),
        )
        return self._entries.get(pod.name, made_of, make)

    async def _register(
        self,
        name: str,
        pods: Sequence[_PodEntries],
        registrar: Signer,
        view: RegistryView,
        keep: AbstractSet[str],
    ) -> Registered:
        ids = frozenset[str]().union(*(pod.wanted_ids for pod in pods))
        if view.entries is None:
            return Registered(problems=dict.fromkeys(ids, view.problem))
        writes = [entry for pod in pods for entry in self._pod_writes(pod, view, keep)]
        unwanted = view.by_subscriber.keys() - ids - keep
        writes += wanted_writes(
            (), (entry for one in sorted(unwanted) for entry in view.by_subscriber[one]), (), self._clock.machine()
        )
        written = await write_entries(
            writes,
            url=service_url(name, self._namespace),
            registrar=registrar,
            transport=self._transport,
            clock=self._clock,
            for_s=REGISTER_S,
        )
        known, held = ids - written.problems.keys() - written.late, held_after(view, written.entries)
        return Registered(known, written.problems, len(written.entries), held, late=bool(written.late))

    def _pod_writes(self, pod: _PodEntries, view: RegistryView, keep: AbstractSet[str]) -> Sequence[Subscription]:
        present = [view.by_subscriber.get(one, ()) for one in pod.wanted_ids]
        now = self._clock.machine()

        def make() -> Sequence[Subscription]:
            return wanted_writes(pod.wanted, (entry for of in present for entry in of), keep, now)

        # What ends soon is written or not by the second.
        often = any(wanted.ends for wanted in pod.wanted)
        made_of = (pod, present, pod.ids & keep, now if often else now // _RECHECK_S)
        return self._writes.get(pod.name, made_of, make)

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
