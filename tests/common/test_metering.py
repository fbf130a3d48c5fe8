"""Meter files as other systems write them: what each kind gives, and what is wrong with one, by line and column."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_common.metering.reading import read_meter_file
from wattmesh_common.metering.series import slots_of
from wattmesh_common.metering.told import (
    Dates,
    Decimal,
    Fill,
    MeterFile,
    MeterFileError,
    Reading,
    Role,
    Told,
    Unit,
)
from wattmesh_common.profile_files import read_profile_csv
from wattmesh_market.energy.profiles import SlotProfile

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER = timezone(timedelta(hours=2))
MAY = datetime(2025, 5, 12, tzinfo=SUMMER)
NOTHING = Told()
IMPORT = Told(cuts=True)


def times(minutes: int, days: float = 1, start: datetime = MAY) -> list[datetime]:
    return [start + n * timedelta(minutes=minutes) for n in range(round(days * 1440 / minutes))]


def rows(minutes: int, value: Callable[[int], object], days: float = 1, start: datetime = MAY) -> list[str]:
    """A row for each time; what it has beside it is `value` of its number."""
    return [f"{time.isoformat()},{value(n)}" for n, time in enumerate(times(minutes, days, start))]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., MeterFile]:
    def read(header: str, lines: Sequence[str], told: Told = NOTHING) -> MeterFile:
        path = tmp_path / "meter.csv"
        path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return read_meter_file(path, told)

    return read


@pytest.fixture
def refused(read: Callable[..., MeterFile], tmp_path: Path) -> Callable[..., list[str]]:
    """The mistakes of a file, without its name."""

    def refused(header: str, lines: Sequence[str], told: Told = NOTHING) -> list[str]:
        with pytest.raises(MeterFileError) as raised:
            read(header, lines, told)
        assert raised.value.path == tmp_path / "meter.csv"
        return [str(mistake) for mistake in raised.value.mistakes]

    return refused


Read = Callable[..., MeterFile]
Refused = Callable[..., list[str]]


# --- steps and units ---


@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60])
@pytest.mark.parametrize(
    ("unit", "of_a_kw"), [("Wh", 1000 / 60), ("kWh", 1 / 60), ("W", None), ("kW", None)], ids=["Wh", "kWh", "W", "kW"]
)
def test_every_step_and_unit_gives_the_same_energy(read: Read, minutes: int, unit: str, of_a_kw: float | None) -> None:
    value = {"W": 1000.0, "kW": 1.0}.get(unit) if of_a_kw is None else of_a_kw * minutes
    meter = read(f"time,load [{unit}]", rows(minutes, lambda _: value))
    assert list(meter.load_wh) == [250] * 96
    assert set(meter.pv_wh) == {0}
    assert meter.found.step_s == 60 * minutes
    [column] = meter.found.columns
    assert (column.role, column.unit) == (Role.LOAD, Unit(unit))
    assert column.reading is (None if of_a_kw is None else Reading.ENERGY)


def test_shorter_steps_are_summed_and_longer_ones_spread(read: Read) -> None:
    meter = read("time,load_wh", rows(5, lambda n: n % 3))
    assert list(meter.load_wh) == [3] * 96
    meter = read("time,load_wh", rows(60, lambda n: 10 if n % 2 else 0))
    assert list(meter.load_wh[:8]) == [0, 0, 0, 0, 2, 3, 3, 2]


@given(
    st.sampled_from([60, 300, 900, 1800, 3600]),
    st.lists(st.floats(0, 5000), min_size=60, max_size=60),
)
def test_no_energy_is_lost_by_resampling(step_s: int, wh: list[float]) -> None:
    slots = slots_of(wh, step_s)
    assert len(slots) == len(wh) * step_s // 900
    assert min(slots) >= 0
    assert abs(sum(slots) - sum(wh)) <= 0.5 + 1e-5


def test_the_unit_is_asked_for_where_no_name_has_one(read: Read, refused: Refused) -> None:
    lines = rows(60, lambda n: n % 2)
    assert refused("time,consumption", lines) == [
        "line 1, column 2 (consumption): names no unit; tell it: import-meter --unit Wh, kWh, W or kW"
    ]
    assert sum(read("time,consumption", lines, Told(unit=Unit.KWH)).load_wh) == 12_000


def test_other_steps_are_refused(refused: Refused) -> None:
    assert refused("time,load_wh", rows(10, lambda _: 1)) == [
        "line 2, column 1 (time): readings are mostly 10 minutes apart; 1, 5, 15, 30 and 60 can be read"
    ]


# --- registers ---


def test_a_register_is_known_by_its_values(read: Read) -> None:
    meter = read("slot,pv_wh,load_wh", rows(15, lambda n: f"0,{7_000_000 + 80 * n}", days=1 + 1 / 96))
    assert list(meter.load_wh) == [80] * 96
    assert [column.reading for column in meter.found.columns] == [Reading.ENERGY, Reading.REGISTER]


def test_registers_of_import_and_export_are_known_by_their_names(read: Read) -> None:
    lines = rows(60, lambda n: f"{0.5 * n},{0.2 * n}", days=1 + 1 / 24)
    meter = read("time,1.8.0 import kWh,2.8.0 export kWh", lines)
    assert (sum(meter.load_wh), sum(meter.pv_wh)) == (12_000, 4_800)
    assert meter.found.net


def test_a_rising_series_that_could_be_both_is_asked_about(read: Read, refused: Refused) -> None:
    lines = rows(30, lambda n: 10 + n, days=1 + 1 / 48)
    assert refused("time,use_wh,load_wh", rows(30, lambda n: f"0,{10 + n}", days=1 + 1 / 48), IMPORT) == [
        "line 1, column 3 (load_wh): never falls from 10 to 58 in 49 readings, as a register; tell what it is:"
        " import-meter --reading register or energy"
    ]
    as_register = read("time,load_wh", lines, Told(cuts=True, reading=Reading.REGISTER))
    as_energy = read("time,load_wh", lines, Told(cuts=True, reading=Reading.ENERGY))
    assert (sum(as_register.load_wh), sum(as_energy.load_wh)) == (48, sum(range(10, 58)))


def test_a_register_without_the_last_midnight_lacks_a_step(refused: Refused, read: Read) -> None:
    lines = rows(15, lambda n: f"0,{7_000_000 + 80 * n}")
    [mistake] = refused("slot,pv_wh,load_wh", lines)
    assert mistake.startswith("needs whole days, has 95 steps of 15 minutes from 2025-05-12T00:00+02:00 to")
    assert "a register's last reading ends the step before it" in mistake
    meter = read("slot,pv_wh,load_wh", lines, Told(cuts=True, fill=Fill.LINEAR))
    assert (sum(meter.load_wh), meter.found.gaps, meter.found.filled) == (96 * 80, 1, 1)


def test_a_register_that_falls_is_refused(refused: Refused) -> None:
    lines = rows(15, lambda n: 9_000_000 + 80 * n if n < 60 else 80 * n, days=1 + 1 / 96)
    assert refused("time,load_wh", lines) == [
        "line 62, column 2 (load_wh): a register falls from 9.00472e+06 to 4800: was the meter changed? Make two files"
        " of it"
    ]


def test_a_single_high_reading_is_no_register(refused: Refused) -> None:
    [mistake] = refused("time,load_wh", rows(15, lambda n: 9000 if n == 40 else 100))
    assert mistake.startswith(
        "line 42: 36 kW from 2025-05-12T10:00+02:00 on are more than the 30 kW of the connection (1 of 96 slots"
    )


# --- text ---


def test_semicolons_and_decimal_commas(read: Read) -> None:
    lines = [f"{time:%d.%m.%Y %H:%M};1.000,5;{n % 2},25" for n, time in enumerate(times(15))]
    meter = read("Zeit;Verbrauch (Wh);Erzeugung (Wh)", lines, Told(timezone=BERLIN))
    assert (sum(meter.load_wh), sum(meter.pv_wh)) == (96_048, 72)
    assert (meter.found.delimiter, meter.found.decimal) == (";", Decimal.COMMA)
    assert {column.role for column in meter.found.columns} == {Role.LOAD, Role.PV}


def test_quoted_decimal_commas_between_commas(read: Read) -> None:
    assert sum(read("time,load_wh", rows(60, lambda _: '"0,5"')).load_wh) == 12


def test_unquoted_decimal_commas_between_commas_are_explained(refused: Refused) -> None:
    mistakes = refused("time,load_wh", rows(60, lambda _: "0,5"))
    assert mistakes[0] == (
        "line 2: has 3 fields where line 1 names 2 (numbers with a decimal comma need quotes, or ; between fields)"
    )


def test_a_file_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes("\r\n".join(["\ufefftime,load_wh", *rows(15, lambda _: 7), ""]).encode())
    assert sum(read_meter_file(path, Told()).load_wh) == 7 * 96


def test_columns_may_come_in_any_order_with_others_between(read: Read) -> None:
    lines = [f"{n},sunny,{2 * n},{time.isoformat()}" for n, time in enumerate(times(60))]
    meter = read("load_wh,remark,pv_wh,slot", lines)
    assert (sum(meter.load_wh), sum(meter.pv_wh)) == (276, 552)
    assert meter.found.ignored == ("remark",)


def test_columns_can_be_told(read: Read, refused: Refused) -> None:
    header, lines = "when,load flat kW,load shop kW", rows(60, lambda _: "1,2")
    assert refused(header, lines) == [
        "line 1: load flat kW, load shop kW could all be load; tell one: import-meter --column load=NAME"
    ]
    assert sum(read(header, lines, Told(columns={Role.LOAD: "load shop kw"})).load_wh) == 48_000
    assert refused(header, lines, Told(columns={Role.LOAD: "barn"})) == [
        "line 1: has no column barn; there are when, load flat kW, load shop kW"
    ]


def test_every_mistake_is_said_at_once(refused: Refused) -> None:
    lines = rows(60, lambda n: {3: "x,1", 5: "1,-", 9: "1,1 kWh"}.get(n, "1,1"))
    lines[7] = "noon,1,1"
    lines[11] = "2025-05-12T11:00:00+02:00"
    assert refused("time,load_wh,pv_wh", lines) == [
        "line 5, column 2 (load_wh): 'x' is no number with a decimal point",
        "line 9, column 1 (time): 'noon' is no time, as 2026-06-21T00:15:00+02:00",
        "line 11, column 3 (pv_wh): '1 kWh' is no number with a decimal point",
        "line 13: has 1 fields where line 1 names 3",
    ]


def test_of_many_mistakes_the_text_shows_the_first(read: Read) -> None:
    with pytest.raises(MeterFileError) as raised:
        read("time,load_wh", rows(15, lambda _: "x"))
    assert len(raised.value.mistakes) == 96
    assert str(raised.value).splitlines()[-1].endswith("meter.csv: and 46 more")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "needs a line with the columns' names, and readings below it"),
        (b"time,load_wh\n", "needs a line with the columns' names, and readings below it"),
        (b"time,load_wh\n\xff\xfe,1\n", "no CSV text in UTF-8: 'utf-8' codec can't decode byte 0xff in position 13"),
        (b"time,load_wh\n" + b'"' + b"x" * 200_000 + b'"\n', "no CSV text in UTF-8: field larger than field limit"),
        (b"time,load_wh\n1,2\n", "line 2: no column has dates with times, as 2026-06-21T00:15:00+02:00 or 21.06.2026"),
        (b"time,load_wh\n2025-05-12T00:00Z,2\n", "needs at least two readings"),
        (b"time,colour\n2025-05-12T00:00Z,2\n", "line 1: needs the columns slot, pv_wh and load_wh, or others that"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_bytes(content)
    with pytest.raises(MeterFileError) as raised:
        read_meter_file(path, Told())
    assert str(raised.value.mistakes[0]).startswith(text)


# --- times ---


def test_naive_times_need_a_zone(refused: Refused, read: Read) -> None:
    lines = [f"{time:%Y-%m-%d %H:%M:%S},1" for time in times(15)]
    assert refused("time,load_wh", lines) == [
        "line 2, column 1 (time): 2025-05-12 00:00:00 has no time zone; tell it: import-meter --timezone Europe/Berlin"
    ]
    assert read("time,load_wh", lines, Told(timezone=BERLIN)).first == MAY.timestamp()


@pytest.mark.parametrize("minutes", [5, 15, 30, 60])
@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 5, 1), 24)])
def test_days_of_23_and_25_hours(read: Read, minutes: int, day: date, hours: int) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
    local = [time.astimezone(BERLIN) for time in times(minutes, hours / 24, midnight)]
    lines = [f"{time:%d.%m.%Y %H:%M};{time.hour * minutes}" for time in local]
    meter = read("Datum;load (Wh)", lines, Told(timezone=BERLIN))
    assert (meter.first, len(meter.load_wh)) == (midnight.timestamp(), 4 * hours)
    twice_or_not = {23: -2, 24: 0, 25: 2}[hours]
    assert sum(meter.load_wh) == 60 * (sum(range(24)) + twice_or_not)
    assert len(set(meter.utc_offsets_s)) == (1 if hours == 24 else 2)


def test_a_local_time_that_there_is_not_is_refused(refused: Refused) -> None:
    lines = [f"{time:%Y-%m-%d %H:%M},1" for time in times(60, start=datetime(2025, 3, 30, tzinfo=UTC))]
    assert refused("time,load_wh", lines, Told(timezone=BERLIN)) == [
        "line 4, column 1 (time): there is no 2025-03-30 02:00:00 in Europe/Berlin: clocks go forward; where the file"
        " does not follow them, tell its offset, as import-meter --timezone +01:00"
    ]


def test_an_hour_that_is_there_once_in_autumn_is_a_gap(refused: Refused) -> None:
    lines = [f"{time:%Y-%m-%d %H:%M},1" for time in times(60, start=datetime(2025, 10, 26, tzinfo=UTC))]
    [mistake] = refused("time,load_wh", lines, Told(timezone=BERLIN))
    assert mistake.startswith("line 5, column 2 (load_wh): 60 minutes are missing from 2025-10-26T02:00+01:00 on")


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("%d.%m.%Y %H:%M", MAY),
        ("%d/%m/%y %H:%M", datetime(2025, 5, 13, tzinfo=SUMMER)),
        ("%m/%d/%Y %H:%M:%S", datetime(2025, 5, 13, tzinfo=SUMMER)),
        ("%Y/%m/%d %H:%M", MAY),
        ("%d-%m-%Y,%H:%M", MAY),
    ],
)
def test_dates_in_many_forms(read: Read, form: str, first: datetime) -> None:
    lines = [f"{time:{form}},3".replace(",", ";") for time in times(60, start=first)]
    header = "date;clock;load_wh" if "," in form else "date;load_wh"
    told = Told(timezone=BERLIN, dates=Dates.DAY_FIRST if "," in form else None)
    assert read(header, lines, told).first == first.timestamp()


def test_a_date_that_may_be_of_two_months_is_asked_about(read: Read, refused: Refused) -> None:
    lines = [f"{time:%d/%m/%Y %H:%M},3" for time in times(60)]
    assert refused("time,load_wh", lines, Told(timezone=BERLIN)) == [
        "line 2, column 1 (time): '12/05/2025 00:00' may be day-first or month-first; tell it: import-meter --dates"
        " day-first or month-first"
    ]
    assert read("time,load_wh", lines, Told(timezone=BERLIN, dates=Dates.DAY_FIRST)).first == MAY.timestamp()
    december = read("time,load_wh", lines, Told(timezone=BERLIN, dates=Dates.MONTH_FIRST))
    assert december.first == datetime(2025, 12, 5, tzinfo=BERLIN).timestamp()


def test_days_of_one_month_tell_their_order(read: Read) -> None:
    lines = [f"{time:%d/%m/%Y %H:%M},3" for time in times(60, days=3, start=datetime(2025, 5, 1, tzinfo=SUMMER))]
    assert read("time,load_wh", lines, Told(timezone=BERLIN)).first == datetime(2025, 5, 1, tzinfo=SUMMER).timestamp()


def test_the_newest_reading_may_come_first(read: Read) -> None:
    meter = read("time,load_wh", rows(15, lambda n: n % 10)[::-1])
    assert list(meter.load_wh) == [n % 10 for n in range(96)]


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("2025-05-12T02:00:00+02:00", "2025-05-12T02:00:00+02:00 is that of the reading before; each time needs one"),
        ("2025-05-12T01:30:00+02:00", "2025-05-12T01:30:00+02:00 lies before the reading before; each time needs one"),
        ("2025-05-12T02:20:00+02:00", "is no whole number of 15 minutes after the first reading"),
        ("2025-05-12T02:15:30+02:00", "must be on the minute"),
    ],
)
def test_times_out_of_step_are_refused(refused: Refused, time: str, text: str) -> None:
    lines = rows(15, lambda _: 1)
    lines[9] = f"{time},1"
    [mistake] = refused("time,load_wh", lines)
    assert mistake.startswith(f"line 11, column 1 (time): {text}")


def test_steps_start_on_their_own_multiples(refused: Refused) -> None:
    lines = rows(15, lambda _: 1, start=MAY + timedelta(minutes=7))
    assert refused("time,load_wh", lines) == [
        "line 2, column 1 (time): readings of 15 minutes must start at a multiple of 15 minutes"
    ]


# --- gaps and incomplete days ---


def with_gap(first: int, last: int, value: Callable[[int], object], days: int = 3) -> list[str]:
    lines = rows(15, value, days=days)
    return lines[:first] + lines[last:]


def test_gaps_are_refused_with_their_length(refused: Refused) -> None:
    lines = with_gap(100, 104, lambda n: f"1,{n % 7}")
    lines[20] = lines[20].rpartition(",")[0] + ",NaN"
    assert refused("time,pv_wh,load_wh", lines) == [
        "line 23, column 3 (load_wh): 15 minutes are missing from 2025-05-12T05:00+02:00 on; fill gaps with"
        " import-meter --fill (linear, zero, day-before)",
        "line 102: 60 minutes are missing from 2025-05-13T01:00+02:00 on; fill gaps with import-meter --fill"
        " (linear, zero, day-before)",
    ]


@pytest.mark.parametrize(
    ("fill", "filled"),
    [(Fill.LINEAR, [120, 140, 160, 180]), (Fill.ZERO, [0] * 4), (Fill.DAY_BEFORE, [4, 5, 0, 1])],
)
def test_gaps_are_filled_as_told_and_counted(read: Read, fill: Fill, filled: list[int]) -> None:
    lines = with_gap(100, 104, lambda n: n % 6 if n < 96 else 100 if n < 102 else 200)
    meter = read("time,load_wh", lines, Told(fill=fill))
    assert list(meter.load_wh[99:105]) == [100, *filled, 200]
    assert (meter.found.gaps, meter.found.filled) == (1, 4)


def test_a_gap_of_days_has_the_days_before_it(read: Read) -> None:
    meter = read("time,load_wh", with_gap(96, 288, lambda n: n % 96, days=4), Told(fill=Fill.DAY_BEFORE))
    assert list(meter.load_wh) == [*range(96)] * 4


def test_long_gaps_get_no_line(refused: Refused) -> None:
    assert refused("time,load_wh", with_gap(100, 109, lambda _: 1), Told(fill=Fill.LINEAR)) == [
        "line 102, column 2 (load_wh): 135 minutes are missing from 2025-05-13T01:00+02:00 on; --fill linear is for"
        " gaps of up to 2 hours: take day-before"
    ]


@pytest.mark.parametrize("fill", [Fill.LINEAR, Fill.DAY_BEFORE])
def test_in_a_register_s_gap_what_it_tells_is_kept(read: Read, fill: Fill) -> None:
    lines = rows(15, lambda n: 5_000_000 + 10 * n * n, days=2 + 1 / 96)
    complete = read("time,register wh", lines)
    meter = read("time,register wh", lines[:100] + lines[104:], Told(fill=fill))
    assert sum(meter.load_wh) == sum(complete.load_wh)
    assert sum(meter.load_wh[99:104]) == sum(complete.load_wh[99:104])
    assert meter.found.filled == 5


def test_nothing_is_no_filling_for_a_register(refused: Refused) -> None:
    lines = rows(15, lambda n: 5_000_000 + 10 * n, days=1 + 1 / 96)
    [mistake] = refused("time,register wh", lines[:50] + lines[51:], Told(fill=Fill.ZERO))
    assert "and the register tells 20 Wh for them" in mistake


def test_a_month_without_readings_is_no_gap_to_fill(refused: Refused) -> None:
    lines = [*rows(60, lambda _: 1), *rows(60, lambda _: 1, start=MAY + timedelta(days=40))]
    mistakes = refused("time,load_wh", lines, Told(fill=Fill.DAY_BEFORE))
    assert mistakes[0] == "line 26, column 1 (time): 39 days are missing before 2025-06-21T00:00:00+02:00"


def test_incomplete_days_are_left_out_where_that_is_said(read: Read, refused: Refused) -> None:
    lines = rows(15, lambda _: 1, days=2, start=MAY + timedelta(hours=15))
    meter = read("time,load_wh", lines[:-1], IMPORT)
    assert (meter.first, len(meter.load_wh)) == ((MAY + timedelta(days=1)).timestamp(), 96)
    assert meter.found.left_out == 95
    [mistake] = refused("time,load_wh", lines[:-1])
    assert mistake.startswith("needs whole days, has 191 steps of 15 minutes from 2025-05-12T15:00+02:00 to")
    [mistake] = refused("time,load_wh", lines[:90], IMPORT)
    assert mistake.startswith("needs whole days, has 90 steps of 15 minutes from 2025-05-12T15:00+02:00 to")


def test_a_filled_day_may_lack_two_hours(read: Read) -> None:
    lines = rows(15, lambda _: 4, days=2)[8:-8]
    meter = read("time,load_wh", lines, Told(cuts=True, fill=Fill.LINEAR))
    assert (list(meter.load_wh), meter.found.filled) == ([4] * 192, 16)
    meter = read("time,load_wh", lines[1:], Told(cuts=True, fill=Fill.LINEAR))
    assert (list(meter.load_wh), meter.found.filled, meter.found.left_out) == ([4] * 96, 8, 87)


# --- net metering ---


def test_negative_load_is_what_flows_into_the_grid(read: Read) -> None:
    meter = read("time,power (W)", rows(60, lambda n: -2000 if n == 12 else 400))
    assert (meter.pv_wh[48], meter.load_wh[48], meter.load_wh[52]) == (500, 0, 100)
    assert (sum(meter.pv_wh), sum(meter.load_wh), meter.found.net) == (2000, 9200, True)


def test_with_pv_of_its_own_meter_load_is_the_balance(read: Read, refused: Refused) -> None:
    header, lines = "time,pv_kw,load_kw", rows(60, lambda n: "3,-2" if n == 12 else "0,0.5")
    meter = read(header, lines)
    assert (sum(meter.pv_wh), meter.load_wh[48], sum(meter.load_wh)) == (3000, 250, 1000 + 23 * 500)
    lines[12] = lines[12].replace("3,-2", "1,-2")
    assert refused(header, lines) == [
        "line 14, column 3 (load_kw): 2000 Wh flow into the grid from 2025-05-12T12:00+02:00 on, where PV gave 1000 Wh"
    ]


def test_with_load_and_pv_what_the_grid_s_meter_says_is_not_needed(read: Read) -> None:
    meter = read("time,Production Wh,Consumption Wh,Feed-in Wh,Grid import Wh", rows(60, lambda _: "50,30,20,0"))
    assert (sum(meter.pv_wh), sum(meter.load_wh), meter.found.net) == (1200, 720, False)
    assert meter.found.ignored == ("Feed-in Wh", "Grid import Wh")


def test_negative_generation_is_refused(refused: Refused) -> None:
    assert refused("time,pv_wh", rows(60, lambda n: -5 if n == 3 else 1)) == [
        "line 5, column 2 (pv_wh): -5 Wh of pv must be 0 or more"
    ]


# --- other days ---


def test_days_can_be_moved_to_others(read: Read, refused: Refused) -> None:
    lines = [f"{time:%Y-%m-%d %H:%M},{n}" for n, time in enumerate(times(60))]
    meter = read("time,load_wh", lines, Told(timezone=BERLIN, move_to=date(2026, 12, 21)))
    assert meter.first == datetime(2026, 12, 21, tzinfo=BERLIN).timestamp()
    assert set(meter.utc_offsets_s) == {3600}
    [mistake] = refused("time,load_wh", lines, Told(timezone=BERLIN, move_to=date(2026, 10, 25)))
    assert mistake.startswith("clocks change in these days or in those from 2026-10-25 on")


# --- as a profile ---


def test_a_profile_of_a_longer_day_goes_on_after_it(tmp_path: Path) -> None:
    path = tmp_path / "autumn.csv"
    autumn = datetime(2025, 10, 26, tzinfo=BERLIN).astimezone(UTC)
    lines = [f"{time.astimezone(BERLIN).isoformat()},0,{n}" for n, time in enumerate(times(15, 25 / 24, autumn))]
    path.write_text("\n".join(["slot,pv_wh,load_wh", *lines, ""]))
    profile = read_profile_csv(path, 30_000)
    first = int(autumn.timestamp())
    assert [profile.actual(first + n * 900) for n in range(100)] == [SlotProfile(0, n) for n in range(100)]
    # Then come the hours of the day before, and after two days it begins again.
    assert [profile.actual(first + n * 900).load_wh for n in (100, 191, 192)] == [4, 95, 0]


def test_a_profile_of_a_shorter_day_goes_on_with_its_first_hour(tmp_path: Path) -> None:
    path = tmp_path / "spring.csv"
    spring = datetime(2025, 3, 30, tzinfo=BERLIN).astimezone(UTC)
    lines = [f"{time.astimezone(BERLIN).isoformat()},0,{n}" for n, time in enumerate(times(15, 23 / 24, spring))]
    path.write_text("\n".join(["slot,pv_wh,load_wh", *lines, ""]))
    profile = read_profile_csv(path, 30_000)
    first = int(spring.timestamp())
    assert [profile.actual(first + n * 900).load_wh for n in (91, 92, 95, 96)] == [91, 0, 3, 0]


# --- whatever comes ---

CELLS = st.sampled_from(
    (
        *("", "-", "nan", "1", "-3", "0,5", "1e999", "9" * 400, "x", "12:00", '"'),
        *("2025-05-12T05:00:00+02:00", "0001-01-01T00:00+14:00", "9999-12-31 23:59", "31.02.2025 00:00"),
        *("2025-03-30 02:30", "12/05/2025 00:00", "2025-05-12"),
    )
)
HEADERS = st.lists(
    st.sampled_from(
        ["slot", "pv_wh", "load_wh", "time", "load kW", "export kWh", "import kWh", "1.8.0", "", "Zählerstand"]
    ),
    max_size=4,
)
TOLD = st.builds(
    Told,
    timezone=st.sampled_from([None, BERLIN, SUMMER]),
    unit=st.sampled_from([None, *Unit]),
    reading=st.sampled_from([None, *Reading]),
    dates=st.sampled_from([None, *Dates]),
    decimal=st.sampled_from([None, *Decimal]),
    columns=st.sampled_from([{}, {Role.LOAD: "time"}, {Role.TIME: "load_wh"}]),
    fill=st.sampled_from([None, *Fill]),
    move_to=st.sampled_from([None, date(2026, 10, 25), date(1, 1, 1), date(9999, 12, 31)]),
    cuts=st.booleans(),
)


@given(HEADERS, st.lists(st.lists(CELLS, max_size=4), max_size=6), st.sampled_from(",;\t"), TOLD)
def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], lines: list[list[str]], delimiter: str, told: Told
) -> None:
    path = tmp_path_factory.mktemp("any") / "meter.csv"
    path.write_text("\n".join(delimiter.join(cells) for cells in [header, *lines]))
    with contextlib.suppress(MeterFileError):
        read_meter_file(path, told)


@given(st.dictionaries(st.tuples(st.integers(0, 25), st.integers(0, 2)), CELLS, max_size=3), TOLD)
def test_a_day_with_any_cells_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changed: dict[tuple[int, int], str], told: Told
) -> None:
    cells = [["slot", "pv_wh", "load_wh"], *([time.isoformat(), "10", "20"] for time in times(60, 25 / 24))]
    for (line, at), cell in changed.items():
        cells[line][at] = cell
    path = tmp_path_factory.mktemp("any") / "meter.csv"
    path.write_text("\n".join(map(";".join, cells)))
    with contextlib.suppress(MeterFileError):
        meter = read_meter_file(path, told)
        assert len(meter.pv_wh) == len(meter.load_wh) == len(meter.utc_offsets_s)
        assert min(meter.pv_wh) >= 0 <= min(meter.load_wh)
