"""Observations → status, and two statuses → Events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.operator.world import party_status
from wattmesh_common.pod_pages import PartyStatus, read_status
from wattmesh_operator.plan.graph import Problem
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.resources.status import Phase, SolarAgentStatus, UtilityAgentStatus
from wattmesh_operator.status.conditions import Member, findings
from wattmesh_operator.status.fold import HouseholdSeen, problem_status, solar_agent_status, utility_agent_status
from wattmesh_operator.status.news import news
from wattmesh_operator.status.shown import kwh, money, percent
from wattmesh_operator.status.trouble import Trouble

NO_ROOM = Trouble(Reason.UNSCHEDULABLE, "no room")
T0, T1 = datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC)


def reading(name: str) -> PartyStatus:
    return party_status(name, level_wh=5_000, sold_wh=2_000, bought_wh=5, balance_micro=-1, open_contracts=1)


def seen(name: str, phase: Phase = "Ready", *, registered: bool = True, silent: bool = False) -> HouseholdSeen:
    member = Member(name, phase, registered=registered, refused="" if registered else "the registry does not answer")
    return HouseholdSeen(member, f"http://{name}", 10_000, None if silent else reading(name))


def status(
    *households: HouseholdSeen, previous: SolarAgentStatus | None = None, now: datetime = T0
) -> SolarAgentStatus:
    return solar_agent_status(
        previous or SolarAgentStatus(),
        households,
        replicas=sum(household.member.phase != "Draining" for household in households),
        selector="wattmesh.io/solaragent=rooftop",
        currency="EUR",
        generation=3,
        now=now,
    )


def told(of: SolarAgentStatus | UtilityAgentStatus) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in of.conditions}


def test_numbers_are_sums_of_the_households() -> None:
    folded = status(seen("rooftop-0"), seen("rooftop-1"))
    assert (folded.ready, folded.replicas, folded.ready_replicas, folded.observed_generation) == ("2/2", 2, 2, 3)
    assert (folded.level_wh, folded.capacity_wh, folded.soc) == (10_000, 20_000, "50%")
    assert (folded.sold_kwh, folded.bought_kwh, folded.balance) == ("4.00", "0.01", "0.00 EUR")
    assert told(folded)["Ready"] == ("True", "Ready")


def test_what_a_household_has_traded_stays_in_the_totals_when_it_leaves_and_counts_once_when_it_returns() -> None:
    both = status(seen("rooftop-0"), seen("rooftop-1"))
    one = status(seen("rooftop-0"), previous=both)
    assert (one.sold_kwh, one.bought_kwh, one.level_wh) == (both.sold_kwh, both.bought_kwh, 5_000)
    none = status(previous=one)
    assert (none.sold_kwh, none.balance, none.level_wh) == (both.sold_kwh, both.balance, None)
    assert [household.name for household in none.retired] == ["rooftop-1", "rooftop-0"]
    again = status(seen("rooftop-0"), seen("rooftop-1"), previous=none)
    assert (again.sold_kwh, again.retired) == (both.sold_kwh, ())


def test_without_any_number_the_columns_are_empty() -> None:
    folded = status(seen("rooftop-0", "Pending", silent=True))
    assert (folded.soc, folded.sold_kwh, folded.balance, folded.level_wh) == (None, None, None, None)


def test_of_a_silent_household_the_last_numbers_stay() -> None:
    folded = status(seen("rooftop-0", "Unreachable", silent=True), previous=status(seen("rooftop-0")))
    assert (folded.level_wh, folded.sold_kwh) == (5_000, "2.00")
    assert told(folded)["Ready"] == ("False", "PodUnreachable")


def test_a_condition_keeps_its_time_while_its_status_is_the_same() -> None:
    first = status(seen("rooftop-0", "Pending"))
    second = status(seen("rooftop-0", registered=False), previous=first, now=T1)
    third = status(seen("rooftop-0"), previous=second, now=T1)
    assert [s.conditions[0].last_transition_time for s in (first, second, third)] == [T0, T0, T1]
    assert [s.conditions[0].reason for s in (first, second, third)] == ["PodNotReady", "NotRegistered", "Ready"]


@pytest.mark.parametrize(
    ("member", "ready", "registered", "progressing"),
    [
        (Member("a", "Ready"), "Ready", "Registered", "UpToDate"),
        (Member("a", "Pending", rolled_out=False), "PodNotReady", "Registered", "RollingOut"),
        (Member("a", "Unreachable"), "PodUnreachable", "Registered", "UpToDate"),
        (Member("a", "Ready", registered=False), "NotRegistered", "NotRegistered", "UpToDate"),
        (
            Member("a", "Pending", trouble=NO_ROOM),
            "Unschedulable",
            "Registered",
            "UpToDate",
        ),
        (Member("a", "Draining", registered=False), "Ready", "Registered", "Draining"),
    ],
)
def test_why_is_said_in_one_word(member: Member, ready: str, registered: str, progressing: str) -> None:
    found = findings([member])
    assert [found[kind].reason for kind in ("Ready", "Registered", "Progressing")] == [ready, registered, progressing]


def test_many_names_are_cut() -> None:
    found = findings([Member(f"rooftop-{number}", "Pending") for number in range(5)])
    assert found["Ready"].message == "rooftop-0, rooftop-1, rooftop-2 and 2 more: the pod is not ready yet"


def test_a_problem_changes_conditions_and_nothing_else() -> None:
    before = status(seen("rooftop-0"))
    after = problem_status(before, Problem(Reason.GATEWAY_NOT_FOUND, "there is none"), 4, T1)
    assert told(after).pop("Stalled") == ("True", "GatewayNotFound")
    assert {found for kind, found in told(after).items() if kind != "Stalled"} == {("False", "GatewayNotFound")}
    assert (after.soc, after.households, after.observed_generation) == (before.soc, before.households, 4)


def test_a_utility_keeps_its_last_numbers_too() -> None:
    def fold(previous: UtilityAgentStatus, found: PartyStatus | None) -> UtilityAgentStatus:
        return utility_agent_status(previous, Member("u", "Ready"), found, currency="CHF", generation=1, now=T0)

    first = fold(UtilityAgentStatus(), reading("u"))
    assert (first.sold_kwh, first.balance, first.ready) == ("2.00", "0.00 CHF", "1/1")
    assert fold(first, None) == first


def test_news_is_what_has_changed() -> None:
    def reasons(before: SolarAgentStatus, after: SolarAgentStatus) -> list[str]:
        return [said.reason for said in news(before, after)]

    none, two = SolarAgentStatus(), status(seen("rooftop-0"), seen("rooftop-1"))
    going = status(seen("rooftop-0"), seen("rooftop-1", "Draining"))
    one = status(seen("rooftop-0"))
    lost = status(seen("rooftop-0", registered=False))
    problem = problem_status(none, Problem(Reason.GATEWAY_NOT_FOUND, "there is none"), 1, T0)
    assert reasons(none, two) == ["Registered"]
    assert reasons(two, two) == []
    assert reasons(two, going) == ["Draining"]
    assert reasons(going, going) == []
    assert reasons(going, one) == ["ScaledDown"]
    assert reasons(one, two) == ["ScaledUp"]
    assert reasons(one, lost) == ["NotRegistered"]
    assert reasons(lost, one) == ["Registered"]
    assert reasons(none, problem) == ["GatewayNotFound"]
    assert reasons(problem, problem) == []


def test_a_status_page_is_read_or_refused() -> None:
    party = party_status("a", balance_micro=-4)
    newer = f'[{party.model_dump_json()[:-1]}, "colour": "green"}}]'.encode()
    assert read_status(newer) == (party,)
    with pytest.raises(ValueError, match="level_wh"):
        read_status(b'[{"name": "a"}]')


def test_numbers_are_shown_with_two_decimals() -> None:
    assert [kwh(wh) for wh in (0, 4, 5, 12_404, 12_405)] == ["0.00", "0.00", "0.01", "12.40", "12.41"]
    assert [money(micro, "EUR") for micro in (-1_204_999, -4_999, 1_000_000)] == ["-1.20 EUR", "0.00 EUR", "1.00 EUR"]
    assert [percent(1, 3), percent(2, 3), percent(0, 0)] == ["33%", "67%", None]
