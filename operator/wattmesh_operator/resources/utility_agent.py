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

from wattmesh_market.mechanisms.sharing import KEYS
from wattmesh_market.strategies import UTILITY_STRATEGIES
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.resources.quantities import Kw, MidOrPrice, Percent, Price
from wattmesh_operator.resources.resource import CustomResource, GatewayRef, Part
from wattmesh_operator.resources.values import (
    UNTYPED,
    DnsLabel,
    OneOf,
    TimeOfDay,
    Whole,
    not_allowed,
    rule_broken,
)

NO_SHARING = "none"


class TariffPeriod(Part):
    """A price for some hours of every day."""

    start: Annotated[time, TimeOfDay()] = Field(
        validation_alias="from", serialization_alias="from", description="First minute, HH:MM in the gateway's zone."
    )
    end: Annotated[time, TimeOfDay()] = Field(
        validation_alias="to",
        serialization_alias="to",
        description="Minute after the last, HH:MM in the gateway's zone; before `from` if it runs past midnight.",
    )
    price: Price = Field(description="Price in currency per kWh in these hours.")

    @field_validator("end")
    @classmethod
    def _not_empty(cls, end: time, info: ValidationInfo) -> time:
        if end == info.data.get("start"):
            raise rule_broken(f'must differ from "from": both are "{end:%H:%M}"; for the whole day set tariff.price')
        return end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def overlaps(self, other: Self) -> bool:
        """Whether both hold at some minute; of two such periods one starts within the other."""
        return self._holds_at(other.start) or other._holds_at(self.start)

    def _holds_at(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


class Tariff(Part):
    """Prices by time of use."""

    price: Price = Field(description="Price in currency per kWh outside the periods.")
    feed_in: Price = Field(description="Paid per kWh for surplus that found no buyer.")
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
