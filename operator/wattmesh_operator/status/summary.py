"""The status of a large SolarAgent, without the households that trade as they shall."""

from __future__ import annotations

from wattmesh_operator.resources.status import SolarAgentStatus, Status

MOST_LISTED = 100
"""Households in a status. Some 27 kB; the API server takes 1.5 MiB, and each of its watchers is sent all of it."""


def summarised(status: Status) -> Status:
    """What is written of a status: of more households than that, the first that are not ready, and sums of all."""
    if not isinstance(status, SolarAgentStatus) or len(status.households) <= MOST_LISTED:
        return status
    troubled = [household for household in status.households if household.phase != "Ready"]
    return status.model_copy(update={"households": tuple(troubled[:MOST_LISTED])})


def is_summary(status: SolarAgentStatus) -> bool:
    """Whether a status that was written does not list all households that there were."""
    return len(status.households) < (status.replicas or 0)
