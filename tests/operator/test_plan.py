"""What shall run for some resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import manifests
from wattmesh_common.runtime import ClockConfig
from wattmesh_market.energy.devices.flexible import FlexibleLoad
from wattmesh_market.energy.devices.vehicle import VehicleStore
from wattmesh_market.energy.devices.window import Window
from wattmesh_market.energy.profiles import Pv
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.config import DemandResponse, HouseholdConfig, UtilityConfig
from wattmesh_operator.plan import GatewayPlan, plan, runtime_config
from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.mistakes import ManifestErrors
from wattmesh_operator.resources.parsing import parse_resource

STREET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market, namespace: street}
spec: {currency: CHF, clock: {start: 2026-06-21T06:00:00+02:00, speed: 60}}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility, namespace: street}
spec:
  tariff:
    price: 0.25
    feedIn: 0.08
    gridFee: 0.07
    localGridFee: 0.028
    periods: [{from: "17:00", to: "21:00", price: 0.38}]
  capacityKw: 60
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: grid, namespace: street}
spec:
  feeder: east
  tariff: {price: 0.3, feedIn: 0}
  capacityKw: 0.5
  demandResponse: {startAtPercent: 80, maxPrice: 0.3}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop, namespace: street}
spec:
  replicas: 2
  pv: {peakKw: 8}
  battery:
    capacityKwh: 13.5
    initialKwh: 12
    minKwh: 0.5
    dischargePowerKw: 3.68
    dischargeEfficiencyPercent: 94.5
    selfDischargePercentPerDay: 0.1
  trading: {buyBelowPercent: 33.3333, sellPrice: 0.18, maxBuyPrice: 0.2}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: flat, namespace: street}
spec: {load: {annualKwh: 3000}, feeder: east, strategy: chat}
"""


@pytest.fixture
def street(resources_of: Callable[[str], Sequence[Resource]]) -> GatewayPlan:
    [gateway] = plan(resources_of(STREET))
    return gateway


def test_every_household_and_utility_gets_a_pod_and_an_identity(street: GatewayPlan) -> None:
    assert street.subscriber_id == "market.street"
    assert [(pod.namespace, pod.name, pod.owner.metadata.name) for pod in street.pods] == [
        ("street", "utility", "utility"),
        ("street", "grid", "grid"),
        ("street", "rooftop-0", "rooftop"),
        ("street", "rooftop-1", "rooftop"),
        ("street", "flat-0", "flat"),
    ]
    assert [p.subscriber_id for pod in street.pods for p in pod.participants] == [
        "utility.street",
        "grid.street",
        "rooftop-0.street",
        "rooftop-1.street",
        "flat-0.street",
    ]


def test_who_has_a_battery_sells_and_who_needs_energy_buys(street: GatewayPlan) -> None:
    assert {p.name: (p.feeder, p.roles) for pod in street.pods for p in pod.participants} == {
        "utility": ("main", ("BPP",)),
        "grid": ("east", ("BAP", "BPP")),
        "rooftop-0": ("main", ("BAP", "BPP")),
        "rooftop-1": ("main", ("BAP", "BPP")),
        "flat-0": ("east", ("BAP",)),
    }


def test_all_speak_what_their_network_speaks(resources_of: Callable[[str], Sequence[Resource]]) -> None:
    [gateway] = plan(resources_of(STREET.replace("spec: {currency: CHF", "spec: {protocols: [v2, v1], currency: CHF")))
    config = runtime_config(gateway.pods[0], gateway_url="http://market.street:80", epoch=1.5e9)
    assert config.protocols == ("v1", "v2")
    assert {p.protocols for pod in gateway.pods for p in pod.participants} == {("v1", "v2")}


