"""Books that were put back are restored over real connections, as pods in a cluster do it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.operator.world import NOW
from tests.street.live import HttpWorld
from tests.world.manifests import households, utility
from wattmesh_common.clock import utc

SPEED = 60
SLOT_S = 900 / SPEED
START = utc(NOW)
STREET = (
    f"kind: BecknGateway\nmetadata: {{name: market}}\nspec: {{clock: {{start: '{START.isoformat()}', speed: {SPEED}}}}}"
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "load: {annualKwh: 6000}")
)


def test_a_volume_that_is_put_back_takes_over_what_its_household_has_signed_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database, copy = tmp_path / "agents" / "roof-0.db", tmp_path / "copy.db"

    async def main() -> None:
        async with HttpWorld(tmp_path, START + timedelta(seconds=900 * 8)) as world:
            world.apply(STREET)
            await world.come_up()
            await world.held.go_on(2 * SLOT_S)
            world.live["roof-0"].database.save(copy)
            await world.held.go_on(3 * SLOT_S)

            await world.kill("roof-0")
            with closing(sqlite3.connect(database)) as file:
                [(lost,)] = file.execute("SELECT count(*) FROM contracts WHERE slot >= ?", (NOW + 900 * 3,)).fetchall()
            database.with_name("roof-0.db-wal").unlink(missing_ok=True)
            copy.replace(database)
            await world.revive("roof-0")
            await world.held.go_on(5 * SLOT_S)

            assert lost > 0
            asked = [call for call in world.wire.calls if call.action == "evidence"]
            assert {call.status for call in asked} == {200}
            contracts = await world.finish()  # the audit finds nothing
            assert {row.state for row in contracts} == {"SETTLED"}

    asyncio.run(main())
    [told] = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "its books were older" in text]
    assert "flat-0" in told
