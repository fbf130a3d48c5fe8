"""Devices whose use a household can move in time: an electric vehicle, a heat pump, any other such load."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from wattmesh_market.energy.devices.demand import DeviceFunction, devices
from wattmesh_market.energy.devices.window import Window as Hours
from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_operator.resources.quantities import CapacityKwh, EfficiencyPercent, PositiveKw, plain, watt, wh
from wattmesh_operator.resources.resource import Part
from wattmesh_operator.resources.values import DaysOfWeek, DnsLabel, MonthsOfYear, PluginName, SlotBorder, rule_broken

EV = "ev"
HEAT_PUMP = "heat-pump"


class Window(Part):
    """Hours of every day, or of some."""

    start: Annotated[time, SlotBorder()] = Field(
        validation_alias="from",
        serialization_alias="from",
        description="Start, HH:MM in the gateway's zone, on a quarter of an hour.",
    )
    end: Annotated[time, SlotBorder()] = Field(
        validation_alias="to",
        serialization_alias="to",
        description="End, HH:MM in the gateway's zone, on a quarter of an hour; before `from` if it runs past midnight,"
        " the same for 24 hours.",
    )
    days: DaysOfWeek = Field(default=(), max_length=7, description="Days of the week on which it begins. Default: all.")
    months: MonthsOfYear = Field(default=(), max_length=12, description="Months in which it begins. Default: all.")

    @property
    def hours(self) -> Hours:
        """The same in the market's words."""
        return Hours(self.start, self.end, self.days, self.months)


class VehicleToHome(Part):
    """What the house may use of a car's battery while that is plugged in."""

    capacity_kwh: CapacityKwh = Field(
        description="Energy that the car brings for it, beside what it needs, and takes along again, in kWh."
    )
    charge_efficiency_percent: EfficiencyPercent = Field(
        default=Decimal(95), description="Share of the energy charged that is stored."
    )
    discharge_efficiency_percent: EfficiencyPercent = Field(
        default=Decimal(95), description="Share of the energy taken from store that comes out."
    )


class Device(NamedTuple):
    """What all such devices have in common: a name among the household's, when it may run, what it needs, its power.

    `plugin` says what it needs in each window in place of `kwh`.
    """

    name: str
    window: Window
    kwh: Decimal
    kw: Decimal
    plugin: str | None
    vehicle_to_home: VehicleToHome | None = None


class Needing(Part):
    """What says how much a device needs."""

    plugin: Annotated[str | DeviceFunction, PluginName(devices)] | None = Field(
        default=None,
        description="Name of a device that is a plug-in, installed where the households run: it says what is needed in"
        " each window. Default: the same in all.",
    )

    @property
    def by(self) -> str | None:
        """The plug-in's name."""
        return None if self.plugin is None else str(self.plugin)


class Ev(Needing):
    """A household's electric vehicle, which is charged at home."""

    plugged: Window = Field(description="When it is plugged in.")
    charger_kw: PositiveKw = Field(description="Power of the charger, in kW.")
    needs_kwh: CapacityKwh = Field(
        description="Energy that it needs each time it is plugged in, in kWh at the charger, by the end of that time."
    )
    vehicle_to_home: VehicleToHome | None = Field(
        default=None, description="What the house may use of its battery, with strategy plan or chat. Default: nothing."
    )

    @field_validator("needs_kwh")
    @classmethod
    def _chargeable(cls, needs_kwh: Decimal, info: ValidationInfo) -> Decimal:
        return _possible(needs_kwh, info.data.get("plugged"), info.data.get("charger_kw"), "chargerKw")

    @property
    def device(self) -> Device:
        """As a device among others."""
        return Device(EV, self.plugged, self.needs_kwh, self.charger_kw, self.by, self.vehicle_to_home)


class HeatPump(Needing):
    """A household's heat pump, with a tank or a building that keeps the heat."""

    window: Window = Field(description="When it may run.")
    kw: PositiveKw = Field(description="Electric power, in kW.")
    kwh: CapacityKwh = Field(description="Electric energy that it needs in each window, in kWh.")

    @field_validator("kwh")
    @classmethod
    def _enough(cls, kwh: Decimal, info: ValidationInfo) -> Decimal:
        return _possible(kwh, info.data.get("window"), info.data.get("kw"), "kw")

    @property
    def device(self) -> Device:
        """As a device among others."""
        return Device(HEAT_PUMP, self.window, self.kwh, self.kw, self.by)


class ShiftableLoad(HeatPump):
    """A load that can run at any time of a window, and pause."""

    name: DnsLabel = Field(description="Name of the device, such as dishwasher.")

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in TAKEN:
            raise rule_broken(f"{name} is taken: must be another name than {', '.join(sorted(TAKEN))}")
        return name

    @property
    def device(self) -> Device:
        """As a device among others."""
        return Device(self.name, self.window, self.kwh, self.kw, self.by)


TAKEN = frozenset(
    {EV, HEAT_PUMP, "pv", "load", "bought", "sold", "imported", "exported", "losses", "covered", "capacity"}
)
"""Names that devices have by themselves, or readings of something else."""


def different_names(loads: tuple[ShiftableLoad, ...]) -> tuple[ShiftableLoad, ...]:
    """The same; PydanticCustomError where two have one name."""
    names = [load.name for load in loads]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise rule_broken(f"each needs a name of its own; there are several called {', '.join(twice)}")
    return loads


def _possible(kwh: Decimal, window: Window | None, kw: Decimal | None, power: str) -> Decimal:
    """The energy, where a device of that power can take it in its window."""
    if window is None or kw is None:  # not valid itself, and reported as such
        return kwh
    most_wh = window.hours.slots * slot_energy_wh(watt(kw))
    if wh(kwh) > most_wh:
        hours = Decimal(window.hours.slots * SLOT_S) / 3600
        raise rule_broken(
            f"must be at most {plain(Decimal(most_wh) / 1000)} kWh, which is what {plain(kw)} kW ({power}) give from"
            f" {window.start:%H:%M} to {window.end:%H:%M} ({plain(hours)} h), not {plain(kwh)}"
        )
    return kwh
