"""Who was forgotten is named nowhere: not by books of an older copy, nor by those that were never told."""

from __future__ import annotations

import hashlib

import pytest

from wattmesh_cli.audit.forgotten import check_forgotten
from wattmesh_cli.books import (
    FORGOTTEN,
    Book,
    Carried,
    Checkpoint,
    ClosingRecord,
    Forgetting,
    Held,
    LedgerEntry,
    Party,
    Reported,
)

GONE, GRID = "flat-0.default", "grid.default"
BEFORE = 90_000
SALT = "00" * 16


def forgotten(name: str, before: int = BEFORE, salt: str = SALT) -> Forgetting:
    return Forgetting(hashlib.sha256(bytes.fromhex(salt) + name.encode()).hexdigest(), salt, before)


def naming(slot: int, name: str = GONE) -> dict[str, Book]:
    """Books that name somebody in what belongs to a slot, by where they do."""
    return {
        "its own": Book("pod", parties=(Party(name, "household", 0, 0, 0, slot, slot + 900),)),
        "ledger": Book("pod", ledger=(LedgerEntry(GRID, "backstop", slot, name, "supply", 1, 1),)),
        "reported": Book("pod", reported=(Reported(GRID, slot, name, 1, 0, 0, False, "closed"),)),
        "held": Book("pod", held=(Held(GRID, slot, name, 1, 0, 0, "accepted"),)),
        "carried": Book("pod", carried=(Carried(GRID, name, "backstop", slot + 1, 1, 1, 0, 1),)),
        "closing record": Book("pod", closing_records=(ClosingRecord(GRID, name, "", slot + 1, 1, 1, 1, "", "", ""),)),
        "checkpoint": Book("pod", checkpoints=(Checkpoint(GRID, name, slot + 1, "", "", ""),)),
    }


TOLD = Book("roof-0", forgettings=(forgotten("other-0.default"), forgotten(GONE, 900), forgotten(GONE, salt="11" * 16)))


@pytest.mark.parametrize("where", naming(0))
def test_whoever_names_it_in_what_was_before_is_found(where: str) -> None:
    [found] = check_forgotten([naming(BEFORE - 900)[where], TOLD])
    assert (found.kind, found.slot is not None) == ("forgotten", True)
    assert found.party in (GONE, GRID)
    assert f"names {GONE}, which was forgotten" in found.text
    assert f"run `wattmesh forget {GONE}` again, with --lost where its closing record is lost" in found.text


@pytest.mark.parametrize("where", naming(0))
def test_who_came_again_under_its_name_is_another(where: str) -> None:
    assert [*check_forgotten([naming(BEFORE)[where], TOLD])] == []


@pytest.mark.parametrize("name", ["flat-1.default", FORGOTTEN])
def test_nobody_else_is_meant(name: str) -> None:
    assert [*check_forgotten([*naming(0, name).values(), TOLD])] == []
