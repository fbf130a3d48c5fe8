"""Each mistake within one resource, in the words a person reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

MARKET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 50}
---
"""
SOLAR_AGENT = """apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop}
spec: SPEC
"""
UTILITY_AGENT = """apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: SPEC
"""
GATEWAY = """apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: SPEC
"""
BATTERY = "battery: {capacityKwh: 10, initialKwh: 5}"

MistakesOf = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("spec", "mistake"),
    [
        ("{}", "spec: needs at least one of battery, pv, load, ev, heatPump, shiftable and profile"),
        ("null", "spec: is missing; must be a mapping"),
        ("5", "spec: must be a mapping, not 5"),
        (f"{{{BATTERY}, replicas: 1001}}", "spec.replicas: must be a whole number from 0 to 1000, not 1001"),
        (f"{{{BATTERY}, replicas: 1.5}}", "spec.replicas: must be a whole number from 0 to 1000, not 1.5"),
        (f'{{{BATTERY}, replicas: "3"}}', 'spec.replicas: must be a whole number from 0 to 1000, not "3"'),
        (f"{{{BATTERY}, replicas: yes}}", "spec.replicas: must be a whole number from 0 to 1000, not true"),
        (f"{{{BATTERY}, householdsPerPod: 0}}", "spec.householdsPerPod: must be a whole number from 1 to 1000, not 0"),
        (f"{{{BATTERY}, seed: -1}}", "spec.seed: must be a whole number from 0 to 9007199254740991, not -1"),
        (f"{{{BATTERY}, replica: 2}}", "spec.replica: is not known; did you mean replicas?"),
        (
            f"{{{BATTERY}, households_per_pod: 2}}",
            "spec.households_per_pod: is not known; did you mean householdsPerPod?",
        ),
        (
            f"{{{BATTERY}, feeder: Main Street}}",
            "spec.feeder: must be a name of at most 63 lower-case letters, digits and '-' that starts and ends with a"
            ' letter or digit, not "Main Street"',
        ),
        (
            f"{{{BATTERY}, strategy: chatty}}",
            "spec.strategy: no strategy 'chatty'; there are: chat, plan, rules. Install the package that has it among"
            " its entry points of wattmesh.strategies",
        ),
        (
            f"{{{BATTERY}, strategy: [chat]}}",
            "spec.strategy: must be rules, plan, chat or the name of a strategy that is a plug-in, not a list",
        ),
        (
            f"{{{BATTERY}, strategy: My strategy}}",
            'spec.strategy: must be rules, plan, chat or the name of a strategy that is a plug-in, not "My strategy"',
        ),
        (
            "{battery: {initialKwh: 5}}",
            "spec.battery.capacityKwh: is missing; must be a number of kWh from 0.001 to 1000000000",
        ),
        (
            "{battery: {capacityKwh: 0, initialKwh: 0}}",
            "spec.battery.capacityKwh: must be a number of kWh from 0.001 to 1000000000, not 0",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 20}}",
            "spec.battery.initialKwh: must be at most capacityKwh (10), not 20",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 1.5, minKwh: 2}}",
            "spec.battery.minKwh: must be at most initialKwh (1.5), not 2",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5.00001}}",
            "spec.battery.initialKwh: must be a multiple of 0.001 kWh (1 Wh), not 5.00001",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: .nan}}",
            'spec.battery.initialKwh: must be a number of kWh from 0 to 1000000000, not ".nan"',
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5, powerKw: 0.0001}}",
            "spec.battery.powerKw: must be a multiple of 0.001 kW (1 W), not 0.0001",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5, chargeEfficiencyPercent: 101}}",
            "spec.battery.chargeEfficiencyPercent: must be a number of percent from 1 to 100, not 101",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5, capacity: 10}}",
            "spec.battery.capacity: is not known; did you mean capacityKwh?",
        ),
        ("{pv: {}}", "spec.pv: needs exactly one of peakKw and roofs, not none"),
        ("{pv: {peakKw: 8, roofs: [{peakKw: 5}]}}", "spec.pv: needs exactly one of peakKw and roofs, not both"),
        ("{pv: {roofs: []}}", "spec.pv: needs exactly one of peakKw and roofs, not none"),
        (
            "{pv: {roofs: [{peakKw: 5}, {tiltDegrees: 30}]}}",
            "spec.pv.roofs[1].peakKw: is missing; must be a number of kW from 0.001 to 1000000000",
        ),
        (
            "{pv: {roofs: [{peakKw: 5, tiltDegrees: 91}]}}",
            "spec.pv.roofs[0].tiltDegrees: must be a number of degrees from 0 to 90, not 91",
        ),
        ("{pv: {peakKw: 8, latitude: 90.1}}", "spec.pv.latitude: must be a number of degrees from -90 to 90, not 90.1"),
        (
            '{ev: {plugged: {from: "18:00", to: "07:00"}, needsKwh: 50, chargerKw: 3.7}}',
            "spec.ev.needsKwh: must be at most 48.1 kWh, which is what 3.7 kW (chargerKw) give from 18:00 to 07:00"
            " (13 h), not 50",
        ),
        (
            '{ev: {plugged: {from: "18:05", to: "07:00"}, needsKwh: 5, chargerKw: 3.7}}',
            'spec.ev.plugged.from: must be a quarter of an hour, where delivery slots begin, as "HH:MM", from'
            ' "00:00" (midnight) to "23:45", not "18:05"',
        ),
        (
            '{shiftable: [{name: pv, window: {from: "18:00", to: "07:00"}, kwh: 1, kw: 1}]}',
            "spec.shiftable[0].name: pv is taken: must be another name than bought, capacity, covered, ev, exported,"
            " heat-pump, imported, load, losses, pv, sold",
        ),
        ("{load: 3500}", "spec.load: must be a mapping, not 3500"),
        ("{load: {kwh: 3500}}", "spec.load.annualKwh: is missing; must be a number of kWh from 0 to 1000000000"),
        (
            "{load: {annualKwh: 1}, trading: {sellAbovePercent: 50, buyBelowPercent: 9}}",
            "spec.trading: buyBelowPercent, sellAbovePercent: a share of a battery's capacity, and there is none;"
            " add spec.battery or leave it out",
        ),
        (
            f"{{{BATTERY}, trading: {{sellAbovePercent: 45}}}}",
            "spec.trading: must be buyBelowPercent ≤ buyTargetPercent ≤ sellAbovePercent,"
            " not 20 (the default) ≤ 50 (the default) ≤ 45",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5, selfDischargePercentPerDay: 100.1}}",
            "spec.battery.selfDischargePercentPerDay: must be a number of percent from 0 to 100, not 100.1",
        ),
        (
            f"{{{BATTERY}, trading: {{pricing: greedy}}}}",
            "spec.trading.pricing: no pricing 'greedy'; there are: fixed, level, mid-market, zero-intelligence. Install"
            " the package that has it among its entry points of wattmesh.pricings",
        ),
        (
            f"{{{BATTERY}, trading: {{pricing: [level]}}}}",
            "spec.trading.pricing: must be fixed, level, mid-market, zero-intelligence or the name of a pricing that is"
            " a plug-in, not a list",
        ),
        (
            f"{{{BATTERY}, strategy: plan, trading: {{sellAbovePercent: 90, pricing: level, sellPrice: 0.1}}}}",
            "spec.trading: sellAbovePercent, pricing: with strategy plan the worth of stored energy decides; leave it"
            " out, or write strategy: rules",
        ),
        (
            "{load: {annualKwh: 1}, strategy: chat, trading: {pricing: fixed}}",
            "spec.trading: pricing: with strategy chat the worth of stored energy decides; leave it out, or write"
            " strategy: rules",
        ),
        *(
            (
                f"{{{BATTERY}, retention: {written}}}",
                f"spec.retention: must be a number of days, 35d to 9999d, such as 400d{hint}, not {told}",
            )
            for written, hint, told in (
                ("34d", "", '"34d"'),
                ("10000d", "", '"10000d"'),
                ("5w", "", '"5w"'),
                ("400", " (put it in quotes)", "400"),
            )
        ),
        (
            f"{{{BATTERY}, connectionKw: 0}}",
            "spec.connectionKw: must be a number of kW from 0.001 to 1000000000, not 0",
        ),
        (
            f"{{{BATTERY}, forecast: oracle}}",
            "spec.forecast: no forecast 'oracle'; there are: perfect, persistence, profile. Install the package that"
            " has it among its entry points of wattmesh.forecasts",
        ),
        (
            f"{{{BATTERY}, trading: {{sellPrice: 0.1234567}}}}",
            "spec.trading.sellPrice: must be a multiple of 0.000001 (a millionth of the currency), not 0.1234567",
        ),
        (
            f"{{{BATTERY}, trading: {{maxBuyPrice: -1}}}}",
            "spec.trading.maxBuyPrice: must be a number of currency per kWh from 0 to 1000000, not -1",
        ),
        (
            "{battery: {capacityKwh: 10, initialKwh: 5, minKwh: 3}, strategy: rules}",
            "spec.trading: buyBelowPercent must be at least 30, not 20 (the default): that share of the battery is its"
            " minKwh (3 of 10)",
        ),
        (
            "{battery: {capacityKwh: 3, initialKwh: 2, minKwh: 1}, trading: {buyBelowPercent: 33.3333}}",
            "spec.trading: buyBelowPercent must be at least 33.3334, not 33.3333: that share of the battery is its"
            " minKwh (1 of 3)",
        ),
        (
            "{profile: {csv: a.csv}, pv: {peakKw: 8}}",
            "spec.profile: replaces pv and load: leave out pv, or leave out profile",
        ),
        ("{profile: {}}", "spec.profile: needs exactly one of csv, folder and configMap, not none"),
        (
            "{profile: {folder: days, configMap: {name: days}}}",
            "spec.profile: needs exactly one of csv, folder and configMap, not folder and configMap",
        ),
        ("{profile: {configMap: days}}", 'spec.profile.configMap: must be a mapping, not "days"'),
        (
            "{profile: {configMap: {name: Days}}}",
            "spec.profile.configMap.name: must be a name of at most 253 lower-case letters, digits, '-' and '.' that"
            ' starts and ends with a letter or digit, not "Days"',
        ),
        (
            "{pv: {peakKw: 8, tiltDegrees: 91}}",
            "spec.pv.tiltDegrees: must be a number of degrees from 0 to 90, not 91",
        ),
        (
            "{pv: {peakKw: 8, azimuthDegrees: south}}",
            'spec.pv.azimuthDegrees: must be a number of degrees from 0 to 360, not "south"',
        ),
        ('{profile: {csv: ""}}', 'spec.profile.csv: must be the path of a file, not ""'),
        (
            f"{{{BATTERY}, gatewayRef: market}}",
            'spec.gatewayRef: must be a mapping, not "market"',
        ),
        (
            f"{{{BATTERY}, utilityRef: {{}}}}",
            "spec.utilityRef.name: is missing; must be a name of at most 63 lower-case letters, digits and '-' that"
            " starts with a letter and does not end with '-'",
        ),
    ],
)
def test_a_mistake_in_a_solar_agent(mistakes_of: MistakesOf, spec: str, mistake: str) -> None:
    found = mistakes_of(MARKET + SOLAR_AGENT.replace("SPEC", spec))
    assert f"mesh.yaml, document 3 (line 11), SolarAgent rooftop: {mistake}" in found


