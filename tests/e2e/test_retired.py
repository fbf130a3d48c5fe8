"""The end of the keys that `test_rotated` replaced, some tests ago. That the operator is idle then is measured next."""

from __future__ import annotations

import pytest

from tests.e2e.killing import lives
from tests.e2e.kube import Kube, until
from tests.e2e.market import books
from tests.e2e.rotating import HOUSEHOLDS, Rotation, held_keys, keys_in_use, known_keys, statuses

pytestmark = pytest.mark.e2e

OVERLAP_S = 180
"""What `make e2e` tells the chart."""


def test_former_keys_end_and_leave_the_secret(street: Kube, rotation: Rotation) -> None:
    def retired() -> bool:
        held = held_keys(street)
        return statuses(known_keys(street), rotation.former) == {"EXPIRED"} and not any(
            "retiring" in held[name] for name in rotation.former
        )

    until("the former keys have ended", retired, within_s=2 * OVERLAP_S)

    current = {name: held_keys(street)[name]["key_id"] for name in rotation.former}
    assert not set(current.values()) & set(rotation.former.values())
    assert statuses(known_keys(street), current) == {"SUBSCRIBED"}
    assert keys_in_use(street) == current
    assert lives(street, HOUSEHOLDS) == rotation.containers
    then = {contract["transaction_id"] for contract in books(street, "flat-pod-0").contracts}
    until(
        "flats trade on",
        lambda: any(c["transaction_id"] not in then for c in books(street, "flat-pod-0").settled("buyer")),
    )
    street.ready("solaragent/flat", "solaragent/rooftop")