def test_a_household_is_configured_in_integers(street: GatewayPlan) -> None:
    config = runtime_config(street.pods[2], gateway_url="http://market.street:80", epoch=1.5e9)
    assert config.households[0].seed != street.pods[3].households[0].seed
    written = config.model_dump(mode="json")
    [household] = written["households"]
    del household["seed"], household["weather_seed"]
    assert written == {
        "pod": "rooftop-0",
        "domain": "uei:p2p_trading",
        "currency": "CHF",
        "vocabulary": "core",
        "schema_host": "schema.nfh.global",
        "protocols": ["v1"],
        "gateway": {"subscriber_id": "market.street", "url": "http://market.street:80"},
        "clock": {"start": "2026-06-21T06:00:00+02:00", "speed": 60.0, "epoch": 1.5e9, "end": None},
        "registrar_keys": {},
        "readers": [],
        "households": [
            {
                "name": "rooftop-0",
                "subscriber_id": "rooftop-0.street",
                "feeder": "main",
                "battery": {
                    "capacity_wh": 13_500,
                    "initial_level_wh": 12_000,
                    "min_level_wh": 500,
                    "charge_power_w": 5_000,
                    "discharge_power_w": 3_680,
                    "charge_efficiency_ppm": 950_000,
                    "discharge_efficiency_ppm": 945_000,
                    "self_discharge_ppm_per_day": 1_000,
                },
                "pv": [
                    {"peak_w": 8_000, "latitude": 48.1, "longitude": 11.6, "tilt_degrees": 0, "azimuth_degrees": 180}
                ],
                "load": None,
                "profile_csv": None,
                "trading": {
                    "buy_below_wh": 4_499,  # 33.3333 % of 13 500, the rest of a Wh dropped
                    "buy_target_wh": 6_750,
                    "sell_above_wh": 10_800,
                    "pricing": "fixed",
                    "sell_price_micro_per_kwh": 180_000,
                    "max_buy_price_micro_per_kwh": 200_000,
                },
                "backstop": {
                    "utility_id": "utility.street",
                    "tariff": {
                        "price_micro_per_kwh": 250_000,
                        "feed_in_micro_per_kwh": 80_000,
                        "grid_fee_micro_per_kwh": 70_000,
                        "local_grid_fee_micro_per_kwh": 28_000,
                        "periods": [
                            {
                                "start": "17:00:00",
                                "end": "21:00:00",
                                "price_micro_per_kwh": 380_000,
                                "days": [],
                                "months": [],
                            }
                        ],
                        "file": None,
                    },
                    "shares": True,
                },
                "utility_ids": [],
                "forecast": "profile",
                "strategy": "rules",
                "connection_w": 30_000,
                "retention_days": 3650,
                "devices": [],
            }
        ],
        "utilities": [],
    }


def test_a_utility_is_configured_in_integers(street: GatewayPlan) -> None:
    assert street.pods[1].utilities == (
        UtilityConfig(
            name="grid",
            subscriber_id="grid.street",
            feeder="east",
            tariff=Tariff(price_micro_per_kwh=300_000, feed_in_micro_per_kwh=0),
            capacity_w=500,
            demand_response=DemandResponse(start_at_ppm=800_000, max_price_micro_per_kwh=300_000),
            sharing=Sharing(price_micro_per_kwh=None, key="proRata"),
            seed=4960962354563797,
            installed=(("flat", 897),),
        ),
    )


@pytest.mark.parametrize(
    ("written", "sharing"),
    [
        ("none", None),
        ("{}", Sharing()),
        ("{price: mid, key: equal}", Sharing(None, "equal")),
        ("{price: 0.15}", Sharing(150_000)),
    ],
)
def test_a_utility_and_its_households_are_told_how_it_shares(
    resources_of: Callable[[str], Sequence[Resource]], written: str, sharing: Sharing | None
) -> None:
    utility = manifests.utility(more=f", sharing: {written}")
    text = manifests.MARKET + utility + manifests.households("flat", "load: {annualKwh: 1}")
    [of] = plan(resources_of(text))
    [at_utility, of_household] = of.pods
    assert at_utility.utilities[0].sharing == sharing
    assert of_household.households[0].backstop.shares == (sharing is not None)


def test_a_household_knows_the_other_utilities_of_its_feeder(
    resources_of: Callable[[str], Sequence[Resource]],
) -> None:
    moved = STREET.replace("feeder: east\n  tariff", "tariff").replace(
        "{load: {annualKwh: 3000}, feeder: east, strategy: chat}",
        "{load: {annualKwh: 3000}, utilityRef: {name: grid}}",
    )
    [gateway] = plan(resources_of(moved.replace("  pv: {peakKw: 8}", "  utilityRef: {name: utility}")))
    known = [(home.name, home.backstop.utility_id, home.utility_ids) for pod in gateway.pods for home in pod.households]
    assert known == [
        ("rooftop-0", "utility.street", ("grid.street",)),
        ("rooftop-1", "utility.street", ("grid.street",)),
        ("flat-0", "grid.street", ("utility.street",)),
    ]


