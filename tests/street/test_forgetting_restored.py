"""Books that are restored from a copy of before a household was forgotten name it again: that is told, and mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.street.test_closing import played
from tests.street.test_forgetting import (
    STREET,
    audited,
    call,
    check_memory,
    forgotten,
    in_files,
    others,
    refused,
    take_down,
)
from tests.world.street import Hands
from wattmesh_cli.audit import Finding
from wattmesh_cli.books import FORGOTTEN, Book

LEFT = "flat-0"


def named(books: tuple[Book, ...]) -> set[str]:
    """Who stands in ledgers."""
    return {entry.counterparty for book in books for entry in book.ledger}


@pytest.mark.parametrize("pod", ["utility", "roof-0"])
def test_a_forgetting_is_repeated_where_books_were_restored(pod: str, tmp_path: Path) -> None:
    found: list[tuple[Finding, ...]] = []

    async def work(hands: Hands) -> None:
        await hands.clock.sleep(90.0)
        await take_down(hands, LEFT)
        copy = hands.copy(pod)
        await hands.clock.sleep(30.0)
        await forgotten(hands, LEFT)
        assert audited(others(hands)).findings == ()
        await hands.kill(pod)
        hands.put_back(pod, copy)
        hands.revive(pod)
        await hands.clock.sleep(60.0)
        assert f"{LEFT}.default" in named(others(hands))
        found.append(audited(others(hands)).findings)
        await forgotten(hands, LEFT)
        found.append(audited(others(hands)).findings)
        assert LEFT.encode() not in in_files(hands, pod)

    street = played(tmp_path, work, 9.0, STREET)
    (before, after) = found
    assert {(one.kind, one.party) for one in before} == {("forgotten", f"{pod}.default")}
    assert all("names flat-0.default, which was forgotten" in one.text for one in before)
    assert all("run `wattmesh forget flat-0.default` again" in one.text for one in before)
    assert after == audited(street.books).findings == ()
    assert named(street.books) & {f"{LEFT}.default", FORGOTTEN} == {FORGOTTEN}


@pytest.mark.parametrize(
    ("left", "partners"), [("flat-0", ("roof-0", "sun-0", "sun-1")), ("sun-0", ("flat-0", "flat-1"))]
)
def test_what_was_under_way_in_the_copy_is_forgotten_too_where_that_is_said(
    left: str, partners: tuple[str, ...], tmp_path: Path
) -> None:
    """The household is not there any more to say what became of it, or to pay."""
    under_way = "SELECT count(*) FROM contracts WHERE counterparty = ? AND state = 'CONFIRMED'"

    async def work(hands: Hands) -> None:
        def trading() -> str | None:
            found = (
                hands._run.pods[one].database.connection.execute(under_way, (f"{left}.default",)) for one in partners
            )
            return next((one for one, rows in zip(partners, found, strict=True) if rows.fetchone()[0]), None)

        while (pod := trading()) is None:
            await hands.clock.sleep(0.3)
        copy = hands.copy(pod)
        await hands.clock.sleep(60.0)
        await take_down(hands, left)
        await hands.clock.sleep(30.0)
        await forgotten(hands, left)
        await hands.kill(pod)
        hands.put_back(pod, copy)
        hands.revive(pod)
        await hands.clock.sleep(60.0)
        party = hands._run.pods[pod].parties[pod]
        earned = party.books.totals
        assert "contracts with it that are not over: " in refused(await call(hands, pod, left))
        assert (await call(hands, pod, left, lost=True)).status == 200
        assert party.books.totals == earned
        check_memory(hands._run.pods[pod])
        [book] = [one for one in others(hands) if one.name == pod]
        states = {(row.state, row.in_doubt) for row in book.contracts if row.counterparty == FORGOTTEN}
        assert states <= {("SETTLED", False)}
        assert f"{left}.default" not in {row.counterparty for row in book.contracts}
        await hands.clock.sleep(60.0)
        result = audited(others(hands))
        assert {one.kind for one in result.findings} <= {"ledger-fee"}, (
            "of what it sold since, which nobody knows any more"
        )
        assert result.unbooked.overdue == 0

    played(tmp_path, work, 14.0, STREET)


def test_only_a_hash_of_its_id_is_kept_the_same_in_all_books(tmp_path: Path) -> None:
    def kept(hands: Hands) -> set[tuple[str, int]]:
        return {(one.digest, one.before) for book in others(hands) for one in book.forgettings}

    async def work(hands: Hands) -> None:
        await take_down(hands, LEFT)
        await forgotten(hands, LEFT)
        before = kept(hands)
        assert len(before) > 0
        assert all(len(book.forgettings) == 1 for book in others(hands))
        await hands.clock.sleep(30.0)
        await forgotten(hands, LEFT)
        assert kept(hands) == before, "told again, nothing changes"

    played(tmp_path, work, 3.0, STREET)
