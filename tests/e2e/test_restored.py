"""A volume that is restored from an old copy comes out right by what partners hold signed."""

from __future__ import annotations

import time

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import audit_findings, books, uid_of_pod

pytestmark = pytest.mark.e2e

POD = "rooftop-0"
COPY = "import sqlite3; sqlite3.connect('/data/ledger.db').backup(sqlite3.connect('/data/copy.db'))"
PUT_BACK = (
    "import os; os.replace('/data/copy.db', '/data/ledger.db'); "
    "[os.remove(f'/data/ledger.db-{end}') for end in ('wal', 'shm') if os.path.exists(f'/data/ledger.db-{end}')]"
)


def test_a_volume_that_is_put_back_takes_over_what_its_household_has_signed_since(
    street: Kube, measured: list[str]
) -> None:
    street("exec", f"deployment/{POD}", "--", "python", "-c", COPY)
    copied = len(books(street, POD).settled("seller"))
    until("it sells in two slots more", lambda: len(books(street, POD).settled("seller")) >= copied + 2)
    lost, pod = books(street, POD), uid_of_pod(street, POD)

    street("exec", f"deployment/{POD}", "--", "python", "-c", PUT_BACK)
    street("delete", "pods", "--selector", f"wattmesh.io/pod={POD}", "--grace-period=0", "--force")
    until("the pod is another", lambda: uid_of_pod(street, POD) != pod)
    began = time.monotonic()
    street.ready("solaragent/rooftop")

    until("it says so", lambda: "its books were older" in street("logs", f"deployment/{POD}"))
    sold = {(row["transaction_id"], row["slot"]): row["amount_micro"] for row in lost.settled("seller")}

    def knows_all_sales() -> bool:
        known = {(row["transaction_id"], row["slot"]): row for row in books(street, POD).settled("seller")}
        return all(key in known and known[key]["amount_micro"] == amount for key, amount in sold.items())

    until("it knows all that it has sold", knows_all_sales)
    until("the audit finds nothing", lambda: audit_findings(street) == [])
    until("it sells again", lambda: len(books(street, POD).settled("seller")) > len(sold))
    measured.append(f"a volume from an old copy → its books are right again: {time.monotonic() - began:.1f} s")
