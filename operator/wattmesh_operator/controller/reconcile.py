"""One pass over a namespace: what is observed → what shall be → what is written.

Nothing is carried from pass to pass but what pods said last, copies of the registries, which are brought up to date,
and which volumes may not grow.

A pod that cannot be made, a household that is refused or a gateway that is down is told of and tried again; the others
go on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from wattmesh_beckn.transport import Pages, Transport
from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import DEPLOYMENT, Object, controller_of, kind_of, name_of, uid_of
from wattmesh_operator.cluster.observation import Observation, is_available, is_rolled_out, observe
from wattmesh_operator.cluster.port import Cluster, Conflict, Missing, NamespaceTerminating
from wattmesh_operator.controller.applied import Applied, Prepared, each
from wattmesh_operator.controller.apply import Applier
from wattmesh_operator.controller.causes import find_causes, halted
from wattmesh_operator.controller.enrolment import Enrolment
from wattmesh_operator.controller.labels import label_pods
from wattmesh_operator.controller.memo import Memo
from wattmesh_operator.controller.polling import Heard, Poller
from wattmesh_operator.controller.prepare import held_pods, prepare
from wattmesh_operator.controller.publish import Outcome, Told, publish
from wattmesh_operator.controller.volumes import VolumeGrowth, grow_volumes, settle_unused_claims
from wattmesh_operator.desired.names import DRAINING, is_paused
from wattmesh_operator.desired.pod import pod_url
from wattmesh_operator.desired.revision import with_former_template
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.plan.graph import Graph, Problem, read_resources, resolve, with_replicas
from wattmesh_operator.plan.pods import PodPlan
from wattmesh_operator.plan.references import Settled
from wattmesh_operator.registry.registration import RegistryView
from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.mistakes import Identity
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.scale_down.departure import Departures, observe_departures
from wattmesh_operator.scale_down.progress import observe_scale_down
from wattmesh_operator.status.news import News

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How soon is looked again at households that drain, new keys that are being registered, and silent registries."""
RETRY_S = 1.0


@dataclass(frozen=True)
class Pass:
    """What a pass leaves to do: the seconds until the next one is wanted (None: when something changes), and faults.

    `rolling` names the pods that are not up as they shall be.
    """

    again_in_s: float | None = None
    faults: tuple[str, ...] = ()
    rolling: tuple[str, ...] = ()


