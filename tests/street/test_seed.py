"""The smallest market, examples/seed.yaml: one household that needs energy and one utility that sells it."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from tests.world.manifests import example
from tests.world.street import Street, play
from wattmesh_common.logs import TextFormatter, configure

ENTRY_KEYS = {"time", "level", "logger", "message", "grid", "household", "transaction"}


@pytest.fixture(scope="module")
def street() -> Street:
    return play(example("seed.yaml"), 2.25)


def test_the_household_buys_again_and_again_until_its_target_and_no_further(street: Street) -> None:
    street.check_sound()
    street.check_settled()
    purchases = street.contracts("buyer", "household-0")
    assert [contract.energy_wh for contract in purchases] == [1250, 1250, 1250, 1250, 1250, 1118]
    assert len({contract.slot for contract in purchases}) == 6
    levels_wh = [reading.level_after_wh for reading in street.readings("household-0")]
    assert levels_wh == [2000, 3187, 4375, 5562, 6750, 7937, 8999, 8999, 8999]


def test_the_log_tells_the_whole_way_of_a_trade_in_order(street: Street) -> None:
    first = street.contracts("buyer", "household-0")[0]
    assert street.told("household-0", first.transaction_id) == [
        "battery low: 2.00 of 15.00 kWh (13 %); buys below 20 % up to 60 %",
        "search: 1.250 kWh for 06:15-06:30",
        "offers received: 1: utility 12.500 kWh at 0.250000",
        "chosen: 1.250 kWh from utility at 0.250000 (the cheapest offer)",
        "select: 1.250 kWh from utility",
        "init: 1.250 kWh from utility for 0.312500 EUR",
        "confirm: 1.250 kWh from utility for 0.312500 EUR",
        "confirmed by utility: 1.250 kWh for 06:15-06:30",
        "✅ Contract confirmed! Energy purchased. New battery level: 3.19 kWh (1.250 kWh from utility)",
    ]
    assert street.told("utility", first.transaction_id) == [
        "quoted 1.250 kWh for 06:15-06:30 to household-0 at 0.312500 EUR",
        "sold 1.250 kWh for 06:15-06:30 to household-0 at 0.312500 EUR",
        "paid 0.312500 EUR by household-0",
    ]


def _lines(street: Street, formatter: logging.Formatter) -> list[str]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    for record in street.log:
        handler.emit(record)
    return stream.getvalue().splitlines()


def test_each_line_has_grid_time_household_and_short_transaction_id(street: Street) -> None:
    lines = _lines(street, TextFormatter())
    assert len(lines) == len(street.log) == 6 * 12
    form = re.compile(r"06-21 0[678]:\d\d (household-0|utility) \[[0-9a-f]{8}\] \S.*")
    assert [line for line in lines if not form.fullmatch(line)] == []
    first = street.contracts("buyer", "household-0")[0]
    success = "✅ Contract confirmed! Energy purchased. New battery level: 3.19 kWh (1.250 kWh from utility)"
    assert f"06-21 06:30 household-0 [{first.transaction_id[:8]}] {success}" in lines


def test_json_lines_are_objects_with_household_and_transaction(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        configure(stream)
        for record in street.log:
            root.handle(record)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(entries) == len(street.log)
    assert all(entry.keys() == ENTRY_KEYS for entry in entries)
    first = street.contracts("buyer", "household-0")[0]
    told = [
        e["message"] for e in entries if (e["household"], e["transaction"]) == ("household-0", first.transaction_id)
    ]
    assert told == street.told("household-0", first.transaction_id)
