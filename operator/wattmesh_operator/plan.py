"""Resources → what shall run: each gateway's pods, their households and utilities, and their configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from wattmesh_operator.mistakes import Identity, ManifestErrors
from wattmesh_operator.naming import households_by_pod, subscriber_id
from wattmesh_operator.parsing import Manifest
from wattmesh_operator.participant_config import household_config, utility_config
from wattmesh_operator.references import resolve_references
from wattmesh_operator.resources import BecknGateway, Resource, SolarAgent, UtilityAgent

Role = Literal["BAP", "BPP"]


@dataclass(frozen=True)
class Participant:
    """A household or utility of a pod, as the registry knows it."""

    name: str
    subscriber_id: str
    feeder: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class PodPlan:
    """One pod. `config` is its runtime configuration without what only a run knows: see `runtime_config`."""

    name: str
    namespace: str
    owner: SolarAgent | UtilityAgent
    participants: tuple[Participant, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class GatewayPlan:
    """One gateway and the pods that trade through it."""

    resource: BecknGateway
    subscriber_id: str
    pods: tuple[PodPlan, ...]


def plan(resources: Sequence[Resource]) -> tuple[GatewayPlan, ...]:
    """What shall run for these resources: gateways and pods in the order of their resources.

    Raises ManifestErrors if the resources do not fit together (see `references`).
    """
    manifests = [Manifest(resource) for resource in resources]
    references = resolve_references(manifests)
    if references.mistakes:
        raise ManifestErrors(references.mistakes)
    utilities: defaultdict[tuple[Identity, str], list[UtilityAgent]] = defaultdict(list)
    for manifest in manifests:
        if isinstance(manifest.resource, UtilityAgent):
            gateway = references.gateways[manifest.identity]
            utilities[Manifest(gateway).identity, manifest.resource.spec.feeder].append(manifest.resource)
    pods: dict[Identity, list[PodPlan]] = {}
    for manifest in manifests:
        agent = manifest.resource
        if isinstance(agent, BecknGateway):
            continue
        gateway = references.gateways[manifest.identity]
        if isinstance(agent, UtilityAgent):
            planned = [_utility_pod(agent, gateway)]
        else:
            near = utilities[Manifest(gateway).identity, agent.spec.feeder]
            planned = _household_pods(agent, gateway, references.utilities[manifest.identity], near)
        pods.setdefault(Manifest(gateway).identity, []).extend(planned)
    return tuple(
        GatewayPlan(manifest.resource, _id_of(manifest.resource), tuple(pods.get(manifest.identity, ())))
        for manifest in manifests
        if isinstance(manifest.resource, BecknGateway)
    )


def runtime_config(
    pod: PodPlan,
    *,
    gateway_url: str,
    epoch: float,
    start: datetime | None = None,
    end: datetime | None = None,
    speed: float | None = None,
) -> dict[str, Any]:
    """The whole configuration of a pod's runtime, JSON-able: a `wattmesh_agents.config.RuntimeConfig`.

    `epoch` is the wall clock, in unix seconds, at which grid time is `start`; `start` (with zone) and `speed` replace
    the gateway's clock where given. No slot that starts at or after `end` is traded.
    """
    config = deepcopy(dict(pod.config))
    config["gateway"]["url"] = gateway_url
    clock = config["clock"]
    clock["epoch"] = epoch
    if start is not None:
        clock["start"] = start.isoformat()
    if end is not None:
        clock["end"] = end.isoformat()
    if speed is not None:
        clock["speed"] = speed
    return config


def _utility_pod(agent: UtilityAgent, gateway: BecknGateway) -> PodPlan:
    # It is a seller to all, and a buyer only where demand response lets it be.
    roles: tuple[Role, ...] = ("BAP", "BPP") if agent.spec.demand_response else ("BPP",)
    name = agent.metadata.name
    participant = Participant(name, _id_of(agent), agent.spec.feeder, roles)
    return _pod(name, agent, gateway, [participant], households=[], utilities=[utility_config(agent)])


def _household_pods(
    agent: SolarAgent, gateway: BecknGateway, utility: UtilityAgent, utilities: Sequence[UtilityAgent]
) -> list[PodPlan]:
    # Only stored energy is sold, so without a battery a household only buys.
    roles: tuple[Role, ...] = ("BAP", "BPP") if agent.spec.battery else ("BAP",)
    namespace, feeder = agent.metadata.namespace, agent.spec.feeder
    return [
        _pod(
            pod,
            agent,
            gateway,
            [Participant(name, subscriber_id(name, namespace), feeder, roles) for name in households],
            households=[household_config(agent, name, utility, utilities) for name in households],
            utilities=[],
        )
        for pod, households in households_by_pod(agent).items()
    ]


def _pod(
    name: str,
    owner: SolarAgent | UtilityAgent,
    gateway: BecknGateway,
    participants: Sequence[Participant],
    *,
    households: list[dict[str, Any]],
    utilities: list[dict[str, Any]],
) -> PodPlan:
    spec = gateway.spec
    config = {
        "pod": name,
        "domain": spec.domain,
        "currency": spec.currency,
        "gateway": {"subscriber_id": _id_of(gateway)},
        "clock": {"start": spec.clock.start.isoformat(), "speed": float(spec.clock.speed)},
        "households": households,
        "utilities": utilities,
    }
    return PodPlan(name, owner.metadata.namespace, owner, tuple(participants), config)


def _id_of(resource: BecknGateway | UtilityAgent) -> str:
    return subscriber_id(resource.metadata.name, resource.metadata.namespace)