class Reconciler:
    """Makes one namespace what its resources say."""

    def __init__(
        self,
        namespace: str,
        cluster: Cluster,
        transport: Transport,
        pages: Pages,
        clock: Clock,
        settings: PodSettings,
    ) -> None:
        self._namespace = namespace
        self._cluster = cluster
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._poller = Poller(pages, clock)
        self._growth = VolumeGrowth(cluster, clock)
        self._enrolment = Enrolment(namespace, transport, clock)
        self._told: dict[str, Told] = {}
        self._read: Memo[str, tuple[list[Resource], dict[Identity, Problem]]] = Memo()
        self._graph: Memo[str, Graph] = Memo()
        self._pods: dict[str, PodPlan] = {}
        self._manifests: Memo[str, list[Object]] = Memo()

    async def run(self) -> Pass:
        """One pass. Raises ClusterError when the namespace cannot be observed."""
        seen = await observe(self._cluster, self._namespace)
        if not seen.resources:
            return Pass()
        resources, problems = self._read.get(
            "",
            tuple(
                (uid_of(item), item["metadata"].get("generation"), item.get("spec")) for item in seen.resources.values()
            ),
            lambda: read_resources(list(seen.resources.values())),
        )
        registries = await self._enrolment.view(resources, seen)
        followed = _followed(resources, seen)
        scale_down = await observe_scale_down(followed, seen, registries, self._transport, self._clock)
        departures = await observe_departures(seen, registries, self._transport, self._clock)
        settled = _settled(seen)
        graph = self._graph.get(
            "",
            (resources, scale_down.replicas, problems, settled),
            lambda: self._planned(resolve(with_replicas(resources, scale_down.replicas), problems, settled)),
        )

        events: list[tuple[Object, News]] = []
        applier = Applier(self._cluster, seen, lambda owner, news: events.append((owner, news)))
        applied = Applied()
        try:
            prepared = await prepare(
                graph, seen, applier, applied, registries, scale_down, self._settings, self._clock, self._manifests
            )  # fmt: skip
            applied.held = held_pods(graph, seen, prepared, self._settings)
            await self._apply(seen, applier, applied, prepared)
            await grow_volumes(self._growth, seen, applied, prepared, events)
            await settle_unused_claims(followed, seen, applier, applied, prepared)
            unlabelled = await label_pods(self._cluster, seen, prepared)
            applied.deployments |= _left_alone(seen)
            heard = await self._poll(graph, applied)
            registered = await self._enrolment.make_true(
                graph, seen, applied, registries, heard,
                done=scale_down.done, staying=departures.staying,
            )  # fmt: skip
            await self._remove(graph, seen, applier, applied, prepared)
            await self._let_go(departures, applied)
        except NamespaceTerminating:
            return Pass()
        faults = [*unlabelled, *(trouble.message for trouble in applied.trouble.values())]
        await find_causes(self._cluster, self._namespace, seen, applied)
        outcome = Outcome(
            graph, seen, applied.deployments, applied.keys, applied.leaving | applied.trouble, registries, registered,
            scale_down.leaving, heard, events, halted(graph, applied), applied.volumes, applied.pulled, self._told,
        )  # fmt: skip
        faults += await publish(outcome, self._cluster, self._clock)
        # A gateway that is still coming up is no fault: its Deployment's change brings the next pass.
        up = [name for name in registered if is_available(applied.deployments.get(name))]
        faults += [text for name in up for text in registered[name].problems.values()]
        rolling = [name for name, one in applied.deployments.items() if name in applied.held or not is_rolled_out(one)]
        drains = bool(scale_down.since) or departures.waits
        late = any(result.late for result in registered.values())
        again_in_s = 0.0 if late else _again_in_s(applied, registries, drains=drains)
        return Pass(again_in_s, tuple(faults), tuple(sorted(rolling)))

    def _planned(self, graph: Graph) -> Graph:
        """The graph, with the very plans of an earlier one for pods that are planned as they were."""
        plans = tuple(
            replace(plan, pods=tuple(kept if (kept := self._pods.get(pod.name)) == pod else pod for pod in plan.pods))
            for plan in graph.plans
        )
        self._pods = {pod.name: pod for plan in plans for pod in plan.pods}
        return replace(graph, plans=plans)

    async def _apply(
        self, seen: Observation, applier: Applier, applied: Applied, prepared: Mapping[str, Prepared]
    ) -> None:
        async def apply(name: str, one: Prepared) -> None:
            manifests = one.manifests
            if name in applied.held and (live := seen.child(DEPLOYMENT, name)) is not None:
                # The files go with the template: a pod that restarts meanwhile finds what it had.
                files = {kind_of(item).kind for item in manifests if seen.child(kind_of(item), name)} & {"ConfigMap"}
                manifests = [item for item in manifests if item["kind"] not in files]
                manifests[-1] = with_former_template(one.deployment, live, (DRAINING,))
            applied.deployments[name] = await applier.apply(manifests, one.owner)

        await each({name: apply(name, one) for name, one in prepared.items()}, applied)

    async def _remove(
        self, graph: Graph, seen: Observation, applier: Applier, applied: Applied, prepared: Mapping[str, Prepared]
    ) -> None:
        """Delete what belongs to pods that shall be no more. A resource with a problem keeps all it has."""
        pods: dict[str, list[str]] = {}
        owners: dict[str, Object] = {}
        for identity, owner in seen.resources.items():
            if identity not in graph.problems and not is_paused(owner):
                owners[uid_of(owner)] = owner
                pods[uid_of(owner)] = [name_of(owner)] if identity.kind == "BecknGateway" else []
        for plan in graph.plans:
            for pod in plan.pods:
                pods.setdefault(uid_of(seen.resources[Manifest(pod.owner).identity]), []).append(pod.name)
        await each({name_of(owner): applier.remove_all_but(pods[uid], owner) for uid, owner in owners.items()}, applied)
        gateways = {
            name: applier.remove_unwanted(one.owner, one.manifests)
            for name, one in prepared.items()
            if one.owner["kind"] == "BecknGateway"
        }
        await each(gateways, applied)

    async def _let_go(self, departures: Departures, applied: Applied) -> None:
        """Note since when households drain whose SolarAgent was deleted, and give up what is theirs when they have."""

        async def patch(item: Object, metadata: Mapping[str, Any]) -> None:
            with suppress(Conflict, Missing):  # gone, or another one by now
                await self._cluster.patch_metadata(item, metadata)

        for name, closed in departures.left.items():
            if closed:
                log.info("%s/%s: settled, and goes with its SolarAgent", self._namespace, name)
            else:
                log.warning("%s/%s: goes with its SolarAgent; its account is not closed", self._namespace, name)
        await each({f"{one['kind']} {name_of(one)}": patch(one, what) for one, what in departures.patches}, applied)

    async def _poll(self, graph: Graph, applied: Applied) -> dict[str, Heard]:
        """What the pods that are up say, by their name."""
        pods = [pod for plan in graph.plans for pod in plan.pods if is_available(applied.deployments.get(pod.name))]
        return await self._poller.poll({pod.name: pod_url(pod) for pod in pods})


def _again_in_s(applied: Applied, registries: Mapping[str, RegistryView], *, drains: bool) -> float | None:
    if applied.leaving and not drains:
        return RETRY_S
    known = any(view.entries is not None for view in registries.values())
    if (
        drains
        or applied.unexplained
        or applied.unanswered
        or (known and any(held.waits for held in applied.keys.values()))
    ):
        return POLL_S
    unknown = [name for name, view in registries.items() if view.entries is None]
    return POLL_S if any(is_available(applied.deployments.get(name)) for name in unknown) else None


def _settled(seen: Observation) -> Settled:
    """What earlier passes have decided, as status and Deployments say."""
    told = {i: item.get("status") or {} for i, item in seen.resources.items() if i.kind != "BecknGateway"}
    owners = {uid_of(item): identity for identity, item in seen.resources.items()}
    names = {
        name: owners[controller]
        for (kind, name), child in seen.children.items()
        if kind == DEPLOYMENT.kind and (controller := controller_of(child)) in owners and controller is not None
    }
    return Settled(
        {identity: str(status["gateway"]) for identity, status in told.items() if status.get("gateway")},
        {identity: str(status["utility"]) for identity, status in told.items() if status.get("utility")},
        names,
    )


def _followed(resources: Iterable[Resource], seen: Observation) -> list[Resource]:
    """The resources that are not paused."""
    return [one for one in resources if not is_paused(seen.resources[Manifest(one).identity])]


def _left_alone(seen: Observation) -> dict[str, Object]:
    """The Deployments of paused resources, by name."""
    paused = {uid_of(item) for item in seen.resources.values() if is_paused(item)}
    return {
        name: child
        for (kind, name), child in seen.children.items()
        if kind == DEPLOYMENT.kind and controller_of(child) in paused
    }