def test_without_a_battery_the_thresholds_are_0(street: GatewayPlan) -> None:
    [flat] = street.pods[4].households
    assert flat.battery is None
    assert (flat.trading.buy_below_wh, flat.trading.sell_above_wh) == (0, 0)
    assert (flat.strategy, flat.backstop.utility_id) == ("chat", "grid.street")


@pytest.mark.parametrize(
    ("written", "sell_price"),
    [
        ("{pricing: fixed}", 150_000),
        ("{buyBelowPercent: 33.3333}", 150_000),
        ("{sellPrice: 0.12, sellAbovePercent: 90}", 120_000),
        ("{pricing: level}", None),
        ("{pricing: level, sellPrice: 0.12}", 120_000),
        ("{}", None),  # the plan asks what its neighbours pay
        ("{sellPrice: 0.12}", 120_000),
    ],
)
def test_only_a_fixed_price_has_a_default(
    written: str, sell_price: int | None, resources_of: Callable[[str], Sequence[Resource]]
) -> None:
    trading = "trading: {buyBelowPercent: 33.3333, sellPrice: 0.18, maxBuyPrice: 0.2}"
    [gateway] = plan(resources_of(STREET.replace(trading, f"trading: {written}")))
    [rooftop] = gateway.pods[2].households
    assert rooftop.name == "rooftop-0"
    assert rooftop.trading.sell_price_micro_per_kwh == sell_price


