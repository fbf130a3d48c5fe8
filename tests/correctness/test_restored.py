"""Books that were put back from an old copy, or deleted, come out right by what partners hold signed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.world.faults import Faulty, Wrap
from tests.world.manifests import MARKET, households, market, planned, utility
from tests.world.street import Hands, Street, play
from wattmesh_beckn.transport import Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import LoopClock
from wattmesh_operator.plan import GatewayPlan

FULL = "battery: {capacityKwh: 10, initialKwh: 9.5, powerKw: 4}, trading: {sellAbovePercent: 50, sellPrice: 0.10}"
LOW = "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 3}, load: {annualKwh: 2000}, strategy: rules"
MEMBERS = (
    utility(fees=", gridFee: 0.05, localGridFee: 0.02", more=", demandResponse: {startAtPercent: 1, maxPrice: 0.30}")
    + households("store", FULL + ", pv: {peakKw: 2}, strategy: rules")
    + households("low", LOW)
    + households("flat", "load: {annualKwh: 6000}, strategy: rules")
    + households("roof", "pv: {peakKw: 5}, load: {annualKwh: 2000}")
)
PLAN = planned(MARKET + MEMBERS)
IN_V2 = planned(market("protocols: [v2]") + MEMBERS)
HOURS = 2.25
COPIED_S, LOST_S, AWAY_S = 25.0, 62.0, 3.0
"""Wall time: when a copy is made and the books are lost, and how long their pod is down. A slot has 15 s."""
BILLED_S = 92.0
"""When the bills of the first hour are told."""


def restored(
    folder: Path,
    name: str,
    *,
    old: bool,
    seed: int = 1,
    copied_s: float = COPIED_S,
    lost_s: float = LOST_S,
    away_s: float = AWAY_S,
    gone: Sequence[str] = (),
    back_s: float | None = None,
    kills: int = 0,
    wrap: Wrap | None = None,
    plan: GatewayPlan = PLAN,
) -> Street:
    """A street in which a pod's database is put back, or deleted, in the middle.

    The pods in `gone` are killed before, and come back so many seconds after it, or never; the pod itself is killed
    that often while it asks.
    """
    hands = Hands(plan, seed, folder, wrap=wrap)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(copied_s)
        copy = hands.copy(name)
        await hands.clock.sleep(lost_s - copied_s)
        for other in gone:
            await hands.kill(other)
        await hands.kill(name)
        hands.put_back(name, copy if old else None)
        await hands.clock.sleep(away_s)
        hands.revive(name)
        for number in range(kills):
            for _ in range(1 + 3 * number):  # steps of the loop: somewhere between question and answer
                await hands.clock.sleep(0.0)
            await hands.kill(name)
            hands.revive(name)
        if back_s is not None:
            await hands.clock.sleep(back_s)
            for other in gone:
                hands.revive(other)

    return play(plan, HOURS, seed=seed, wrap=hands, watch=watch)


def restorations(street: Street, name: str) -> list[str]:
    """What the event log says of them."""
    return [text for text in street.told(name) if text.startswith("its books were older")]


@pytest.mark.parametrize("old", [True, False], ids=["old", "deleted"])
@pytest.mark.parametrize("name", ["roof-0", "store-0", "low-0", "utility"])
def test_books_that_were_put_back_or_deleted_come_out_right(tmp_path: Path, name: str, old: bool) -> None:
    street = restored(tmp_path, name, old=old, lost_s=BILLED_S if name == "utility" else LOST_S)

    street.check_sound()
    street.check_settled()
    [told] = restorations(street, name)
    # From where the copy ends, or from the first slot that anybody has heard of.
    assert f"metered from {'06:15-06:30' if old else '06:00-06:15'} on" in told
    assert "utility" in told or name == "utility"


@pytest.mark.parametrize("name", ["store-0", "utility"])
def test_so_do_those_of_a_street_that_speaks_v2(tmp_path: Path, name: str) -> None:
    lost_s = BILLED_S if name == "utility" else LOST_S
    street = restored(tmp_path, name, old=True, lost_s=lost_s, plan=IN_V2)
    street.check_sound()
    street.check_settled()
    assert len(restorations(street, name)) == 1


def test_a_copy_of_moments_ago_and_a_pod_that_is_away_for_long(tmp_path: Path) -> None:
    street = restored(tmp_path, "store-0", old=True, copied_s=59.0, away_s=35.0)
    street.check_sound()
    street.check_settled()


def test_who_only_was_away_takes_nothing_over(tmp_path: Path) -> None:
    street = restored(tmp_path, "store-0", old=True, copied_s=LOST_S, away_s=20.0)
    street.check_sound()
    assert restorations(street, "store-0") == []


def test_who_is_killed_while_it_asks_asks_again(tmp_path: Path) -> None:
    street = restored(tmp_path, "store-0", old=True, kills=3)
    street.check_sound()
    street.check_settled()
    assert restorations(street, "store-0")


@pytest.mark.parametrize("name", ["store-0", "utility"])
def test_questions_and_answers_that_are_lost_are_asked_again(tmp_path: Path, name: str) -> None:
    def wrap(inner: Transport, clock: LoopClock) -> Transport:
        return Faulty(inner, clock, random.Random(5), ["lost", "answer lost", "doubled"], EPOCH + 90, 0.3)

    street = restored(tmp_path, name, old=True, wrap=wrap)
    street.check_sound()
    street.check_settled()


def test_a_partner_that_is_down_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    street = restored(tmp_path, "store-0", old=True, gone=["flat-0"], back_s=4.0)
    street.check_sound()
    street.check_settled()


def test_what_a_partner_tells_too_late_is_named_with_what_is_at_stake(tmp_path: Path) -> None:
    street = restored(tmp_path, "store-0", old=True, gone=["flat-0"], back_s=30.0)

    assert not any(street.faults.values())
    log = [record.getMessage() for record in street.log]
    assert any("not heard while its books were restored: flat-0.default" in line for line in log)
    lost = [text for text in street.told("store-0") if text.startswith("lost with its books")]
    assert lost
    assert all("kWh for" in text and "EUR with flat-0: its slot is metered already" in text for text in lost)
    # The audit names what the flat had settled; what was not delivered yet the flat has cancelled. Nothing waits.
    named = [one for one in street.findings if one.kind == "contract-states"]
    assert 0 < len(named) <= len(lost)
    assert all("flat-0" in f"{one.party} {one.text}" for one in named)
    assert any("millionths are at stake" in one.text for one in named)
    assert [row for row in street.readings("store-0") if row.state != "booked"] == []


def test_answers_come_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmesh_agents.restoring._PAGE", 2)
    street = restored(tmp_path, "utility", old=False)
    street.check_sound()
    street.check_settled()
