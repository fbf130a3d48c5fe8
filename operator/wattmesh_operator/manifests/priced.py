"""The series of prices that manifests name, and every mistake in their files."""

from __future__ import annotations

from collections.abc import Iterator

from wattmesh_common.metering.prices import read_prices
from wattmesh_common.metering.told import MeterFileError
from wattmesh_market.energy.tariff import PriceFile
from wattmesh_operator.manifests.measured import is_file
from wattmesh_operator.plan.participants import price_file
from wattmesh_operator.resources import BecknGateway, Resource, UtilityAgent
from wattmesh_operator.resources.mistakes import Mistake
from wattmesh_operator.resources.parsing import Manifest


def prices_told(resource: Resource) -> PriceFile | None:
    """A utility's prices, as a file on this machine or as text, and what its manifest tells of them."""
    series = resource.spec.tariff.series if isinstance(resource, UtilityAgent) else None
    return price_file(series) if series and series.config_map is None else None


def price_mistakes(manifest: Manifest, gateway: BecknGateway | None) -> Iterator[Mistake]:
    """What is wrong in a manifest's series of prices, and with its days on the gateway's clock."""
    file = prices_told(manifest.resource)
    if file is None:
        return
    field, name = ("csv", f"{file.path}: ") if file.text is None else ("inline", "")
    field = f"spec.tariff.series.{field}"
    if file.text is None and not is_file(file.path):
        yield manifest.mistake(field, f"must be a file; there is none at {file.path}")
        return
    try:
        series, found = read_prices(file)
    except MeterFileError as error:
        yield from (manifest.mistake(field, f"{name}{mistake}") for mistake in error.mistakes)
    except OSError as error:
        yield manifest.mistake(field, f"{name}cannot be read: {error.strerror}")
    except ValueError as error:
        yield manifest.mistake("spec.tariff.series.timezone", str(error))
    else:
        start = None if gateway is None else gateway.spec.clock.start
        if start is not None and not series.first <= start.timestamp() < series.end:
            first, end = found.time(series.first), found.time(series.end, end=True)
            what = (
                f"{name}has prices from {first:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, and clock.start is"
                f" {start:%Y-%m-%d %H:%M}: give prices from then on, or start when they do"
            )
            yield manifest.mistake(field, what)
