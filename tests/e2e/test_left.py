"""Households that leave for good, and ledgers that are lost."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.kube import Kube, condition, until
from tests.e2e.market import Books, audit_findings, audited, books, registered, seller, uid_of_pod, wattmesh

pytestmark = pytest.mark.e2e

CHILDREN = ("deployment", "service", "configmap", "secret", "persistentvolumeclaim")
SELLER, KEEPERS = "seller-0.alley", ("consumer-0", "utility")


def sold(kube: Kube) -> Books | None:
    """The books of the seller once it has been paid and has promised more."""
    now = books(kube, "seller-0")
    return now if now.settled("seller") and now.open else None


@pytest.fixture(scope="module")
def closed() -> dict[str, str]:
    """The accounts of those that have left, by name."""
    return {}


def test_a_deleted_household_settles_closes_its_account_and_goes(
    alley: Kube, measured: list[str], closed: dict[str, str]
) -> None:
    before = until("it has sold, and promised more", lambda: sold(alley))
    open_ids = {contract["transaction_id"] for contract in before.open}
    began = time.monotonic()

    alley("delete", "solaragent", "seller", timeout_s=30)

    assert not alley.is_gone("deployment", "seller-0"), "it went before it had settled"
    for kind in CHILDREN:
        until(f"its {kind} is gone", lambda kind=kind: alley.is_gone(kind, "seller-0"))  # type: ignore[misc]
    measured.append(f"kubectl delete solaragent → settled, closed and gone: {time.monotonic() - began:.0f} s")
    assert "seller-0" not in registered(alley)
    states = {c["transaction_id"]: c["state"] for c in books(alley, "consumer-0").contracts}
    assert {states[one] for one in open_ids} <= {"SETTLED", "EXPIRED", "CANCELLED"}
    [record] = books(alley, "consumer-0").tables["closing_records"]
    assert record["counterparty"] == SELLER
    closed["seller-0"] = record["account"]
    said = audited(alley)
    assert not said["findings"]
    assert said["deliveries_with_departed"] > 0


def test_it_is_forgotten_on_request_and_the_others_books_stay_right(alley: Kube) -> None:
    before = {keeper: books(alley, keeper) for keeper in KEEPERS}
    bought = {(row["slot"], row["energy_wh"]) for row in before["consumer-0"].settled("buyer")}

    assert wattmesh(alley, "forget", "seller-0", "--yes").endswith(f"{SELLER} is forgotten\n")

    after = {keeper: books(alley, keeper) for keeper in KEEPERS}
    assert all(SELLER in json.dumps(one.tables) for one in before.values())
    assert not any(SELLER in json.dumps(one.tables) for one in after.values())
    assert bought <= {(row["slot"], row["energy_wh"]) for row in after["consumer-0"].settled("buyer")}
    said = audited(alley)
    assert not said["findings"]
    assert said["deliveries_with_forgotten"] > 0


def test_made_again_under_its_name_it_is_a_new_party(alley: Kube, closed: dict[str, str]) -> None:
    alley.apply(seller())
    alley.ready("solaragent/seller")
    now = until("it sells", lambda: sold(alley))
    [account] = now.tables["accounts"]
    assert account["account"] != closed["seller-0"]
    assert alley.get("solaragent", "seller")["status"]["households"][0]["account"] == account["account"]
    assert not audit_findings(alley)


def test_a_lost_volume_is_a_condition_and_a_warning_and_its_books_are_made_again(alley: Kube) -> None:
    until("it has sold", lambda: sold(alley))
    status = alley.get("solaragent", "seller")["status"]
    assert not condition(alley.get("solaragent", "seller"), "LedgerLost")
    pod, former = uid_of_pod(alley, "seller-0"), books(alley, "seller-0")

    alley("delete", "persistentvolumeclaim", "seller-0", "--wait=false")
    alley("delete", "pods", "--selector", "wattmesh.io/pod=seller-0", "--wait=false")

    until("it has another pod", lambda: uid_of_pod(alley, "seller-0") != pod)
    lost = until("the loss is told", lambda: condition(alley.get("solaragent", "seller"), "LedgerLost"))
    assert (lost["status"], lost["reason"]) == ("True", "LedgerLost")
    assert "the ledger of seller-0 is gone" in lost["message"]
    warnings = alley("get", "events", "--field-selector", "type=Warning,reason=LedgerLost", "--output", "name")
    assert len(warnings.splitlines()) == 1
    alley.ready("solaragent/seller")
    assert (
        alley.get("solaragent", "seller")["status"]["lostLedgers"][0]["account"] == status["households"][0]["account"]
    )

    sales = {(row["transaction_id"], row["slot"]): row["amount_micro"] for row in former.settled("seller")}

    def knows_all_sales() -> bool:
        known = {(row["transaction_id"], row["slot"]): row for row in books(alley, "seller-0").settled("seller")}
        return all(key in known and known[key]["amount_micro"] == amount for key, amount in sales.items())

    until("it knows what it has sold, from its partners", knows_all_sales)
    [account] = books(alley, "seller-0").tables["accounts"]
    assert account["account"] != status["households"][0]["account"]
    until("it sells again", lambda: len(books(alley, "seller-0").settled("seller")) > len(sales))
    until("nothing is at stake", lambda: assert_sound(alley))
    alley.leave()


def assert_sound(alley: Kube) -> bool:
    """That the audit finds nothing; AssertionError says what it found."""
    found = audit_findings(alley)
    assert found == []
    return True
