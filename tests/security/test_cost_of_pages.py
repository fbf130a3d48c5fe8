"""What anybody may ask for as often as it likes costs the same however long the books are."""

from __future__ import annotations

import httpx

from tests.security.partners import PRICE_OF_ROOF_MICRO, bought, played
from tests.street.puppet import Puppet
from wattmesh_agents.app import create_app
from wattmesh_market.energy.slots import SLOT_S


def test_status_and_metrics_read_no_row_of_the_ledger() -> None:
    """Totals run along with the bookings; before, each call summed every entry there was."""
    asked: dict[str, tuple[int, list[str]]] = {}

    async def work(puppet: Puppet) -> None:
        await puppet.until_slot(puppet.slot, 0.05)
        await bought(puppet, "00000000-0000-4000-8000-000000000001")
        await puppet.until_slot(puppet.next_slot + SLOT_S, 0.5)
        pod = puppet.run.pods["roof-0"]
        connection = pod.database.connection
        entries, earned_micro = connection.execute("SELECT count(*), sum(amount_micro) FROM ledger").fetchone()
        assert entries
        transport = httpx.ASGITransport(create_app(pod))
        async with httpx.AsyncClient(transport=transport, base_url="http://roof-0") as client:
            for page in ("/status", "/roof-0/status", "/metrics"):
                statements: list[str] = []
                connection.set_trace_callback(statements.append)
                answer = await client.get(page)
                connection.set_trace_callback(None)
                asked[page] = answer.status_code, statements
            [status] = (await client.get("/status")).json()
        assert status["balance_micro"] == earned_micro

    played(work, energy_wh=-500, amount_micro=PRICE_OF_ROOF_MICRO // 2)
    assert asked == {page: (200, []) for page in ("/status", "/roof-0/status", "/metrics")}