@pytest.mark.parametrize(
    ("spec", "mistake"),
    [
        ("{capacityKw: 5}", "spec.tariff: is missing; must be a mapping with price and feedIn"),
        (
            "{capacityKw: 5, tariff: {price: free, feedIn: 0}}",
            'spec.tariff.price: must be a number of currency per kWh from -1000000 to 1000000, not "free"',
        ),
        (
            '{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: [{from: "17:10", to: "20:00", price: 1}]}}',
            'spec.tariff.periods[0].from: must be a quarter of an hour, where delivery slots begin, as "HH:MM", from'
            ' "00:00" (midnight) to "23:45", not "17:10"',
        ),
        (
            '{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: [{from: "22:00", to: "06:00", price: 1, days:'
            ' [Fri]}, {from: "05:00", to: "07:00", price: 1, days: [Sat, Sun]}]}}',
            "spec.tariff.periods: must not overlap: [0] 22:00-06:00 Fri overlaps [1] 05:00-07:00 Sat,Sun",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: [{from: 01:00, to: 02:00, price: 1, days: [Fr]}]}}",
            'spec.tariff.periods[0].days[0]: must be Mon, Tue, Wed, Thu, Fri, Sat or Sun, not "Fr"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, gridFee: -0.01}}",
            "spec.tariff.gridFee: must be a number of currency per kWh from 0 to 1000000, not -0.01",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, series: {unit: perMwh}}}",
            "spec.tariff.series: needs exactly one of csv, inline and configMap, not none",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, series: {csv: a.csv, configMap: {name: a}}}}",
            "spec.tariff.series: needs exactly one of csv, inline and configMap, not csv and configMap",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, series: {inline: ''}}}",
            'spec.tariff.series.inline: must be text of at most 8192 characters; more than that in a file, not ""',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, series: {csv: a.csv, timezone: '+2'}}}",
            'spec.tariff.series.timezone: must be a time zone such as Europe/Berlin or +01:00, not "+2"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: {}}}",
            "spec.tariff.periods: must be a list, not a mapping",
        ),
        (
            '{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: [{from: "17:00", to: "24:00", price: 1}]}}',
            'spec.tariff.periods[0].to: must be a quarter of an hour, where delivery slots begin, as "HH:MM", from'
            ' "00:00" (midnight) to "23:45", not "24:00"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: [{from: 17:00, to: 17:00, price: 1}]}}",
            'spec.tariff.periods[0].to: must differ from "from": both are "17:00"; for the whole day set tariff.price',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0, periods: ["
            "{from: 22:00, to: 02:00, price: 1}, {from: 02:00, to: 04:00, price: 1},"
            " {from: 01:00, to: 03:00, price: 1}]}}",
            "spec.tariff.periods: must not overlap: [0] 22:00-02:00 overlaps [2] 01:00-03:00,"
            " [1] 02:00-04:00 overlaps [2] 01:00-03:00",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, strategy: plan}",
            'spec.strategy: must be rules or chat, not "plan"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, demandResponse: {startAtPercent: 80}}",
            "spec.demandResponse.maxPrice: is missing; must be a number of currency per kWh from 0 to 1000000",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, sharing: off}",
            "spec.sharing: must be none, or a mapping of price and key, not false",
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, sharing: {key: fair}}",
            'spec.sharing.key: must be proRata or equal, not "fair"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, sharing: {price: middle}}",
            'spec.sharing.price: must be mid or a number of currency per kWh from 0 to 1000000, not "middle"',
        ),
        (
            "{capacityKw: 5, tariff: {price: 1, feedIn: 0}, sharing: {prize: mid}}",
            "spec.sharing.prize: is not known; did you mean price?",
        ),
    ],
)
def test_a_mistake_in_a_utility_agent(mistakes_of: MistakesOf, spec: str, mistake: str) -> None:
    found = mistakes_of(UTILITY_AGENT.replace("SPEC", spec))
    assert f"mesh.yaml, document 1 (line 1), UtilityAgent utility: {mistake}" in found


