"""A household that is asked to drain settles, closes its account with a signed record, and leaves clean books."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, Street, play
from wattmesh_agents.store.database import Database
from wattmesh_beckn.client import Nacked, read_answer
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import Reply
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.closing import ClosingRecord
from wattmesh_common.drain import DrainAnswer, DrainCall
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.plan import GatewayPlan

PLAN = planned(
    MARKET
    + utility(fees=", localGridFee: 0.01")
    + households(
        "roof", "battery: {capacityKwh: 100, initialKwh: 95, powerKw: 2}, load: {annualKwh: 3000}, strategy: rules"
    )
    + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2)
)
ROOF = "roof-0.default"
Work = Callable[[Hands], Awaitable[None]]


def played(folder: Path, work: Work, hours: float = 2.0, plan: GatewayPlan = PLAN) -> Street:
    """A street whose pods take the registrar's word, as in a cluster, and what is done to it."""
    hands = Hands(plan, 7, folder)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)
        registrar = hands.signers[REGISTRAR]
        for name in [*run.pods]:
            await hands.kill(name)
            config = run.pods[name].config
            run.pods[name].config = config.model_copy(
                update={"registrar_keys": {registrar.key_id: registrar.public_key}}
            )
            hands.revive(name)
        await hands.clock.sleep(40.0)  # two slots and more are traded
        await work(hands)

    return play(plan, hours, seed=7, wrap=hands, watch=watch)


async def drain(hands: Hands, name: str, *, draining: bool = True) -> DrainAnswer:
    """What the operator asks of a household."""
    call = DrainCall(subscriber_id=f"{name}.default", message_id=str(uuid.uuid4()), draining=draining)
    reply = await post(hands, REGISTRAR, f"http://{name}/{name}/drain", call.model_dump_json())
    return DrainAnswer.model_validate_json(reply.body)


async def post(hands: Hands, signer: str, url: str, body: str) -> Reply:
    now = int(hands.clock.wall())
    signature = hands.signers[signer].sign(body.encode(), created=now, expires=now + 30)
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    return await hands.transport.post(url, body.encode(), headers, timeout_s=5.0)


async def until_closed(hands: Hands, name: str) -> None:
    for _ in range(60):
        if (await drain(hands, name)).closed:
            return
        await hands.clock.sleep(2.0)
    raise AssertionError(f"{name} does not close its account")


