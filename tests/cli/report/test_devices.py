"""What a report says of devices: of the load, how much each took."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.cli.kpi.small_street import FIRST, FLAT, ROOF, SECOND, small_street
from tests.cli.report.support import reported
from wattmesh_cli.books import Book, Reading
from wattmesh_cli.report.figures import figures
from wattmesh_cli.report.forms import csv_rows
from wattmesh_cli.report.series import devices

TOOK = {(ROOF, FIRST): {"ev": 100}, (FLAT, FIRST): {"ev": 50, "heat-pump": 60}, (FLAT, SECOND): {"heat-pump": 70}}
"""What devices took in slots of the small street."""


def with_devices(reading: Reading) -> Reading:
    taken = TOOK.get((reading.party, reading.slot))
    if taken is None:
        return reading
    window = {"begin": FIRST, "end": SECOND + 900, "needs_wh": 1000, "left_wh": 0}
    return replace(
        reading, devices=json.dumps([{"name": name, **window, "taken_wh": wh} for name, wh in taken.items()])
    )


def books() -> list[Book]:
    return [replace(book, readings=tuple(map(with_devices, book.readings))) for book in small_street()]


def test_what_devices_took_is_summed_over_households() -> None:
    first, second, third = reported(books()).community
    assert (first.devices_wh, second.devices_wh, third.devices_wh) == (
        {"ev": 150, "heat-pump": 60},
        {"heat-pump": 70},
        {},
    )
    assert devices(reported().community) == []


def test_each_device_has_a_curve_beside_the_load() -> None:
    names = [curve["name"] for curve in figures(reported(books()))["power"]["data"]]
    assert names == ["PV", "Load", "Net import", "of the load: ev", "of the load: heat-pump"]
    assert len(figures(reported())["power"]["data"]) == 3


def test_the_numbers_have_a_column_for_each_device() -> None:
    found = {row[4]: row[5] for row in csv_rows(reported(books()), {}) if row[0] == "series" and row[2] == ROOF}
    assert {name for name in found if name.startswith("load_")} >= {"load_kwh", "load_ev_kwh"}
