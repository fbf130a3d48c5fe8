"""The outcome of a pass → status and Events of every resource."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wattmesh_common.clock import Clock, utc
from wattmesh_common.pod_pages import PartyStatus
from wattmesh_operator.cluster.objects import OPERATOR, Object, name_of, namespace_of, uid_of
from wattmesh_operator.cluster.observation import Observation, is_available, is_rolled_out, pod_counts
from wattmesh_operator.cluster.port import Cluster, ClusterError, Missing, NamespaceTerminating
from wattmesh_operator.controller.polling import Heard
from wattmesh_operator.desired.names import is_paused, selector_of, service_url
from wattmesh_operator.desired.pod import pod_url
from wattmesh_operator.keys.key_files import HeldKeys
from wattmesh_operator.keys.rotation import asked_of
from wattmesh_operator.plan.graph import Graph
from wattmesh_operator.plan.pods import GatewayPlan, Participant, PodPlan
from wattmesh_operator.registry.registration import Registered, RegistryView
from wattmesh_operator.resources.mistakes import Identity
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.resources.status import (
    HouseholdStatus,
    Phase,
    SolarAgentStatus,
    Status,
    UtilityAgentStatus,
)
from wattmesh_operator.status.conditions import Member
from wattmesh_operator.status.fold import (
    HouseholdSeen,
    gateway_status,
    problem_status,
    solar_agent_status,
    utility_agent_status,
)
from wattmesh_operator.status.news import News, news
from wattmesh_operator.status.reading_back import read_status
from wattmesh_operator.status.summary import summarised
from wattmesh_operator.status.trouble import Trouble

log = logging.getLogger(__name__)

_PHASES: Mapping[str, Phase] = {Reason.POD_UNREACHABLE: "Unreachable", Reason.BOOKS_AHEAD: "Waiting"}
"""Of a party that is up and does not trade."""


@dataclass(frozen=True)
class Told:
    """A status as a pass has made it, with all households, and what was written of it, which may be a summary."""

    status: Status
    written: Mapping[str, Any]
    made_of: tuple[Any, ...] = ()
    """What was observed; the same makes the same status of it again."""


@dataclass(frozen=True)
class Outcome:
    """What a pass observed and did. Deployments, keys, trouble and what was heard are by pod, registries by gateway."""

    graph: Graph
    seen: Observation
    deployments: Mapping[str, Object]
    keys: Mapping[str, HeldKeys]
    trouble: Mapping[str, Trouble]
    registries: Mapping[str, RegistryView]
    registered: Mapping[str, Registered]
    leaving: Collection[str]
    heard: Mapping[str, Heard]
    events: Sequence[tuple[Object, News]]
    held: Mapping[str, str]
    """Those that keep their template until a rollout reaches them, and why it does not."""
    volumes: Mapping[str, Trouble]
    """Why the volume of a pod has another size than it shall have."""
    pulled: Mapping[str, str]
    """The image that a pod which is not up waits for."""
    told: dict[str, Told]
    """By the uid of the resource. Brought up to date."""

    def previous(self, item: Object) -> Any:
        """The status that a resource had."""
        told = self.told.get(uid_of(item))
        # What another operator has written since is newer.
        return told.status if told and told.written == (item.get("status") or {}) else read_status(item)


async def publish(outcome: Outcome, cluster: Cluster, clock: Clock) -> list[str]:
    """Write every status that has changed, and the Events; returns what went wrong."""
    now = utc(clock.wall())
    made_of = _observed(outcome, now.timestamp())
    after = statuses(outcome, made_of, now)
    events = [*outcome.events]

    async def write(item: Object, status: Status) -> None:
        told = outcome.told.get(uid_of(item))
        if told is not None and told.status is status:
            return
        written = _written(summarised(status))
        if written != _written(read_status(item)):
            previous, item = outcome.previous(item), await cluster.set_status(item, written)
            events.extend((item, said) for said in news(previous, status))
        outcome.told[uid_of(item)] = Told(status, item.get("status") or {}, made_of.get(uid_of(item), ()))

    faults = await _all([write(outcome.seen.resources[identity], status) for identity, status in after.items()])
    for gone in outcome.told.keys() - outcome.seen.uids:
        del outcome.told[gone]
    return faults + await _all([cluster.create(_event(item, said, now)) for item, said in events])


def statuses(outcome: Outcome, made_of: Mapping[str, tuple[Any, ...]], now: datetime) -> dict[Identity, Status]:
    """The status of every resource by its identity. `made_of` is what was observed, by the uid of the resource: where
    it is as it was, so is the status.
    """
    told: dict[Identity, Status] = {}
    for identity, problem in outcome.graph.problems.items():
        item = outcome.seen.resources[identity]
        told[identity] = problem_status(outcome.previous(item), problem, _generation(item), now)
    for plan in outcome.graph.plans:
        identity = Manifest(plan.resource).identity
        told[identity] = _gateway(plan, outcome, outcome.seen.resources[identity], now)
    by_owner: dict[Identity, list[tuple[PodPlan, GatewayPlan]]] = {}
    for identity in outcome.seen.resources:
        if identity not in told:
            by_owner[identity] = []
    for plan in outcome.graph.plans:
        for pod in plan.pods:
            by_owner[Manifest(pod.owner).identity].append((pod, plan))
    for identity, pods in by_owner.items():
        item = outcome.seen.resources[identity]
        if identity.kind != "SolarAgent":
            told[identity] = _utility(pods, outcome, item, now)
            continue
        before, previous = outcome.told.get(uid_of(item)), outcome.previous(item)
        same = before is not None and before.status is previous and before.made_of == made_of[uid_of(item)]
        told[identity] = previous if same else _solar_agent(pods, outcome, item, now)
    return told


def _observed(outcome: Outcome, now: float) -> dict[str, tuple[Any, ...]]:
    """All that the status of a SolarAgent is made of besides the one before, by the uid of the resource."""
    pods: dict[str, list[Any]] = {}
    for plan in outcome.graph.plans:
        registered = outcome.registered.get(plan.resource.metadata.name, Registered())
        for pod in plan.pods:
            item = outcome.seen.resources[Manifest(pod.owner).identity]
            deployment, heard = outcome.deployments.get(pod.name), outcome.heard.get(pod.name)
            of_pod = (
                pod,
                (is_available(deployment), is_rolled_out(deployment)),
                (heard, heard is not None and heard.is_silent(now)),
                [one.subscriber_id for one in pod.participants if one.subscriber_id not in registered.ids],
                [one.name for one in pod.participants if one.name in outcome.leaving] if outcome.leaving else (),
                registered.problems,
                (outcome.keys.get(pod.name), asked_of(item), is_paused(item)),
                (outcome.trouble.get(pod.name), outcome.held.get(pod.name), outcome.volumes.get(pod.name)),
                outcome.pulled.get(pod.name),
            )
            pods.setdefault(uid_of(item), []).append(of_pod)
    return {
        uid_of(item): (_generation(item), pods.get(uid_of(item)), identity in outcome.graph.problems)
        for identity, item in outcome.seen.resources.items()
    }


def _gateway(plan: GatewayPlan, outcome: Outcome, item: Object, now: datetime) -> Status:
    name = plan.resource.metadata.name
    registered = outcome.registered.get(name, Registered())
    view = outcome.registries.get(name, RegistryView(None))
    # Who does not answer yet shall not be found yet.
    ids = {
        participant.subscriber_id
        for pod in plan.pods
        for participant in pod.participants
        if participant.name not in outcome.leaving
        and outcome.heard.get(pod.name, Heard()).of(participant.name) is not None
    }
    refused = next(iter(registered.problems.values()), view.problem)
    member = Member(
        name,
        "Ready" if is_available(outcome.deployments.get(name)) else "Pending",
        name not in outcome.held and is_rolled_out(outcome.deployments.get(name)),
        outcome.trouble.get(name),
        ids <= registered.ids and view.entries is not None,
        refused,
        halted=outcome.held.get(name, ""),
        paused=is_paused(item),
        volume=outcome.volumes.get(name),
        pulled=outcome.pulled.get(name, ""),
    )
    return gateway_status(
        outcome.previous(item),
        member,
        url=service_url(name, namespace_of(item)),
        subscribers=registered.held,
        pods=pod_counts(outcome.deployments.get(name), plan.resource.spec.replicas),
        selector=selector_of(item),
        generation=_generation(item),
        now=now,
    )


def _utility(pods: Sequence[tuple[PodPlan, GatewayPlan]], outcome: Outcome, item: Object, now: datetime) -> Status:
    [(pod, plan)] = pods
    [participant] = pod.participants
    previous: UtilityAgentStatus = outcome.previous(item)
    reading = _reading(pod, participant, outcome)
    known = reading is not None or previous.sold_kwh is not None
    told = next((_PHASES.get(one.reason) for one in previous.conditions if one.type == "Ready"), None)
    return utility_agent_status(
        previous,
        _member(participant, pod, plan, outcome, known=known, told=told, now=now),
        reading,
        gateway=plan.resource.metadata.name,
        rotated_keys=_rotated(previous.rotated_keys, pods, outcome, item),
        currency=plan.resource.spec.currency,
        generation=_generation(item),
        now=now,
    )


def _solar_agent(pods: Sequence[tuple[PodPlan, GatewayPlan]], outcome: Outcome, item: Object, now: datetime) -> Status:
    previous: SolarAgentStatus = outcome.previous(item)
    before: dict[str, HouseholdStatus] = {household.name: household for household in previous.households}
    seen: list[HouseholdSeen] = []
    for pod, plan in pods:
        for participant, config in zip(pod.participants, pod.households, strict=True):
            reading = _reading(pod, participant, outcome)
            last = before.get(participant.name)
            known = reading is not None or (last is not None and last.level_wh is not None)
            seen.append(
                HouseholdSeen(
                    _member(participant, pod, plan, outcome, known=known, told=last.phase if last else None, now=now),
                    f"{pod_url(pod)}/{participant.name}",
                    config.battery.capacity_wh if config.battery else 0,
                    reading,
                )
            )
    return solar_agent_status(
        previous,
        seen,
        gateway=pods[0][1].resource.metadata.name if pods else previous.gateway,
        utility=pods[0][0].backstop if pods else previous.utility,
        rotated_keys=_rotated(previous.rotated_keys, pods, outcome, item),
        replicas=sum(household.member.phase != "Draining" for household in seen),
        selector=selector_of(item),
        currency=_currency(pods, previous),
        generation=_generation(item),
        now=now,
    )


def _member(
    participant: Participant,
    pod: PodPlan,
    plan: GatewayPlan,
    outcome: Outcome,
    *,
    known: bool,
    told: Phase | None,
    now: datetime,
) -> Member:
    """`known`: whether it has said how it stands. Before that its pod is not up for those who look at it; nobody is
    registered before. `told` is its phase in the status before, perhaps by another operator.
    """
    deployment = outcome.deployments.get(pod.name)
    registered = outcome.registered.get(plan.resource.metadata.name, Registered())
    heard = outcome.heard.get(pod.name)
    reading = _reading(pod, participant, outcome)
    waits_until = reading.waits_until if reading else None
    phase: Phase = "Pending"
    if participant.name in outcome.leaving:
        phase = "Draining"
    elif is_available(deployment) and heard is not None and heard.is_silent(now.timestamp()):
        phase = "Unreachable"
    elif is_available(deployment) and waits_until is not None:
        phase = "Waiting"
    elif is_available(deployment) and reading is None and told is not None and told in _PHASES.values():
        phase = told  # until this operator has heard of it
    elif is_available(deployment) and (known or participant.subscriber_id in registered.ids):
        phase = "Ready"
    return Member(
        participant.name,
        phase,
        pod.name not in outcome.held and is_rolled_out(deployment),
        outcome.trouble.get(pod.name),
        participant.subscriber_id in registered.ids,
        registered.problems.get(participant.subscriber_id, ""),
        *_former(participant, pod, outcome),
        outcome.held.get(pod.name, ""),
        is_paused(outcome.seen.resources[Manifest(pod.owner).identity]),
        waits_until=waits_until,
        volume=outcome.volumes.get(pod.name),
        pulled=outcome.pulled.get(pod.name, ""),
    )


def _former(participant: Participant, pod: PodPlan, outcome: Outcome) -> tuple[bool, int | None]:
    """Whether a new key is on its way, and until when (unix seconds) a former one holds."""
    held = outcome.keys.get(pod.name)
    if held is None:
        return False, None
    asked = asked_of(outcome.seen.resources[Manifest(pod.owner).identity])
    ends = [key.valid_until for key in held.keys[participant.subscriber_id].retiring]
    return asked not in ("", held.rotated) or None in ends, max((end for end in ends if end is not None), default=None)


def _rotated(
    previous: str | None, pods: Sequence[tuple[PodPlan, GatewayPlan]], outcome: Outcome, item: Object
) -> str | None:
    """The value of ROTATE_KEYS that everybody has a new key for."""
    held = [outcome.keys.get(pod.name) for pod, _ in pods]
    asked = asked_of(item)
    return asked if asked and all(keys and keys.rotated == asked and not keys.waits for keys in held) else previous


def _reading(pod: PodPlan, participant: Participant, outcome: Outcome) -> PartyStatus | None:
    heard = outcome.heard.get(pod.name)
    return heard.parties.get(participant.name) if heard else None


def _currency(pods: Sequence[tuple[PodPlan, GatewayPlan]], previous: SolarAgentStatus) -> str:
    """The currency of the market; of an agent without households that of its last balance."""
    return pods[0][1].resource.spec.currency if pods else (previous.balance or "").rpartition(" ")[2]


def _generation(item: Object) -> int:
    return int(item["metadata"].get("generation", 0))


def _written(status: Status) -> dict[str, Any]:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _event(item: Object, said: News, now: datetime) -> Object:
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name_of(item)[:40]}.{uuid.uuid4().hex[:16]}", "namespace": namespace_of(item)},
        "involvedObject": {
            "apiVersion": item["apiVersion"],
            "kind": item["kind"],
            "name": name_of(item),
            "namespace": namespace_of(item),
            "uid": uid_of(item),
        },
        "type": said.type,
        "reason": said.reason,
        "message": said.message[:1024],
        "action": said.reason,
        "source": {"component": OPERATOR},
        "reportingComponent": OPERATOR,
        "reportingInstance": OPERATOR,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


async def _all(work: Sequence[Any]) -> list[str]:
    """Do all of it; what goes wrong, but for what was deleted meanwhile."""
    faults: list[str] = []
    for answer in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(answer, ClusterError) and not isinstance(answer, Missing | NamespaceTerminating):
            log.warning("%s", answer)
            faults.append(str(answer))
        elif isinstance(answer, BaseException) and not isinstance(answer, ClusterError):
            raise answer
    return faults
