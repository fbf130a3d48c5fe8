"""One pass over a namespace: what is observed → what shall be → what is written.

Nothing is carried from pass to pass but what pods said last, copies of the registries, which are brought up to date,
and which volumes may not grow.

A pod that cannot be made, a household that is refused or a gateway that is down is told of and tried again; the others
go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Pages, Transport
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.cluster.objects import (
    CLAIM,
    DEPLOYMENT,
    EVENT,
    Object,
    annotations_of,
    controller_of,
    goes,
    kind_of,
    name_of,
    uid_of,
)
from wattmesh_operator.cluster.observation import Observation, is_available, is_rolled_out, observe
from wattmesh_operator.cluster.port import Cluster, ClusterError, Conflict, Missing, NamespaceTerminating
from wattmesh_operator.controller.apply import Applier, Leaving, NotOurs, TooLarge
from wattmesh_operator.controller.polling import Heard, Poller
from wattmesh_operator.controller.publish import Outcome, publish
from wattmesh_operator.controller.rollout import Step, held
from wattmesh_operator.controller.volumes import VolumeGrowth, expanded
from wattmesh_operator.desired.gateway import gateway_manifests, gateway_volume
from wattmesh_operator.desired.grid_clock import MarketClock, kept_clocks, market_clock
from wattmesh_operator.desired.inherited import is_applied, pod_metadata
from wattmesh_operator.desired.manifest import Belonging
from wattmesh_operator.desired.names import DRAINING, HOUSEHOLDS, is_paused, resource_of, service_url
from wattmesh_operator.desired.pod import Market, pod_manifests, pod_url, pod_volume
from wattmesh_operator.desired.revision import revision_of, with_former_template
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.desired.storage import WantedVolume, is_retained, unused_claim
from wattmesh_operator.keys.key_files import HeldKeys, KeysUnreadable
from wattmesh_operator.keys.rotation import Rotation
from wattmesh_operator.keys.schedule import rotations
from wattmesh_operator.plan.graph import Graph, read_resources, resolve, with_replicas
from wattmesh_operator.plan.naming import registrar_name, subscriber_id
from wattmesh_operator.plan.pods import GatewayPlan, PodPlan
from wattmesh_operator.plan.references import Settled
from wattmesh_operator.registry.entries import Registrant
from wattmesh_operator.registry.registration import Registered, RegistryView, register, view_registry
from wattmesh_operator.resources import BecknGateway, Resource, UtilityAgent
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.pod_template import NO_TEMPLATE, PodTemplate
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.scale_down.progress import ScaleDown, observe_scale_down
from wattmesh_operator.status.news import News
from wattmesh_operator.status.reading_back import read_status
from wattmesh_operator.status.trouble import Trouble, newest, refused, trouble_of, waits_for_its_node

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How soon is looked again at households that drain, new keys that are being registered, and silent registries."""
RETRY_S = 1.0
_AT_ONCE = 20
_WARNINGS_OF_PODS = "involvedObject.kind=Pod,type=Warning"


@dataclass(frozen=True)
class Pass:
    """What a pass leaves to do: the seconds until the next one is wanted (None: when something changes), and faults.

    `rolling` names the pods that are not up as they shall be.
    """

    again_in_s: float | None = None
    faults: tuple[str, ...] = ()
    rolling: tuple[str, ...] = ()


@dataclass
class _Applied:
    """What became of the pods in this pass: each one's Deployment, keys and trouble, by the pod's name."""

    registrars: dict[str, Signer] = field(default_factory=dict)
    """The registrar of each gateway."""
    held: set[str] = field(default_factory=set)
    """Those that keep their template until a rollout reaches them."""
    deployments: dict[str, Object] = field(default_factory=dict)
    keys: dict[str, HeldKeys] = field(default_factory=dict)
    trouble: dict[str, Trouble] = field(default_factory=dict)
    volumes: dict[str, Trouble] = field(default_factory=dict)
    """Why a volume has another size than it shall have."""
    waits: bool = False
    unanswered: bool = False
    """Whether somebody whose pod is up is not registered yet."""
    unexplained: bool = False
    """Whether some pod waits for its node, which says why in Events only."""


