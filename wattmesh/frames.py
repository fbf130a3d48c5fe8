"""Rows as pandas DataFrames: the one module that imports pandas and pyarrow, which come with the extra `study`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame, DatetimeIndex


class MissingExtra(ImportError):
    """pandas or pyarrow is not installed. The message says what to install."""

    def __init__(self, name: str | None) -> None:
        super().__init__(f"wattmesh: frames need {name}, which is not installed: pip install 'wattmesh[study]'")


def require() -> None:
    """Raise MissingExtra where frames cannot be made."""
    _pandas()


def of_rows(rows: Iterable[object], names: Sequence[str], zone: tzinfo, *, nullable: Iterable[str] = ()) -> DataFrame:
    """A row for each of some objects: their slot in local time as the index, a column for each attribute named.

    Columns in `nullable` are whole numbers that may be missing.
    """
    read: Callable[[object], Any] = attrgetter("slot", *names)
    frame = _pandas().DataFrame.from_records(list(map(read, rows)), columns=["slot", *names])
    return at_times(frame.astype(dict.fromkeys(nullable, "Int64")), "slot", zone)


def of_values(rows: Sequence[Mapping[str, object]]) -> DataFrame:
    """A row for each mapping, a column for each of their keys, in the order in which they come."""
    return _pandas().DataFrame(list(rows))


def at_times(frame: DataFrame, name: str, zone: tzinfo) -> DataFrame:
    """The frame with a column of unix seconds as its index, in local time."""
    return frame.set_index(_times(frame.pop(name), zone).rename(name))


def _times(seconds: object, zone: tzinfo) -> DatetimeIndex:
    pandas = _pandas()
    return pandas.DatetimeIndex(pandas.to_datetime(seconds, unit="s", utc=True)).tz_convert(zone)


def require_parquet() -> None:
    """Raise MissingExtra where frames cannot be written."""
    require()
    try:
        import pyarrow  # noqa: F401 - pandas finds it by itself
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name) from None


def write_parquet(frames: Mapping[str, DataFrame], folder: Path) -> None:
    """Write each frame to `folder`, as NAME.parquet. OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", engine="pyarrow")


def _pandas() -> Any:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name) from None
    return pandas
