"""Keys and manifests of all gateways and pods, and which of these keep the template they have."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any

from wattmesh_common.clock import Clock
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.cluster.objects import CLAIM, DEPLOYMENT, Object, uid_of
from wattmesh_operator.cluster.observation import Observation, is_rolled_out
from wattmesh_operator.controller.applied import Applied, Prepared, each
from wattmesh_operator.controller.apply import Applier, Leaving
from wattmesh_operator.controller.memo import Memo
from wattmesh_operator.controller.rollout import Step, held
from wattmesh_operator.desired.gateway import gateway_manifests, gateway_volume
from wattmesh_operator.desired.grid_clock import MarketClock, kept_clocks, market_clock
from wattmesh_operator.desired.manifest import Belonging
from wattmesh_operator.desired.names import is_paused
from wattmesh_operator.desired.pod import Market, belonging, follows, pod_manifests, pod_volume
from wattmesh_operator.desired.revision import revision_of
from wattmesh_operator.desired.settings import PodSettings
from wattmesh_operator.desired.storage import class_of, size_of
from wattmesh_operator.keys.key_files import KeysUnreadable
from wattmesh_operator.keys.rotation import Rotation
from wattmesh_operator.keys.schedule import rotations
from wattmesh_operator.plan.graph import Graph
from wattmesh_operator.plan.naming import reader_name, registrar_name
from wattmesh_operator.plan.pods import GatewayPlan, PodPlan
from wattmesh_operator.registry.registration import RegistryView
from wattmesh_operator.resources import UtilityAgent
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.pod_template import NO_TEMPLATE
from wattmesh_operator.scale_down.progress import ScaleDown


async def prepare(
    graph: Graph,
    seen: Observation,
    applier: Applier,
    applied: Applied,
    registries: Mapping[str, RegistryView],
    scale_down: ScaleDown,
    settings: PodSettings,
    clock: Clock,
    memo: Memo[str, list[Object]],
) -> dict[str, Prepared]:
    """What gateways and pods shall be, by the pod's name; gateways first. Keys that are missing are made.

    `memo` keeps manifests by the pod's name.
    """
    prepared: dict[str, Prepared] = {}
    clocks = {plan.resource.metadata.name: _market_clock(plan, seen, clock.wall()) for plan in graph.plans}

    async def gateway(plan: GatewayPlan) -> None:
        name = plan.resource.metadata.name
        owner = seen.resources[Manifest(plan.resource).identity]
        to = Belonging(owner, name, name)
        signer = (await applier.keys(to, [plan.subscriber_id])).keys[plan.subscriber_id].current
        registrar = (await applier.keys(to, [REGISTRAR], name=registrar_name(name))).keys[REGISTRAR].current
        token = await applier.token(to, reader_name(name))
        applied.registrars[name], applied.tokens[name] = registrar, token
        if is_paused(owner):
            return
        manifests = gateway_manifests(
            plan, owner, signer, registrar, token, clocks[name], settings, seen.child(CLAIM, name)
        )
        template = plan.resource.spec.pod or NO_TEMPLATE
        prepared[name] = Prepared(owner, manifests, gateway_volume(plan, settings), template)

    async def pod(plan: PodPlan, gateway: GatewayPlan, rotation: Rotation) -> None:
        name = gateway.resource.metadata.name
        if name not in applied.registrars:
            if name in applied.trouble:
                raise KeysUnreadable(f"its gateway {name} has no keys: {applied.trouble[name].message}")
            raise Leaving(f"its gateway {name} waits for an earlier one to go")
        owner = seen.resources[Manifest(plan.owner).identity]
        if is_paused(owner):
            return
        at = seen.resources[Manifest(gateway.resource).identity]
        market = Market(at, applied.registrars[name], clocks[name], applied.tokens[name])
        ids = [participant.subscriber_id for participant in plan.participants]
        keys = await applier.keys(belonging(plan, owner, market.gateway), ids, rotation)
        applied.keys[plan.name] = keys
        draining = {p.name: scale_down.since[p.name] for p in plan.participants if p.name in scale_down.since}
        claim = seen.child(CLAIM, plan.name)
        of_market = (uid_of(at), market.registrar, market.clock, market.token)
        volume = pod_volume(plan, settings)
        of_claim = (volume.size, volume.storage_class) if claim is None else (size_of(claim), class_of(claim))
        manifests = memo.get(
            plan.name,
            # Of the owner a manifest has its spec and who it is; of the gateway's resource the latter.
            (plan, _version(owner), *of_market, keys.first_key_ids, draining, of_claim, settings),
            lambda: pod_manifests(
                plan, owner, market, keys.first_key_ids, settings, draining=draining, present_claim=claim
            ),
        )
        template = plan.owner.spec.pod or NO_TEMPLATE
        prepared[plan.name] = Prepared(owner, manifests, volume, template, follows(manifests, plan))

    await each({plan.resource.metadata.name: gateway(plan) for plan in graph.plans}, applied)
    work: dict[str, Coroutine[Any, Any, None]] = {}
    for plan in graph.plans:
        registry = registries[plan.resource.metadata.name]
        rotation = rotations(plan, seen, registry, clock.wall(), settings.key_overlap)
        work |= {one.name: pod(one, plan, rotation[one.name]) for one in plan.pods}
    await each(work, applied)
    memo.sweep()
    return prepared


def held_pods(graph: Graph, seen: Observation, prepared: Mapping[str, Prepared], settings: PodSettings) -> set[str]:
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
        kept |= held(steps, gateway, settings.most_unavailable(len(steps)))
    return kept


def _version(owner: Object) -> tuple[str, int]:
    return uid_of(owner), int(owner["metadata"].get("generation", 0))


def _market_clock(plan: GatewayPlan, seen: Observation, now: float) -> MarketClock:
    metadata = seen.resources[Manifest(plan.resource).identity]["metadata"]
    created = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
    kept = kept_clocks(metadata["name"], [seen.child(CLAIM, pod.name) for pod in plan.pods])
    return market_clock(plan.resource.spec.clock, created, kept, now)