@pytest.mark.parametrize(
    ("spec", "mistake"),
    [
        (
            "{currency: euro}",
            'spec.currency: must be an ISO 4217 currency code of three capital letters such as EUR, not "euro"',
        ),
        (
            "{clock: {start: 2026-06-21T06:00:00}}",
            "spec.clock.start: must be a time as RFC 3339 with zone, for example 2026-06-21T06:00:00+02:00,"
            ' not "2026-06-21T06:00:00"',
        ),
        (
            "{clock: {start: 2026-02-30T06:00:00Z}}",
            "spec.clock.start: must be a time as RFC 3339 with zone, for example 2026-06-21T06:00:00+02:00,"
            ' not "2026-02-30T06:00:00Z"',
        ),
        ("{clock: {speed: 0}}", "spec.clock.speed: must be a number from 0.001 to 100000, not 0"),
        ("{clock: {speed: 1e6}}", "spec.clock.speed: must be a number from 0.001 to 100000, not 1E+6"),
        (
            "{domain: 7}",
            "spec.domain: must be a Beckn domain of letters, digits and ':._-' such as uei:p2p_trading"
            " (put it in quotes), not 7",
        ),
        (
            "{protocols: v2}",
            'spec.protocols: must be a list of v1 and v2, at least one of them, each once, not "v2"',
        ),
        (
            "{protocols: []}",
            "spec.protocols: must be a list of v1 and v2, at least one of them, each once; it is empty",
        ),
        (
            "{protocols: [v2, v3]}",
            'spec.protocols: must be a list of v1 and v2, at least one of them, each once; entry 2 is "v3"',
        ),
        (
            "{protocols: [v2, v2]}",
            'spec.protocols: must be a list of v1 and v2, at least one of them, each once; entry 2 is "v2"',
        ),
        (
            "{schemaHost: https://schema.example}",
            "spec.schemaHost: must be the name of a host: at most 253 lower-case letters, digits, '-' and '.', not"
            ' "https://schema.example"',
        ),
        ("{replicas: 2}", "spec.replicas: more than 1 need a database that they share; add spec.database"),
        ("{replicas: 0}", "spec.replicas: must be a whole number from 1 to 10, not 0"),
        ("{database: {}}", "spec.database.secretRef: is missing; must be a mapping with name"),
        (
            "{database: {secretRef: {name: pg, key: ../uri}}}",
            "spec.database.secretRef.key: must be a key of a Secret: letters, digits, '-', '_' and '.', not \"../uri\"",
        ),
        (
            "{utility: x}",
            "spec.utility: is not known; known are domain, currency, vocabulary, protocols, schemaHost, clock,"
            " database, replicas, pod",
        ),
    ],
)
def test_a_mistake_in_a_gateway(mistakes_of: MistakesOf, spec: str, mistake: str) -> None:
    assert mistakes_of(GATEWAY.replace("SPEC", spec)) == [
        f"mesh.yaml, document 1 (line 1), BecknGateway market: {mistake}"
    ]


