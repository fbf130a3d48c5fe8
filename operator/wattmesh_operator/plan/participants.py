"""Specs → the configuration of one household or utility, in the runtime's integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from wattmesh_market.energy import battery, profiles, tariff
from wattmesh_market.energy.devices.flexible import FlexibleLoad
from wattmesh_market.energy.devices.vehicle import VehicleStore
from wattmesh_market.mechanisms import sharing
from wattmesh_market.parties import config
from wattmesh_operator.plan.naming import profile_file, subscriber_id
from wattmesh_operator.resources import (
    Battery,
    PriceSeries,
    Profile,
    Pv,
    Sharing,
    SolarAgent,
    SolarAgentSpec,
    Tariff,
    Trading,
    UtilityAgent,
    VehicleToHome,
)
from wattmesh_operator.resources.quantities import micro, ppm, watt, wh
from wattmesh_operator.resources.solar_agent import DEFAULT_SELL_PRICE

PROFILES = "/etc/wattmesh/profiles"
"""Folder of a pod that holds its households' profiles, from a ConfigMap."""
PRICES = "/etc/wattmesh/prices"
"""… and its utility's series of prices, or its households'."""
PRICES_FILE = "prices.csv"
INLINE = "inline"
"""What prices are called that stand in the manifest."""


def household_configs(
    agent: SolarAgent, households: Iterable[str], utility: UtilityAgent, utilities: Iterable[UtilityAgent]
) -> Iterator[config.HouseholdConfig]:
    """The configurations of the households of these names, supplied by `utility` with what the market does not.

    `utilities` are all on their feeder.
    """
    spec, alike = agent.spec, None
    for household in households:
        # What the spec says it says of all, and is worked out once: an agent may have a thousand households.
        alike = alike or _household_config(agent, household, utility, utilities)
        household_id = subscriber_id(household, agent.metadata.namespace)
        yield replace(
            alike,
            name=household,
            subscriber_id=household_id,
            seed=party_seed(spec.seed, household_id),
            profile_csv=_profile_csv(spec.profile, household) if spec.profile else None,
        )


def _household_config(
    agent: SolarAgent, household: str, utility: UtilityAgent, utilities: Iterable[UtilityAgent]
) -> config.HouseholdConfig:
    spec = agent.spec
    household_id = subscriber_id(household, agent.metadata.namespace)
    return config.HouseholdConfig(
        name=household,
        subscriber_id=household_id,
        feeder=spec.feeder,
        seed=party_seed(spec.seed, household_id),
        trading=_trading(spec.trading, spec.battery, spec.decided_by),
        backstop=config.Backstop(
            _id_of(utility), _tariff(utility.spec.tariff), shares=utility.spec.sharing is not None
        ),
        battery=_battery(spec.battery) if spec.battery else None,
        pv=_pv(spec.pv) if spec.pv else (),
        load=profiles.Load(wh(spec.load.annual_kwh)) if spec.load else None,
        profile_csv=_profile_csv(spec.profile, household) if spec.profile else None,
        utility_ids=tuple(_id_of(other) for other in utilities if other != utility),
        forecast=str(spec.forecast),
        strategy=spec.decided_by,
        connection_w=watt(spec.connection_kw),
        retention_days=_days(spec.retention),
        weather_seed=_weather_seed(spec.seed, spec.pv) if spec.pv else 0,
        devices=_devices(spec),
    )


def utility_config(agent: UtilityAgent, customers: Iterable[SolarAgent] = ()) -> config.UtilityConfig:
    """The configuration of a utility, which supplies the households of `customers`."""
    spec = agent.spec
    response = spec.demand_response
    return config.UtilityConfig(
        name=agent.metadata.name,
        subscriber_id=_id_of(agent),
        feeder=spec.feeder,
        tariff=_tariff(spec.tariff),
        capacity_w=watt(spec.capacity_kw),
        demand_response=config.DemandResponse(ppm(response.start_at_percent), micro(response.max_price))
        if response
        else None,
        strategy=spec.strategy,
        sharing=_sharing(spec.sharing) if spec.sharing else None,
        seed=party_seed(spec.seed, _id_of(agent)),
        retention_days=_days(spec.retention),
        connections=tuple(
            (customer.metadata.name, power_w)
            for customer in customers
            if (power_w := _connection_w(customer)) != config.CONNECTION_W
        ),
        installed=tuple(
            (customer.metadata.name, _installed_w(customer)) for customer in customers if not customer.spec.profile
        ),
    )


def _days(duration: str) -> int:
    return int(duration.removesuffix("d"))


def _connection_w(agent: SolarAgent) -> int:
    """What its households can import or export at most: the power of their connection, or of what is behind it.

    What a profile of files may move is not known here: no less than a usual connection carries.
    """
    spec = agent.spec
    files_w = config.CONNECTION_W if spec.profile else 0
    peak_w = watt(spec.pv.total_kw) if spec.pv else 0
    load_w = profiles.peak_load_w(profiles.Load(wh(spec.load.annual_kwh))) if spec.load else 0
    if spec.battery:
        store = _battery(spec.battery)
        load_w += store.charge_power_w * 1_000_000 // store.charge_efficiency_ppm + 1
    devices_w = sum(device.power_w for device in _devices(spec))
    return max(watt(spec.connection_kw), peak_w, max(load_w, files_w) + devices_w)


