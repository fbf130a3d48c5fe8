"""The series of prices that a utility's tariff names, and every mistake in it."""

from __future__ import annotations

from wattmesh_common.metering.prices import PricesFound
from wattmesh_common.metering.told import MeterFileError
from wattmesh_common.price_files import prices_in
from wattmesh_market.energy.tariff import PriceFile, PriceSeries
from wattmesh_operator.resources.mistakes import ManifestErrors
from wattmesh_operator.resources.parsing import Manifest

SERIES = "spec.tariff.series"


def place_of(file: PriceFile) -> tuple[str, str]:
    """The field that prices are in, and what a mistake in them begins with: the file's name, where there is one."""
    return (f"{SERIES}.csv", f"{file.path}: ") if file.text is None else (f"{SERIES}.inline", "")


def read_told(manifest: Manifest, file: PriceFile) -> tuple[PriceSeries, PricesFound]:
    """The prices of a manifest's tariff, and how they were read; ManifestErrors with every mistake in them."""
    field, name = place_of(file)
    try:
        return prices_in(file)
    except MeterFileError as error:
        found = [manifest.mistake(field, f"{name}{mistake}") for mistake in error.mistakes]
    except OSError as error:
        found = [manifest.mistake(field, f"{name}cannot be read: {error.strerror}")]
    except ValueError as error:
        found = [manifest.mistake(f"{SERIES}.timezone", str(error))]
    raise ManifestErrors(found)
