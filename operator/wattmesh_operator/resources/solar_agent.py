"""The SolarAgent resource: one or more households of one kind.

A rule over several fields is a validator of the last of them and runs when those it needs are valid, whatever else
is wrong, so that all mistakes are found at once.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from wattmesh_market.energy.forecast import MakesForecast, forecasts
from wattmesh_market.pricing import Pricing, pricings
from wattmesh_market.strategies import STRATEGIES, StrategyFunction, strategies
from wattmesh_operator.resources.devices import Device, Ev, HeatPump, ShiftableLoad, different_names
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.resources.quantities import (
    Azimuth,
    CapacityKwh,
    EfficiencyPercent,
    Kw,
    Kwh,
    Latitude,
    Longitude,
    Percent,
    PositiveKw,
    Price,
    Tilt,
    plain,
    ppm,
    wh,
)
from wattmesh_operator.resources.resource import ConfigMapRef, CustomResource, GatewayRef, Part, UtilityRef
from wattmesh_operator.resources.values import (
    DnsLabel,
    FilePath,
    PluginName,
    Retention,
    Whole,
    rule_broken,
)

DEFAULT_SELL_PRICE = Decimal("0.15")


class Battery(Part):
    """A household's battery."""

    capacity_kwh: CapacityKwh = Field(description="Energy it holds when full, in kWh.")
    initial_kwh: Kwh = Field(description="Energy it holds at the start, in kWh: minKwh ≤ initialKwh ≤ capacityKwh.")
    min_kwh: Kwh = Field(
        default=Decimal(0), validate_default=True, description="Level below which it is never discharged, in kWh."
    )
    power_kw: Kw = Field(default=Decimal(5), description="Greatest power of charging and of discharging, in kW.")
    charge_power_kw: Kw | None = Field(default=None, description="Greatest power of charging, in kW. Default: powerKw.")
    discharge_power_kw: Kw | None = Field(
        default=None, description="Greatest power of discharging, in kW. Default: powerKw."
    )
    charge_efficiency_percent: EfficiencyPercent = Field(
        default=Decimal(95), description="Share of the energy charged that is stored."
    )
    discharge_efficiency_percent: EfficiencyPercent = Field(
        default=Decimal(95), description="Share of the energy taken from store that comes out."
    )
    self_discharge_percent_per_day: Percent = Field(
        default=Decimal(0), description="Share of what is stored that is lost in a day, used or not."
    )

    @field_validator("initial_kwh")
    @classmethod
    def _within_capacity(cls, initial_kwh: Decimal, info: ValidationInfo) -> Decimal:
        capacity_kwh = info.data.get("capacity_kwh")
        if capacity_kwh is not None and initial_kwh > capacity_kwh:
            raise rule_broken(f"must be at most capacityKwh ({plain(capacity_kwh)}), not {plain(initial_kwh)}")
        return initial_kwh

    @field_validator("min_kwh")
    @classmethod
    def _below_initial(cls, min_kwh: Decimal, info: ValidationInfo) -> Decimal:
        initial_kwh = info.data.get("initial_kwh")
        if initial_kwh is not None and min_kwh > initial_kwh:
            raise rule_broken(f"must be at most initialKwh ({plain(initial_kwh)}), not {plain(min_kwh)}")
        return min_kwh


class PanelGroup(NamedTuple):
    """Panels of one slope that look one way: peak power (kW), tilt and azimuth (degrees)."""

    peak_kw: Decimal
    tilt_degrees: Decimal
    azimuth_degrees: Decimal


class Roof(Part):
    """Solar panels of one slope that look one way."""

    peak_kw: PositiveKw = Field(description="Peak power, in kW.")
    tilt_degrees: Tilt | None = Field(default=None, description="Slope of its panels. Default: that of pv.")
    azimuth_degrees: Azimuth | None = Field(default=None, description="Where they look. Default: that of pv.")


