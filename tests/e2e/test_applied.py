"""`kubectl apply` of a household."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.e2e.kube import Kube, is_so, until
from tests.e2e.market import SUCCESS, Books, books, buyer, entries, solar, uid_of_pod

pytestmark = pytest.mark.e2e


def test_an_applied_household_becomes_ready_and_registered(street: Kube) -> None:
    street.apply(buyer())

    street.ready("solaragent/buyer")

    assert is_so(street.get("solaragent", "buyer"), "Registered")
    assert {("buyer-0.street", "BAP"), ("buyer-0.street", "BPP")} <= entries(street).keys()


def test_it_buys_and_says_so(street: Kube) -> None:
    def success_line() -> str | None:
        said = street("logs", "deployment/buyer-0")
        return next((line for line in said.splitlines() if f"{SUCCESS} New battery level: " in line), None)

    until("a purchase in the log", success_line)
    settled = books(street, "buyer-0").settled("buyer")
    assert sum(contract["delivered_wh"] for contract in settled) > 0


def test_the_columns_are_what_the_ledgers_say(street: Kube) -> None:
    """A status is of the last pass; so it is compared with what the ledger was at any moment of this test."""
    shown: dict[str, list[str]] = {}
    seen: dict[str, set[tuple[str, ...]]] = {"buyer-0": set(), "rooftop-0": set()}

    def agree() -> bool:
        header, *rows = street("get", "solaragents").splitlines()
        assert header.split() == ["NAME", "READY", "REPLICAS", "SOC", "SOLD", "BOUGHT", "BALANCE", "AGE"]
        shown.update({row.split()[0]: row.split() for row in rows})
        for pod, samples in seen.items():
            samples.add(books(street, pod).columns)
        return all(columns(shown[pod.removesuffix("-0")]) in samples for pod, samples in seen.items())

    def columns(row: list[str]) -> tuple[str, ...]:
        return (*row[3:6], " ".join(row[6:8]))

    until("columns and ledgers agree", agree)
    assert shown["buyer"][1:3] == ["1/1", "1"]
    assert float(shown["buyer"][5]) > 0
    assert float(shown["rooftop"][4]) > 0


def test_households_share_a_pod_when_told_so(street: Kube) -> None:
    both: Books = books(street, "flat-pod-0")
    assert both.parties.keys() == {"flat-0.street", "flat-1.street", "flat-2.street"}
    assert uid_of_pod(street, "flat-pod-0")
    flat = street.get("solaragent", "flat")
    assert (flat["status"]["ready"], flat["status"]["replicas"]) == ("3/3", 3)
    until("flats buy", lambda: books(street, "flat-pod-0").settled("buyer"))


def test_a_household_lives_by_its_profile_in_a_configmap(street: Kube) -> None:
    """PV only, and no battery: it feeds in, and trades with nobody."""
    midnight = datetime(2026, 6, 21, tzinfo=timezone(timedelta(hours=2)))
    slots = (midnight + timedelta(minutes=15 * number) for number in range(96))
    profile = "slot,pv_wh,load_wh\n" + "".join(f"{slot.isoformat()},123,0\n" for slot in slots)
    file = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sunny"}, "data": {"sunny-0.csv": profile}}
    street.apply(file, solar("sunny", profile={"configMap": {"name": "sunny"}}))

    street.ready("solaragent/sunny")

    readings = until("slots are metered", lambda: books(street, "sunny-0").tables["readings"])
    assert {(reading["pv_wh"], reading["exported_wh"]) for reading in readings} == {(123, 123)}