@pytest.mark.parametrize(
    ("document", "mistakes"),
    [
        ("- a", ["must be a mapping with apiVersion, kind, metadata and spec, not a list"]),
        ("just text", ['must be a mapping with apiVersion, kind, metadata and spec, not "just text"']),
        (
            "apiVersion: wattmesh.io/v1alpha1",
            ["kind: is missing; must be BecknGateway, UtilityAgent or SolarAgent"],
        ),
        (
            "{kind: SolarAgnt, metadata: {name: a}, apiVersion: wattmesh.io/v1alpha1}",
            [
                'SolarAgnt a: kind: must be BecknGateway, UtilityAgent or SolarAgent, not "SolarAgnt";'
                " did you mean SolarAgent?"
            ],
        ),
        (
            "{kind: ConfigMap, metadata: {name: a}, apiVersion: v1}",
            [
                'ConfigMap a: apiVersion: must be wattmesh.io/v1alpha1, not "v1"',
                'ConfigMap a: kind: must be BecknGateway, UtilityAgent or SolarAgent, not "ConfigMap"',
            ],
        ),
        (
            "{kind: BecknGateway, metadata: {name: a}, apiVersion: wattmesh.io/v1}",
            ['BecknGateway a: apiVersion: must be wattmesh.io/v1alpha1, not "wattmesh.io/v1"'],
        ),
        (
            "{kind: BecknGateway, metadata: {name: 7up, namesapce: b, labels: {a: 1}}}",
            [
                "BecknGateway 7up: apiVersion: is missing; must be wattmesh.io/v1alpha1",
                "BecknGateway 7up: metadata.name: must be a name of at most 63 lower-case letters, digits and '-' that"
                " starts with a letter and does not end with '-', not \"7up\"",
                "BecknGateway 7up: metadata.labels.a: must be text (put it in quotes), not 1",
                "BecknGateway 7up: metadata.namesapce: is not known; did you mean namespace?",
            ],
        ),
        (
            "{kind: BecknGateway, apiVersion: wattmesh.io/v1alpha1}",
            ["BecknGateway: metadata: is missing; must be a mapping with name"],
        ),
    ],
)
def test_a_mistake_in_what_all_resources_share(mistakes_of: MistakesOf, document: str, mistakes: list[str]) -> None:
    found = mistakes_of(document)
    assert [line.removeprefix("mesh.yaml, document 1 (line 1)").lstrip(",: ") for line in found] == mistakes


def test_all_mistakes_of_a_resource_are_told_at_once(mistakes_of: MistakesOf) -> None:
    found = mistakes_of(
        MARKET
        + """
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop}
spec:
  replicas: many
  batery: {}
  battery: {capacityKwh: 10, initialKwh: 12, minKwh: 0.0005}
  trading: {buyTargetPercent: 90, sellPrice: 15 cents}
"""
    )
    assert [line.removeprefix("mesh.yaml, document 3 (line 12), SolarAgent rooftop: spec.") for line in found] == [
        'replicas: must be a whole number from 0 to 1000, not "many"',
        "battery.initialKwh: must be at most capacityKwh (10), not 12",
        "battery.minKwh: must be a multiple of 0.001 kWh (1 Wh), not 0.0005",
        "trading: must be buyBelowPercent ≤ buyTargetPercent ≤ sellAbovePercent,"
        " not 20 (the default) ≤ 90 ≤ 80 (the default)",
        'trading.sellPrice: must be a number of currency per kWh from 0 to 1000000, not "15 cents"',
        "batery: is not known; did you mean battery?",
    ]
