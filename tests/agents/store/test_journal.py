"""What a party's books take up again from the journal."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.world.clocks import StillClock
from tests.world.parties import EPOCH_S, FIRST_SLOT, SLOT_WALL_S, Weather, household
from tests.world.pod import Node
from wattmesh_agents.store import journal
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.devices.flexible import DeviceReading
from wattmesh_market.energy.profiles import Pv
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import REMEMBERED_S, Books, Standing
from wattmesh_market.parties.party import standing_at
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Reading, ReadingState

ROOF, SLOT = "roof-0.default", 1_782_000_000
LONG_AFTER = SLOT + REMEMBERED_S + SLOT_S
FIRST = standing_at(SLOT)


def test_what_was_sold_in_a_slot_is_taken_up_until_its_reading_is_booked() -> None:
    sold = Delivery(SLOT, f"energy-{SLOT}", 500, 90_000, 10_000, ContractState.SETTLED, 500, 90_000)
    contract = Contract(ROOF, Side.SELLER, "t-1", "flat-0.default", (sold,), 0, 0, 0, "o-1")
    reading = Reading(SLOT, Metered(0, 0, 0, 0, 0, 500, 0, 0, 0), 0, ReadingState.FINAL)
    database = Database.open(IN_MEMORY)

    def write(found: Reading) -> Books:
        books = Books(FIRST)
        books.stand(standing_at(LONG_AFTER))
        books.put(contract)
        books.read(found)
        with database.transaction() as connection:
            journal.write(connection, ROOF, "household", books.changes)
        return journal.load(database.connection, ROOF, LONG_AFTER, FIRST)

    assert write(reading).of_slot(Side.SELLER, SLOT) == [(contract, sold)]
    assert write(reading._replace(state=ReadingState.BOOKED)).of_slot(Side.SELLER, SLOT) == []
    database.close()


def test_all_of_a_reading_a_promise_and_a_standing_comes_back(tmp_path: Path) -> None:
    """Each number is another one, so that none can stand in another's place."""
    metered = Metered._make((*range(301, 310), 306, 999_999))
    car = DeviceReading("ev", SLOT, SLOT + 4 * SLOT_S, 501, 502, 503, 504, 505, 506, 507)
    devices = (car, DeviceReading("dryer", 0, 900, 508, 0, 509))
    reading = Reading(SLOT, metered, 400, ReadingState.FINAL, local_micro=123_456, stored_micro=-7, devices=devices)
    delivery = Delivery(SLOT, f"energy-{SLOT}", 500, 90_000, 10_000, ContractState.CONFIRMED, sun_wh=470)
    contract = Contract(ROOF, Side.SELLER, "t-1", "flat-0.default", (delivery,), 1, 2, 3, "o-1")
    standing = Standing(400, 300, 302, SLOT, SLOT + SLOT_S, buying=True, carried_uwh=999_999, vehicle_wh=299)
    path = tmp_path / "pod.db"
    with closing(Database.open(path)) as database, database.transaction() as connection:
        books = Books(standing)
        books.stand(standing)
        books.put(contract)
        books.read(reading)
        journal.write(connection, ROOF, "household", books.changes)
    with closing(Database.open(path)) as database:
        again = journal.load(database.connection, ROOF, SLOT + SLOT_S, FIRST)
    assert (again.standing, again.readings, again.contracts) == (standing, {SLOT: reading}, {contract.key: contract})
    assert [(one.energy_wh, one.sun_wh, one.stored_wh) for one in again.promises(Side.SELLER)] == [(500, 470, 30)]


def test_a_restart_remembers_what_a_plan_has_learned_of_the_day_before() -> None:
    clock = StillClock(EPOCH_S)
    node = Node(
        household("panels", price_micro=0, strategy="plan", pv=(Pv(5000, 48.1, 11.6),)), clock, Weather(600, 100)
    )
    for number in range(1, 110):
        clock.now = EPOCH_S + number * SLOT_WALL_S
        node.open_slot()
    learned = {slot: one.local_micro for slot, one in node.party.books.readings.items()}
    # Who has to feed in asks less from slot to slot, until its neighbours take what it has.
    early, late = learned[FIRST_SLOT + 20 * SLOT_S], learned[FIRST_SLOT + 108 * SLOT_S]
    assert 80_000 <= late < early < 300_000
    coming = range(node.now.slot + SLOT_S, node.now.slot + 40 * SLOT_S, SLOT_S)
    asks = [node.party.price_micro_per_kwh(slot) for slot in coming]
    assert len({*asks}) > 1
    node.restart()
    assert {slot: one.local_micro for slot, one in node.party.books.readings.items()} == learned
    assert [node.party.price_micro_per_kwh(slot) for slot in coming] == asks


def test_a_new_party_is_still_to_be_written() -> None:
    database = Database.open(IN_MEMORY)
    books = journal.load(database.connection, ROOF, SLOT, FIRST)
    assert books.changes.standing == FIRST
    with database.transaction() as connection:
        journal.write(connection, ROOF, "household", books.changes)
    again = journal.load(database.connection, ROOF, SLOT, standing_at(LONG_AFTER))
    assert (again.standing, again.changes.stored) == (FIRST, False)
    database.close()
