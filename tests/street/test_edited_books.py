"""Two neighbours edit a contract of theirs in both databases alike: the audit finds that, and which entry and day."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from tests.street.test_checkpoints import DAY_S, MIDNIGHT, ROOF, STREET
from tests.world.street import saved
from wattmesh_beckn.signature import Signer
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.chain import Checkpoint, commitment, first_head, next_head

FLAT = "flat-0.default"
NEIGHBOURS = (ROOF, FLAT)
Deed = Callable[[sqlite3.Connection, str], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a street that has traded from two hours before midnight until an hour after it."""
    return saved(STREET, 3, tmp_path_factory.mktemp("honest"))


@pytest.fixture
def state(honest: Path, tmp_path: Path) -> Path:
    """A copy that may be edited."""
    return copytree(honest, tmp_path / "state")


def do(state: Path, *deeds: Deed, to: tuple[str, ...] = NEIGHBOURS) -> tuple[Finding, ...]:
    """Have each of the neighbours do it in its database; what the audit then finds."""
    for party in to:
        with closing(sqlite3.connect(state / "agents" / f"{party.partition('.')[0]}.db")) as file:
            for deed in deeds:
                deed(file, party)
            file.commit()
    return audit(read_books(state)).findings


def first_trade(file: sqlite3.Connection, party: str) -> tuple[str, int, int]:
    """Transaction, slot and number in the chain of the first that the neighbours have settled."""
    [other] = {*NEIGHBOURS} - {party}
    row: tuple[str, int, int] = file.execute(
        "SELECT chain.reference, chain.slot, chain.number FROM chain JOIN contracts USING (party, counterparty, slot) "
        "WHERE kind = 'trade' AND counterparty = ? AND transaction_id = reference AND state = 'SETTLED' "
        "ORDER BY chain.slot LIMIT 1",
        (other,),
    ).fetchone()
    return row


def cheaper(file: sqlite3.Connection, party: str) -> None:
    """The first trade was for a cent less, in contract and ledger."""
    transaction, slot, _ = first_trade(file, party)
    file.execute(
        "UPDATE contracts SET amount_micro = amount_micro - 10000, settled_micro = settled_micro - 10000 "
        "WHERE transaction_id = ?",
        (transaction,),
    )
    file.execute(
        "UPDATE ledger SET amount_micro = amount_micro - sign(amount_micro) * 10000 "
        "WHERE kind = 'trade' AND slot = ? AND reference = ?",
        (slot, transaction),
    )


def made_anew(file: sqlite3.Connection, party: str) -> None:
    """The chain is computed again over what the ledger says now."""
    [(account,)] = file.execute("SELECT account FROM accounts")
    head = first_head(party, account)
    rows = file.execute(
        "SELECT number, kind, slot, counterparty, reference, energy_wh, amount_micro, salt FROM chain "
        "JOIN ledger USING (party, kind, slot, counterparty, reference) ORDER BY number"
    ).fetchall()
    for number, *entry, salt in rows:
        head = next_head(head, commitment(entry, salt))
        file.execute("UPDATE chain SET head = ? WHERE number = ?", (head, number))


def signed_anew(heads: dict[tuple[str, int], str], signers: dict[str, Signer]) -> Deed:
    """The neighbours give each other new checkpoints, too."""

    def deed(file: sqlite3.Connection, _: str) -> None:
        for signer in NEIGHBOURS:
            found = file.execute("SELECT until, record FROM checkpoints WHERE signer = ?", (signer,)).fetchall()
            for until, record in found:
                said = Checkpoint.model_validate_json(record)
                new = said.model_copy(update={"head": heads[signer, said.number]}).model_dump_json()
                signature = signers[signer].sign(new.encode(), created=1, expires=2)
                file.execute(
                    "UPDATE checkpoints SET record = ?, signature = ? WHERE signer = ? AND until = ?",
                    (new, signature, signer, until),
                )

    return deed


def test_the_honest_books_are_right(honest: Path) -> None:
    books = read_books(honest)
    result = audit(books)
    assert result.findings == ()
    assert result.entries_chained == result.ledger_entries_checked > 20
    assert {one.until for book in books for one in book.checkpoints} == {MIDNIGHT}


def test_an_edit_on_both_sides_breaks_both_chains_at_its_entry(state: Path) -> None:
    findings = do(state, cheaper)
    # The checks of the books against each other see nothing.
    unchained = [replace(book, accounts=(), chain=(), checkpoints=()) for book in read_books(state)]
    assert audit(unchained).findings == ()
    for party in NEIGHBOURS:
        with closing(sqlite3.connect(state / "agents" / f"{party.partition('.')[0]}.db")) as file:
            transaction, slot, number = first_trade(file, party)
        [found] = [one for one in findings if one.party == party]
        assert (found.kind, found.slot, found.transaction_id) == ("chain", slot, transaction)
        assert f"entry {number} of its chain was another one when it was booked than now" in found.text
    assert len(findings) == 2


