"""Delivery slots: 15 minutes of grid time, named by their start in unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

SLOT_S = 900
"""Length of a delivery slot (seconds of grid time)."""
DAY_S = 86_400
SLOTS_PER_DAY = DAY_S // SLOT_S


def slot_of(grid_s: float) -> int:
    """The slot that grid time `grid_s` (unix seconds) lies in."""
    return int(grid_s // SLOT_S) * SLOT_S


def slot_energy_wh(power_w: int) -> int:
    """What a power gives in one slot, rounded down."""
    return power_w * SLOT_S // 3600


def slot_range(slot: int) -> tuple[datetime, datetime]:
    """Start and end of a slot in UTC."""
    start = datetime.fromtimestamp(slot, UTC)
    return start, start + timedelta(seconds=SLOT_S)


def slot_from_range(start: datetime, end: datetime) -> int:
    """The slot that starts and ends so; ValueError when the range is no delivery slot."""
    unix = start.timestamp()
    if unix % SLOT_S or (end - start).total_seconds() != SLOT_S:
        raise ValueError(
            f"{start.isoformat()} to {end.isoformat()} is no delivery slot; "
            f"slots last {SLOT_S // 60} minutes and start on the quarter hour"
        )
    return int(unix)


def slots_from_range(start: datetime, end: datetime) -> range:
    """The slots from one time to another; ValueError when these are no borders of slots."""
    first, last = start.timestamp(), end.timestamp()
    if first % SLOT_S or last % SLOT_S or last <= first:
        raise ValueError(
            f"{start.isoformat()} to {end.isoformat()} is no row of delivery slots; "
            f"slots last {SLOT_S // 60} minutes and start on the quarter hour"
        )
    return range(int(first), int(last), SLOT_S)


def local(slot: int, utc_offset_s: int) -> datetime:
    """A slot's start in the street's local time."""
    return datetime.fromtimestamp(slot, timezone(timedelta(seconds=utc_offset_s)))


def time_of_day(slot: int, utc_offset_s: int) -> time:
    """Local time of day at a slot's start."""
    hour, rest = divmod((slot + utc_offset_s) % DAY_S, 3600)
    return time(hour, *divmod(rest, 60))


def slot_text(slot: int, utc_offset_s: int) -> str:
    """A slot for people: `06:15-06:30`."""
    return f"{_clock_text(slot + utc_offset_s)}-{_clock_text(slot + SLOT_S + utc_offset_s)}"


def _clock_text(local_s: int) -> str:
    minutes = local_s % DAY_S // 60
    return f"{minutes // 60:02}:{minutes % 60:02}"


def require_slot_borders(*times: time) -> None:
    """ValueError where one of these times of day is within a slot."""
    if any(at.hour * 3600 % SLOT_S + at.minute * 60 % SLOT_S + at.second for at in times):
        raise ValueError(f"{' to '.join(map(str, times))} is not on borders of slots of {SLOT_S // 60} minutes")
