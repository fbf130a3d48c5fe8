"""The UtilityAgent resource: who sells at a tariff and supplies what the market does not."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)

from wattmesh_common.metering.prices import PriceUnit
from wattmesh_common.metering.told import Dates
from wattmesh_market.energy.tariff import DAYS, MONTHS
from wattmesh_market.mechanisms.sharing import KEYS
from wattmesh_market.strategies import UTILITY_STRATEGIES
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.resources.quantities import Kw, MidOrPrice, Percent, Price, SignedPrice
from wattmesh_operator.resources.resource import ConfigMapRef, CustomResource, GatewayRef, Part
from wattmesh_operator.resources.values import (
    UNTYPED,
    ColumnName,
    DaysOfWeek,
    DnsLabel,
    FilePath,
    InlineText,
    MonthsOfYear,
    OneOf,
    Retention,
    SlotBorder,
    TimeZone,
    Whole,
    not_allowed,
    rule_broken,
)

NO_SHARING = "none"


class TariffPeriod(Part):
    """A price for some hours, of every day or of some."""

    start: Annotated[time, SlotBorder()] = Field(
        validation_alias="from",
        serialization_alias="from",
        description="Start, HH:MM in the gateway's zone, on a quarter of an hour.",
    )
    end: Annotated[time, SlotBorder()] = Field(
        validation_alias="to",
        serialization_alias="to",
        description="End, HH:MM in the gateway's zone, on a quarter of an hour; before `from` if it runs past"
        " midnight.",
    )
    price: SignedPrice = Field(description="Price in currency per kWh in these hours.")
    days: DaysOfWeek = Field(default=(), max_length=7, description="Days of the week on which it begins. Default: all.")
    months: MonthsOfYear = Field(default=(), max_length=12, description="Months in which it begins. Default: all.")

    @field_validator("end")
    @classmethod
    def _not_empty(cls, end: time, info: ValidationInfo) -> time:
        if end == info.data.get("start"):
            raise rule_broken(f'must differ from "from": both are "{end:%H:%M}"; for the whole day set tariff.price')
        return end

    def __str__(self) -> str:
        of = "".join(f" {','.join(names)}" for names in (self.days, self.months) if names)
        return f"{self.start:%H:%M}-{self.end:%H:%M}{of}"

    def overlaps(self, other: Self) -> bool:
        """Whether both hold at some time of some day; of two such periods one starts within the other."""
        return self._holds_when_begins(other) or other._holds_when_begins(self)

    def _holds_when_begins(self, other: Self) -> bool:
        at, days = other.start, set(other.days or DAYS)
        if self.start >= self.end and at < self.end:
            days = {DAYS[DAYS.index(day) - 1] for day in days}  # it has begun the day before
        elif not (self.start <= at and (at < self.end or self.end <= self.start)):
            return False
        return not (days.isdisjoint(self.days or DAYS) or set(self.months or MONTHS).isdisjoint(other.months or MONTHS))


class PriceColumns(Part):
    """Which columns of a file hold prices. Two may be the same."""

    price: ColumnName | None = Field(default=None, description="What comes on top of price, and of that of periods.")
    feed_in: ColumnName | None = Field(default=None, description="What comes on top of feedIn.")
    grid_fee: ColumnName | None = Field(default=None, description="What comes on top of gridFee.")
    local_grid_fee: ColumnName | None = Field(default=None, description="What comes on top of localGridFee.")


class PriceSeries(Part):
    """Prices of 1, 5, 15, 30 or 60 minutes each, as CSV: in a file, or as the text itself."""

    csv: FilePath | None = Field(
        default=None,
        description="The file. A relative path starts at the manifest's folder. With `wattmesh up` and `simulate`"
        " only.",
    )
    inline: InlineText | None = Field(
        default=None, description="The text itself, for a few days of prices: a line of names, then one for each."
    )
    config_map: ConfigMapRef | None = Field(
        default=None,
        validate_default=True,
        description="ConfigMap with the file under the key prices.csv. In a cluster only.",
    )
    columns: PriceColumns | None = Field(
        default=None,
        description="Which columns hold prices. Default: by their names, such as price, feed_in, grid_fee.",
    )
    unit: Annotated[str, OneOf(tuple(map(str, PriceUnit)))] | None = Field(
        default=None, description="Unit of the prices. Default: by the columns' names, such as EUR/MWh, ct/kWh."
    )
    dates: Annotated[str, OneOf(tuple(map(str, Dates)))] | None = Field(
        default=None, description="Order of dates as 01/02/2026. Default: by the dates."
    )
    timezone: TimeZone | None = Field(
        default=None, description="Zone of times that say none, such as Europe/Berlin or +01:00."
    )

    @field_validator("config_map")
    @classmethod
    def _one_source(cls, config_map: ConfigMapRef | None, info: ValidationInfo) -> ConfigMapRef | None:
        # A field that is missing here is one that was written but is not valid.
        sources = {name: info.data.get(name, "not valid") for name in ("csv", "inline")} | {"configMap": config_map}
        found = [name for name, source in sources.items() if source is not None]
        if len(found) != 1:
            told = " and ".join(found) or "none"
            raise rule_broken(f"needs exactly one of csv, inline and configMap, not {told}", of_parent=True)
        return config_map


class Tariff(Part):
    """Prices by time of use, and by a series of prices."""

    price: SignedPrice = Field(description="Price in currency per kWh outside the periods.")
    feed_in: SignedPrice = Field(description="Paid per kWh for surplus that found no buyer.")
    grid_fee: Price = Field(
        default=Decimal(0), description="Grid fee per kWh, on top of the price, of what the utility sells or supplies."
    )
    local_grid_fee: Price = Field(
        default=Decimal(0),
        description="Grid fee per kWh, on top of the seller's price, of what its households sell to other households.",
    )
    periods: tuple[TariffPeriod, ...] = Field(
        default=(), max_length=48, description="Hours with another price; they must not overlap."
    )
    series: PriceSeries | None = Field(
        default=None,
        description="Prices of a file, slot by slot, each of which comes on top of what stands here: a spot price on"
        " the supplier's own, in price.",
    )

    @field_validator("periods")
    @classmethod
    def _apart(cls, periods: tuple[TariffPeriod, ...]) -> tuple[TariffPeriod, ...]:
        overlaps = [
            f"[{i}] {first} overlaps [{j}] {second}"
            for (i, first), (j, second) in combinations(enumerate(periods), 2)
            if first.overlaps(second)
        ]
        if overlaps:
            raise rule_broken(f"must not overlap: {', '.join(overlaps)}")
        return periods


class DemandResponse(Part):
    """When the utility turns buyer."""

    start_at_percent: Percent = Field(description="Buys from households above this share of its slot capacity.")
    max_price: Price = Field(description="Buys up to this price in currency per kWh.")


class Sharing(Part):
    """How the utility nets what its households import and export in the same slot."""

    price: MidOrPrice = Field(
        default=None,
        description="Price in currency per kWh before the local grid fee; mid is the middle of feed-in and tariff.",
    )
    key: Annotated[str, OneOf(tuple(KEYS))] = Field(
        default="proRata", description="Whose import and export it is: in proportion (proRata), or the same for each."
    )


def _read_sharing(value: Any, read: ValidatorFunctionWrapHandler) -> Sharing | None:
    if value == NO_SHARING:
        return None
    if not isinstance(value, dict | Sharing):
        raise not_allowed(f"{NO_SHARING}, or a mapping of price and key", value)
    sharing: Sharing = read(value)
    return sharing


class UtilityAgentSpec(Part):
    """What a utility is told."""

    gateway_ref: GatewayRef | None = Field(
        default=None, description="Gateway to trade through. Default: the only one of the namespace."
    )
    feeder: DnsLabel = Field(default="main", description="Feeder (street transformer) it supplies and is heard on.")
    tariff: Tariff = Field(description="Prices by time of use.")
    capacity_kw: Kw = Field(
        description="Power that it sells on the market at most, in kW. As backstop it supplies without limit."
    )
    demand_response: DemandResponse | None = Field(
        default=None, description="When to buy from households. Default: never."
    )
    sharing: Annotated[
        Sharing | None,
        WrapValidator(_read_sharing),
        PlainSerializer(lambda sharing: NO_SHARING if sharing is None else sharing, when_used="json"),
        WithJsonSchema(UNTYPED),
    ] = Field(
        default_factory=Sharing,
        description="How what its households import and export in the same slot is netted among them: none, or a"
        " mapping of price and key. price is what a kWh costs before the local grid fee: mid (the default), the middle"
        " of feed-in and tariff, or a number, which is held between the two. key says who gets how much: proRata (the"
        " default), in proportion to import and export, or equal.",
    )
    retention: Retention = Field(
        default="3650d",
        description="How long contracts, readings and ledger entries are kept after their slot, in days of grid time;"
        " then they are deleted, and only sums and hashes stay.",
    )
    seed: Annotated[int, Whole(0, 2**53 - 1)] = Field(
        default=0, description="Draws lots where shares are equal; the same seed repeats a run."
    )
    strategy: Annotated[str, OneOf(UTILITY_STRATEGIES)] = Field(
        default="rules",
        description="Who decides: rules, or rules with a chat model that chooses among the offers it collected (chat).",
    )
    pod: PodTemplate | None = Field(default=None, description="What its pods have beside what the chart says for all.")


class UtilityAgent(CustomResource):
    """Sells to any search at its tariff."""

    kind: Literal["UtilityAgent"] = Field(default="UtilityAgent", description="Always UtilityAgent.")
    spec: UtilityAgentSpec = Field(description="The desired utility.")