class Pv(Part):
    """A household's solar panels: one roof of peakKw, or several roofs."""

    peak_kw: PositiveKw | None = Field(default=None, description="Peak power, in kW; instead of roofs.")
    latitude: Latitude = Field(default=Decimal("48.1"), description="Degrees north.")
    longitude: Longitude = Field(default=Decimal("11.6"), description="Degrees east.")
    tilt_degrees: Tilt = Field(default=Decimal(0), description="Slope of the panels: 0 lies flat, 90 stands upright.")
    azimuth_degrees: Azimuth = Field(
        default=Decimal(180), description="Where sloping panels look: 90 is east, 180 south, 270 west."
    )
    roofs: tuple[Roof, ...] = Field(
        default=(),
        max_length=20,
        validate_default=True,
        description="Several roofs, each with a power, slope and azimuth of its own, instead of peakKw.",
    )

    @field_validator("roofs")
    @classmethod
    def _some_panels(cls, roofs: tuple[Roof, ...], info: ValidationInfo) -> tuple[Roof, ...]:
        # A field that is missing here is one that was written but is not valid.
        one = info.data.get("peak_kw", "not valid") is not None
        if one == bool(roofs):
            found = "both" if roofs else "none"
            raise rule_broken(f"needs exactly one of peakKw and roofs, not {found}", of_parent=True)
        return roofs

    @property
    def panels(self) -> tuple[PanelGroup, ...]:
        """Each roof, with what it takes from pv."""
        if self.peak_kw is not None:
            return (PanelGroup(self.peak_kw, self.tilt_degrees, self.azimuth_degrees),)
        return tuple(
            PanelGroup(
                roof.peak_kw,
                self.tilt_degrees if roof.tilt_degrees is None else roof.tilt_degrees,
                self.azimuth_degrees if roof.azimuth_degrees is None else roof.azimuth_degrees,
            )
            for roof in self.roofs
        )

    @property
    def total_kw(self) -> Decimal:
        """Peak power of all roofs."""
        return sum((roof.peak_kw for roof in self.panels), Decimal(0))


class Load(Part):
    """A household's consumption."""

    annual_kwh: Kwh = Field(description="Energy used in a year, in kWh, spread over the day by the built-in shape.")


class Profile(Part):
    """Where generation and consumption are written that were measured, or computed beforehand."""

    csv: FilePath | None = Field(
        default=None,
        description="CSV file with columns slot (RFC 3339 start of 15 minutes), pv_wh and load_wh, of all households. "
        "A relative path starts at the manifest's folder. With `wattmesh up` only.",
    )
    folder: FilePath | None = Field(
        default=None,
        description="Folder with such a file for each household, <household>.csv; a path like that of csv. With"
        " `wattmesh up` only.",
    )
    config_map: ConfigMapRef | None = Field(
        default=None,
        validate_default=True,
        description="ConfigMap with such a file for each household, under the key <household>.csv. In a cluster only.",
    )

    @field_validator("config_map")
    @classmethod
    def _one_source(cls, config_map: ConfigMapRef | None, info: ValidationInfo) -> ConfigMapRef | None:
        # A field that is missing here is one that was written but is not valid.
        written = [name for name in ("csv", "folder") if info.data.get(name, "not valid") is not None]
        if config_map is not None:
            written.append("configMap")
        if len(written) != 1:
            found = " and ".join(written) or "none"
            raise rule_broken(f"needs exactly one of csv, folder and configMap, not {found}", of_parent=True)
        return config_map


class Thresholds(NamedTuple):
    """Levels at which a household trades, in percent of its battery's capacity."""

    buy_below: Decimal
    buy_target: Decimal
    sell_above: Decimal


DEFAULT_THRESHOLDS = Thresholds(buy_below=Decimal(20), buy_target=Decimal(50), sell_above=Decimal(80))


