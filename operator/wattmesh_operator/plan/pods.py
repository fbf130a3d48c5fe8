"""Resources → what shall run: each gateway's pods, their households and utilities, and their configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_common.runtime import ClockConfig, GatewayAddress, RuntimeConfig
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
from wattmesh_operator.plan.naming import households_by_pod, subscriber_id
from wattmesh_operator.plan.participants import household_configs, utility_config
from wattmesh_operator.plan.references import References, resolve_references
from wattmesh_operator.resources import BecknGateway, Resource, SolarAgent, UtilityAgent
from wattmesh_operator.resources.mistakes import Identity, ManifestErrors
from wattmesh_operator.resources.parsing import Manifest

Role = Literal["BAP", "BPP"]


@dataclass(frozen=True)
class Participant:
    """A household or utility of a pod, as the registry knows it."""

    name: str
    subscriber_id: str
    feeder: str
    roles: tuple[Role, ...]
    protocols: tuple[ProtocolVersion, ...] = V1_ONLY


@dataclass(frozen=True)
class PodPlan:
    """One pod. With what only a run knows it has a runtime configuration: see `runtime_config`."""

    name: str
    namespace: str
    owner: SolarAgent | UtilityAgent
    gateway: BecknGateway
    participants: tuple[Participant, ...]
    households: tuple[HouseholdConfig, ...] = ()
    utilities: tuple[UtilityConfig, ...] = ()
    backstop: str | None = None
    """The name of the utility that supplies its households."""
    prices: str | None = None
    """The ConfigMap with the series of its utility's tariff, or its households'."""


@dataclass(frozen=True)
class GatewayPlan:
    """One gateway and the pods that trade through it."""

    resource: BecknGateway
    subscriber_id: str
    pods: tuple[PodPlan, ...]

    @property
    def households(self) -> tuple[HouseholdConfig, ...]:
        """All households of its pods."""
        return tuple(household for pod in self.pods for household in pod.households)


def plan(resources: Sequence[Resource]) -> tuple[GatewayPlan, ...]:
    """What shall run for these resources: gateways and pods in the order of their resources.

    Raises ManifestErrors if the resources do not fit together (see `references`).
    """
    manifests = [Manifest(resource) for resource in resources]
    references = resolve_references(manifests)
    if references.mistakes:
        raise ManifestErrors(references.mistakes)
    return planned(manifests, references)


def planned(manifests: Sequence[Manifest], references: References) -> tuple[GatewayPlan, ...]:
    """What shall run for resources whose references are settled, without a mistake: see `plan`."""
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
            customers = [
                other.resource
                for other in manifests
                if isinstance(other.resource, SolarAgent) and references.utilities[other.identity] == agent
            ]
            of_agent = [_utility_pod(agent, gateway, customers)]
        else:
            near = utilities[Manifest(gateway).identity, agent.spec.feeder]
            of_agent = _household_pods(agent, gateway, references.utilities[manifest.identity], near)
        pods.setdefault(Manifest(gateway).identity, []).extend(of_agent)
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
    registrar_keys: Mapping[str, str] | None = None,
    readers: Sequence[str] = (),
) -> RuntimeConfig:
    """The whole configuration of a pod's runtime.

    `epoch` is the wall clock, in unix seconds, at which grid time is `start`; `start` (with zone) and `speed` replace
    the gateway's clock where given. No slot that starts at or after `end` is traded. `registrar_keys` maps key ids to
    the public keys (base64) of who may drain households; `readers` are digests of the tokens that open its pages.
    """
    spec = pod.gateway.spec
    return RuntimeConfig(
        pod=pod.name,
        domain=spec.domain,
        currency=spec.currency,
        vocabulary=spec.vocabulary,
        protocols=spec.protocols,
        schema_host=spec.schema_host,
        gateway=GatewayAddress(subscriber_id=_id_of(pod.gateway), url=gateway_url),
        clock=ClockConfig(
            start=spec.clock.start if start is None else start,
            epoch=epoch,
            speed=float(spec.clock.speed) if speed is None else speed,
            end=end,
        ),
        registrar_keys=dict(registrar_keys or {}),
        readers=tuple(readers),
        households=pod.households,
        utilities=pod.utilities,
    )


def _utility_pod(agent: UtilityAgent, gateway: BecknGateway, customers: Sequence[SolarAgent]) -> PodPlan:
    # It is a seller to all, and a buyer only where demand response lets it be.
    roles: tuple[Role, ...] = ("BAP", "BPP") if agent.spec.demand_response else ("BPP",)
    name = agent.metadata.name
    participant = Participant(name, _id_of(agent), agent.spec.feeder, roles, gateway.spec.protocols)
    namespace = agent.metadata.namespace
    config, prices = utility_config(agent, customers), _prices(agent)
    return PodPlan(name, namespace, agent, gateway, (participant,), utilities=(config,), prices=prices)


def _prices(utility: UtilityAgent) -> str | None:
    series = utility.spec.tariff.series
    return series.config_map.name if series and series.config_map else None


def _household_pods(
    agent: SolarAgent, gateway: BecknGateway, utility: UtilityAgent, utilities: Sequence[UtilityAgent]
) -> list[PodPlan]:
    found = []
    for pod, names in households_by_pod(agent).items():
        households = tuple(household_configs(agent, names, utility, utilities))
        participants = tuple(
            Participant(one.name, one.subscriber_id, one.feeder, _roles(one), gateway.spec.protocols)
            for one in households
        )
        found.append(
            PodPlan(
                pod,
                agent.metadata.namespace,
                agent,
                gateway,
                participants,
                households=households,
                backstop=utility.metadata.name,
                prices=_prices(utility),
            )
        )
    return found


def _roles(household: HouseholdConfig) -> tuple[Role, ...]:
    """Who has nothing to sell only buys."""
    return ("BAP", "BPP") if household.may_ever_sell else ("BAP",)


def _id_of(resource: BecknGateway | UtilityAgent) -> str:
    return subscriber_id(resource.metadata.name, resource.metadata.namespace)
