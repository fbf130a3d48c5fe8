"""A real street's history as the live page shows it: read from the books, and the same numbers as `wattmesh kpis`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import books_of
from wattmesh_agents import history
from wattmesh_agents.history import history_page, slot_page
from wattmesh_agents.pod import Pod
from wattmesh_cli.alone import alone
from wattmesh_cli.kpi import ALL_SLOTS, Kpis, collect, kpis
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.terms import terms_of
from wattmesh_common.pod_pages import HistoryPage, HistoryRow, SlotPage
from wattmesh_gateway.live.history import History
from wattmesh_market.energy.slots import SLOT_S

STREET = planned(
    MARKET
    + utility(fees=", gridFee: 0.07, localGridFee: 0.03")
    + households(
        "roof", "pv: {peakKw: 8}, battery: {capacityKwh: 5, initialKwh: 3}, trading: {sellAbovePercent: 50}", replicas=2
    )
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
START = int(STREET.resource.spec.clock.start.timestamp())
HOURS = 8


@dataclass(frozen=True)
class Told:
    """Each pod's history, all of the last slot, and the KPIs of the books. `in_parts` is
    the same history, asked for ten slots at a time."""

    pages: dict[str, HistoryPage]
    slot: list[SlotPage]
    in_parts: list[list[HistoryRow]]
    kpis: Kpis


@pytest.fixture(scope="module")
def told() -> Told:
    def parts(pod: Pod) -> list[HistoryRow]:
        page = history_page(pod, 0)
        rows = list(page.feeders.get("main", ()))
        while page.more:
            page = history_page(pod, page.until)
            rows += page.feeders["main"]
        return rows

    async def run() -> StreetRun:
        return await run_in_memory(STREET, STREET.resource.spec.clock.start + timedelta(hours=HOURS))

    street = simulate(run)
    pages = {name: history_page(pod, 0) for name, pod in street.pods.items()}
    slot = [slot_page(pod, START + 16 * SLOT_S) for pod in street.pods.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "MOST_HISTORY_SLOTS", 10)
        in_parts = [parts(pod) for pod in street.pods.values()]
    books, terms = books_of(street), terms_of(STREET)
    street.close()
    return Told(pages, slot, in_parts, kpis(books, terms.prices, alone(collect(books), terms.battery, ALL_SLOTS)))


def test_the_sums_of_all_slots_are_those_of_the_kpis(told: Told) -> None:
    summed = History()
    for pod, page in told.pages.items():
        summed.wanted(pod, START)
        summed.learn(pod, page, frozenset({"main"}))
    rows = summed.rows("main")
    assert len(rows) == HOURS * 4
    assert {(row.households, row.unbooked) for row in rows[:-2]} == {(4, 0)}
    energy, money = told.kpis.community.energy, told.kpis.community.money
    # The start is in the morning, so the day so far is all there is.
    today = summed.today("main", 7200)
    assert today is not None
    assert (today["pv_wh"], today["load_wh"], today["used_pv_wh"]) == (energy.pv_wh, energy.load_wh, energy.used_pv_wh)
    assert today["local_wh"] == energy.local_wh > 0
    assert today["saved_micro"] == money.no_market_savings_micro > 0


def test_a_pod_tells_no_more_at_once_than_two_days_and_the_rest_when_it_is_asked_from_there(told: Told) -> None:
    assert told.in_parts == [list(page.feeders.get("main", ())) for page in told.pages.values()]


def test_a_slot_has_its_readings_and_both_sides_of_its_contracts(told: Told) -> None:
    readings = {name: reading for page in told.slot for name, reading in page.readings.items()}
    assert {name.partition(".")[0] for name in readings} == {"roof-0", "roof-1", "flat-0", "flat-1"}
    contracts = [contract for page in told.slot for contract in page.contracts]
    assert contracts
    assert {contract.slot for contract in contracts} == {START + 16 * SLOT_S}
    sides = {(contract.transaction_id, contract.party, contract.counterparty) for contract in contracts}
    assert {(name, other, party) for name, party, other in sides} == sides, "each contract is told from both sides"
