"""A household that has left is forgotten: nothing tells of it any more, and the books of the others stay right."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.street.test_closing import new_ledger, played, post, until_closed
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Hands, Street, books_of
from wattmesh_agents.pod import Pod
from wattmesh_agents.store import forgetting, journal
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_beckn.client import Nacked, read_answer
from wattmesh_beckn.transport import Reply
from wattmesh_cli.audit import AuditResult, audit
from wattmesh_cli.books import Book
from wattmesh_cli.status import PartyStatus, status_of
from wattmesh_common.forget import FORGOTTEN, ForgetAnswer, ForgetCall
from wattmesh_common.runtime import REGISTRAR
from wattmesh_market.parties.books import Books

STREET = planned(
    MARKET
    + utility(fees=", localGridFee: 0.01, gridFee: 0.05", more=", sharing: {}")
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 9, powerKw: 1}, strategy: rules")
    + households(
        "sun",
        "pv: {peakKw: 9}, load: {annualKwh: 3000}, battery: {capacityKwh: 5, initialKwh: 1, powerKw: 2}",
        replicas=2,
    )
    + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2)
)
NAMES = ("roof-0", "sun-0", "sun-1", "flat-0", "flat-1")


@dataclass
class Seen:
    """What was there before, and what is left of it."""

    before: tuple[Book, ...] = ()
    after: tuple[Book, ...] = ()
    answers: dict[str, ForgetAnswer] = field(default_factory=dict)
    again: dict[str, ForgetAnswer] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    later: Street | None = None


async def call(hands: Hands, pod: str, household: str, **more: bool) -> Reply:
    """What the registrar tells a pod to forget."""
    asked = ForgetCall(
        subscriber_id=f"{pod}.default", message_id=str(uuid.uuid4()), household=f"{household}.default", **more
    )
    return await post(hands, REGISTRAR, f"http://{pod}/{pod}/forget", asked.model_dump_json())


async def forgotten(hands: Hands, household: str) -> dict[str, ForgetAnswer]:
    """Every pod that there is forgets a household."""
    answers = {pod: await call(hands, pod, household) for pod in hands._run.pods}
    assert {pod: reply.status for pod, reply in answers.items()} == dict.fromkeys(answers, 200), answers
    return {pod: ForgetAnswer.model_validate_json(reply.body) for pod, reply in answers.items()}


async def take_down(hands: Hands, name: str) -> None:
    """What the operator does with a household that has closed its account."""
    await until_closed(hands, name)
    await hands.kill(name)
    del hands._run.pods[name]


def others(hands: Hands) -> tuple[Book, ...]:
    return books_of(hands._run)


def in_files(hands: Hands, pod: str) -> bytes:
    path = hands._files[pod]
    return b"".join(Path(f"{path}{end}").read_bytes() for end in ("", "-wal") if Path(f"{path}{end}").exists())


@pytest.fixture(scope="module", params=NAMES)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Seen]:
    """A household that traded, shared and left, and what every pod says and keeps when it is forgotten."""
    name, found = str(request.param), Seen()

    async def work(hands: Hands) -> None:
        await hands.clock.sleep(90.0)
        await take_down(hands, name)
        await hands.clock.sleep(30.0)
        found.before = others(hands)
        found.answers = await forgotten(hands, name)
        found.after = others(hands)
        for pod in hands._run.pods.values():
            check_memory(pod)
        found.again = await forgotten(hands, name)
        assert others(hands) == found.after
        found.files = {pod: in_files(hands, pod) for pod in hands._run.pods}

    found.later = played(tmp_path_factory.mktemp(name), work, 5.0, STREET)
    return name, found


def check_memory(pod: Pod) -> None:
    """What is in memory is what a new process would load."""
    for party in pod.parties.values():
        loaded = journal.load(pod.database.connection, party.id, party.now.slot, party.books.standing)
        assert stored(party.books) == stored(loaded)


def stored(books: Books) -> dict[str, object]:
    passing = {"purchases", "selections", "published", "_repeated", "version", "_promises", "changes"}
    bounds = {"first_expiry_ms"}
    supplied = {key: set(entries) for key, entries in books.supplied.items()}
    kept = {name: value for name, value in vars(books).items() if name not in passing | bounds}
    return kept | {"supplied": supplied}


def audited(books: tuple[Book, ...]) -> AuditResult:
    return audit(books, frozenset(party.party for book in books for party in book.parties))


def standings(books: tuple[Book, ...]) -> list[PartyStatus]:
    return status_of(books, str)


def test_the_others_books_stay_right_and_their_sums_as_they_were(seen: tuple[str, Seen]) -> None:
    _, found = seen
    before, after = audited(found.before), audited(found.after)
    assert (before.findings, after.findings) == ((), ())
    assert (after.energy_sum_wh, after.amount_sum_micro) == (0, 0)
    assert standings(found.after) == standings(found.before)
    assert [book.readings for book in found.after] == [book.readings for book in found.before]
    assert audit(found.after).findings == (), "without knowing who is declared, too"


def test_nothing_tells_of_it_any_more_in_rows_or_in_the_files_bytes(seen: tuple[str, Seen]) -> None:
    name, found = seen
    party = f"{name}.default"
    contracts = [row for book in found.before for row in book.contracts if row.counterparty == party]
    ids = {row.transaction_id for row in contracts if row.state == "SETTLED"}
    kept = {row.transaction_id for book in found.after for row in book.contracts if row.counterparty != FORGOTTEN}
    orders = {row.order_id for row in contracts} - {None}
    assert contracts
    traces = [name, *(ids - kept), *(order for order in orders if order)]
    for pod, content in found.files.items():
        assert [trace for trace in traces if trace.encode() in content] == [], pod
        assert all(answer.wiped for answer in found.answers.values())


def test_a_neighbour_keeps_how_much_and_when_but_not_with_whom(seen: tuple[str, Seen]) -> None:
    name, found = seen
    party = f"{name}.default"

    def traded(books: Iterable[Book], counterparty: str) -> list[tuple[object, ...]]:
        return sorted(
            (row.party, row.slot, row.side, row.delivered_wh, row.settled_micro)
            for book in books
            for row in book.contracts
            if row.counterparty == counterparty and row.state == "SETTLED" and book.name != "utility"
        )

    assert traded(found.after, FORGOTTEN) == traded(found.before, party) != []
    assert {row.order_id for book in found.after for row in book.contracts if row.counterparty == FORGOTTEN} == {None}


def test_a_utility_keeps_sums_only(seen: tuple[str, Seen]) -> None:
    name, found = seen
    [before] = [book for book in found.before if book.name == "utility"]
    [after] = [book for book in found.after if book.name == "utility"]
    mine = [entry for entry in before.ledger if entry.counterparty == f"{name}.default"]
    assert ("shared" in {entry.kind for entry in mine}) == (name != "roof-0"), "which lives of its battery"
    assert {one.counterparty for one in after.carried} == {FORGOTTEN}
    assert sum(one.entries for one in after.carried) == len(mine)
    assert sum(one.amount_micro for one in after.carried) == sum(entry.amount_micro for entry in mine)
    assert FORGOTTEN not in {entry.counterparty for entry in after.ledger}
    assert len(after.reported) < len(before.reported)
    assert audited(found.after).closings_with_forgotten > 0


def test_the_chain_keeps_every_hash(seen: tuple[str, Seen]) -> None:
    _, found = seen
    for before, after in zip(found.before, found.after, strict=True):
        heads = [link.head for link in before.chain]
        assert [link.head for link in after.chain][: len(heads)] == heads
    assert any(link.salt is None for book in found.after for link in book.chain)


def test_forgotten_again_nothing_is_left_to_go(seen: tuple[str, Seen]) -> None:
    _, found = seen
    assert sum(bool(answer.rows) for answer in found.answers.values()) >= 3
    assert {answer.rows for answer in found.again.values()} == {()}


def test_the_others_trade_on(seen: tuple[str, Seen]) -> None:
    _, found = seen
    assert found.later is not None
    assert not any(found.later.faults.values())
    assert audited(found.later.books).findings == ()
    assert sum(len(book.contracts) for book in found.later.books) > sum(len(book.contracts) for book in found.after)


def refused(reply: Reply) -> str:
    answer = read_answer(reply)
    assert isinstance(answer, Nacked)
    return answer.message


def test_only_who_has_left_and_settled_is_forgotten(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        assert "flat-0.default lives here; delete its SolarAgent" in refused(await call(hands, "flat-0", "flat-0"))
        await hands.clock.sleep(45.0)
        early = refused(await call(hands, "utility", "flat-0"))
        assert "utility.default has no closing record of all that is booked with it" in early
        assert "readings of it to price" in early
        assert "it is a utility" in refused(await call(hands, "flat-0", "utility"))
        asked = ForgetCall(subscriber_id="utility.default", message_id=str(uuid.uuid4()), household="flat-0.default")
        forged = await post(hands, "flat-0.default", "http://utility/utility/forget", asked.model_dump_json())
        assert forged.status == 401
        await take_down(hands, "flat-0")
        before = others(hands)
        counted = await call(hands, "utility", "flat-0", only_count=True)
        assert ForgetAnswer.model_validate_json(counted.body).rows
        assert others(hands) == before

    played(tmp_path, work, 2.0, STREET)


def test_who_lost_its_books_is_forgotten_when_that_is_said(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        await take_down(hands, "flat-0")
        with hands._run.pods["utility"].database.transaction("test") as connection:
            connection.execute("DELETE FROM closing_records")
        assert "no closing record" in refused(await call(hands, "utility", "flat-0"))
        assert (await call(hands, "utility", "flat-0", lost=True)).status == 200

    played(tmp_path, work, 2.0, STREET)


def test_who_comes_again_under_its_name_is_another_household(tmp_path: Path) -> None:
    async def work(hands: Hands) -> None:
        await hands.clock.sleep(45.0)
        pod = hands._run.pods["flat-0"]
        await take_down(hands, "flat-0")
        await forgotten(hands, "flat-0")
        hands._run.pods["flat-0"] = pod
        new_ledger(hands, "flat-0")
        hands.revive("flat-0")
        assert "lives here" in refused(await call(hands, "flat-0", "flat-0"))

    street = played(tmp_path, work, 4.0, STREET)
    assert audited(street.books).findings == ()
    [flat] = [book for book in street.books if book.name == "flat-0"]
    assert {row.state for row in flat.contracts} & {"SETTLED"}
    assert audited(street.books).deliveries_with_forgotten > 0


def test_every_table_is_thought_of() -> None:
    with closing(Database.open(IN_MEMORY)) as database:
        tables = [row[0] for row in database.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {
            table: {row[1] for row in database.connection.execute(f"PRAGMA table_info({table})")} for table in tables
        }
    own = {table for table, names in columns.items() if "party" in names}
    naming = {"counterparty", "household", "signer", "recipient", "sender"}
    assert own == set(forgetting._OWN.values())
    assert {table for table, names in columns.items() if names & naming} == {
        *(table for table, _ in forgetting._NAMED.values()),
        "chain",
    }
