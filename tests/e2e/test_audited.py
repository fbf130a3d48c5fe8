"""The audit of all books, after all that has happened to the street."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.kube import Kube, command
from tests.e2e.market import books

pytestmark = pytest.mark.e2e


def test_the_audit_finds_nothing(street: Kube) -> None:
    # The books of those who were scaled away are on their volumes; they are read when they are back.
    street("scale", "solaragent/rooftop", "--replicas=5")
    street.ready("solaragent/rooftop")
    sold = len(books(street, "rooftop-0").settled("seller"))
    assert sold

    wattmesh = str(Path(sys.executable).with_name("wattmesh"))
    said = command(
        *(wattmesh, "audit", "--kubernetes", "--context", street.context, "--namespace", street.namespace),
        *("--output", "json"),
    )

    audit = json.loads(said)
    assert not audit["findings"], said
    assert audit["contracts_checked"] >= sold, said
