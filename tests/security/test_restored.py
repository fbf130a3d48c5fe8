"""A party whose books were put back takes over what its own key has signed, and nothing else, whoever tells it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.correctness.test_restored import restored
from tests.security.arena import arena
from tests.world.street import Street
from wattmesh_agents import restoring
from wattmesh_agents.store.evidence import signed_by
from wattmesh_beckn.evidence import SignedMessage
from wattmesh_beckn.signature import Signer

STORE, LIAR, OTHER = "store-0.default", "flat-0.default", "low-0.default"
Page = tuple[list[SignedMessage], int | None]
Lie = Callable[[sqlite3.Connection, SignedMessage], SignedMessage]


def altered(_: sqlite3.Connection, message: SignedMessage) -> SignedMessage:
    """Another energy, price and slot under the same signature."""
    return message.model_copy(update={"body": message.body.replace('"value":"0.', '"value":"9.')})


def signed_anew(_: sqlite3.Connection, message: SignedMessage) -> SignedMessage:
    """Signed with a key of the liar's own, under the name and key id of the party that lost its books."""
    entry = message.registry_entry
    forger = Signer.from_seed(STORE, entry.key_id, bytes(32))
    created = int(message.received_ms / 1000)
    authorization = forger.sign(message.body.encode(), created=created, expires=created + 60)
    return message.model_copy(
        update={
            "authorization": authorization,
            "registry_entry": entry.model_copy(update={"signing_public_key": forger.public_key}),
        }
    )


def with_a_key_of_its_own(_: sqlite3.Connection, message: SignedMessage) -> SignedMessage:
    """The same with a key id that the registry has never had."""
    entry = message.registry_entry.model_copy(update={"key_id": "00000000-0000-4000-8000-000000000000"})
    forger = Signer.from_seed(STORE, entry.key_id, bytes(32))
    created = int(message.received_ms / 1000)
    authorization = forger.sign(message.body.encode(), created=created, expires=created + 60)
    entry = entry.model_copy(update={"signing_public_key": forger.public_key})
    return message.model_copy(update={"authorization": authorization, "registry_entry": entry})


def unsigned(_: sqlite3.Connection, message: SignedMessage) -> SignedMessage:
    """Without a signature."""
    return message.model_copy(update={"authorization": ""})


def of_another_message(connection: sqlite3.Connection, message: SignedMessage) -> SignedMessage:
    """With the signature of another message."""
    found, _ = signed_by(connection, LIAR, STORE, 0, 0, 100)
    other = next(one for one in found if one.body != message.body)
    return message.model_copy(update={"authorization": other.authorization})


LIES: tuple[Lie, ...] = (altered, signed_anew, with_a_key_of_its_own, unsigned, of_another_message)


def told_by_a_liar(monkeypatch: pytest.MonkeyPatch, folder: Path, lie: Callable[..., Page]) -> Street:
    """A store's books are put back; of its partners, one lies about what it holds."""

    def answer(connection: sqlite3.Connection, party: str, asker: str, *page: int) -> Page:
        found = signed_by(connection, party, asker, *page)
        return lie(connection, *found) if (party, asker) == (LIAR, STORE) else found

    monkeypatch.setattr(restoring, "signed_by", answer)
    return restored(folder, "store-0", old=True)


def partners(street: Street, party: str) -> set[str]:
    """With whom a party has settled contracts for the slots between copy and loss."""
    return {row.counterparty for row in street.contracts("seller", party) if row.state == "SETTLED"}


def check_nothing_is_believed(street: Street, holder: str) -> None:
    """Whatever stands in the books that were put back, its partner has it, too, and by the same terms."""
    bought = {
        (row.transaction_id, row.party, row.slot, row.energy_wh, row.amount_micro) for row in street.contracts("buyer")
    }
    sold = street.contracts("seller", holder)
    assert {(row.transaction_id, row.counterparty, row.slot, row.energy_wh, row.amount_micro) for row in sold} <= bought
    assert not any(street.faults.values())
    assert [record.getMessage() for record in street.log if record.exc_info] == []


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_what_its_key_has_not_signed_is_not_taken_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lie: Lie
) -> None:
    street = told_by_a_liar(monkeypatch, tmp_path, lambda db, found, after: ([lie(db, one) for one in found], after))

    check_nothing_is_believed(street, "store-0")
    assert any("flat-0.default holds what is not its word" in record.getMessage() for record in street.log)
    # What the liar has is named, with what is at stake; what the others hold is taken over.
    lost = [one for one in street.findings if one.kind == "contract-states"]
    assert {one.party for one in lost} == {LIAR}
    assert any("no such contract" in one.text and "millionths are at stake" in one.text for one in lost)
    assert OTHER in partners(street, "store-0")


def test_what_it_has_signed_for_somebody_else_is_not_taken_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The same street a second time: what the one flat was told is held by the other, too.
    others: list[SignedMessage] = []

    def listen(connection: sqlite3.Connection, party: str, asker: str, *page: int) -> Page:
        found = signed_by(connection, party, asker, *page)
        if (party, asker) == (OTHER, STORE):
            others.extend(found[0])
        return found

    monkeypatch.setattr(restoring, "signed_by", listen)
    (tmp_path / "heard").mkdir()
    restored(tmp_path / "heard", "store-0", old=True)
    assert {"on_confirm", "on_status"} <= {one.action for one in others}

    street = told_by_a_liar(monkeypatch, tmp_path, lambda _, found, after: ([*found, *others], after))

    street.check_sound()
    street.check_settled()
    assert any("it is not between" in record.getMessage() for record in street.log)


def test_nobody_gets_anybody_elses_word(tmp_path: Path) -> None:
    async def main() -> None:
        async with arena(tmp_path) as street:
            await street.pass_time(60)
            roof, me = street.signers["roof-0.default"], street.puppet.me

            async def asked(by: Signer, party: str, counterparty: str = "utility.default") -> tuple[int, int]:
                """The status of the answer, and how many messages it brought."""
                call = {"party": party, "counterparty": counterparty, "since_ms": 0}
                body = json.dumps(call).encode()
                headers = street.puppet.signed(body, by)
                reply = await street.wires.post("http://utility/utility/evidence", body, headers, timeout_s=5.0)
                return reply.status, len(json.loads(reply.body).get("messages", ()))

            before = street.books()
            status, number = await asked(roof, roof.subscriber_id)
            assert status == 200
            assert number > 0
            assert await asked(me, roof.subscriber_id) == (401, 0)
            assert await asked(me, me.subscriber_id) == (200, 0)
            assert await asked(roof, roof.subscriber_id, me.subscriber_id) == (400, 0)
            assert street.books() == before

    asyncio.run(main())
