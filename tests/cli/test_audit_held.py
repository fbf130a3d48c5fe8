"""What an audit says of readings that are, or were, held for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
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


# --- corrections ---

BY_TARIFF = 300
"""Millionths per Wh."""


def corrected(
    first_wh: int,
    after_wh: Sequence[int],
    *,
    heard: int | None = None,
    back: Mapping[int, int] | None = None,
    state: str = "corrected",
    names: Sequence[str] = ("correction", "correction 2", "correction 3"),
) -> list[Book]:
    """The street in which flat-0's reading was billed for `first_wh`, and then for each of `after_wh`.

    The household has heard of as many of the corrections. `back` has what was paid back (millionths) by correction
    where it is not by the tariff.
    """
    heard = len(after_wh) if heard is None else heard
    billed_wh = [first_wh, *after_wh]
    flat, grid, roof = books(state, "booked", billed_wh=first_wh, estimated_wh=billed_wh[heard])
    of_flat, of_grid = list(flat.ledger), list(grid.ledger)
    for number, (before_wh, wh) in enumerate(pairwise(billed_wh)):
        back_micro = (back or {}).get(number, (before_wh - wh) * BY_TARIFF)
        entry = LedgerEntry(GRID, "backstop", SLOT, FLAT, names[number], before_wh - wh, -back_micro)
        of_grid.append(entry)
        if number < heard:
            of_flat.append(
                replace(
                    entry, party=FLAT, counterparty=GRID, energy_wh=-entry.energy_wh, amount_micro=-entry.amount_micro
                )
            )
    return [replace(flat, ledger=tuple(of_flat)), replace(grid, ledger=tuple(of_grid)), roof]


@pytest.mark.parametrize("after_wh", [(), (100,), (100, 40), (100, 40, 700)])
def test_a_corrected_reading_is_billed_by_what_was_said_last(tmp_path: Path, after_wh: tuple[int, ...]) -> None:
    result = audit(read_books(write_state(tmp_path / "state", corrected(250, after_wh))))
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro, result.energy_in_flight_wh) == (0, 0, 0)


@pytest.mark.parametrize("heard", [0, 1])
def test_a_correction_that_the_household_has_yet_to_hear_of_is_in_flight(heard: int) -> None:
    result = audit(corrected(250, (100, 40), heard=heard))
    assert result.findings == ()
    assert result.energy_in_flight_wh == (60 if heard else 210)
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (corrected(250, (100,), state="estimated"), "held-bill"),
        (corrected(250, (100, 40), names=("correction", "correction 3")), "held-bill"),
        (corrected(250, (100,), back={0: 150 * BY_TARIFF - 1}), "held-bill"),
        (corrected(250, (100, 40), back={1: 60 * BY_TARIFF + 1}), "held-bill"),
        (corrected(250, (100,), names=("correction 01",)), "ledger-backstop"),
        (corrected(250, (400,), back={0: 150 * BY_TARIFF}), "ledger-backstop"),
    ],
)
def test_corrections_are_numbered_and_repay_what_was_billed(found: list[Book], kind: str) -> None:
    assert kind in kinds(audit(found))


def test_what_no_person_has_decided_about_is_corrected_once_at_most() -> None:
    flat, grid, roof = corrected(250, (100, 40))
    assert "sharing-bill" in kinds(audit([flat, replace(grid, held=()), roof]))


def test_a_household_has_no_correction_that_its_utility_has_not() -> None:
    flat, grid, roof = corrected(250, (100,))
    without = tuple(entry for entry in grid.ledger if entry.correction is None)
    assert "ledger-backstop" in kinds(audit([flat, replace(grid, ledger=without), roof]))