@pytest.mark.parametrize(
    ("written", "decides"),
    [
        ("battery: {capacityKwh: 5, initialKwh: 2}", "plan"),
        ("load: {annualKwh: 3000}", "plan"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, trading: {sellPrice: 0.1, maxBuyPrice: 0.3}", "plan"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, trading: {buyBelowPercent: 10}", "rules"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, trading: {buyTargetPercent: 60}", "rules"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, trading: {sellAbovePercent: 90}", "rules"),
        ("load: {annualKwh: 3000}, trading: {pricing: fixed}", "rules"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, strategy: rules", "rules"),
        ("battery: {capacityKwh: 5, initialKwh: 2}, strategy: chat", "chat"),
    ],
)
def test_rules_decide_where_something_of_theirs_is_written_else_a_plan(written: str, decides: str) -> None:
    gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", written))
    [home] = gateway.pods[1].households
    assert home.strategy == decides


def test_a_battery_may_keep_more_than_rules_would_buy_for_where_a_plan_decides() -> None:
    written = "battery: {capacityKwh: 10, initialKwh: 5, minKwh: 3}"
    gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", written))
    [home] = gateway.pods[1].households
    assert home.battery is not None
    assert (home.strategy, home.battery.min_level_wh) == ("plan", 3000)


def test_panels_alone_sell_where_a_plan_decides() -> None:
    def roles(written: str) -> tuple[str, ...]:
        gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", written))
        [home] = gateway.pods[1].participants
        return home.roles

    assert roles("pv: {peakKw: 8}") == roles("profile: {configMap: {name: days}}") == ("BAP", "BPP")
    assert roles("pv: {peakKw: 8}, strategy: rules") == roles("load: {annualKwh: 3000}") == ("BAP",)


def test_books_are_kept_for_as_long_as_is_written() -> None:
    text = manifests.MARKET + manifests.utility(more=", retention: 800d")
    gateway = manifests.planned(text + manifests.households("home", "load: {annualKwh: 3000}, retention: 35d"))
    [home] = gateway.pods[1].households
    [grid] = gateway.pods[0].utilities
    assert (home.retention_days, grid.retention_days) == (35, 800)


def test_a_connection_is_of_the_power_that_is_written() -> None:
    written = "load: {annualKwh: 3000}, connectionKw: 9.2"
    gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", written))
    [home] = gateway.pods[1].households
    assert home.connection_w == 9200


EAST_WEST = (
    "pv: {latitude: -33.9, longitude: 18.4, tiltDegrees: 35, roofs: [{peakKw: 5.5, azimuthDegrees: 90},"
    " {peakKw: 4, azimuthDegrees: 270, tiltDegrees: 20}]}"
)


def test_a_household_has_all_its_roofs() -> None:
    """What a roof does not say is as pv says."""
    gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", EAST_WEST))
    [home] = gateway.pods[1].households
    assert home.pv == (Pv(5500, -33.9, 18.4, 35, 90), Pv(4000, -33.9, 18.4, 20, 270))


DEVICES = (
    'ev: {plugged: {from: "18:00", to: "07:00", days: [Mon, Fri]}, needsKwh: 10, chargerKw: 11,'
    " vehicleToHome: {capacityKwh: 8, dischargeEfficiencyPercent: 92}},"
    ' heatPump: {window: {from: "00:00", to: "00:00", months: [Jan]}, kwh: 9, kw: 2.5},'
    ' shiftable: [{name: washer, window: {from: "09:00", to: "17:00"}, kwh: 1.2, kw: 2, plugin: laundry}]'
)


def test_a_household_has_all_its_devices_and_their_windows() -> None:
    gateway = manifests.planned(manifests.MARKET + manifests.utility() + manifests.households("home", DEVICES))
    [home] = gateway.pods[1].households
    store = VehicleStore(8000, 950_000, 920_000)
    assert home.devices == (
        FlexibleLoad("ev", Window(time(18), time(7), ("Mon", "Fri")), 10_000, 11_000, store),
        FlexibleLoad("heat-pump", Window(time(0), time(0), months=("Jan",)), 9000, 2500),
        FlexibleLoad("washer", Window(time(9), time(17)), 1200, 2000, plugin="laundry"),
    )


def test_a_utility_knows_what_its_customers_connections_and_what_is_behind_them_can_move() -> None:
    """It checks their readings by that. Who has the usual connection is not named, however many households it has."""

    def connections(*written: str, replicas: int = 1) -> dict[str, int]:
        homes = "".join(manifests.households(f"home{n}", one, replicas=replicas) for n, one in enumerate(written))
        gateway = manifests.planned(manifests.MARKET + manifests.utility() + homes)
        return dict(gateway.pods[0].utilities[0].connections)

    small, roof = "load: {annualKwh: 3000}, connectionKw: 9.2", "pv: {peakKw: 45}"
    assert connections("load: {annualKwh: 3000}", small, roof) == {"home1": 9200, "home2": 45_000}
    assert connections(small) == connections(small, replicas=3), "scaling restarts no utility"
    assert connections("battery: {capacityKwh: 90, initialKwh: 9, powerKw: 50, chargeEfficiencyPercent: 100}") == {
        "home0": 50_001
    }
    assert connections("profile: {configMap: {name: days}}, connectionKw: 6") == {}, "nobody knows what is in the files"
    assert connections("profile: {configMap: {name: days}}, connectionKw: 60") == {"home0": 60_000}
    assert connections("pv: {peakKw: 9}, connectionKw: 6") == {"home0": 9000}
    assert connections(f"{EAST_WEST}, connectionKw: 6") == {"home0": 9500}
    assert connections(f"{DEVICES}, connectionKw: 6") == {"home0": 15_500}
    assert connections(f"{DEVICES}, profile: {{configMap: {{name: days}}}}") == {"home0": 45_500}
    # 1.8 times the mean at the evening's peak, and 1.45 times that in a slot that is high.
    [(_, load_w)] = connections("load: {annualKwh: 876000}").items()
    assert 100_000 * 1.8 * 1.45 < load_w < 100_000 * 1.9 * 1.45


def test_a_utility_knows_what_is_installed_at_its_customers_but_not_what_is_in_files() -> None:
    """What reads more than that is held for a person."""

    def installed(*written: str, replicas: int = 1) -> dict[str, int]:
        homes = "".join(manifests.households(f"home{n}", one, replicas=replicas) for n, one in enumerate(written))
        gateway = manifests.planned(manifests.MARKET + manifests.utility() + homes)
        return dict(gateway.pods[0].utilities[0].installed)

    store = "battery: {capacityKwh: 90, initialKwh: 9, powerKw: 50, chargeEfficiencyPercent: 100}"
    assert installed("pv: {peakKw: 9}, connectionKw: 6", store) == {"home0": 9000, "home1": 100_001}
    assert installed(EAST_WEST) == {"home0": 9500}
    assert installed("profile: {configMap: {name: days}}, connectionKw: 60") == {}
    assert installed(store) == installed(store, replicas=3), "scaling restarts no utility"


def test_neighbours_are_under_the_same_clouds_and_each_has_whims_of_its_own() -> None:
    def home(name: str, pv: str, seed: int = 0) -> str:
        return manifests.households(name, f"pv: {{peakKw: 8{pv}}}, seed: {seed}", replicas=2)

    text = manifests.MARKET + manifests.utility()
    text += home("here", "") + home("near", ", latitude: 48.12, longitude: 11.6")
    text += home("away", ", latitude: 48.3, longitude: 11.6") + home("other", "", seed=1)
    text += manifests.households("flat", "load: {annualKwh: 3000}")
    homes = {one.name: one for pod in manifests.planned(text).pods for one in pod.households}
    clouds = {name: one.weather_seed for name, one in homes.items()}
    assert clouds["here-0"] == clouds["here-1"] == clouds["near-0"] == clouds["near-1"]
    assert len({clouds["here-0"], clouds["away-0"], clouds["other-0"]}) == 3
    assert clouds["flat-0"] == 0
    assert len({one.seed for one in homes.values()}) == len(homes)


def test_a_run_may_set_its_own_time(street: GatewayPlan) -> None:
    config = runtime_config(
        street.pods[0],
        gateway_url="http://127.0.0.1:8000",
        epoch=0.0,
        start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2026, 1, 2, tzinfo=UTC),
        speed=3600,
    )
    assert config.clock == ClockConfig(
        start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC), speed=3600, epoch=0.0
    )


