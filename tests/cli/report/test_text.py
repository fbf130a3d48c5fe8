"""Numbers and times as people read them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tests.cli.kpi.small_street import BATTERIES, END, FIRST, kpis_with, small_street
from tests.cli.report.support import SUMMER
from wattmesh_cli.report import text
from wattmesh_cli.report.indicators import NO_PV, NOT_BOOKED, Cell, cell, comparison

DAY_S = 86_400


def test_numbers() -> None:
    assert text.kwh(1_234_567) == "1,234.57"
    assert text.kw(600) == "2.40"  # in a quarter of an hour
    assert text.money(-1_500_000) == "−1.50"
    assert text.money(-1) == "0.00"  # never a minus before zero
    assert text.price(150_000) == "0.1500"
    assert text.percent(Fraction(2, 3)) == "66.7%"
    assert (text.many(1, "entry", "entries"), text.many(2000, "entry", "entries")) == ("1 entry", "2,000 entries")


def test_times() -> None:
    assert text.period(FIRST, END, SUMMER) == "Sunday 21 June 2026, 12:00 – 12:45"
    assert text.period(FIRST, FIRST + DAY_S, SUMMER) == "Sunday 21 June 2026, 12:00 – Monday 22 June 2026, 12:00"
    assert text.zone_text(FIRST, SUMMER) == "UTC+02:00"


def test_what_is_undefined_says_why() -> None:
    assert cell(None, text.percent, NO_PV) == Cell("", None, NO_PV)
    assert cell(Fraction(0), text.percent, NO_PV) == Cell("0.0%", 0.0)


def test_what_is_not_booked_yet_is_no_saving_of_zero() -> None:
    [roof, *others] = small_street()
    first, *later = roof.readings
    unbooked = replace(roof, readings=(replace(first, state="final"), *later))
    rows = {name: values for name, *values, _ in comparison(kpis_with([unbooked, *others], BATTERIES), "EUR")}
    assert rows["Savings"][2] == Cell("", None, NOT_BOOKED)
