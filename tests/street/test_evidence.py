"""What a household can prove of its contracts to who has nothing but the evidence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.agents.store.older import write_version_3
from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.evidence import kept
from wattmesh_beckn.evidence import Evidence, SideOfContract, check
from wattmesh_beckn.signature import Signer
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_market.trade.contracts import ContractState

STORE = "battery: {capacityKwh: 10, initialKwh: 9, powerKw: 5}, trading: {sellAbovePercent: 50, sellPrice: 0.10}"
LOAD = "load: {annualKwh: 9000}"
STREET = planned(MARKET + utility() + households("store", STORE) + households("flat", LOAD))


@pytest.fixture(scope="module")
def run() -> Iterator[StreetRun]:
    """A street after two hours of trade over signed messages."""
    until = STREET.resource.spec.clock.start + timedelta(hours=2)
    done = simulate(lambda: run_in_memory(STREET, until, seed=1))
    yield done
    done.close()


def all_sides(run: StreetRun) -> list[SideOfContract]:
    return [side for pod in run.pods.values() for side in kept(pod.database.connection, "", "EUR")]


@pytest.fixture
def bought(run: StreetRun) -> SideOfContract:
    """What a flat holds of a purchase that is settled."""
    return next(
        side
        for side in all_sides(run)
        if side.side == "buyer" and all(one.state is ContractState.SETTLED for one in side.deliveries)
    )


def changed(side: SideOfContract, change: Callable[[Any], None]) -> SideOfContract:
    """The same, after somebody has edited the file."""
    raw = json.loads(Evidence(sides=(side,)).model_dump_json())
    change(raw["sides"][0])
    return Evidence.model_validate_json(json.dumps(raw)).sides[0]


def test_both_sides_of_every_contract_that_was_agreed_can_prove_all_of_it(run: StreetRun) -> None:
    proofs = [check(side) for side in all_sides(run) if any(one.state in SIGNED for one in side.deliveries)]
    assert {proof.side.side for proof in proofs} == {"buyer", "seller"}
    assert len(proofs) > 8
    for proof in proofs:
        assert proof.sound, proof
        [key] = proof.keys
        assert key.subscriber_id == proof.side.counterparty
    settled = [one for proof in proofs for one in proof.deliveries if one.claim.state is ContractState.SETTLED]
    assert all(one.paid for one in settled)
    # Only the seller can say what it delivered, and only the buyer needs it to.
    assert {proof.side.side for proof in proofs for one in proof.deliveries if one.delivered} == {"buyer"}


SIGNED = (ContractState.CONFIRMED, ContractState.DELIVERED, ContractState.SETTLED)


@pytest.mark.parametrize("field", ["energy_wh", "amount_micro", "slot"])
def test_who_edits_its_own_books_has_no_evidence_for_them(field: str, bought: SideOfContract) -> None:
    def edit(side: Any) -> None:
        side["deliveries"][0][field] += 900

    [first, *_] = check(changed(bought, edit)).deliveries
    assert not first.agreed
    assert not first.whole


def test_more_delivered_or_paid_than_was_said_is_not_signed(bought: SideOfContract) -> None:
    def edit(side: Any) -> None:
        side["deliveries"][0]["delivered_wh"] -= 1
        side["deliveries"][0]["settled_micro"] -= 1

    [first, *_] = check(changed(bought, edit)).deliveries
    assert (first.agreed, first.delivered, first.paid) == (True, False, False)


def other_price(side: Any) -> None:
    for message in side["messages"]:
        message["body"] = message["body"].replace('"order"', '"order" ')


def forged_key(side: Any) -> None:
    """Signed anew with a key of the forger's own, that is not the registry's."""
    forger = Signer.from_seed(side["counterparty"], side["messages"][0]["registry_entry"]["key_id"], bytes(32))
    for message in side["messages"]:
        created = int(message["received_ms"] / 1000)
        message["authorization"] = forger.sign(message["body"].encode(), created=created, expires=created + 60)


def another_sender(side: Any) -> None:
    side["counterparty"] = "somebody.default"


def ended_entry(side: Any) -> None:
    for message in side["messages"]:
        message["registry_entry"]["valid_until"] = message["registry_entry"]["valid_from"]


def another_transaction(side: Any) -> None:
    side["transaction_id"] = "00000000-0000-4000-8000-000000000000"


def another_keeper(side: Any) -> None:
    side["party"] = "somebody.default"


@pytest.mark.parametrize(
    ("forge", "text"),
    [
        (other_price, "wrong signature"),
        (forged_key, "wrong signature"),
        (another_sender, "not by 'somebody.default'"),
        (ended_entry, "did not hold when it was signed"),
        (another_transaction, "it is about another transaction"),
        (another_keeper, "it is not between"),
    ],
)
def test_a_message_that_is_not_the_counterpartys_proves_nothing(
    forge: Callable[[Any], None], text: str, bought: SideOfContract
) -> None:
    proof = check(changed(bought, forge))
    assert len(proof.problems) == len(bought.messages)
    assert all(text in problem for problem in proof.problems)
    assert not any(one.agreed for one in proof.deliveries)
    assert not proof.sound
    assert not proof.keys


# --- the ledger entry in its chain ---


@pytest.fixture(scope="module")
def past_midnight() -> Iterator[StreetRun]:
    """A street of two hours before midnight until an hour after it."""
    street = planned(
        MARKET.replace("06:00:00Z", "22:00:00Z") + utility() + households("store", STORE) + households("flat", LOAD)
    )
    until = street.resource.spec.clock.start + timedelta(hours=3)
    done = simulate(lambda: run_in_memory(street, until, seed=1))
    yield done
    done.close()


@pytest.fixture
def both(past_midnight: StreetRun) -> list[SideOfContract]:
    """Both sides of the first contract of that evening that has more than one entry of the day after it."""
    sides = [side for side in all_sides(past_midnight) if len(side.booked) == 1 and len(side.booked[0].path) > 1]
    first = next(side for side in sides if side.side == "buyer" and side.party.startswith("flat"))
    return [side for side in sides if side.transaction_id == first.transaction_id]


def test_a_ledger_entry_is_shown_to_be_in_the_chain_that_its_keeper_has_signed(both: list[SideOfContract]) -> None:
    assert len(both) == 2
    for side in both:
        proof = check(side, both)
        assert proof.sound
        [chained] = proof.chained
        assert chained.checkpoint.until % 86_400 == 0
        assert chained.checkpoint.party == side.party
        assert chained.kept_by == (side.counterparty,)
        assert check(side).chained[0].kept_by == ()


def test_what_was_booked_since_the_last_midnight_is_in_no_checkpoint_yet(past_midnight: StreetRun) -> None:
    since = [side for side in all_sides(past_midnight) if any(one.checkpoint is None for one in side.booked)]
    assert since
    for side in since:
        proof = check(side)
        assert proof.sound
        assert proof.chained == ()


def other_entry(side: Any) -> None:
    """Entry and claim are edited alike."""
    side["booked"][0]["amount_micro"] += 1000
    side["deliveries"][0]["settled_micro"] -= 1000


def other_claim(side: Any) -> None:
    side["deliveries"][0]["settled_micro"] -= 1000


def other_salt(side: Any) -> None:
    side["booked"][0]["salt"] = "00" * 16


def other_place(side: Any) -> None:
    side["booked"][0]["number"] += 1


def shorter_path(side: Any) -> None:
    del side["booked"][0]["path"][-1]


def other_head(side: Any) -> None:
    checkpoint = side["booked"][0]["checkpoint"]
    checkpoint["body"] = checkpoint["body"].replace('"head":"', '"head": "')


def others_checkpoint(side: Any) -> None:
    side["booked"][0]["checkpoint"] = side["kept"][0]


def no_checkpoint(side: Any) -> None:
    side["booked"][0]["checkpoint"]["body"] = "{}"
    signer = Signer.from_seed(side["party"], "00000000-0000-4000-8000-000000000000", bytes(32))
    side["booked"][0]["checkpoint"]["public_key"] = signer.public_key
    side["booked"][0]["checkpoint"]["authorization"] = signer.sign(b"{}", created=1, expires=2)


@pytest.mark.parametrize(
    ("forge", "text"),
    [
        (other_entry, "it is not in the chain that was signed"),
        (other_claim, "it is not what is claimed of the delivery"),
        (other_salt, "it is not in the chain that was signed"),
        (other_place, "it is not in the chain that was signed"),
        (shorter_path, "it is not in the chain that was signed"),
        (other_head, "wrong signature"),
        (others_checkpoint, "its checkpoint is signed by 'store-0.default', not by 'flat-0.default'"),
        (no_checkpoint, "Field required"),
    ],
)
def test_an_entry_that_is_not_what_was_chained_proves_nothing(
    forge: Callable[[Any], None], text: str, both: list[SideOfContract]
) -> None:
    flat = next(side for side in both if side.side == "buyer")
    proof = check(changed(flat, forge))
    assert any(problem.startswith("ledger entry ") and text in problem for problem in proof.problems), proof.problems
    assert proof.chained == ()
    assert not proof.sound


def test_who_signed_another_head_for_its_partner_is_found_out(both: list[SideOfContract]) -> None:
    flat, store = both if both[0].side == "buyer" else both[::-1]
    signer = Signer.from_seed(flat.party, "00000000-0000-4000-8000-000000000000", bytes(32))

    def equivocate(side: Any) -> None:
        said = json.loads(side["kept"][0]["body"])
        body = json.dumps({**said, "head": "0" * 64})
        authorization = signer.sign(body.encode(), created=1, expires=2)
        side["kept"][0] = {"body": body, "authorization": authorization, "public_key": signer.public_key}

    proof = check(flat, [flat, changed(store, equivocate)])
    assert "store-0.default keeps another checkpoint of the day until 2026-06-22" in proof.problems[0]


def test_a_message_takes_little_room(run: StreetRun) -> None:
    sizes = [
        size
        for pod in run.pods.values()
        for (size,) in pod.database.connection.execute("SELECT length(signed) FROM evidence")
    ]
    assert sum(sizes) / len(sizes) < 600


def test_only_what_moves_a_contract_on_is_kept(run: StreetRun) -> None:
    """So who repeats itself fills no disk."""
    for side in all_sides(run):
        actions = [message.action for message in side.messages]
        confirmed = "confirm" if side.side == "seller" else "on_confirm"
        assert actions.count(confirmed) == any(one.state in SIGNED for one in side.deliveries)
        assert len(actions) <= 1 + 2 * len(side.deliveries)


def test_it_goes_with_its_contract(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path / "agents.db")) as database:
        connection = database.connection
        columns = (
            "party, side, transaction_id, counterparty, slot, item_id, energy_wh, amount_micro, fee_micro, state, "
        )
        columns += "expires_ms, created_ms, updated_ms, in_doubt"
        with database.transaction():
            for slot in (900, 1800):
                values = ("a", "buyer", "t", "b", slot, "i", 1, 1, 0, "EXPIRED", 0, 0, 0, 0)
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO contracts ({columns}) VALUES ({marks})", values)  # noqa: S608
            connection.execute("INSERT INTO evidence VALUES ('a', 't', 'b', 'on_status', 0, x'')")
        left = []
        for slot in (900, 1800):
            with database.transaction():
                connection.execute("DELETE FROM contracts WHERE slot = ?", (slot,))
            left.append(connection.execute("SELECT count(*) FROM evidence").fetchone()[0])
        assert left == [1, 0]


def test_a_journal_of_before_has_none_and_keeps_it_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "roof-0.db"
    write_version_3("roof-0", path)
    with closing(Database.open(path)) as database, closing(Database.open(tmp_path / "new.db")) as new:
        sides = kept(database.connection, "", "EUR")
        assert sides
        assert not any(side.messages for side in sides)
        assert _schema(database.connection) == _schema(new.connection)


def _schema(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE name LIKE 'evidence%' ORDER BY name"
    ).fetchall()