def _resource(kind: str, name: str, **spec: object) -> Resource:
    document = {"apiVersion": "wattmesh.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return parse_resource(document)


def _pods(replicas: int, per_pod: int, seed: int = 0) -> dict[str, tuple[HouseholdConfig, ...]]:
    resources = [
        _resource("BecknGateway", "market"),
        _resource("UtilityAgent", "utility", tariff={"price": 0.25, "feedIn": 0.08}, capacityKw=50),
        _resource("SolarAgent", "flat", replicas=replicas, householdsPerPod=per_pod, load={"annualKwh": 1}, seed=seed),
    ]
    [gateway] = plan(resources)
    return {pod.name: pod.households for pod in gateway.pods if pod.name != "utility"}


def _names(pods: dict[str, tuple[HouseholdConfig, ...]]) -> dict[str, list[str]]:
    return {pod: [household.name for household in households] for pod, households in pods.items()}


def test_a_pod_that_holds_one_household_has_its_name() -> None:
    assert _names(_pods(replicas=2, per_pod=1)) == {"flat-0": ["flat-0"], "flat-1": ["flat-1"]}


def test_a_pod_that_may_hold_several_is_numbered_even_with_one_household() -> None:
    assert _names(_pods(replicas=5, per_pod=2)) == {
        "flat-pod-0": ["flat-0", "flat-1"],
        "flat-pod-1": ["flat-2", "flat-3"],
        "flat-pod-2": ["flat-4"],
    }


def test_no_replicas_no_pods() -> None:
    assert _pods(replicas=0, per_pod=3) == {}


@given(replicas=st.integers(0, 40), more=st.integers(0, 40), per_pod=st.integers(1, 12))
def test_scaling_moves_no_household_to_another_pod_and_changes_none(replicas: int, more: int, per_pod: int) -> None:
    small, large = _pods(replicas, per_pod), _pods(replicas + more, per_pod)
    for pod, households in small.items():
        assert large[pod][: len(households)] == households
    assert sum(map(len, large.values())) == replicas + more


def test_seeds_differ_between_households_and_repeat_between_runs() -> None:
    def seeds(seed: int) -> list[int]:
        return [household.seed for households in _pods(50, 7, seed).values() for household in households]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 100
    assert seeds(0)[0] == 6567638298756495
    assert all(json.loads(json.dumps(float(seed))) == seed for seed in seeds(1))


def test_resources_that_do_not_fit_together_have_no_plan() -> None:
    with pytest.raises(ManifestErrors, match=r"^UtilityAgent u: spec\.gatewayRef: is missing, and namespace default"):
        plan([_resource("UtilityAgent", "u", tariff={"price": 1, "feedIn": 0}, capacityKw=5)])


def test_two_gateways_are_two_markets() -> None:
    tariff = {"price": 0.25, "feedIn": 0}
    north, south = plan(
        [
            _resource("BecknGateway", "north"),
            _resource("UtilityAgent", "u", gatewayRef={"name": "south"}, tariff=tariff, capacityKw=5),
            _resource("BecknGateway", "south"),
            _resource("SolarAgent", "a", gatewayRef={"name": "south"}, load={"annualKwh": 1}),
        ]
    )
    assert north.pods == ()
    assert [pod.name for pod in south.pods] == ["u", "a-0"]
