"""Stopped at any moment and started again, pods and gateway go on where they were."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.street.test_faults import STREET, faulty
from tests.world.faults import FAULTS
from tests.world.manifests import planned
from tests.world.street import SLOT_S, Hands, Street, play
from wattmesh_cli.street.run import StreetRun
from wattmesh_operator.plan import GatewayPlan

PLAN = planned(STREET)
IN_V2 = planned(STREET.replace("spec: {clock", "spec: {protocols: [v2], clock"))
HOURS = 2.0
LAST_KILL_S = 75.0
"""Wall seconds from the start after which nothing is stopped any more: five of eight slots."""


def killing(folder: Path, seed: int, plan: GatewayPlan = PLAN, *, kinds: tuple[str, ...] = ()) -> tuple[Street, int]:
    """A street in which, until LAST_KILL_S, one pod after the other is killed; the second number says how often."""
    hands = Hands(plan, seed, folder, wrap=faulty(kinds, seed, 0.2) if kinds else None)
    rng = random.Random(seed)
    kills = 0

    async def watch(run: StreetRun) -> None:
        nonlocal kills
        hands.hold(run)
        begin = hands.clock.wall()
        while hands.clock.wall() < begin + LAST_KILL_S:
            await hands.clock.sleep(rng.choice([0.0, rng.uniform(0.0, 3.0)]))
            # Trades take no virtual time: a number of steps of the loop stops one in its middle.
            for _ in range(rng.randrange(200)):
                await hands.clock.sleep(0.0)
            name = rng.choice([*run.pods])
            await hands.kill(name)
            await hands.clock.sleep(rng.choice([0.0, rng.uniform(0.0, 2.0)]))
            hands.revive(name)
            kills += 1

    return play(plan, HOURS, seed=seed, wrap=hands, watch=watch), kills


@pytest.mark.parametrize(("seed", "plan"), [(21, PLAN), (22, PLAN), (21, IN_V2)], ids=["v1", "v1 again", "v2"])
def test_killed_pods_finish_what_was_open(tmp_path: Path, seed: int, plan: GatewayPlan) -> None:
    street, kills = killing(tmp_path, seed, plan)
    assert kills > 20
    street.check_sound()
    street.check_settled()
    assert [row for row in street.contracts("buyer") if row.state == "SETTLED"]


@pytest.mark.parametrize("plan", [PLAN, IN_V2], ids=["v1", "v2"])
def test_killed_pods_on_a_network_that_loses_doubles_and_delays(tmp_path: Path, plan: GatewayPlan) -> None:
    street, _ = killing(tmp_path, 24, plan, kinds=FAULTS)
    street.check_sound()
    street.check_settled()


@pytest.mark.parametrize("outage_s", [0.0, 20.0])
def test_a_gateway_that_lost_its_registry_goes_on_once_all_are_registered_again(
    tmp_path: Path, outage_s: float
) -> None:
    hands = Hands(PLAN, 25, tmp_path)
    entries = 0

    async def watch(run: StreetRun) -> None:
        nonlocal entries
        hands.hold(run)
        await hands.clock.sleep(32.0)  # in the third slot of eight, as the searches are out
        await hands.lose_gateway()
        await hands.clock.sleep(outage_s)
        await hands.new_gateway()
        entries = await hands.register_again()
        assert await hands.register_again() == 0

    street = play(PLAN, HOURS, seed=25, wrap=hands, watch=watch)
    assert entries == 2 + 2 * 2 + 2 + 2 + 2  # both roles, but the flats only buy
    street.check_sound()
    street.check_settled()
    slots = {row.slot for row in street.contracts("buyer") if row.state == "SETTLED"}
    assert max(slots) - min(slots) >= 5 * SLOT_S


def test_without_a_gateway_contracts_are_still_delivered_and_paid(tmp_path: Path) -> None:
    hands = Hands(PLAN, 26, tmp_path)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(12.0)  # bought for the second slot
        await hands.lose_gateway()

    street = play(PLAN, 1.0, seed=26, wrap=hands, watch=watch)
    assert street.findings == ()
    assert {row.state for side in ("buyer", "seller") for row in street.contracts(side)} <= {"SETTLED", "EXPIRED"}
    assert len({row.slot for row in street.contracts("buyer")}) == 1
