"""Who edits what is left of deleted rows is found: sums carried forward, slots with readings that were forgotten, and
that entries were deleted at all. Nobody else's books say it, so only the chain can.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest

from tests.street.test_forgetting import STREET
from tests.street.test_forgetting_books import START, forget
from tests.world.street import saved
from wattmesh_agents.store.chain import SignedCheckpoint, keep_checkpoint
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.deletions import seal
from wattmesh_agents.store.retention import retire
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.books import FORGOTTEN
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.chain import Checkpoint, commitment

UTILITY, FLAT = "utility.default", "flat-1.default"
FORMER, LATER = "sun-0", "flat-0"
Deed = Callable[[sqlite3.Connection], None]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books in which a household was forgotten, and then two hours went for their age."""
    state = saved(STREET, 6, tmp_path_factory.mktemp("earlier"))
    forget(state, FORMER)
    for path in sorted((state / "agents").glob("*.db")):
        with closing(Database.open(path)) as database, database.transaction() as connection:
            retire(connection, f"{path.stem}.default", START + 7200)
    return state


@pytest.fixture(scope="module")
def honest(earlier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """… and then another household was forgotten."""
    state = copytree(earlier, tmp_path_factory.mktemp("honest") / "state")
    forget(state, LATER)
    return state


@pytest.fixture
def state(honest: Path, tmp_path: Path) -> Path:
    """A copy that may be edited."""
    return copytree(honest, tmp_path / "state")


def found_in(state: Path) -> tuple[Finding, ...]:
    books = read_books(state)
    return audit(books, frozenset(party.party for book in books for party in book.parties)).findings


def after(state: Path, *deeds: Deed, pod: str = "utility") -> tuple[Finding, ...]:
    """What the audit finds once somebody has done this to a pod's database."""
    with closing(sqlite3.connect(state / "agents" / f"{pod}.db")) as file:
        for deed in deeds:
            deed(file)
        file.commit()
    return found_in(state)


def says(sql: str) -> Deed:
    """Something is changed by SQL, in one row or more."""

    def deed(file: sqlite3.Connection) -> None:
        assert file.execute(sql).rowcount > 0

    return deed


def test_the_honest_books_are_right(earlier: Path, honest: Path) -> None:
    assert found_in(earlier) == found_in(honest) == ()
    [utility] = [book for book in read_books(honest) if book.name == "utility"]
    sums = {one.kind: one.entries for one in utility.carried if one.counterparty == FORGOTTEN}
    assert {"backstop", "shared"} <= sums.keys()
    assert max(one.forgotten for one in utility.closings) == 2
    assert all(one.number for book in read_books(honest) for one in book.carried)


@pytest.mark.parametrize("column", ["entries", "received_wh", "given_wh", "amount_micro", "until"])
def test_a_sum_of_who_was_forgotten_is_not_edited_unseen(column: str, state: Path) -> None:
    where = f"counterparty = '{FORGOTTEN}' AND kind = 'backstop'"
    [found] = after(state, says(f"UPDATE carried SET {column} = {column} + 1 WHERE {where}"))  # noqa: S608
    assert (found.kind, found.party) == ("chain", UTILITY)
    assert f"the sum of backstop with {FORGOTTEN} carried forward was another one when entry " in found.text


def test_a_slot_is_not_said_unseen_to_have_been_closed_with_who_was_forgotten(tmp_path: Path) -> None:
    """Shares of such a slot cannot be recomputed: a utility that shared as it liked would have it of all its slots."""
    edit = says("UPDATE closings SET forgotten = 1 WHERE NOT forgotten")
    plain = saved(STREET, 2, tmp_path)
    findings = after(plain, edit)
    assert findings
    assert {(one.kind, one.party) for one in findings} == {("chain", UTILITY)}
    assert all(
        "closed this slot with 1 readings that were forgotten is not in its chain" in one.text for one in findings
    )


@pytest.mark.parametrize("change", ["forgotten = forgotten + 1", "price_micro = price_micro + 1", "number = NULL"])
def test_nor_is_one_edited_that_was(change: str, state: Path) -> None:
    slot = "(SELECT max(slot) FROM closings WHERE forgotten = 2 AND price_micro IS NOT NULL)"
    [found] = after(state, says(f"UPDATE closings SET {change} WHERE slot = {slot}"))  # noqa: S608
    assert (found.kind, found.party) == ("chain", UTILITY)
    assert found.slot is not None
    assert "readings that were forgotten" in found.text


def taken_out(file: sqlite3.Connection) -> None:
    says("DELETE FROM carried WHERE kind = 'shared'")(file)


def slipped_in(file: sqlite3.Connection) -> None:
    row = (UTILITY, "flat-9.default", "trade", 0, 9, 9, 9, 9, None, None)
    file.execute("INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def entry_of_another(file: sqlite3.Connection) -> None:
    says("UPDATE carried SET number = (SELECT max(number) FROM carried) WHERE kind = 'shared'")(file)


def nothing_said(file: sqlite3.Connection) -> None:
    says("DELETE FROM deletions")(file)


def something_else_said(file: sqlite3.Connection) -> None:
    says("UPDATE deletions SET without_entry = without_entry + 1")(file)


def nonsense_said(file: sqlite3.Connection) -> None:
    says("UPDATE deletions SET sums = '[[]]'")(file)


def secretly_deleted(file: sqlite3.Connection) -> None:
    """An entry goes as if it were too old, with its commitment kept."""
    [(number, salt, *entry)] = file.execute(
        "SELECT number, salt, kind, slot, counterparty, reference, energy_wh, amount_micro FROM chain "
        "JOIN ledger USING (party, kind, slot, counterparty, reference) ORDER BY number DESC LIMIT 1"
    )
    file.execute("DELETE FROM ledger WHERE (kind, slot, counterparty, reference) = (?, ?, ?, ?)", entry[:4])
    file.execute(
        "UPDATE chain SET kind = NULL, slot = NULL, counterparty = NULL, reference = NULL, salt = NULL, "
        "commitment = ? WHERE number = ?",
        (commitment(entry, salt), number),
    )


@pytest.mark.parametrize(
    ("deed", "text"),
    [
        (taken_out, "of its chain commits to is not carried forward"),
        (slipped_in, "the sum of trade with flat-9.default carried forward is not in its chain"),
        (entry_of_another, "carried forward was another one when entry "),
        (nothing_said, "entries of its chain are deleted, and it does not say why"),
        (something_else_said, "what it says of deleted entries was something else when entry "),
        (nonsense_said, "what it says of deleted entries was something else when entry "),
        (secretly_deleted, "for their age or with a household"),
    ],
)
def test_whatever_else_is_done_to_what_is_left_is_told(deed: Deed, text: str, state: Path) -> None:
    findings = [one for one in after(state, deed) if one.kind == "chain"]
    assert any(one.party == UTILITY and text in one.text for one in findings), findings


def test_an_older_sum_is_not_put_back_unseen(earlier: Path, state: Path) -> None:
    """With its salt it is what an entry of the chain commits to, but no longer one that holds."""
    with closing(sqlite3.connect(earlier / "agents" / "utility.db")) as file:
        [former] = file.execute("SELECT * FROM carried WHERE counterparty = ? AND kind = 'backstop'", (FORGOTTEN,))

    def put_back(file: sqlite3.Connection) -> None:
        file.execute("INSERT OR REPLACE INTO carried VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", former)

    def as_said_then(file: sqlite3.Connection) -> None:
        with closing(sqlite3.connect(earlier / "agents" / "utility.db")) as before:
            [row] = before.execute("SELECT * FROM deletions")
            sums = before.execute("SELECT * FROM carried").fetchall()
        file.execute("INSERT OR REPLACE INTO deletions VALUES (?, ?, ?, ?, ?)", row)
        file.execute("DELETE FROM carried")
        file.executemany("INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", sums)

    texts = [one.text for one in after(state, put_back)]
    assert any(f"backstop with {FORGOTTEN} carried forward is an older one" in text for text in texts), texts
    texts = [one.text for one in after(state, as_said_then) if one.kind == "chain"]
    assert any("entries of its chain are deleted, but " in text for text in texts), texts


def test_who_makes_the_chain_anew_differs_from_what_a_neighbour_keeps_signed(state: Path) -> None:
    signer = derived_signers(subscriber_ids(STREET), 1)[UTILITY]
    with closing(Database.open(state / "agents" / "utility.db")) as database:
        [(account,)] = database.connection.execute("SELECT account FROM accounts")
        [(number, head)] = database.connection.execute("SELECT number, head FROM chain ORDER BY number DESC LIMIT 1")
    said = Checkpoint(party=UTILITY, account=account, until=START + 86_400, number=number, head=head.hex())
    body = said.model_dump_json()
    signed = SignedCheckpoint(said, body, signer.sign(body.encode(), created=1, expires=2), signer.public_key)
    with closing(Database.open(state / "agents" / "flat-1.db")) as database, database.transaction() as connection:
        keep_checkpoint(connection, FLAT, signed)
    assert found_in(state) == ()

    with closing(Database.open(state / "agents" / "utility.db")) as database, database.transaction() as connection:
        last = connection.execute("SELECT number FROM carried ORDER BY number").fetchall()[0][0]
        connection.execute("UPDATE carried SET amount_micro = amount_micro + 1, number = NULL, salt = NULL")
        connection.execute("UPDATE closings SET number = NULL, salt = NULL WHERE number >= ?", (last,))
        connection.execute("DELETE FROM chain WHERE number >= ?", (last,))
        connection.execute("DELETE FROM deletions")
        seal(connection, UTILITY, 1)
    findings = found_in(state)
    assert ("checkpoint", UTILITY) in {(one.kind, one.party) for one in findings}
    assert {one.kind for one in findings} <= {"checkpoint", "chain", "carried"}