@dataclass(frozen=True)
class _Prepared:
    """What a pod shall be: whose it is, and its manifests, the Deployment's last."""

    owner: Object
    manifests: list[Object]
    volume: WantedVolume
    template: PodTemplate

    @property
    def deployment(self) -> Object:
        return self.manifests[-1]


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
        self._copies: dict[str, RegistryCopy] = {}

    async def run(self) -> Pass:
        """One pass. Raises ClusterError when the namespace cannot be observed."""
        seen = await observe(self._cluster, self._namespace)
        if not seen.resources:
            return Pass()
        resources, problems = read_resources(list(seen.resources.values()))
        registries = await self._view_registries(resources, seen)
        followed = _followed(resources, seen)
        scale_down = await observe_scale_down(followed, seen, registries, self._transport, self._clock)
        graph = resolve(with_replicas(resources, scale_down.replicas), problems, _settled(seen))

        events: list[tuple[Object, News]] = []
        applier = Applier(self._cluster, seen, lambda owner, news: events.append((owner, news)))
        applied = _Applied()
        try:
            prepared = await self._prepare(graph, seen, applier, applied, registries, scale_down)
            applied.held = self._held(graph, seen, prepared)
            await self._apply(seen, applier, applied, prepared)
            await self._grow_volumes(seen, applied, prepared, events)
            await self._settle_unused_claims(followed, seen, applier, applied, prepared)
            unlabelled = await self._label_pods(seen, prepared)
            applied.deployments |= _left_alone(seen)
            heard = await self._poll(graph, applied)
            registered = await self._register(graph, seen, applied, registries, scale_down, heard)
            await self._remove(graph, seen, applier, applied)
        except NamespaceTerminating:
            return Pass()
        faults = [*unlabelled, *(trouble.message for trouble in applied.trouble.values())]
        await self._find_causes(seen, applied)
        outcome = Outcome(
            graph, seen, applied.deployments, applied.keys, applied.trouble, registries, registered, scale_down.leaving,
            heard, events, self._halted(graph, applied), applied.volumes,
        )  # fmt: skip
        faults += await publish(outcome, self._cluster, self._clock)
        # A gateway that is still coming up is no fault: its Deployment's change brings the next pass.
        up = [name for name in registered if is_available(applied.deployments.get(name))]
        faults += [text for name in up for text in registered[name].problems.values()]
        rolling = [name for name, one in applied.deployments.items() if name in applied.held or not is_rolled_out(one)]
        return Pass(self._again_in_s(applied, registries, scale_down), tuple(faults), tuple(sorted(rolling)))

    async def _view_registries(self, resources: Iterable[Resource], seen: Observation) -> dict[str, RegistryView]:
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

    async def _prepare(
        self,
        graph: Graph,
        seen: Observation,
        applier: Applier,
        applied: _Applied,
        registries: Mapping[str, RegistryView],
        scale_down: ScaleDown,
    ) -> dict[str, _Prepared]:
        """Keys and manifests of all gateways and pods, by the pod's name; gateways first."""
        prepared: dict[str, _Prepared] = {}
        clocks = {plan.resource.metadata.name: self._market_clock(plan, seen) for plan in graph.plans}

        async def gateway(plan: GatewayPlan) -> None:
            name = plan.resource.metadata.name
            owner = seen.resources[Manifest(plan.resource).identity]
            to = Belonging(owner, name, name)
            signer = (await applier.keys(to, [plan.subscriber_id])).keys[plan.subscriber_id].current
            registrar = (await applier.keys(to, [REGISTRAR], name=registrar_name(name))).keys[REGISTRAR].current
            applied.registrars[name] = registrar
            if is_paused(owner):
                return
            manifests = gateway_manifests(plan, owner, signer, registrar, self._settings, seen.child(CLAIM, name))
            prepared[name] = _Prepared(
                owner, manifests, gateway_volume(plan, self._settings), plan.resource.spec.pod or NO_TEMPLATE
            )

        async def pod(plan: PodPlan, gateway: GatewayPlan, rotation: Rotation) -> None:
            name = gateway.resource.metadata.name
            if name not in applied.registrars:
                if name in applied.trouble:
                    raise KeysUnreadable(f"its gateway {name} has no keys: {applied.trouble[name].message}")
                raise Leaving(f"its gateway {name} waits for an earlier one to go")
            owner = seen.resources[Manifest(plan.owner).identity]
            if is_paused(owner):
                return
            market = Market(seen.resources[Manifest(gateway.resource).identity], applied.registrars[name], clocks[name])
            ids = [participant.subscriber_id for participant in plan.participants]
            keys = await applier.keys(Belonging(owner, plan.name, name), ids, rotation)
            applied.keys[plan.name] = keys
            draining = {p.name: scale_down.since[p.name] for p in plan.participants if p.name in scale_down.since}
            manifests = pod_manifests(
                plan,
                owner,
                market,
                keys.first_key_ids,
                self._settings,
                draining=draining,
                present_claim=seen.child(CLAIM, plan.name),
            )
            prepared[plan.name] = _Prepared(
                owner, manifests, pod_volume(plan, self._settings), plan.owner.spec.pod or NO_TEMPLATE
            )

        await _each({plan.resource.metadata.name: gateway(plan) for plan in graph.plans}, applied)
        work: dict[str, Coroutine[Any, Any, None]] = {}
        for plan in graph.plans:
            registry = registries[plan.resource.metadata.name]
            rotation = rotations(plan, seen, registry, self._clock.wall(), self._settings.key_overlap)
            work |= {one.name: pod(one, plan, rotation[one.name]) for one in plan.pods}
        await _each(work, applied)
        return prepared

    def _market_clock(self, plan: GatewayPlan, seen: Observation) -> MarketClock:
        metadata = seen.resources[Manifest(plan.resource).identity]["metadata"]
        created = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
        kept = kept_clocks(metadata["name"], [seen.child(CLAIM, pod.name) for pod in plan.pods])
        return market_clock(plan.resource.spec.clock, created, kept, self._clock.wall())

    def _held(self, graph: Graph, seen: Observation, prepared: Mapping[str, _Prepared]) -> set[str]:
        """The pods that keep the template they have in this pass."""

        def step(name: str, rank: int = 0) -> Step:
            live = seen.child(DEPLOYMENT, name)
            has = None if live is None else revision_of(live)
            return Step(name, has, revision_of(prepared[name].deployment), is_rolled_out(live), rank)

        kept: set[str] = set()
        for plan in graph.plans:
            name = plan.resource.metadata.name
            steps = [step(pod.name, isinstance(pod.owner, UtilityAgent)) for pod in plan.pods if pod.name in prepared]
            gateway = step(name) if name in prepared else None
            kept |= held(steps, gateway, self._settings.most_unavailable(len(steps)))
        return kept

    async def _apply(
        self, seen: Observation, applier: Applier, applied: _Applied, prepared: Mapping[str, _Prepared]
    ) -> None:
        async def apply(name: str, one: _Prepared) -> None:
            manifests = one.manifests
            if name in applied.held and (live := seen.child(DEPLOYMENT, name)) is not None:
                # The files go with the template: a pod that restarts meanwhile finds what it had.
                files = {kind_of(item).kind for item in manifests if seen.child(kind_of(item), name)} & {"ConfigMap"}
                manifests = [item for item in manifests if item["kind"] not in files]
                manifests[-1] = with_former_template(one.deployment, live, (DRAINING,))
            applied.deployments[name] = await applier.apply(manifests, one.owner)

        await _each({name: apply(name, one) for name, one in prepared.items()}, applied)

    async def _grow_volumes(
        self,
        seen: Observation,
        applied: _Applied,
        prepared: Mapping[str, _Prepared],
        events: list[tuple[Object, News]],
    ) -> None:
        """Let the claims that were there before this pass grow. What is refused keeps nobody from trading."""

        async def grow(name: str, one: _Prepared, live: Object) -> None:
            manifest = next(item for item in one.manifests if item["kind"] == CLAIM.kind)
            asked, trouble = await self._growth.adjust(live, manifest, one.volume)
            if asked:
                events.append((one.owner, News("Normal", "VolumeExpanded", expanded(live, one.volume))))
            if trouble is not None:
                applied.volumes[name] = trouble

        there = {name: live for name in prepared if (live := seen.child(CLAIM, name)) is not None}
        self._growth.forget_all_but({uid_of(live) for live in there.values()})
        work = {name: grow(name, prepared[name], live) for name, live in there.items() if name not in applied.trouble}
        await _each(work, applied)

    async def _settle_unused_claims(
        self,
        resources: Iterable[Resource],
        seen: Observation,
        applier: Applier,
        applied: _Applied,
        prepared: Mapping[str, _Prepared],
    ) -> None:
        """Claims of households that were scaled down are retained, or go with their resource, as the others."""
        templates = {
            (resource.kind, resource.metadata.name): (resource.spec.pod, seen.resources[Manifest(resource).identity])
            for resource in resources
        }

        async def settle(live: Object, template: PodTemplate | None, owner: Object) -> None:
            await applier.apply([unused_claim(owner, live, retained=is_retained(template))], owner)

        work: dict[str, Coroutine[Any, Any, None]] = {}
        for (kind, name), live in seen.children.items():
            resource = resource_of(live)
            if kind == CLAIM.kind and name not in prepared and not goes(live) and resource in templates:
                template, owner = templates[resource]
                if controller_of(live) in (None, uid_of(owner)):
                    work[name] = settle(live, template, owner)
        await _each(work, applied)

    async def _label_pods(self, seen: Observation, prepared: Mapping[str, _Prepared]) -> list[str]:
        """Give the pods that run the labels and annotations of their resources; returns what went wrong."""
        doing = asyncio.Semaphore(_AT_ONCE)

        async def label(manifest: Object) -> str | None:
            async with doing:
                try:
                    await self._cluster.apply(manifest)
                except (Conflict, Missing):  # gone, or another one by now
                    return None
                except ClusterError as error:
                    log.warning("%s", error)
                    return str(error)
                return None

        wanted = [
            (manifest, pod)
            for name, one in prepared.items()
            for pod in seen.pods.get(name, ())
            if not goes(pod) and (manifest := pod_metadata(one.owner, one.template, pod)) is not None
        ]
        answers = await asyncio.gather(*(label(manifest) for manifest, pod in wanted if not is_applied(manifest, pod)))
        return [answer for answer in answers if answer is not None]

    async def _register(
        self,
        graph: Graph,
        seen: Observation,
        applied: _Applied,
        registries: Mapping[str, RegistryView],
        scale_down: ScaleDown,
        heard: Mapping[str, Heard],
    ) -> dict[str, Registered]:
        """Make the registries true; who is registered, by the gateway's name.

        Who has never answered is not registered: nobody shall find a seller that is not there. Who is registered stays
        it while its pod is away.
        """
        keep = self._still_needed(graph, seen, applied) - scale_down.done
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
                if participant.subscriber_id not in scale_down.done | away
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

    def _still_needed(self, graph: Graph, seen: Observation, applied: _Applied) -> set[str]:
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

    async def _remove(self, graph: Graph, seen: Observation, applier: Applier, applied: _Applied) -> None:
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
        await _each(
            {name_of(owner): applier.remove_all_but(pods[uid], owner) for uid, owner in owners.items()}, applied
        )

    async def _poll(self, graph: Graph, applied: _Applied) -> dict[str, Heard]:
        """What the pods that are up say, by their name."""
        pods = [pod for plan in graph.plans for pod in plan.pods if is_available(applied.deployments.get(pod.name))]
        return await self._poller.poll({pod.name: pod_url(pod) for pod in pods})

    async def _find_causes(self, seen: Observation, applied: _Applied) -> None:
        """Why pods that were applied are not up."""
        pods = {name: newest(seen.pods.get(name, ())) for name in applied.deployments}
        events: list[Object] = []
        if any(waits_for_its_node(pod) for pod in pods.values()):
            applied.unexplained = True
            events = await self._cluster.list(EVENT, self._namespace, fields=_WARNINGS_OF_PODS)
        for name, deployment in applied.deployments.items():
            if name not in applied.trouble and (found := trouble_of(deployment, pods[name], events)) is not None:
                applied.trouble[name] = found

    def _halted(self, graph: Graph, applied: _Applied) -> dict[str, str]:
        """Why the rollout does not reach them, by the names of those that keep their template."""
        found: dict[str, str] = {}
        for plan in graph.plans:
            names = [pod.name for pod in plan.pods]
            at = next((name for name in names if name in applied.trouble), None)
            why = f"{at}: {applied.trouble[at].message}" if at is not None else ""
            found |= {name: why for name in (*names, plan.resource.metadata.name) if name in applied.held}
        return found

    def _again_in_s(
        self, applied: _Applied, registries: Mapping[str, RegistryView], scale_down: ScaleDown
    ) -> float | None:
        if applied.waits:
            return RETRY_S
        known = any(view.entries is not None for view in registries.values())
        if (
            applied.unexplained
            or applied.unanswered
            or scale_down.since
            or (known and any(held.waits for held in applied.keys.values()))
        ):
            return POLL_S
        unknown = [name for name, view in registries.items() if view.entries is None]
        return POLL_S if any(is_available(applied.deployments.get(name)) for name in unknown) else None


