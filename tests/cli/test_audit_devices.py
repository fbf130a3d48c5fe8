"""What the audit says of devices: by the end of each window they have what they need, and no more than the load."""

from __future__ import annotations

import json

import pytest

from wattmesh_cli.audit.devices import DeviceCheck
from wattmesh_cli.books import SLOT_S, Reading

HOME, BEGIN = "home-0.default", 1_782_000_000
END = BEGIN + 3 * SLOT_S
Row = dict[str, object]


def took(taken_wh: int, left_wh: int, **other: object) -> Row:
    """A row of a car that needs 6 kWh in a window of three slots."""
    return {
        **{"name": "ev", "begin": BEGIN, "end": END, "needs_wh": 6000},
        **{"left_wh": left_wh, "taken_wh": taken_wh, **other},
    }


WHOLE: list[list[Row]] = [[took(2750, 3250)], [took(2750, 500)], [took(500, 0)], []]


def texts(rows: list[list[Row]], first: int = BEGIN) -> list[tuple[int, str]]:
    """What is found in the readings of some slots, from `first` on: which one, and what is said of it."""
    check = DeviceCheck()
    return [
        (number, finding.text)
        for number, devices in enumerate(rows)
        for slot in [first + number * SLOT_S]
        for written in [json.dumps(devices) if devices else None]
        for finding in check.of(Reading(HOME, slot, 0, 0, 0, 0, 3000, 0, 0, 3000, 0, 0, "booked", devices=written))
    ]


def test_a_car_that_was_charged_has_no_findings() -> None:
    assert texts(WHOLE) == []
    assert texts(WHOLE[1:], BEGIN + SLOT_S) == [], "what was read before is deleted"


def test_a_device_that_is_not_declared_any_more_is_no_finding() -> None:
    assert texts([WHOLE[0], []]) == []


def test_a_window_goes_on_with_less_where_the_charger_was_made_smaller() -> None:
    assert texts([WHOLE[0], [took(750, 750, needs_wh=4250)], [took(750, 0, needs_wh=4250)]]) == []


@pytest.mark.parametrize(
    ("at", "row", "found"),
    [
        (2, took(400, 100), "ev lacks 100 Wh of 6000 Wh at the end of its window"),
        (1, took(2650, 500), "of 3250 Wh that ev needed 2650 Wh were taken, but 500 Wh are left"),
        (0, took(2750, 3150), "of 6000 Wh that ev needed 2750 Wh were taken, but 3150 Wh are left"),
        (1, took(3250, 0), "devices took 3250 Wh, but the load is 3000 Wh"),
        (0, took(-1, 6001), "ev took -1 Wh; it needs 6000 Wh, 6001 Wh later"),
        (1, took(2750, 500, begin=BEGIN - SLOT_S), "ev has another window before the last one is over"),
        (1, took(2750, 600, needs_wh=6100), "of 3250 Wh that ev needed 2750 Wh were taken, but 600 Wh are left"),
        (3, took(0, 6000, begin=END + SLOT_S, end=END + 2 * SLOT_S), "ev took 0 Wh outside of its window"),
        (3, took(0, 6000, end=END + 2 * SLOT_S), "ev has a window that began before, of which there is no reading"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(at: int, row: Row, found: str) -> None:
    rows = [*WHOLE]
    rows[at] = [row]
    assert (at, found) in texts(rows)


def of_store(before_wh: int, after_wh: int, **other: object) -> Row:
    """A row of the same car, whose store the house may use, and which takes nothing for itself."""
    return took(0, 6000, level_before_wh=before_wh, level_after_wh=after_wh, **other)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (of_store(4000, 3000, discharged_wh=950), None),
        (of_store(3000, 3950, charged_wh=1000), None),
        (of_store(4000, 3000, discharged_wh=1010), "what ev holds changes by -1000 Wh, but it was given -1010 Wh"),
        (of_store(3000, 4010, charged_wh=1000), "what ev holds changes by +1010 Wh, but it was given +1000 Wh"),
        (of_store(4000, 3000, discharged_wh=900, charged_wh=50), "ev took 0 and 50 Wh, and gave 900 Wh"),
        (of_store(5100, 5000), "ev holds more than all that is stored"),
        (of_store(5000, 1000, discharged_wh=3500), "ev gave 3500 Wh, but the load is 3000 Wh"),
    ],
)
def test_what_a_car_gives_was_in_it_and_is_for_the_house(row: Row, found: str | None) -> None:
    reading = Reading(HOME, BEGIN, 5000, 5000, 9000, 0, 3000, 0, 0, 3000, 0, 0, "booked", devices=json.dumps([row]))
    assert [finding.text for finding in DeviceCheck().of(reading)] == ([] if found is None else [found])


def test_what_a_car_holds_is_what_it_held_before() -> None:
    check = DeviceCheck()
    for number, row in enumerate([of_store(4000, 3000, discharged_wh=900), of_store(3001, 3000)]):
        slot = BEGIN + number * SLOT_S
        written = json.dumps([row])
        reading = Reading(HOME, slot, 5000, 5000, 9000, 0, 3000, 0, 0, 3000, 0, 0, "booked", devices=written)
        found = [finding.text for finding in check.of(reading)]
    assert found == ["ev holds 3001 Wh, but 3000 Wh after the slot before"]


def test_devices_that_cannot_be_read_are_a_finding() -> None:
    check = DeviceCheck()
    for written in ("[]", "{", "7", '[{"name": "ev"}]', json.dumps([took(1, 5999, begin="now")])):
        reading = Reading(HOME, BEGIN, 0, 0, 0, 0, 3000, 0, 0, 3000, 0, 0, "booked", devices=written)
        [finding] = check.of(reading)
        assert (finding.kind, finding.text) == (
            "reading-devices",
            f"{HOME}: the reading of slot {BEGIN} has no devices but {written!r:.80}",
        )


def test_two_devices_of_one_name_are_a_finding() -> None:
    assert (0, "two devices have one name: ev, ev") in texts([[took(1000, 5000), took(1000, 5000)]])
