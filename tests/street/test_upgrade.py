"""A street whose pods come back as a newer version, on the journals that the older one left amid trade."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agents.store.older import VERSION_3, write_version_3
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, play
from wattmesh_cli.street.run import StreetRun

SEED = 7
"""Version 3 ran with it, so the keys are the same."""
AMID_S = 54.0
"""Wall seconds from the start: where it was stopped."""


@pytest.mark.parametrize("strategy", ["rules", "plan"])
def test_what_was_promised_before_an_upgrade_is_delivered_and_paid_after_it(tmp_path: Path, strategy: str) -> None:
    roof = "battery: {capacityKwh: 10, initialKwh: 9, dischargeEfficiencyPercent: 93}, pv: {peakKw: 2}"
    plan = planned(
        MARKET.replace("T06:00", "T10:00")
        + utility(fees=", localGridFee: 0.01")
        + households("roof", f"{roof}, load: {{annualKwh: 3000}}, strategy: {strategy}")
        + households("flat", f"load: {{annualKwh: 6000}}, strategy: {strategy}")
    )
    hands = Hands(plan, SEED, tmp_path)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(AMID_S)
        for pod in run.pods:
            await hands.kill(pod)
        for file in VERSION_3.glob("*.sql"):
            write_version_3(file.stem, tmp_path / f"{file.stem}.db")
        for pod in run.pods:
            hands.revive(pod)

    street = play(plan, 2.25, seed=SEED, wrap=hands, watch=watch)
    street.check_sound()
    street.check_settled()
    sold = street.contracts("seller", "roof-0")
    assert [(one.energy_wh, one.delivered_wh) for one in sold[:4]] == [(wh, wh) for wh in (177, 181, 185, 189)]
    assert len(sold) > 4, "it trades on"
    on_the_sun = [row["slot"] for row in street.rows["roof-0"]["contracts"] if row["sun_wh"]]
    assert bool(on_the_sun) == (strategy == "plan")
    assert all(slot > sold[3].slot for slot in on_the_sun)