def test_a_chain_that_is_made_anew_differs_from_what_partners_keep(state: Path) -> None:
    findings = do(state, cheaper, made_anew)
    assert {(one.kind, one.party, one.slot) for one in findings} == {
        ("checkpoint", party, MIDNIGHT) for party in NEIGHBOURS
    }


def test_not_even_who_signs_anew_can_change_what_a_third_party_keeps(state: Path) -> None:
    do(state, cheaper, made_anew)
    heads = {(link.party, link.number): link.head for book in read_books(state) for link in book.chain}
    findings = do(state, signed_anew(heads, derived_signers(subscriber_ids(STREET), 1)))
    assert {(one.kind, one.party, one.slot) for one in findings} == {
        ("checkpoint", party, MIDNIGHT) for party in NEIGHBOURS
    }
    for one in findings:
        keepers = {FLAT: "utility.default", ROOF: "flat-1.default, utility.default"}[str(one.party)]
        assert "for the day until 2026-06-22 00:00 UTC is " in one.text
        assert one.text.endswith(f"kept by {keepers}: its ledger was changed after entry 0")


def drop_entry(file: sqlite3.Connection, party: str) -> None:
    transaction, _, _ = first_trade(file, party)
    file.execute("DELETE FROM ledger WHERE kind = 'trade' AND reference = ?", (transaction,))
    file.execute("DELETE FROM contracts WHERE transaction_id = ?", (transaction,))


def drop_link(file: sqlite3.Connection, party: str) -> None:
    _, _, number = first_trade(file, party)
    drop_entry(file, party)
    file.execute("DELETE FROM chain WHERE number = ?", (number,))


def slip_in(file: sqlite3.Connection, party: str) -> None:
    file.execute("INSERT INTO ledger VALUES (?, 'trade', 900, 'flat-1.default', 'x', 0, 0)", (party,))


def no_chain(file: sqlite3.Connection, _: str) -> None:
    file.execute("DELETE FROM chain")


def shorter(file: sqlite3.Connection, _: str) -> None:
    """All is deleted that was booked since noon of the day before."""
    file.execute("DELETE FROM ledger WHERE slot >= ?", (MIDNIGHT - DAY_S // 2,))
    file.execute("DELETE FROM chain")


def other_key(file: sqlite3.Connection, _: str) -> None:
    file.execute("UPDATE checkpoints SET public_key = 'AAAA' WHERE signer = ?", (FLAT,))


def other_record(file: sqlite3.Connection, _: str) -> None:
    file.execute("UPDATE checkpoints SET record = replace(record, 'number\":', 'number\":1') WHERE signer = ?", (FLAT,))


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        (drop_entry, "chain", f"trade with {FLAT}, is not in the ledger any more"),
        (drop_link, "chain", "entries were taken out of it"),
        (slip_in, "chain", "entry of trade with flat-1.default is not in its chain"),
        (no_chain, "chain", "has no chain over its "),
        (shorter, "checkpoint", "but its chain ends with entry 0"),
        (other_key, "checkpoint", f"the checkpoint of {FLAT} that it keeps has a wrong signature"),
        (other_record, "checkpoint", f"the checkpoint of {FLAT} that it keeps has a wrong signature"),
    ],
)
def test_whatever_else_is_done_to_a_ledger_or_its_chain_is_told(deed: Deed, kind: str, text: str, state: Path) -> None:
    findings = [one for one in do(state, deed, to=(ROOF,)) if one.kind in ("chain", "checkpoint")]
    assert any(one.party == ROOF and one.kind == kind and text in one.text for one in findings), findings


def test_an_entry_that_goes_with_its_commitment_kept_is_one_too_many(state: Path) -> None:
    """The chain stays whole, but it says of no deletion."""

    def delete(file: sqlite3.Connection, party: str) -> None:
        _, slot, number = first_trade(file, party)
        [(*entry, salt)] = file.execute(
            "SELECT kind, slot, counterparty, reference, energy_wh, amount_micro, salt FROM chain JOIN ledger "
            "USING (party, kind, slot, counterparty, reference) WHERE number = ?",
            (number,),
        )
        file.execute("DELETE FROM ledger WHERE kind = 'trade' AND slot = ? AND reference = ?", (slot, entry[3]))
        file.execute(
            "UPDATE chain SET kind = NULL, slot = NULL, counterparty = NULL, reference = NULL, salt = NULL, "
            "commitment = ? WHERE number = ?",
            (commitment(entry, salt), number),
        )

    findings = [one for one in do(state, delete) if one.kind in ("chain", "checkpoint")]
    assert {one.party for one in findings} == {*NEIGHBOURS}
    assert {one.text for one in findings} == {"1 entries of its chain are deleted, and it does not say why"}
