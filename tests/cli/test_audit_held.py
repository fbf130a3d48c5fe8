"""What an audit says of readings that are, or were, held for a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.street_books import FLAT, GRID, SLOT, street, write_state
from wattmesh_cli.audit import AuditResult, audit
from wattmesh_cli.books import Book, Held, LedgerEntry, Reading
from wattmesh_cli.sqlite_books import read_books

OUTLIER_WH = 60_000


def books(
    state: str, household: str, *, billed_wh: int | None = None, estimated_wh: int | None = None, told: bool = True
) -> list[Book]:
    """The street in which flat-0 has read 60 kWh for the first slot: in these states at its utility and at home.

    What is `billed_wh` is booked by the utility, and by the household where it was `told`.
    """
    flat, grid, roof = street()
    first, second = flat.readings
    reading = replace(
        first, load_wh=OUTLIER_WH + 400, imported_wh=OUTLIER_WH, state=household, estimated_wh=estimated_wh
    )
    held = Held(GRID, SLOT, FLAT, OUTLIER_WH, 0, 0, state)
    of_flat = [entry for entry in flat.ledger if entry.kind != "backstop"]
    of_grid = [entry for entry in grid.ledger if entry.counterparty != FLAT]
    of_roof = [row for row in grid.reported if row.household != FLAT]
    if billed_wh is not None:
        of_roof.append(replace(grid.reported[0], imported_wh=billed_wh))
        if billed_wh:
            entry = LedgerEntry(GRID, "backstop", SLOT, FLAT, "supply", -billed_wh, billed_wh * 300)
            of_grid.append(entry)
            if told:
                of_flat.append(
                    replace(entry, party=FLAT, counterparty=GRID, energy_wh=billed_wh, amount_micro=-billed_wh * 300)
                )
    return [
        replace(flat, readings=(reading, second), ledger=tuple(of_flat)),
        replace(grid, held=(held,), ledger=tuple(of_grid), reported=tuple(of_roof)),
        roof,
    ]


def kinds(result: AuditResult) -> set[str]:
    return {finding.kind for finding in result.findings}


@pytest.mark.parametrize(
    ("state", "household", "more", "held"),
    [
        ("held", "final", {}, 0),  # it has yet to hear of that
        ("held", "held", {}, 1),
        ("accepted", "held", {"billed_wh": OUTLIER_WH, "told": False}, 1),
        ("accepted", "booked", {"billed_wh": OUTLIER_WH}, 0),
        ("estimated", "held", {"billed_wh": 250, "told": False}, 1),
        ("estimated", "held", {"billed_wh": 0, "told": False}, 1),
        ("estimated", "booked", {"billed_wh": 250, "estimated_wh": 250}, 0),
        ("estimated", "booked", {"billed_wh": 0, "estimated_wh": 0}, 0),
    ],
)
def test_what_is_held_and_decided_is_not_wrong(
    tmp_path: Path, state: str, household: str, more: dict[str, Any], held: int
) -> None:
    result = audit(read_books(write_state(tmp_path / "state", books(state, household, **more))))
    assert result.findings == ()
    assert (result.unbooked.held, result.unbooked.overdue) == (held, 0)
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)


@pytest.mark.parametrize(
    ("state", "household", "more", "kind"),
    [
        ("held", "held", {"billed_wh": 250, "told": False}, "held-bill"),
        ("held", "booked", {"billed_wh": OUTLIER_WH}, "held-reading"),
        ("accepted", "held", {}, "held-bill"),
        ("accepted", "booked", {"billed_wh": 250, "estimated_wh": 250}, "held-bill"),
        ("accepted", "booked", {"billed_wh": OUTLIER_WH, "estimated_wh": OUTLIER_WH}, "held-reading"),
        ("estimated", "booked", {"billed_wh": OUTLIER_WH + 1, "estimated_wh": OUTLIER_WH + 1}, "held-bill"),
        ("estimated", "booked", {"billed_wh": 250, "estimated_wh": 240}, "held-reading"),
        ("estimated", "booked", {"billed_wh": 250}, "held-reading"),
    ],
)
def test_what_is_billed_is_what_was_decided(state: str, household: str, more: dict[str, Any], kind: str) -> None:
    assert kind in kinds(audit(books(state, household, **more)))


@pytest.mark.parametrize("more", [{"state": "held"}, {"estimated_wh": 200}])
def test_nothing_is_held_or_estimated_that_no_utility_holds_or_held(more: dict[str, Any]) -> None:
    flat, grid, roof = street()
    readings: tuple[Reading, ...] = (replace(flat.readings[0], **more), flat.readings[1])
    assert "held-reading" in kinds(audit([replace(flat, readings=readings), grid, roof]))


def test_what_a_utility_holds_is_what_its_household_has_read() -> None:
    flat, grid, roof = books("held", "held")
    other = replace(grid.held[0], imported_wh=OUTLIER_WH + 1)
    assert kinds(audit([flat, replace(grid, held=(other,)), roof])) == {"held-reading"}
