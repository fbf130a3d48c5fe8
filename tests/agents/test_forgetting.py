"""A pod in small forgets a household: what is held or waits, what is in memory, and readers of the database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.agents.test_correcting import FLAT, SLOT, holder
from tests.world.parties import GRID
from tests.world.pod import Node
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.journal import table_rows, write
from wattmesh_common.forget import FORGOTTEN
from wattmesh_market.parties.books import Changes
from wattmesh_market.trade.ledger import Held, HeldState, Reported, ReportState
from wattmesh_market.trade.refusal import Refused

NEWER = SLOT + 900
SALT = bytes(16)


def put(node: Node, *, held: HeldState | None = None, state: ReportState | None = None) -> None:
    """Another reading of the household at a utility."""
    changes = Changes()
    if held is not None:
        changes.held[NEWER, FLAT] = Held(NEWER, FLAT, "t-2", 60_000, 0, 0, held)
    if state is not None:
        changes.reported[NEWER, FLAT] = Reported(NEWER, FLAT, "t-2", 300, 0, 0, True, state)
    with node.database.transaction("before") as connection:
        write(connection, GRID, "utility", changes)


def test_what_was_held_estimated_and_corrected_goes_with_its_sums_kept() -> None:
    node = holder()
    node.restart()
    node.driver.correct(node.member, FLAT, SLOT, 100)
    assert node.driver.store.outbox.waiting
    earned_micro = node.party.books.totals.balance_micro
    gone = node.driver.deletions.forget_household(FLAT, SALT, lost=True)
    assert {(one.party, one.kind) for one in gone} >= {(GRID, "held readings"), (GRID, "readings")}
    assert (node.party.books.held, node.party.books.reported, node.party.books.supplied) == ({}, {}, {})
    assert node.driver.store.outbox.waiting == {}
    [sums] = table_rows(node.database.connection, "carried")
    assert (sums["counterparty"], sums["kind"], sums["entries"], sums["until"]) == (
        FORGOTTEN,
        "backstop",
        2,
        SLOT + 900,
    )
    assert (sums["received_wh"], sums["given_wh"], sums["amount_micro"]) == (200, 300, 111_000 - 74_000)
    node.restart()
    assert node.party.books.totals.balance_micro == earned_micro == 111_000 - 74_000
    assert node.driver.deletions.forget_household(FLAT, SALT, lost=False) == []


@pytest.mark.parametrize(
    ("held", "state", "why"),
    [
        (HeldState.HELD, None, "has readings of it held for a person: 1"),
        (None, ReportState.WAITING, "has readings of it to price: 1"),
        (None, ReportState.ALONE, "waits for its last word on a reading"),
    ],
)
def test_what_is_not_finished_is_finished_first(held: HeldState | None, state: ReportState | None, why: str) -> None:
    node = holder()
    row = (GRID, FLAT, "account", NEWER + 900, 1, 300, -111_000, "", "", "")
    with node.database.transaction("closing") as connection:
        connection.execute("INSERT INTO closing_records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    put(node, held=held, state=state)
    with pytest.raises(Refused, match=why):
        node.driver.deletions.forget_household(FLAT, SALT, lost=False)
    assert len(table_rows(node.database.connection, "ledger")) == 1


def test_who_was_forgotten_is_not_forgotten_again() -> None:
    node = holder()
    node.driver.deletions.forget_household(FLAT, SALT, lost=True)
    before = table_rows(node.database.connection, "carried")
    with pytest.raises(Refused, match="forgotten cannot be forgotten yet: that is the name of those who were"):
        node.driver.deletions.forget_household(FORGOTTEN, SALT, lost=True)
    assert table_rows(node.database.connection, "carried") == before != []


def test_its_last_word_is_not_waited_for_where_it_is_lost() -> None:
    node = holder()
    put(node, state=ReportState.ALONE)
    node.driver.deletions.forget_household(FLAT, SALT, lost=True)
    assert table_rows(node.database.connection, "reported") == []


def test_who_reads_meanwhile_keeps_what_was_in_the_files_until_it_is_wiped_again(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    with closing(Database.open(path)) as database:
        with database.transaction() as connection:
            connection.execute("INSERT INTO peers VALUES ('flat-0.default', 'http://flat-0', 1, 'v1')")
        with database.view():
            with database.transaction() as connection:
                connection.execute("DELETE FROM peers")
            assert not database.wipe()
        assert database.wipe()
        files = [path, tmp_path / "pod.db-wal"]
        assert [file.name for file in files if b"flat-0" in file.read_bytes()] == []
