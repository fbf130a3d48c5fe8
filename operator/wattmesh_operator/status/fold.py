"""What was observed of a resource → its status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from wattmesh_common.pod_pages import PartyState
from wattmesh_operator.plan.graph import Problem
from wattmesh_operator.resources.status import (
    BecknGatewayStatus,
    HouseholdStatus,
    RetiredHousehold,
    SolarAgentStatus,
    Status,
    UtilityAgentStatus,
)
from wattmesh_operator.status.conditions import Member, conditions, findings, impossible, ready_count
from wattmesh_operator.status.shown import kwh, money, percent

S = TypeVar("S", bound=Status)


@dataclass(frozen=True)
class HouseholdSeen:
    """What was seen of a household: no `reading` if its pod never answered, `capacity_wh` 0 without battery."""

    member: Member
    url: str
    capacity_wh: int
    reading: PartyState | None


def problem_status(previous: S, problem: Problem, generation: int, now: datetime) -> S:
    """The status of a resource that cannot be made real. What runs goes on as it was, and so do its numbers."""
    told = conditions(impossible(problem), previous, generation, now)
    return previous.model_copy(update={"observed_generation": generation, "conditions": told})


def solar_agent_status(
    previous: SolarAgentStatus,
    seen: Sequence[HouseholdSeen],
    *,
    gateway: str | None = None,
    rotated_keys: str | None = None,
    utility: str | None = None,
    replicas: int,
    selector: str,
    currency: str,
    generation: int,
    now: datetime,
) -> SolarAgentStatus:
    """The status of a SolarAgent that shall have `replicas` households; of one that is silent, its last numbers."""
    members = [household.member for household in seen]
    before = {household.name: household for household in previous.households}
    households = tuple(_household(household, before.get(household.member.name)) for household in seen)
    known = [(h, s.capacity_wh) for h, s in zip(households, seen, strict=True) if h.level_wh is not None]
    level_wh = sum(household.level_wh or 0 for household, _ in known)
    retired = _retired(previous, households)
    traded: list[HouseholdStatus | RetiredHousehold] = [*households, *retired]
    return SolarAgentStatus(
        observed_generation=generation,
        conditions=conditions(findings(members), previous, generation, now),
        ready=f"{ready_count(members)}/{replicas}",
        gateway=gateway,
        rotated_keys=rotated_keys,
        sold_kwh=kwh(sum(one.sold_wh or 0 for one in traded)) if known or retired else None,
        bought_kwh=kwh(sum(one.bought_wh or 0 for one in traded)) if known or retired else None,
        balance=money(sum(one.balance_micro or 0 for one in traded), currency) if known or retired else None,
        utility=utility,
        replicas=len(seen),
        ready_replicas=ready_count(members),
        selector=selector,
        level_wh=level_wh if known else None,
        capacity_wh=sum(household.capacity_wh for household in seen),
        soc=percent(level_wh, sum(capacity_wh for _, capacity_wh in known)),
        households=households,
        retired=retired,
    )


def utility_agent_status(
    previous: UtilityAgentStatus,
    member: Member,
    reading: PartyState | None,
    *,
    gateway: str | None = None,
    rotated_keys: str | None = None,
    currency: str,
    generation: int,
    now: datetime,
) -> UtilityAgentStatus:
    """The status of a UtilityAgent; while it is silent, with its last numbers."""
    numbers = {
        "sold_kwh": kwh(reading.sold_wh) if reading else previous.sold_kwh,
        "bought_kwh": kwh(reading.bought_wh) if reading else previous.bought_kwh,
        "balance": money(reading.balance_micro, currency) if reading else previous.balance,
    }
    return UtilityAgentStatus(
        observed_generation=generation,
        conditions=conditions(findings([member]), previous, generation, now),
        ready=f"{ready_count([member])}/1",
        gateway=gateway,
        rotated_keys=rotated_keys,
        **numbers,
    )


def gateway_status(
    previous: BecknGatewayStatus,
    member: Member,
    *,
    url: str,
    subscribers: int | None,
    generation: int,
    now: datetime,
) -> BecknGatewayStatus:
    """The status of a BecknGateway; `subscribers` is None when its registry does not answer."""
    return BecknGatewayStatus(
        observed_generation=generation,
        conditions=conditions(findings([member]), previous, generation, now),
        ready=f"{int(member.phase == 'Ready')}/1",
        url=url,
        subscribers=previous.subscribers if subscribers is None else subscribers,
    )


def _retired(previous: SolarAgentStatus, households: Sequence[HouseholdStatus]) -> tuple[RetiredHousehold, ...]:
    """Those who have left, with their last numbers. Who returns finds its ledger, and so counts by itself again."""
    there = {household.name for household in households}
    left = [one for one in previous.households if one.name not in there and one.level_wh is not None]
    numbers = {one.name: one for one in previous.retired if one.name not in there}
    numbers |= {
        one.name: RetiredHousehold(
            name=one.name,
            sold_wh=one.sold_wh or 0,
            bought_wh=one.bought_wh or 0,
            balance_micro=one.balance_micro or 0,
        )
        for one in left
    }
    return tuple(numbers.values())


def _household(seen: HouseholdSeen, before: HouseholdStatus | None) -> HouseholdStatus:
    numbers: PartyState | HouseholdStatus | None = seen.reading or before
    return HouseholdStatus(
        name=seen.member.name,
        phase=seen.member.phase,
        reason=seen.member.trouble.reason if seen.member.trouble else None,
        message=seen.member.trouble.message if seen.member.trouble else None,
        url=seen.url,
        level_wh=numbers.level_wh if numbers else None,
        sold_wh=numbers.sold_wh if numbers else None,
        bought_wh=numbers.bought_wh if numbers else None,
        balance_micro=numbers.balance_micro if numbers else None,
        open_contracts=numbers.open_contracts if numbers else None,
    )
