"""The rotation that `test_rotated` began: new keys in use, and the end of the former ones.

That the operator is idle then is measured next.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.e2e.killing import lives
from tests.e2e.kube import Kube, until
from tests.e2e.market import books
from tests.e2e.rotating import (
    HOUSEHOLDS,
    Rotation,
    bad_searches,
    current_keys,
    held_keys,
    keys_in_use,
    known_keys,
    statuses,
)

pytestmark = pytest.mark.e2e

OVERLAP_S = 180
"""What `make e2e` tells the chart."""
REFUSED = re.compile(r"signature|signed by|key '|is not in the registry|is not registered as")
"""How a receiver says that it does not take a signature."""


def test_pods_take_up_new_keys_without_a_restart(street: Kube, rotation: Rotation) -> None:
    until("all sign with their new keys", lambda: keys_in_use(street) == current_keys(street, rotation))

    assert lives(street, HOUSEHOLDS) == rotation.containers


def test_former_keys_end_and_leave_the_secret(street: Kube, rotation: Rotation) -> None:
    def retired() -> bool:
        held = held_keys(street)
        ended = statuses(known_keys(street), rotation.former) == {"EXPIRED"}
        return ended and not any("retiring" in held[name] for name in rotation.former)

    until("the former keys have ended", retired, within_s=2 * OVERLAP_S)

    current = current_keys(street, rotation)
    assert not set(current.values()) & set(rotation.former.values())
    assert statuses(known_keys(street), current) == {"SUBSCRIBED"}
    assert keys_in_use(street) == current
    assert lives(street, HOUSEHOLDS) == rotation.containers
    street.ready("solaragent/flat", "solaragent/rooftop")


def test_all_of_them_trade_and_no_signature_was_refused_since_the_rotation_began(
    street: Kube, rotation: Rotation
) -> None:
    then = {contract["transaction_id"] for contract in books(street, "flat-pod-0").contracts}

    def trades_from_now_on() -> bool:
        settled = books(street, "flat-pod-0").settled("buyer")
        return any(c["transaction_id"] not in then and c["counterparty"] in rotation.former for c in settled)

    until("flats buy from roofs", trades_from_now_on)
    since = datetime.fromtimestamp(rotation.began, UTC)
    for pod in street.names("deployments", "app.kubernetes.io/component=agents"):
        said = street("logs", f"deployment/{pod}", f"--since-time={since:%Y-%m-%dT%H:%M:%SZ}").splitlines()
        changed = [c for c in books(street, pod).contracts if c["updated_ms"] >= rotation.began * 1000]
        assert not [line for line in said if REFUSED.search(line)]
        assert not [contract for contract in changed if REFUSED.search(contract["reason"] or "")]
    assert bad_searches(street) == rotation.bad_searches