def _settled(seen: Observation) -> Settled:
    """What earlier passes have decided, as status and Deployments say."""
    told = {i: read_status(item) for i, item in seen.resources.items() if i.kind != "BecknGateway"}
    owners = {uid_of(item): identity for identity, item in seen.resources.items()}
    names = {
        name: owners[controller]
        for (kind, name), child in seen.children.items()
        if kind == DEPLOYMENT.kind and (controller := controller_of(child)) in owners and controller is not None
    }
    return Settled(
        {identity: status.gateway for identity, status in told.items() if status.gateway},
        {identity: status.utility for identity, status in told.items() if getattr(status, "utility", None)},
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


async def _not_up() -> RegistryView:
    return RegistryView(None, "the gateway is not up yet")


async def _each(work: Mapping[str, Coroutine[Any, Any, None]], applied: _Applied) -> None:
    """Do all of it, a bounded number at once; what goes wrong with one is its own trouble."""
    doing = asyncio.Semaphore(_AT_ONCE)

    async def do(name: str, one: Coroutine[Any, Any, None]) -> None:
        async with doing:
            try:
                await one
            except NamespaceTerminating:
                raise
            except Leaving as error:
                applied.waits = True
                log.info("%s: %s", name, error)
            except (ClusterError, KeysUnreadable, NotOurs, TooLarge) as error:
                applied.trouble[name] = (
                    Trouble(Reason.OBJECT_TOO_LARGE, str(error)) if isinstance(error, TooLarge) else refused(str(error))
                )
                log.warning("%s: %s", name, error)

    try:
        await asyncio.gather(*(do(name, one) for name, one in work.items()))
    finally:
        for one in work.values():
            one.close()  # one that has not begun when all is cancelled would be told of as never awaited
