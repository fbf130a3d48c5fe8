"""Profiles of the households of a street, and manifests that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from wattmesh_cli.field.consumption import load_wh
from wattmesh_cli.field.sun import pv_wh
from wattmesh_cli.field.weather import Weather
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_operator.manifests import as_yaml
from wattmesh_operator.plan import GatewayPlan
from wattmesh_operator.plan.naming import profile_file
from wattmesh_operator.resources import Profile, Resource, SolarAgent
from wattmesh_operator.resources.resource import ConfigMapRef

MANIFESTS = "manifests.yaml"
CONFIG_MAP_BYTES = 1_000_000
"""What a ConfigMap takes is 1 MiB; the rest is for its keys and metadata."""

AgentKey = tuple[str, str]
"""Namespace and name of a SolarAgent."""


@dataclass(frozen=True)
class Wanted:
    """What the profiles are made of: whole days, a load profile for each agent, weather (None: a clear sky)."""

    days: int
    kind_of: Mapping[AgentKey, str]
    weather: Weather | None = None
    altitude_m: float | None = None


@dataclass(frozen=True)
class HouseholdProfile:
    """A household's file: where it belongs and what is in it."""

    agent: AgentKey
    household: str
    text: str

    @property
    def file(self) -> Path:
        """Its path within the folder of the profiles."""
        return Path(*self.agent, profile_file(self.household))


def agents_of(plans: Sequence[GatewayPlan]) -> dict[AgentKey, SolarAgent]:
    """The agents whose households get a profile: those with panels or consumption, and a household."""
    owners = (pod.owner for gateway in plans for pod in gateway.pods)
    return {
        _key(owner): owner for owner in owners if isinstance(owner, SolarAgent) and (owner.spec.pv or owner.spec.load)
    }


def street_profiles(plans: Sequence[GatewayPlan], wanted: Wanted) -> Iterator[HouseholdProfile]:
    """The profile of each household, from midnight of the day at which its gateway's clock starts.

    Each is the same whenever it is made from the same manifest. ValueError if there is no weather for all days.
    """
    for gateway in plans:
        midnight = gateway.resource.spec.clock.start.replace(hour=0, minute=0, second=0, microsecond=0)
        slots = [midnight + timedelta(seconds=SLOT_S * number) for number in range(wanted.days * 86_400 // SLOT_S)]
        for pod in gateway.pods:
            kind = wanted.kind_of.get(_key(pod.owner))
            if kind is None:
                continue
            for household in pod.households:
                text = _csv(slots, *_series(household, slots, kind, wanted))
                yield HouseholdProfile(_key(pod.owner), household.name, text)


def manifests_with_profiles(
    resources: Sequence[Resource], agents: Mapping[AgentKey, SolarAgent], *, mapped: bool
) -> str:
    """The same resources as YAML, with the profiles of `agents` in place of pv and load.

    They are found in folders next to the manifest or, `mapped`, in the ConfigMaps of `config_map_name`.
    """
    return as_yaml(_with_profile(resource, mapped) if _key(resource) in agents else resource for resource in resources)


def config_map_name(agent: str) -> str:
    """Name of the ConfigMap with the profiles of an agent's households; no pod's is called so."""
    return f"{agent}-profiles"


def _key(resource: Resource) -> AgentKey:
    return resource.metadata.namespace, resource.metadata.name


def _series(
    household: HouseholdConfig, slots: Sequence[datetime], kind: str, wanted: Wanted
) -> tuple[list[int], list[int]]:
    load, nothing = household.load, [0] * len(slots)
    roofs = [pv_wh(roof, slots, wanted.weather, wanted.altitude_m) for roof in household.pv]
    return (
        [sum(of_slot) for of_slot in zip(*roofs, strict=True)] or nothing,
        nothing if load is None else load_wh(kind, load.annual_wh, household.seed, slots[0], len(slots)),
    )


def _csv(slots: Sequence[datetime], pv: Sequence[int], load: Sequence[int]) -> str:
    rows = (f"{slot.isoformat()},{sun},{used}\n" for slot, sun, used in zip(slots, pv, load, strict=True))
    return "slot,pv_wh,load_wh\n" + "".join(rows)


def _with_profile(resource: Resource, mapped: bool) -> Resource:
    assert isinstance(resource, SolarAgent)  # noqa: S101
    namespace, name = _key(resource)
    profile = (
        Profile(config_map=ConfigMapRef(name=config_map_name(name)))
        if mapped
        else Profile(folder=f"{namespace}/{name}")
    )
    spec = resource.spec.model_copy(update={"pv": None, "load": None, "profile": profile})
    return resource.model_copy(update={"spec": spec})
