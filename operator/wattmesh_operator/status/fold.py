"""What was observed of a resource → its status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from wattmesh_common.pod_pages import PartyStatus
from wattmesh_common.slim import slim
from wattmesh_operator.cluster.observation import PodCounts
from wattmesh_operator.plan.graph import Problem
from wattmesh_operator.resources.status import (
    BecknGatewayStatus,
    HouseholdStatus,
    LostLedger,
    RetiredHousehold,
    SolarAgentStatus,
    Status,
    UtilityAgentStatus,
)
from wattmesh_operator.status.conditions import Member, conditions, findings, impossible, ready_count
from wattmesh_operator.status.ledgers import ledger_lost, lost_ledgers
from wattmesh_operator.status.shown import kwh, money, percent
from wattmesh_operator.status.summary import is_summary

S = TypeVar("S", bound=Status)


@dataclass(frozen=True)
class HouseholdSeen:
    """What was seen of a household: no `reading` if its pod never answered, `capacity_wh` 0 without battery."""

    member: Member
    url: str
    capacity_wh: int
    reading: PartyStatus | None


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
    # A summary does not say what those had who have not answered this operator yet; it has the sums of all.
    silent = is_summary(previous) and any(h.level_wh is None and h.name not in before for h in households)
    level_wh = sum(household.level_wh or 0 for household, _ in known)
    retired = _retired(previous, households)
    traded: list[HouseholdStatus | RetiredHousehold] = [*households, *retired]
    sums: dict[str, Any] = {
        "sold_kwh": kwh(sum(one.sold_wh or 0 for one in traded)) if known or retired else None,
        "bought_kwh": kwh(sum(one.bought_wh or 0 for one in traded)) if known or retired else None,
        "balance": money(sum(one.balance_micro or 0 for one in traded), currency) if known or retired else None,
        "level_wh": level_wh if known else None,
        "soc": percent(level_wh, sum(capacity_wh for _, capacity_wh in known)),
    }
    former: list[HouseholdStatus | RetiredHousehold] = [*previous.households, *previous.retired]
    showed = [_showed(one, currency) for one in former if one.account]
    lost = lost_ledgers(previous.lost_ledgers, showed, {one.name: one.account for one in households})
    return SolarAgentStatus(
        observed_generation=generation,
        conditions=conditions(findings(members) | ledger_lost(lost), previous, generation, now),
        lost_ledgers=lost,
        ready=f"{ready_count(members)}/{replicas}",
        gateway=gateway,
        rotated_keys=rotated_keys,
        utility=utility,
        replicas=len(seen),
        ready_replicas=ready_count(members),
        selector=selector,
        capacity_wh=sum(household.capacity_wh for household in seen),
        **(_sums(previous) if silent else sums),
        households=households,
        retired=retired,
    )


def utility_agent_status(
    previous: UtilityAgentStatus,
    member: Member,
    reading: PartyStatus | None,
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
    account = (reading.account if reading else "") or previous.account
    showed = (
        [
            LostLedger(
                name=member.name,
                account=previous.account,
                sold_kwh=previous.sold_kwh or kwh(0),
                bought_kwh=previous.bought_kwh or kwh(0),
                balance=previous.balance or money(0, currency),
            )
        ]
        if previous.account
        else []
    )
    lost = lost_ledgers(previous.lost_ledgers, showed, {member.name: account})
    return UtilityAgentStatus(
        observed_generation=generation,
        conditions=conditions(findings([member]) | ledger_lost(lost), previous, generation, now),
        lost_ledgers=lost,
        account=account,
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
    pods: PodCounts,
    selector: str,
    generation: int,
    now: datetime,
) -> BecknGatewayStatus:
    """The status of a BecknGateway; `subscribers` is None when its registry does not answer."""
    return BecknGatewayStatus(
        observed_generation=generation,
        conditions=conditions(findings([member]), previous, generation, now),
        ready=f"{pods.ready}/{pods.wanted}",
        url=url,
        subscribers=previous.subscribers if subscribers is None else subscribers,
        replicas=pods.there,
        selector=selector,
    )


def _sums(status: SolarAgentStatus) -> dict[str, Any]:
    """What a status says of all households together."""
    return {name: getattr(status, name) for name in ("sold_kwh", "bought_kwh", "balance", "level_wh", "soc")}


def _retired(previous: SolarAgentStatus, households: Sequence[HouseholdStatus]) -> tuple[RetiredHousehold, ...]:
    """Those who have left, with their last numbers. Who returns counts by itself again once its pod has answered."""
    there = {household.name for household in households if household.level_wh is not None}
    left = [one for one in previous.households if one.name not in there and one.level_wh is not None]
    numbers = {one.name: one for one in previous.retired if one.name not in there}
    numbers |= {
        one.name: RetiredHousehold(
            name=one.name,
            sold_wh=one.sold_wh or 0,
            bought_wh=one.bought_wh or 0,
            balance_micro=one.balance_micro or 0,
            account=one.account,
        )
        for one in left
    }
    return tuple(numbers.values())


def _showed(one: HouseholdStatus | RetiredHousehold, currency: str) -> LostLedger:
    """What its ledger showed last."""
    return LostLedger(
        name=one.name,
        account=one.account or "",
        sold_kwh=kwh(one.sold_wh or 0),
        bought_kwh=kwh(one.bought_wh or 0),
        balance=money(one.balance_micro or 0, currency),
    )


def _household(seen: HouseholdSeen, before: HouseholdStatus | None) -> HouseholdStatus:
    numbers: PartyStatus | HouseholdStatus | None = seen.reading or before
    status = HouseholdStatus(
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
        account=(numbers.account or None) if numbers else None,
    )
    return slim(status)
