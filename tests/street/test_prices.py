"""Pods go by the prices that their file says, as they are published, without a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Street, play
from wattmesh_cli.state import StateError
from wattmesh_cli.street.prices import require_prices_until
from wattmesh_cli.street.run import StreetRun
from wattmesh_operator.plan import GatewayPlan

START = datetime(2026, 6, 21, 6, tzinfo=UTC)


def publish(file: Path, *per_kwh: float) -> None:
    """Prices of each hour from the street's start on; at once, as a kubelet brings a changed file."""
    rows = [f"{(START + timedelta(hours=hour)).isoformat()},{price}\n" for hour, price in enumerate(per_kwh)]
    new = file.with_suffix(".new")
    new.write_text("slot,price_per_kwh\n" + "".join(rows))
    new.replace(file)


def plan_of(file: Path) -> GatewayPlan:
    flats = households("flat", "load: {annualKwh: 6000}", replicas=2)
    return planned(MARKET + utility(price="0", fees=f", series: {{csv: {file}}}") + flats)


def paid_per_kwh(street: Street, party: str) -> dict[int, set[float]]:
    """What a household has paid its utility for a kWh, by the hour since the start."""
    found: dict[int, set[float]] = {}
    for entry in street.ledger("backstop", party):
        if entry.energy_wh > 0:
            hour = int(entry.slot - START.timestamp()) // 3600
            found.setdefault(hour, set()).add(round(-entry.amount_micro / entry.energy_wh / 1000, 4))
    return found


def test_what_is_published_meanwhile_is_billed_from_its_slot_on(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    publish(file, 0.2, 0.3)

    async def watch(run: StreetRun) -> None:
        await run._ports.clock.sleep(90.0)  # an hour and a half of grid time
        publish(file, 0.2, 0.3, 0.5)

    street = play(plan_of(file), 3.0, seed=3, watch=watch)
    street.check_sound()
    street.check_settled()
    assert paid_per_kwh(street, "flat-0") == {0: {0.2}, 1: {0.3}, 2: {0.5}}


def test_beyond_the_end_the_last_prices_hold_and_the_log_says_so(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    publish(file, 0.2, 0.3)
    street = play(plan_of(file), 3.0, seed=3)
    street.check_sound()
    assert paid_per_kwh(street, "flat-0")[2] == {0.3}
    said = [record.getMessage() for record in street.log if "has no prices" in record.getMessage()]
    assert said == [f"{file} has no prices of this slot, those of its last day hold"] * 3, "once in each pod"


def test_a_run_with_an_end_needs_prices_until_then(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    publish(file, 0.2, 0.3)
    require_prices_until(plan_of(file), START + timedelta(hours=2))
    with pytest.raises(StateError, match=r"has prices until 2026-06-21 08:00, and the run ends 2026-06-21 08:15"):
        require_prices_until(plan_of(file), START + timedelta(hours=2, minutes=15))
    file.unlink()
    with pytest.raises(StateError, match=r"UtilityAgent utility: .*No such file"):
        require_prices_until(plan_of(file), START)