class Trading(Part):
    """When and at what price a household trades."""

    # The thresholds' defaults are not in the schema: an API server would fill them in, and a threshold that was
    # written without a battery, a mistake, could no longer be told from one that was not.

    buy_below_percent: Percent | None = Field(
        default=None, description="Buys when the battery is below this share of its capacity. Default: 20."
    )
    buy_target_percent: Percent | None = Field(
        default=None, description="Buys up to this share of the battery's capacity. Default: 50."
    )
    sell_above_percent: Percent | None = Field(
        default=None,
        validate_default=True,
        description="Sells what the battery holds above this share of its capacity. Default: 80.",
    )
    # Nor have these two a default in the schema: written, they say that rules decide, and the least that is asked.
    pricing: Annotated[str | Pricing, PluginName(pricings)] | None = Field(
        default=None,
        description="How rules name prices: sellPrice and maxBuyPrice as they stand (fixed), by the battery's level"
        " (level), the middle of the utility's price and its feed-in (mid-market), at random (zero-intelligence), or"
        " the name of a plug-in. Default: fixed.",
    )
    sell_price: Price | None = Field(
        default=None,
        description="Least price it asks, in currency per kWh; with rules and a fixed pricing, the price it asks."
        f" Default: {plain(DEFAULT_SELL_PRICE)} there, else no limit but the utility's feed-in price.",
    )
    max_buy_price: Price | None = Field(
        default=None,
        description="Greatest price it pays, in currency per kWh. Default: no limit but the utility's price.",
    )

    @field_validator("sell_above_percent")
    @classmethod
    def _ascending(cls, sell_above: Decimal | None, info: ValidationInfo) -> Decimal | None:
        try:
            written = (info.data["buy_below_percent"], info.data["buy_target_percent"], sell_above)
        except KeyError:  # not valid itself, and reported as such
            return sell_above
        effective = _effective(*written)
        if list(effective) != sorted(effective):
            values = " ≤ ".join(map(_shown_threshold, written, effective))
            raise rule_broken(
                f"must be buyBelowPercent ≤ buyTargetPercent ≤ sellAbovePercent, not {values}", of_parent=True
            )
        return sell_above

    @property
    def thresholds(self) -> Thresholds:
        """Percent of capacity, with defaults for what is not written."""
        return _effective(self.buy_below_percent, self.buy_target_percent, self.sell_above_percent)

    @property
    def written_thresholds(self) -> list[str]:
        """The names of the thresholds that are written, as in YAML."""
        written = {
            "buyBelowPercent": self.buy_below_percent,
            "buyTargetPercent": self.buy_target_percent,
            "sellAbovePercent": self.sell_above_percent,
        }
        return [name for name, value in written.items() if value is not None]


def _of_rules(trading: Trading) -> list[str]:
    """The names of what only rules go by, as far as it is written."""
    return trading.written_thresholds + (["pricing"] if trading.pricing else [])


def _effective(*written: Decimal | None) -> Thresholds:
    return Thresholds(
        *(default if value is None else value for value, default in zip(written, DEFAULT_THRESHOLDS, strict=True))
    )


def _shown_threshold(written: Decimal | None, effective: Decimal) -> str:
    return plain(effective) + (" (the default)" if written is None else "")


_DEVICES = ("ev", "heat_pump", "shiftable")