def _installed_w(agent: SolarAgent) -> int:
    """What all that its households have can move."""
    spec = agent.spec
    load = profiles.Load(wh(spec.load.annual_kwh)) if spec.load else None
    store = _battery(spec.battery) if spec.battery else None
    return config.installed_w(_pv(spec.pv) if spec.pv else (), load, store, _devices(spec))


def party_seed(seed: int, party_id: str) -> int:
    """A party's own seed: differs between parties, is the same in every run, fits a JSON number exactly."""
    digest = blake2b(f"{seed}/{party_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 11


def _weather_seed(seed: int, pv: Pv) -> int:
    """The same for equal seeds within about 0.1° (some 10 km)."""
    return party_seed(seed, f"weather {round(pv.latitude, 1)} {round(pv.longitude, 1)}")


def _id_of(utility: UtilityAgent) -> str:
    return subscriber_id(utility.metadata.name, utility.metadata.namespace)


def _profile_csv(profile: Profile, household: str) -> Path:
    if profile.csv is not None:
        return Path(profile.csv)
    return Path(PROFILES if profile.folder is None else profile.folder, profile_file(household))


def _battery(spec: Battery) -> battery.Battery:
    return battery.Battery(
        capacity_wh=wh(spec.capacity_kwh),
        initial_level_wh=wh(spec.initial_kwh),
        min_level_wh=wh(spec.min_kwh),
        charge_power_w=watt(spec.power_kw if spec.charge_power_kw is None else spec.charge_power_kw),
        discharge_power_w=watt(spec.power_kw if spec.discharge_power_kw is None else spec.discharge_power_kw),
        charge_efficiency_ppm=ppm(spec.charge_efficiency_percent),
        discharge_efficiency_ppm=ppm(spec.discharge_efficiency_percent),
        self_discharge_ppm_per_day=ppm(spec.self_discharge_percent_per_day),
    )


def _devices(spec: SolarAgentSpec) -> tuple[FlexibleLoad, ...]:
    return tuple(
        FlexibleLoad(
            device.name,
            device.window.hours,
            wh(device.kwh),
            watt(device.kw),
            _vehicle_store(device.vehicle_to_home) if device.vehicle_to_home else None,
            device.plugin,
        )
        for device in spec.devices
    )


def _vehicle_store(spec: VehicleToHome) -> VehicleStore:
    return VehicleStore(
        wh(spec.capacity_kwh), ppm(spec.charge_efficiency_percent), ppm(spec.discharge_efficiency_percent)
    )


def _pv(spec: Pv) -> tuple[profiles.Pv, ...]:
    return tuple(
        profiles.Pv(
            peak_w=watt(roof.peak_kw),
            latitude=float(spec.latitude),
            longitude=float(spec.longitude),
            tilt_degrees=float(roof.tilt_degrees),
            azimuth_degrees=float(roof.azimuth_degrees),
        )
        for roof in spec.panels
    )


def _trading(spec: Trading, battery: Battery | None, strategy: str) -> config.Trading:
    capacity_wh = wh(battery.capacity_kwh) if battery else 0
    # A share of a Wh is dropped. The rules between thresholds and minimum level still hold then.
    buy_below_wh, buy_target_wh, sell_above_wh = (
        capacity_wh * ppm(percent) // 1_000_000 for percent in spec.thresholds
    )
    sell_price, pricing = spec.sell_price, str(spec.pricing or "fixed")
    if sell_price is None and strategy == "rules" and pricing == "fixed":
        sell_price = DEFAULT_SELL_PRICE
    return config.Trading(
        buy_below_wh=buy_below_wh,
        buy_target_wh=buy_target_wh,
        sell_above_wh=sell_above_wh,
        pricing=pricing,
        sell_price_micro_per_kwh=None if sell_price is None else micro(sell_price),
        max_buy_price_micro_per_kwh=None if spec.max_buy_price is None else micro(spec.max_buy_price),
    )


def _sharing(spec: Sharing) -> sharing.Sharing:
    return sharing.Sharing(None if spec.price is None else micro(spec.price), spec.key)


def _tariff(spec: Tariff) -> tariff.Tariff:
    return tariff.Tariff(
        price_micro_per_kwh=micro(spec.price),
        feed_in_micro_per_kwh=micro(spec.feed_in),
        grid_fee_micro_per_kwh=micro(spec.grid_fee),
        local_grid_fee_micro_per_kwh=micro(spec.local_grid_fee),
        periods=tuple(
            tariff.TariffPeriod(period.start, period.end, micro(period.price), period.days, period.months)
            for period in spec.periods
        ),
        file=price_file(spec.series) if spec.series else None,
    )


def price_file(spec: PriceSeries) -> tariff.PriceFile:
    """Where a series is written, in the pods where it is in a ConfigMap, and what is told of it."""
    file = Path(PRICES, PRICES_FILE) if spec.config_map is not None else Path(spec.csv or INLINE)
    return tariff.PriceFile(
        path=file,
        **(spec.columns.model_dump() if spec.columns else {}),
        unit=spec.unit,
        dates=spec.dates,
        timezone=spec.timezone,
        text=spec.inline,
    )
