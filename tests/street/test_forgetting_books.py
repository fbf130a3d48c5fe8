"""Whoever is forgotten, in whatever order: what the others have adds up, and no trace is left."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.street.test_checkpoints import STREET as OVER_MIDNIGHT
from tests.street.test_forgetting import NAMES, STREET, audited, standings
from tests.world.street import saved
from wattmesh_agents.store import accounts, forgetting, journal
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.evidence import kept
from wattmesh_agents.store.retention import retire
from wattmesh_beckn.evidence import Proof, check
from wattmesh_cli.books import FORGOTTEN, Book
from wattmesh_cli.sqlite_books import read_books
from wattmesh_market.parties.party import standing_at

START = int(STREET.resource.spec.clock.start.timestamp())
HOURS = 6
PODS = (*NAMES, "utility")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory after six hours, in which everything is settled."""
    return saved(STREET, HOURS, tmp_path_factory.mktemp("traded"))


@pytest.fixture
def state(traded: Path, tmp_path: Path) -> Path:
    """A copy to forget in."""
    return copytree(traded, tmp_path / "state")


def forget(state: Path, name: str) -> tuple[Book, ...]:
    """The others' books once a household is gone, and forgotten."""
    for file in (state / "agents").glob(f"{name}.db*"):
        file.unlink()
    for path in sorted((state / "agents").glob("*.db")):
        with closing(Database.open(path)) as database:
            with database.transaction() as connection:
                forgetting.forget(connection, f"{name}.default", bytes(16))
            assert database.wipe()
            assert forgetting.count(database.connection, f"{name}.default") == []
        assert name.encode() not in path.read_bytes()
    return read_books(state)


def known(state: Path) -> Mapping[str, Any]:
    """What each party has traded and earned, as a new process knows it."""
    found = {}
    for path in sorted((state / "agents").glob("*.db")):
        with closing(Database.open(path)) as database:
            party = f"{path.stem}.default"
            books = journal.load(database.connection, party, START + HOURS * 3600, standing_at(START))
            booked = [one[1:] for one in accounts.totals(database.connection, party)]
            found[path.stem] = (books.totals, [sum(values) for values in zip(*booked, strict=True)])
    return found


@pytest.mark.parametrize(
    "names",
    [("sun-0", "flat-0"), ("flat-0", "sun-0"), ("roof-0", "sun-0", "sun-1"), ("flat-1", "flat-0", "roof-0"), NAMES],
)
def test_households_are_forgotten_one_after_the_other(names: tuple[str, ...], state: Path) -> None:
    for name in names:
        before = known(state)
        books = forget(state, name)
        after = audited(books)
        assert (after.findings, after.energy_sum_wh, after.amount_sum_micro) == ((), 0, 0)
        assert known(state) == {party: of for party, of in before.items() if party != name}


@pytest.mark.parametrize("name", ["roof-0", "sun-0", "flat-0"])
@pytest.mark.parametrize("whole_days_first", [True, False])
def test_books_that_are_deleted_for_their_age_stay_right(name: str, whole_days_first: bool, state: Path) -> None:
    def retired(hours: int) -> None:
        for path in sorted((state / "agents").glob("*.db")):
            with closing(Database.open(path)) as database, database.transaction() as connection:
                retire(connection, f"{path.stem}.default", START + hours * 3600)

    if whole_days_first:
        retired(3)
    before = known(state)
    forget(state, name)
    retired(4)
    assert known(state) == {party: of for party, of in before.items() if party != name}
    assert audited(read_books(state)).findings == ()


@pytest.mark.parametrize("table", ["ledger", "carried", "contracts"])
def test_what_is_edited_afterwards_is_found(table: str, state: Path) -> None:
    [flat] = [book for book in forget(state, "sun-0") if book.name == "flat-0"]
    assert FORGOTTEN in {entry.counterparty for entry in flat.ledger}
    column = {"ledger": "amount_micro", "carried": "amount_micro", "contracts": "settled_micro"}[table]
    pod = "utility" if table == "carried" else "flat-0"
    with closing(Database.open(state / "agents" / f"{pod}.db")) as database, database.transaction() as connection:
        changed = connection.execute(
            f"UPDATE {table} SET {column} = {column} - 1 WHERE counterparty = ?",  # noqa: S608
            (FORGOTTEN,),
        ).rowcount
    assert changed
    kinds = {finding.kind for finding in audited(read_books(state)).findings}
    expected = {
        "ledger": {"chain", "ledger-trade"},
        "contracts": {"contract-delivery", "ledger-trade"},
        "carried": {"chain"},
    }
    assert kinds == expected[table]


def test_a_contract_of_several_slots_stays_one(state: Path) -> None:
    path = state / "agents" / "flat-0.db"
    with closing(Database.open(path)) as database:
        with database.transaction() as connection:
            [(transaction,)] = connection.execute(
                "SELECT transaction_id FROM contracts WHERE counterparty = 'sun-0.default' AND delivered_wh LIMIT 1"
            )
            columns = [row[1] for row in connection.execute("PRAGMA table_info(contracts)")]
            for hours, to in ((9, "SETTLED"), (10, "CANCELLED")):
                changes = {"slot": str(START + hours * 3600), "state": f"'{to}'"}
                values = ", ".join(changes.get(name, name) for name in columns)
                of_contract = "transaction_id = ? AND counterparty = 'sun-0.default' LIMIT 1"
                copied = f"INSERT INTO contracts SELECT {values} FROM contracts WHERE {of_contract}"  # noqa: S608
                connection.execute(copied, (transaction,))
            forgetting.forget(connection, "sun-0.default", bytes(16))
        later = [row for row in journal.table_rows(database.connection, "contracts") if row["slot"] > START + 8 * 3600]
        [row] = later
        same = [
            one
            for one in journal.table_rows(database.connection, "contracts")
            if one["transaction_id"] == row["transaction_id"]
        ]
    assert (row["state"], row["counterparty"], row["order_id"]) == ("SETTLED", FORGOTTEN, None)
    assert len(same) == 2, "what was cancelled is nobody's any more"
    assert row["transaction_id"] != transaction


def test_balances_are_shown_as_before(state: Path) -> None:
    before = standings(read_books(state))
    after = standings(forget(state, "flat-0"))
    assert after == [row for row in before if row.party != "flat-0.default"]


def test_checkpoints_and_evidence_of_other_contracts_verify_as_before(tmp_path: Path) -> None:
    state = saved(OVER_MIDNIGHT, 4, tmp_path)

    def proofs() -> list[Proof]:
        """Of both sides of contracts with those that stay."""
        found = []
        for path in sorted((state / "agents").glob("*.db")):
            with closing(Database.open(path)) as database:
                found += [check(side) for side in kept(database.connection, "", "EUR")]
        return [
            one for one in found if {one.side.party, one.side.counterparty}.isdisjoint({"flat-0.default", FORGOTTEN})
        ]

    before = proofs()
    books = forget(state, "flat-0")
    assert proofs() == before
    assert any(entry.checkpoint is not None for one in before for entry in one.side.booked)
    result = audited(books)
    assert (result.findings, result.deliveries_with_forgotten > 0) == ((), True)
    signers = {one.signer for book in books for one in book.checkpoints}
    assert signers == {"roof-0.default", "flat-1.default", "utility.default"}
