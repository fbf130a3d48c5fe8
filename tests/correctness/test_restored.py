"""Books that were put back from an old copy, or deleted, come out right by what partners hold signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, Street, play
from wattmesh_cli.street.run import StreetRun

FULL = "battery: {capacityKwh: 10, initialKwh: 9.5, powerKw: 4}, trading: {sellAbovePercent: 50, sellPrice: 0.10}"
LOW = "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 3}, load: {annualKwh: 2000}, strategy: rules"
STREET = (
    MARKET
    + utility(fees=", gridFee: 0.05, localGridFee: 0.02", more=", demandResponse: {startAtPercent: 1, maxPrice: 0.30}")
    + households("store", FULL + ", pv: {peakKw: 2}, strategy: rules", replicas=2)
    + households("low", LOW)
    + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2)
    + households("roof", "pv: {peakKw: 5}, load: {annualKwh: 2000}")
)
PLAN = planned(STREET)
SLOT_WALL_S = 15.0


def restored(
    folder: Path, name: str, *, old: bool, seed: int = 1, copied_s: float = 40.0, lost_s: float = 95.0, away_s: float = 3.0
) -> Street:
    """A street of three hours in which a pod's database is put back, or deleted, in the middle."""
    hands = Hands(PLAN, seed, folder)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        await hands.clock.sleep(copied_s)
        copy = hands.copy(name)
        await hands.clock.sleep(lost_s - copied_s)
        await hands.kill(name)
        hands.put_back(name, copy if old else None)
        await hands.clock.sleep(away_s)
        hands.revive(name)

    return play(PLAN, 3.0, seed=seed, wrap=hands, watch=watch)


NAMES = ["roof-0", "store-0", "low-0", "flat-0", "utility"]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("old", [True, False], ids=["old", "deleted"])
@pytest.mark.parametrize("name", NAMES)
def test_restored_books_are_right(tmp_path: Path, name: str, old: bool, seed: int) -> None:
    street = restored(tmp_path, name, old=old, seed=seed)
    for line in street.told(name):
        if "books" in line: print(line)
    print([r.getMessage() for r in street.log if r.levelname == "WARNING"][:10])
    for one in street.findings: print(one)
    print(len(street.findings), [ (r.slot, r.state) for r in (street.readings(name) if name!="utility" else []) if r.state!="booked"])
    street.check_sound()
    street.check_settled()
