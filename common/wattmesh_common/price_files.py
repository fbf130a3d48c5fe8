"""The series of prices that a tariff names, from its file."""

from __future__ import annotations

from functools import lru_cache

from wattmesh_common.metering.prices import read_prices
from wattmesh_market.energy.tariff import PriceFile, PriceSeries, Tariff


def series_of(tariff: Tariff) -> PriceSeries | None:
    """What the file of a tariff says now, if it has one; read once as long as it does not change.

    OSError; MeterFileError with every mistake in it.
    """
    file = tariff.file
    if file is None:
        return None
    if file.text is not None:
        return _read(file, 0, len(file.text))
    now = file.path.stat()
    return _read(file, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=64)
def _read(file: PriceFile, _changed_ns: int, _size: int) -> PriceSeries:
    return read_prices(file)[0]