def test_who_drains_settles_and_closes_and_the_audit_of_the_others_is_clean(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        assert (await drain(hands, "roof-0")).closed is False
        await until_closed(hands, "roof-0")

    street = played(tmp_path, work)
    left = next(book for book in street.books if book.name == "roof-0")
    stay = [book for book in street.books if book.name != "roof-0"]
    assert {row.state for row in left.contracts if row.side == "seller"} <= {"SETTLED", "EXPIRED", "CANCELLED"}
    assert {row.state for row in left.readings} == {"booked"}
    held = {one.party: one for book in stay for one in book.closing_records}
    assert {*held} == {"utility.default", "flat-0.default", "flat-1.default"}
    for party, record in held.items():
        mine = [row for row in left.ledger if row.counterparty == party]
        assert (record.entries, record.energy_wh, record.amount_micro) == (
            len(mine),
            sum(row.energy_wh for row in mine),
            sum(row.amount_micro for row in mine),
        )
    declared = frozenset(party.party for book in stay for party in book.parties)
    assert audit(stay, declared).findings == ()


@pytest.mark.parametrize("name", ["roof-0", "flat-0"])
def test_made_again_under_its_name_it_is_a_new_party_and_the_books_are_clean(tmp_path: Path, name: str) -> None:
    async def work(hands: Hands) -> None:
        await until_closed(hands, name)
        await hands.kill(name)
        new_ledger(hands, name)
        hands.revive(name)

    street = played(tmp_path, work, hours=4.0)
    again = next(book for book in street.books if book.name == name)
    [account] = again.accounts
    assert {one.account for book in street.books for one in book.closing_records}.isdisjoint({account.account})
    traded = [row for row in again.contracts if row.state == "SETTLED"]
    assert traded, "the new household does not trade"
    result = audit(street.books)
    assert result.findings == ()
    assert result.deliveries_with_departed > 0


def test_a_lost_ledger_is_one_finding_with_the_money_at_stake(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        await hands.kill("roof-0")
        with closing(sqlite3.connect(hands._files["roof-0"])) as file:
            before.extend(
                file.execute("SELECT kind, slot, energy_wh, amount_micro FROM ledger WHERE party = ?", (ROOF,))
            )
        for other in hands._run.pods.keys() - {"roof-0"}:  # of what it has signed nobody has kept anything
            with hands._run.pods[other].database.transaction("test") as connection:
                connection.execute("DELETE FROM evidence")
        new_ledger(hands, "roof-0")
        hands.revive("roof-0")

    before: list[tuple[str, int, int, int]] = []
    street = played(tmp_path, work)
    again = next(party for book in street.books for party in book.parties if party.party == ROOF)
    # What had been reported was priced after the loss.
    priced_since = [
        (-one.energy_wh, -one.amount_micro)
        for book in street.books
        for one in book.ledger
        if (one.party, one.counterparty) == ("utility.default", ROOF)
        and one.slot < again.first_slot
        and (one.kind, one.slot) not in {row[:2] for row in before}
    ]
    assert before
    assert priced_since
    assert {row.state for book in street.books for row in book.readings} == {"booked"}
    [finding] = audit(street.books).findings
    energy_wh, amount_micro = (sum(values) for values in zip(*(row[2:] for row in before), *priced_since, strict=True))
    assert (finding.kind, finding.party) == ("ledger-lost", ROOF)
    assert f"{energy_wh:+d} Wh and {amount_micro:+d} millionths booked there are at stake" in finding.text


def test_who_is_called_back_trades_on_with_the_ledger_it_had(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        await until_closed(hands, "roof-0")
        sold.append(len(hands._run.pods["roof-0"].parties["roof-0"].books.contracts))
        await hands.clock.sleep(30.0)
        assert (await drain(hands, "roof-0", draining=False)).closed is False

    sold: list[int] = []
    street = played(tmp_path, work, hours=4.0)
    street.check_sound()
    assert len(street.contracts("seller", "roof-0")) > sold[0]


async def _forged(hands: Hands, signer: str, **changes: object) -> Reply:
    record = ClosingRecord(
        party=ROOF, account=str(uuid.UUID(int=1)), counterparty="flat-0.default", until=900, entries=1, energy_wh=0,
        amount_micro=0,
    )  # fmt: skip
    body = json.dumps(record.model_dump() | changes)
    return await post(hands, signer, "http://flat-0/flat-0/close", body)


@pytest.mark.parametrize(
    ("signer", "changes", "status", "text"),
    [
        ("flat-1.default", {}, 401, "signed by 'flat-1.default' but party is 'roof-0.default'"),
        (ROOF, {"counterparty": "flat-1.default"}, 400, "counterparty is 'flat-1.default'"),
        (ROOF, {"entries": "1"}, 400, "entries: "),
        ("flat-1.default", {"party": "flat-1.default"}, 200, "nothing is booked with you here"),
    ],
)
def test_a_record_that_is_not_of_its_sender_is_not_kept(
    tmp_path: Path, signer: str, changes: dict[str, object], status: int, text: str
) -> None:
    async def work(hands: Hands) -> None:
        reply = await _forged(hands, signer, **changes)
        answer = read_answer(reply)
        assert isinstance(answer, Nacked)
        assert reply.status == status
        assert text in answer.message

    street = played(tmp_path, work, hours=1.0)
    assert not any(book.closing_records for book in street.books)


def test_what_a_record_says_is_compared_with_what_is_booked(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        await until_closed(hands, "roof-0")

    street = played(tmp_path, work)
    stay = [book for book in street.books if book.name != "roof-0"]
    declared = frozenset(party.party for book in stay for party in book.parties)
    flat = next(book for book in stay if book.name == "flat-0")
    [record] = flat.closing_records

    def found(**changes: object) -> list[str]:
        changed: Book = replace(flat, closing_records=(replace(record, **changes),))  # type: ignore[arg-type]
        result = audit([changed if book is flat else book for book in stay], declared)
        assert {finding.kind for finding in result.findings} <= {"closing-record"}
        return [finding.text for finding in result.findings]

    assert found() == []
    assert any("closed its account with" in text for text in found(amount_micro=record.amount_micro + 1))
    assert found(public_key="AAAA") == [f"that of {ROOF} has a wrong signature"]


def new_ledger(hands: Hands, name: str) -> None:
    """An empty volume in place of the pod's."""
    hands._files[name] = hands.folder / f"{name}-new.db"
    Database.open(hands._files[name], salt="another").close()
