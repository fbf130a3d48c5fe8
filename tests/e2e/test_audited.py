"""The audit of all books, after all that has happened to both streets."""

from __future__ import annotations

import os

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import audit, books

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", [pytest.param("street", marks=pytest.mark.alone), "avenue"])
def test_the_audit_finds_nothing(name: str, request: pytest.FixtureRequest) -> None:
    street: Kube = request.getfixturevalue(name)
    # The books of those who were scaled away are on their volumes; they are read when they are back.
    street("scale", "solaragent/rooftop", "--replicas=5")
    street.ready("solaragent/rooftop")
    sold = len(books(street, "rooftop-0").settled("seller"))
    assert sold

    # The flats plan and their utility shares: what they learn is in their books, what was shared in its.
    readings = books(street, "flat-pod-0").tables["readings"]
    assert any(reading["local_micro_per_kwh"] for reading in readings)
    assert books(street, "utility").tables["closings"]

    # They make up for the slots in which they were away, some twenty, in one go: overdue until the utility has them.
    said = until("everything is booked", lambda: audit(street))

    assert not said["findings"]
    assert said["deliveries_checked"] >= sold
    if name == "avenue" and os.environ.get("E2E_LONG") != "1":
        street.leave()  # nobody comes back to it, and what comes has the machine to itself
