"""The markets of the tests: manifests, and what agents, registries and the operator say of themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.kube import CommandFailed, Kube, Object, command

OPEN = {"QUOTED", "AGREED", "CONFIRMED", "DELIVERED"}
SYSTEM = "wattmesh-system"
OPERATOR = "deployment/wattmesh-operator"
SUCCESS = "✅ Contract confirmed! Energy purchased."
KINDS = "solaragents,utilityagents,beckngateways"
CHILDREN = "deployments,services,configmaps,secrets,persistentvolumeclaims"


def resource(kind: str, name: str, spec: Object) -> Object:
    """A resource of ours."""
    return {"apiVersion": "wattmesh.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


SPEED = 90
"""Of the markets: a delivery slot takes 10 s."""


def gateway(name: str = "market", speed: int = SPEED) -> Object:
    """A market from a summer's forenoon on."""
    return resource("BecknGateway", name, {"clock": {"start": "2026-06-21T10:00:00+02:00", "speed": speed}})


def utility(name: str = "utility") -> Object:
    """A utility that is dearer than the roofs."""
    return resource("UtilityAgent", name, {"tariff": {"price": 0.25, "feedIn": 0.08}, "capacityKw": 60})


def solar(name: str, **spec: Any) -> Object:
    """A SolarAgent."""
    return resource("SolarAgent", name, spec)


def rooftop(**spec: Any) -> Object:
    """Households that have energy to sell all the time, each less than the street needs: so all of them do."""
    battery = {"capacityKwh": 100, "initialKwh": 95, "powerKw": 2}
    trading = {"buyBelowPercent": 5, "buyTargetPercent": 5, "sellAbovePercent": 20, "sellPrice": 0.15}
    return solar("rooftop", **{"pv": {"peakKw": 1}, "battery": battery, "trading": trading, **spec})


def seller(**spec: Any) -> Object:
    """A household that sells all the time, and less than its neighbour needs."""
    return {**rooftop(**spec), "metadata": {"name": "seller"}}


def buyer() -> Object:
    """A household that buys as soon as it is there."""
    return solar("buyer", strategy="rules", battery={"capacityKwh": 15, "initialKwh": 2})


def late() -> Object:
    """One that comes later."""
    return solar("late", strategy="rules", battery={"capacityKwh": 10, "initialKwh": 1})


def open_street(kube: Kube) -> None:
    """Have a market, a utility, a roof and three flats in a namespace."""
    flats = solar("flat", replicas=3, householdsPerPod=10, load={"annualKwh": 20000})
    kube.apply(gateway(), utility(), rooftop(), flats)
    kube.ready("beckngateway/market", "utilityagent/utility", "solaragent/rooftop", "solaragent/flat")


def open_lane(kube: Kube, market: Object | None = None) -> None:
    """The same with a seller, a buyer and their utility, and another gateway where one is given."""
    kube.apply(market or gateway(), utility(), seller(), solar("consumer", strategy="rules", load={"annualKwh": 20000}))
    kube.ready("beckngateway/market", "utilityagent/utility", "solaragent/seller", "solaragent/consumer")


@dataclass(frozen=True)
class Books:
    """The books of a pod, as its `/ledger` shows them."""

    tables: dict[str, list[Object]]

    @property
    def parties(self) -> dict[str, Object]:
        """Who lives in the pod, by subscriber id."""
        return {row["party"]: row for row in self.tables["parties"]}

    @property
    def contracts(self) -> list[Object]:
        """All contracts, each side's own record."""
        return self.tables["contracts"]

    @property
    def open(self) -> list[Object]:
        """Contracts that are not settled, expired or cancelled."""
        return [contract for contract in self.contracts if contract["state"] in OPEN]

    def settled(self, side: str) -> list[Object]:
        """Contracts that were delivered and paid, of one side."""
        return [c for c in self.contracts if c["state"] == "SETTLED" and c["side"] == side]

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """SOC, SOLD, BOUGHT and BALANCE as `kubectl get` shall show them."""
        capacity = sum(row["capacity_wh"] for row in self.tables["parties"])
        level = sum(row["level_wh"] for row in self.tables["parties"])
        trades = [row["energy_wh"] for row in self.tables["ledger"] if row["kind"] == "trade"]
        soc = (Decimal(100 * level) / capacity).quantize(Decimal(1), ROUND_HALF_UP)
        return (
            f"{soc}%",
            _hundredths(-sum(wh for wh in trades if wh < 0), 1000),
            _hundredths(sum(wh for wh in trades if wh > 0), 1000),
            f"{_hundredths(sum(row['amount_micro'] for row in self.tables['ledger']), 1_000_000)} EUR",
        )


def _hundredths(value: int, unit: int) -> str:
    return str((Decimal(value) / unit).quantize(Decimal("0.01"), ROUND_HALF_UP))


