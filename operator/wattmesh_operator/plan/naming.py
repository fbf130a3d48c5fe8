"""Names of what a SolarAgent becomes: its households and its pods."""

from __future__ import annotations

from wattmesh_operator.resources import SolarAgent


def subscriber_id(name: str, namespace: str) -> str:
    """The Beckn subscriber id of a household, utility or gateway."""
    return f"{name}.{namespace}"


def registrar_name(gateway: str) -> str:
    """The name of the Secret with the key that registers agents at a gateway."""
    return f"{gateway}-registrar"


def reader_name(gateway: str) -> str:
    """The name of the Secret with the token that opens the pages of a gateway's market."""
    return f"{gateway}-reader"


def database_policy_name(gateway: str) -> str:
    """The name of the NetworkPolicy that lets a gateway call its database. No resource has a dot in its name."""
    return f"{gateway}.database"


def household_name(agent: str, number: int) -> str:
    """The name of a household, by its SolarAgent's and its number from 0 on."""
    return f"{agent}-{number}"


def household_names(agent: SolarAgent) -> list[str]:
    """`rooftop-0`, `rooftop-1`, …, one for each replica."""
    return [household_name(agent.metadata.name, number) for number in range(agent.spec.replicas)]


def profile_file(household: str) -> str:
    """A household's profile in a folder or ConfigMap of them."""
    return f"{household}.csv"


def households_by_pod(agent: SolarAgent) -> dict[str, list[str]]:
    """Each pod's name and its households.

    Pod k holds the households from k × householdsPerPod on, whatever `replicas` is, so that scaling never moves one.
    """
    households = household_names(agent)
    size = agent.spec.households_per_pod
    if size == 1:
        return {household: [household] for household in households}
    return {
        f"{agent.metadata.name}-pod-{number}": households[start : start + size]
        for number, start in enumerate(range(0, len(households), size))
    }
