"""A meter file's times: which columns hold them, how dates are written, their zone, and their step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wattmesh_common.metering.table import Table, at_of
from wattmesh_common.metering.told import Dates, FileMistake, Role, Told

YEARS = range(1970, 2200)
STEPS_S = (60, 300, 900, 1800, 3600)
_ISO = re.compile(r"\d{4}[-/]\d\d[-/]\d\d([T ].*)?")
_DATED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)(?:[T ,]+(\d{1,2}):(\d\d)(?::(\d\d))?)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_LOOKED_AT = 50
_LONGEST_GAP_S = 31 * 86_400


@dataclass(frozen=True)
class Times:
    """Start of each row's step (unix seconds) with its zone's offset (s), in growing order; `rows` are their rows.

    `how` says how they were read.
    """

    starts: Sequence[int]
    utc_offsets_s: Sequence[int]
    rows: Sequence[int]
    step_s: int
    how: str


def zone_named(text: str) -> tzinfo:
    """The zone of that name, or offset from UTC; ValueError when there is none."""
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(ahead if offset[1] == "+" else -ahead)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{text}: no such zone here; give one as Europe/Berlin (on Windows after pip install tzdata) or +01:00"
        ) from None


def time_columns(table: Table, told: Told, mistakes: list[FileMistake]) -> tuple[int, ...]:
    """The column of dates with times, or that of dates and that of times; empty, with a mistake, when there is none."""
    if Role.TIME in told.columns:
        at = at_of(table, told.columns[Role.TIME], mistakes)
        return (at,) if at >= 0 else ()
    rows = [cells for _, cells in table.rows[:_LOOKED_AT]]
    for at in range(len(table.header)):
        dated = [cells[at] for cells in rows if _ISO.fullmatch(cells[at]) or _DATED.fullmatch(cells[at])]
        if dated and (":" in dated[0] or len(dated[0]) > 10):
            return (at,)
        if dated:
            clocks = [other for other in range(len(table.header)) if any(_CLOCK.fullmatch(row[other]) for row in rows)]
            if clocks:
                return at, clocks[0]
    what = "no column has dates with times, as 2026-06-21T00:15:00+02:00 or 21.06.2026 00:15"
    mistakes.append(FileMistake(f"{what}; has {', '.join(table.header)}", 2))
    return ()


def read_times(table: Table, at: Sequence[int], told: Told, mistakes: list[FileMistake]) -> Times | None:
    """The times of all rows that have one. None, with mistakes, when no step can be made out of them."""
    place = (at[0] + 1, table.header[at[0]])
    texts = [(row, line, " ".join(cells[one] for one in at)) for row, (line, cells) in enumerate(table.rows)]
    dates = told.dates or _order(text for _, _, text in texts)
    if dates is None:
        what = (
            f"{texts[0][2]!r} may be day-first or month-first; tell it: {told.options.dates} day-first or month-first"
        )
        mistakes.append(FileMistake(what, texts[0][1], place))
        return None
    read = []
    for row, line, text in texts:
        try:
            moment = _moment(text, dates)
            if moment.year not in YEARS:
                raise ValueError(moment.year)
            read.append((row, line, moment))
        except ValueError:
            mistakes.append(FileMistake(f"{text[:40]!r} is no time, as 2026-06-21T00:15:00+02:00", line, place))
    if len(read) > 1 and read[0][2].replace(tzinfo=None) > read[-1][2].replace(tzinfo=None):
        read.reverse()  # newest first
    aware = all(moment.tzinfo for _, _, moment in read)
    kept = _placed(read, told, place, mistakes)
    step_s = _step(kept, place, mistakes)
    if step_s is None:
        return None
    written = "ISO" if _ISO.fullmatch(texts[0][2]) else str(dates)
    zone = f"in {told.timezone}" if told.timezone else "with their own zone"
    how = f"{written} {'with zone, days ' if aware and told.timezone else ''}{zone}"
    return Times([one[2] for one in kept], [one[3] for one in kept], [one[0] for one in kept], step_s, how)


def _order(texts: Iterable[str]) -> Dates | None:
    """The order of days and months; day-first where no date needs to know, None where it stays open."""
    found = [match for text in texts if (match := _DATED.fullmatch(text))]
    if not found or any(match[2] == "." or int(match[1]) > 12 for match in found):
        return Dates.DAY_FIRST
    if any(int(match[3]) > 12 for match in found):
        return Dates.MONTH_FIRST
    pairs = [(int(match[1]), int(match[3])) for match in found]
    firsts, seconds = {first for first, _ in pairs}, {second for _, second in pairs}
    if len(firsts) == len(seconds):
        return None if any(first != second for first, second in pairs) else Dates.DAY_FIRST
    return Dates.DAY_FIRST if len(firsts) > len(seconds) else Dates.MONTH_FIRST  # days are more than months


def _moment(text: str, dates: Dates) -> datetime:
    found = _DATED.fullmatch(text)
    if found is None:
        return datetime.fromisoformat(text.replace("/", "-"))
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    day, month = (first, second) if dates is Dates.DAY_FIRST else (second, first)
    hour, minute, second_of = (int(part or 0) for part in found.groups()[4:])
    # Its zone comes next.
    return datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second_of)  # noqa: DTZ001


_Row = tuple[int, int, int, int]
"""Number of a row, its line, its time (unix seconds), the offset of its zone."""


def _placed(
    read: Sequence[tuple[int, int, datetime]], told: Told, place: tuple[int, str], mistakes: list[FileMistake]
) -> list[_Row]:
    """Times on the line of all times. Of an hour that comes twice in autumn, the later one comes second."""
    kept: list[_Row] = []
    zone, untold = told.timezone, False
    for row, line, moment in read:
        if moment.tzinfo is None and zone is None:
            if not untold:
                what = f"has no time zone; tell it: {told.options.timezone} Europe/Berlin"
                mistakes.append(FileMistake(f"{moment.isoformat(' ')} {what}", line, place))
            untold = True
            moment = moment.replace(tzinfo=UTC)
        elif moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
            first, second = moment.timestamp(), moment.replace(fold=1).timestamp()
            if first > second:
                what = f"there is no {moment.replace(tzinfo=None).isoformat(' ')} in {zone}: clocks go forward"
                way = f"where the file does not follow them, tell its offset, as {told.options.timezone} +01:00"
                mistakes.append(FileMistake(f"{what}; {way}", line, place))
                continue
            if first < second and kept and kept[-1][2] >= first:
                moment = moment.replace(fold=1)
        elif zone is not None:
            moment = moment.astimezone(zone)
        offset = moment.utcoffset()
        assert offset is not None  # noqa: S101
        unix = moment.timestamp()
        if unix % 60:
            mistakes.append(FileMistake("must be on the minute", line, place))
            continue
        if kept and unix <= kept[-1][2]:
            same = "is that of the reading before" if unix == kept[-1][2] else "lies before the reading before"
            mistakes.append(FileMistake(f"{moment.isoformat()} {same}; each time needs one reading", line, place))
            continue
        if kept and unix - kept[-1][2] > _LONGEST_GAP_S:
            days = int(unix - kept[-1][2]) // 86_400
            mistakes.append(FileMistake(f"{days} days are missing before {moment.isoformat()}", line, place))
            continue
        kept.append((row, line, int(unix), int(offset.total_seconds())))
    return kept


def _step(kept: Sequence[_Row], place: tuple[int, str], mistakes: list[FileMistake]) -> int | None:
    """The most frequent distance; a mistake for each time beside its grid."""
    steps = Counter(later[2] - earlier[2] for earlier, later in pairwise(kept))
    if not steps:
        if not mistakes:
            mistakes.append(FileMistake("needs at least two readings"))
        return None
    step_s = steps.most_common(1)[0][0]
    if step_s not in STEPS_S:
        what = f"readings are mostly {step_s / 60:g} minutes apart; 1, 5, 15, 30 and 60 can be read"
        mistakes.append(FileMistake(what, kept[0][1], place))
        return None
    first = kept[0][2]
    grid_s = min(step_s, 900)
    if first % grid_s:
        what = f"readings of {step_s // 60} minutes must start at a multiple of {grid_s // 60} minutes"
        mistakes.append(FileMistake(what, kept[0][1], place))
    for _, line, unix, _ in kept:
        if (unix - first) % step_s:
            what = f"is no whole number of {step_s // 60} minutes after the first reading"
            mistakes.append(FileMistake(what, line, place))
    return step_s