def books(kube: Kube, pod: str, market: str = "market") -> Books:
    """The books of a pod, which is of a market. Raises CommandFailed or OSError."""
    return Books(json.loads(kube.page(f"service/{pod}", "/ledger", token=reading_token(kube, market))))


def reading_token(kube: Kube, market: str = "market") -> str:
    """What opens the pages of a market's pods and the gateway's live page."""
    return b64decode(kube.get("secret", f"{market}-reader")["data"]["token"]).decode()


def entries(kube: Kube, market: str = "market") -> dict[tuple[str, str], Object]:
    """What the registry holds of buyers (BAP) and sellers (BPP), by subscriber id and role."""
    found = json.loads(kube.page(f"service/{market}", "/lookup", {"status": "SUBSCRIBED"}))
    return {(entry["subscriber_id"], entry["type"]): entry for entry in found if entry["type"] != "BG"}


def registered(kube: Kube, market: str = "market") -> set[str]:
    """The names of those that the registry holds, without their namespace."""
    return {subscriber_id.removesuffix(f".{kube.namespace}") for subscriber_id, _ in entries(kube, market)}


def key_ids(kube: Kube, pod: str) -> set[str]:
    """The names of the keys that the registry knows of a pod of one household."""
    return {entry["key_id"] for (who, _), entry in entries(kube).items() if who == f"{pod}.{kube.namespace}"}


def uid_of_pod(kube: Kube, pod: str) -> str:
    """The uid of the one Kubernetes pod there is; AssertionError if there is another or none."""
    [item] = kube.list("pods", f"wattmesh.io/pod={pod}")
    return str(item["metadata"]["uid"])


def metrics(kube: Kube) -> dict[str, float]:
    """What the operator counts: name with labels → value."""
    return counted(kube.of(SYSTEM), OPERATOR)


def counted(kube: Kube, target: str) -> dict[str, float]:
    """What `target` counts: name with labels → value."""
    text = kube.page(target, "/metrics")
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def writes(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    """The API writes between two looks at the metrics, by verb and kind."""
    counted: dict[str, int] = {}
    for name, value in after.items():
        if found := re.fullmatch(r'wattmesh_operator_api_writes_total\{kind="(\w+)",verb="(\w+)"\}', name):
            more = int(value - before.get(name, 0))
            if more:
                counted[f"{found[2]} {found[1]}"] = more
    return counted


def _command_line(kube: Kube, *arguments: str | Path) -> list[str]:
    where = ("--kubernetes", "--context", kube.context, "--namespace", kube.namespace)
    return [str(one) for one in (Path(sys.executable).with_name("wattmesh"), *arguments, *where)]


def wattmesh(kube: Kube, *arguments: str | Path) -> str:
    """What the `wattmesh` command says, of a namespace. Raises CommandFailed."""
    return command(*_command_line(kube, *arguments), timeout_s=300)


def audit(kube: Kube) -> Object:
    """What `wattmesh audit` says of a namespace. Raises CommandFailed, with the findings if there are any."""
    said: Object = json.loads(wattmesh(kube, "audit", "--output", "json"))
    return said


def audited(kube: Kube) -> Object:
    """What `wattmesh audit` says of a namespace, whether anything is wrong or overdue there or not."""
    line = _command_line(kube, "audit", "--output", "json")
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode not in (0, 1):
        raise CommandFailed(done.stderr)
    said: Object = json.loads(done.stdout)
    return said


def audit_findings(kube: Kube) -> list[Object]:
    """What `wattmesh audit` finds wrong in a namespace, none or some."""
    found: list[Object] = audited(kube)["findings"]
    return found


def in_doubt(kube: Kube) -> int:
    """Of how many contracts their buyers do not know at this moment whether they hold."""
    pods = kube.names("deployments", "app.kubernetes.io/component=agents")
    said = [status for pod in pods for status in json.loads(kube.page(f"service/{pod}", "/status"))]
    return sum(status["in_doubt"] for status in said)


def continues(before: Books, after: Books) -> None:
    """These are the same books, some time later: bookings stay, and no slot of the battery is missing."""
    bookings = {tuple(sorted(row.items())) for row in before.tables["ledger"]}
    assert bookings <= {tuple(sorted(row.items())) for row in after.tables["ledger"]}
    readings = sorted(after.tables["readings"], key=lambda row: row["slot"])
    assert {row["slot"] for row in before.tables["readings"]} <= {row["slot"] for row in readings}
    for former, latter in pairwise(readings):
        assert latter["level_before_wh"] == former["level_after_wh"]
    [was], [now] = before.tables["parties"], after.tables["parties"]
    assert (was["first_slot"], was["initial_level_wh"]) == (now["first_slot"], now["initial_level_wh"])