class SolarAgentSpec(Part):
    """What the households of a SolarAgent are told."""

    replicas: Annotated[int, Whole(0, 1000)] = Field(default=1, description="How many households.")
    households_per_pod: Annotated[int, Whole(1, 1000)] = Field(
        default=1, description="How many households share a pod."
    )
    gateway_ref: GatewayRef | None = Field(
        default=None, description="Gateway to trade through. Default: the only one of the namespace."
    )
    utility_ref: UtilityRef | None = Field(
        default=None,
        description="Utility that supplies what the market does not. Default: the only one of the gateway and feeder.",
    )
    feeder: DnsLabel = Field(default="main", description="Feeder (street transformer) on which it is heard.")
    battery: Battery | None = Field(default=None, description="Each household's battery. Default: none.")
    pv: Pv | None = Field(default=None, description="Each household's solar panels. Default: none.")
    load: Load | None = Field(default=None, description="Each household's consumption. Default: none.")
    ev: Ev | None = Field(default=None, description="Each household's electric vehicle. Default: none.")
    heat_pump: HeatPump | None = Field(default=None, description="Each household's heat pump. Default: none.")
    shiftable: tuple[ShiftableLoad, ...] = Field(
        default=(), max_length=20, description="Each household's other loads that can run at another time."
    )
    profile: Profile | None = Field(
        default=None,
        validate_default=True,
        description="Generation and consumption from a file, instead of pv and load.",
    )
    connection_kw: PositiveKw = Field(
        default=Decimal(30),
        description="Power of each household's connection to the grid, in kW: what it sells in a slot stays within. Its"
        " utility takes no reading beyond that, or beyond what its panels, or load and battery, can move.",
    )
    strategy: Annotated[str | StrategyFunction, PluginName(strategies)] | None = Field(
        default=None,
        description="Who decides: what stored energy is worth in the coming day (plan), thresholds and a pricing"
        " (rules), plan with a chat model that chooses among the offers it collected (chat), or the name of a plug-in"
        " that is installed where the households run. Default: rules where trading names a threshold or a pricing, else"
        " plan.",
    )
    trading: Trading = Field(
        default_factory=Trading, validate_default=True, description="When and at what price it trades."
    )
    forecast: Annotated[str | MakesForecast, PluginName(forecasts)] = Field(
        default="profile",
        description="What it expects of coming slots: what pv, load or profile say (profile), what was metered a day"
        " before (persistence), what will be metered (perfect), or the name of a plug-in.",
    )
    retention: Retention = Field(
        default="3650d",
        description="How long contracts, readings and ledger entries are kept after their slot, in days of grid time;"
        " then they are deleted, and only sums and hashes stay.",
    )
    pod: PodTemplate | None = Field(default=None, description="What its pods have beside what the chart says for all.")
    seed: Annotated[int, Whole(0, 2**53 - 1)] = Field(
        default=0, description="Varies the households' random behaviour; the same seed repeats a run."
    )

    @property
    def decided_by(self) -> str:
        """The strategy's name: the one that is written, or the default for what trading names."""
        return str(self.strategy or ("rules" if _of_rules(self.trading) else "plan"))

    @property
    def devices(self) -> tuple[Device, ...]:
        """All that can run at another time."""
        return tuple(one.device for one in (self.ev, self.heat_pump, *self.shiftable) if one is not None)

    @field_validator("shiftable")
    @classmethod
    def _different_names(cls, shiftable: tuple[ShiftableLoad, ...]) -> tuple[ShiftableLoad, ...]:
        return different_names(shiftable)

    @field_validator("profile")
    @classmethod
    def _some_energy(cls, profile: Profile | None, info: ValidationInfo) -> Profile | None:
        if profile is not None:
            excluded = [name for name in ("pv", "load") if info.data.get(name) is not None]
            if excluded:
                raise rule_broken(f"replaces pv and load: leave out {' and '.join(excluded)}, or leave out profile")
        # A field that is missing here is one that was written but is not valid.
        elif not any(info.data.get(name, "not valid") for name in ("battery", "pv", "load", *_DEVICES)):
            raise rule_broken(
                "needs at least one of battery, pv, load, ev, heatPump, shiftable and profile", of_parent=True
            )
        return profile

    @field_validator("trading")
    @classmethod
    def _fits_battery(cls, trading: Trading, info: ValidationInfo) -> Trading:
        if "battery" not in info.data or "strategy" not in info.data:
            return trading
        strategy, of_rules = info.data["strategy"], _of_rules(trading)
        if strategy != "rules" and strategy in STRATEGIES and of_rules:
            raise rule_broken(
                f"{', '.join(of_rules)}: with strategy {strategy} the worth of stored energy decides; leave it out, or"
                " write strategy: rules"
            )
        battery: Battery | None = info.data["battery"]
        if battery is None:
            if trading.written_thresholds:
                raise rule_broken(
                    f"{', '.join(trading.written_thresholds)}: a share of a battery's capacity, and there is none;"
                    " add spec.battery or leave it out"
                )
            return trading
        if strategy != "rules" and not of_rules:
            return trading
        buy_below = trading.thresholds.buy_below
        if wh(battery.min_kwh) * 1_000_000 > ppm(buy_below) * wh(battery.capacity_kwh):
            min_percent = (battery.min_kwh * 100 / battery.capacity_kwh).quantize(Decimal("0.0001"), ROUND_CEILING)
            raise rule_broken(
                f"buyBelowPercent must be at least {plain(min_percent)}, not"
                f" {_shown_threshold(trading.buy_below_percent, buy_below)}: that share of the battery is its minKwh"
                f" ({plain(battery.min_kwh)} of {plain(battery.capacity_kwh)})"
            )
        return trading


class SolarAgent(CustomResource):
    """Households that trade with each other: each with its own identity, battery and ledger."""

    kind: Literal["SolarAgent"] = Field(default="SolarAgent", description="Always SolarAgent.")
    spec: SolarAgentSpec = Field(description="The desired households.")
