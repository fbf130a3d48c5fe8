"""Weather files: what each kind gives, and what is wrong with one, by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pvlib
import pytest

from wattmesh_cli.field.weather import read_weather

MIDSUMMER = datetime(2026, 6, 21, tzinfo=UTC)
HEADER = "time,ghi,dni,dhi,temp_air,wind_speed"
TMY3 = Path(pvlib.__file__).parent / "data" / "723170TYA.CSV"
"""Greensboro, North Carolina: a file of the kind that pvlib comes with."""


def csv_of(path: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def hours(number: int, start: datetime = MIDSUMMER) -> list[str]:
    """Rows that count up: in the n-th hour, n W/m² reach level ground."""
    return [f"{(start + timedelta(hours=n)).isoformat()},{n},0,{n},15,1" for n in range(number)]


def epw_of(path: Path, number: int = 8760) -> Path:
    """Hours of a typical year in UTC+1: the n-th has n % 1000 W/m² of diffuse light."""
    rows = []
    for n in range(number):
        hour = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=n)
        light = n % 1000
        values = [hour.year, hour.month, hour.day, hour.hour + 1, 60, "?", 10, 5, 70, 95000, 0, 0, 300]
        values += [light, 0, light, 0, 0, 0, 0, 180, 2, *[0] * 13]
        rows.append(",".join(map(str, values)))
    head = ["LOCATION,Somewhere,-,DEU,made,0,48.1,11.6,1.0,520.0", *["COMMENT"] * 7]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def refused(path: Path, slots: Sequence[datetime] = (MIDSUMMER,)) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        read_weather(path).during(slots)
    return str(raised.value)


def test_a_slot_has_the_weather_of_its_hour(tmp_path: Path) -> None:
    weather = read_weather(csv_of(tmp_path / "day.csv", hours(24)))
    slots = [MIDSUMMER + timedelta(minutes=15 * n) for n in range(96)]
    assert [moment[0] for moment in weather.during(slots)] == [n // 4 for n in range(96)]
    assert weather.during([MIDSUMMER.astimezone(timezone(timedelta(hours=2)))])[0] == (0, 0, 0, 15, 1)


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    rows = [f"1,{row}" for row in hours(24)]
    weather = read_weather(csv_of(tmp_path / "day.csv", rows, f"station,{HEADER}"))
    assert weather.during([MIDSUMMER + timedelta(hours=7)]) == [(7, 0, 7, 15, 1)]


def test_a_file_shorter_than_asked_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "day.csv", hours(24))
    slots = [MIDSUMMER + timedelta(minutes=15 * n) for n in range(192)]
    assert refused(path, slots) == (
        f"{path}: has the weather from 2026-06-21T00:00:00+00:00 to 2026-06-22T00:00:00+00:00; the profiles need"
        " 2026-06-21T00:00:00+00:00 to 2026-06-23T00:00:00+00:00: give a longer file, fewer --days, or another"
        " clock.start of the BecknGateway"
    )
    assert "the profiles need 2026-06-20T23:45:00" in refused(path, [MIDSUMMER - timedelta(minutes=15)])


def test_epw_hours_start_where_they_say(tmp_path: Path) -> None:
    weather = read_weather(epw_of(tmp_path / "site.EPW"))
    noon = datetime(2030, 1, 3, 12, 45, tzinfo=timezone(timedelta(hours=1)))
    assert weather.during([noon, noon.astimezone(UTC)]) == [(60, 0, 60, 10, 2)] * 2
    leap_day, day_before = (datetime(2028, 2, day, 12, tzinfo=UTC) for day in (29, 28))
    assert weather.during([leap_day]) == weather.during([day_before])


def test_tmy3_hours_end_where_they_say() -> None:
    weather = read_weather(TMY3)
    # The file's line 01/01,12:00 is the hour from 11:00 on, at UTC-5.
    moments = weather.during(
        [datetime(2026, 1, 1, 11, minute, tzinfo=timezone(timedelta(hours=-5))) for minute in (0, 45)]
    )
    assert moments == [(261, 3, 260, 11.7, 5.2)] * 2


def pvgis_of(path: Path, number: int = 8760) -> Path:
    """A typical year of PVGIS, CSV or JSON: the n-th hour has n % 1000 W/m² of diffuse light; months of two years."""
    hours = []
    for n in range(number):
        hour = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=n)
        hours.append(
            (f"{2011 + hour.month % 2}{hour:%m%d:%H00}", 11.5, 70.0, n % 1000, 0.0, n % 1000, 300.0, 2.5, 180.0, 950)
        )
    names = ["time(UTC)", "T2m", "RH", "G(h)", "Gb(n)", "Gd(h)", "IR(h)", "WS10m", "WD10m", "SP"]
    months = [(month, 2011 + month % 2) for month in range(1, 13)]
    if path.suffix == ".json":
        place = {"latitude": 48.1, "longitude": 11.6, "elevation": 520.0}
        inputs = {"location": place, "irradiance_time_offset": 0.18}
        selected = [{"month": month, "year": year} for month, year in months]
        outputs = {"months_selected": selected, "tmy_hourly": [dict(zip(names, hour, strict=True)) for hour in hours]}
        path.write_text(json.dumps({"inputs": inputs, "outputs": outputs, "meta": {"inputs": {}}}))
        return path
    head = ["Latitude (decimal degrees): 48.100", "Longitude (decimal degrees): 11.600", "Elevation (m): 520.0"]
    head += ["Irradiance Time Offset (h): 0.1761", "month,year", *(f"{month},{year}" for month, year in months)]
    rows = [",".join(map(str, hour)) for hour in hours]
    path.write_bytes("\r\n".join([*head, ",".join(names), *rows, "", "T2m: 2-m air temperature", ""]).encode())
    return path


@pytest.mark.parametrize("name", ["tmy.csv", "tmy.json"])
def test_a_typical_year_of_pvgis_is_in_utc(tmp_path: Path, name: str) -> None:
    weather = read_weather(pvgis_of(tmp_path / name))
    noon = datetime(2030, 1, 3, 12, 45, tzinfo=timezone(timedelta(hours=1)))
    assert weather.during([noon, noon.astimezone(UTC)]) == [(59, 0, 59, 11.5, 2.5)] * 2
    assert weather.during([datetime(2026, 12, 31, 23, tzinfo=UTC)]) == [(759, 0, 759, 11.5, 2.5)]


@pytest.mark.parametrize(
    ("name", "why"), [("tmy.csv", "is no whole "), ("tmy.json", "has no weather for 21 June 00:00")]
)
def test_half_a_year_of_pvgis_is_refused(tmp_path: Path, name: str, why: str) -> None:
    path = pvgis_of(tmp_path / name, 2400)
    assert refused(path).startswith(f"{path}: {why}")


def test_a_typical_year_with_hours_left_out_is_refused(tmp_path: Path) -> None:
    path = epw_of(tmp_path / "short.epw", 2400)
    assert refused(path) == f"{path}: has no weather for 21 June 01:00; a typical year needs all its 8760 hours"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "needs at least two times, 15, 30 or 60 minutes apart"),
        (hours(1), "needs at least two times, 15, 30 or 60 minutes apart"),
        (hours(48)[::2], "needs at least two times, 15, 30 or 60 minutes apart"),
        ([*hours(2), *hours(4)[3:]], "line 4: times must follow each other in equal steps, none left out"),
        (["2026-06-21T00:00:00,0,0,0,15,1"], "line 2: time needs a zone and must be on the quarter hour"),
        (["2026-06-21T00:05:00Z,0,0,0,15,1"], "line 2: time needs a zone and must be on the quarter hour"),
        (
            ["2026-06-21T00:00:00Z,much,0,0,15,1"],
            "line 2: could not convert string to float: 'much'; time is RFC 3339, all else are numbers",
        ),
        (["2026-06-21T00:00:00Z,9999,0,0,15,1"], "line 2: ghi must be from 0 to 1500, not 9999"),
        (["2026-06-21T00:00:00Z,0,-1,0,15,1"], "line 2: dni must be from 0 to 1500, not -1"),
        (["2026-06-21T00:00:00Z,0,0,nan,15,1"], "line 2: dhi must be from 0 to 1500, not nan"),
        (["2026-06-21T00:00:00Z,0,0,0,99.9,1"], "line 2: temp_air must be from -90 to 60, not 99.9"),
    ],
)
def test_a_mistake_is_told_by_line(tmp_path: Path, rows: Sequence[str], text: str) -> None:
    path = csv_of(tmp_path / "day.csv", rows)
    assert refused(path) == f"{path}: {text}"


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "day.csv", hours(2), "time,ghi,dni,dhi,temp,wind")
    assert refused(path) == f"{path}: line 1: needs the columns temp_air, wind_speed"


def test_what_is_no_weather_file_is_refused(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear street,\n")
    assert refused(letter).startswith(
        f"{letter}: is no weather file; it must be EPW (*.epw), TMY3, a PVGIS TMY, or CSV"
    )
    half = tmp_path / "half.epw"
    half.write_text("LOCATION,Somewhere\n")
    assert refused(half).startswith(f"{half}: is no whole EPW, TMY3, PVGIS or CSV file: ")
    assert refused(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'}: cannot be read: No such file or directory"
