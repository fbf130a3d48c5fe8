"""Keys that are rotated while their owners trade, by an operator that is killed in the middle."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.e2e.killing import lives
from tests.e2e.kube import Kube, until
from tests.e2e.market import books
from tests.e2e.rotating import HOUSEHOLDS, Rotation, bad_searches, held_keys, keys_in_use, known_keys, statuses

pytestmark = pytest.mark.e2e

REFUSED = re.compile(r"signature|signed by|key '|is not in the registry|is not registered as")
"""How a receiver says that it does not take a signature."""


@pytest.fixture(scope="module")
def new(street: Kube, rotation: Rotation) -> dict[str, str]:
    """The new key ids by subscriber id, when the Secrets have ends for the former keys."""

    def completed() -> dict[str, str] | None:
        held = {name: keys for name, keys in held_keys(street).items() if name in rotation.former}
        ends = [key["valid_until"] for keys in held.values() for key in keys.get("retiring", ())]
        done = len(ends) == len(rotation.former) and all(ends)
        return {name: keys["key_id"] for name, keys in held.items()} if done else None

    return until("the next operator completes the rotation", completed)


def test_the_registry_knows_the_new_keys_and_the_old_ones_until_the_end_of_their_overlap(
    street: Kube, rotation: Rotation, new: dict[str, str]
) -> None:
    assert new.keys() == rotation.former.keys()
    assert not set(new.values()) & set(rotation.former.values())

    def ends() -> set[str] | None:
        known = known_keys(street)
        assert statuses(known, new) == statuses(known, rotation.former) == {"SUBSCRIBED"}
        in_secret = {key["valid_until"] for name in new for key in held_keys(street)[name]["retiring"]}
        in_registry = {entry["valid_until"] for key in rotation.former.items() for entry in known[key]}
        return in_registry if {datetime.fromisoformat(end).timestamp() for end in in_registry} == in_secret else None

    soonest = min(datetime.fromisoformat(end) for end in until("the registry has the ends too", ends))
    assert soonest > datetime.now(UTC)


def test_pods_take_up_new_keys_without_a_restart_and_no_trade_is_refused(
    street: Kube, rotation: Rotation, new: dict[str, str]
) -> None:
    until("all sign with their new keys", lambda: keys_in_use(street) == new)
    then = {contract["transaction_id"] for contract in books(street, "flat-pod-0").contracts}

    def trades_from_now_on() -> bool:
        settled = books(street, "flat-pod-0").settled("buyer")
        return any(c["transaction_id"] not in then and c["counterparty"] in new for c in settled)

    until("flats buy from roofs, all with new keys", trades_from_now_on)
    assert lives(street, HOUSEHOLDS) == rotation.containers
    since = datetime.fromtimestamp(rotation.began, UTC)
    for pod in street.names("deployments", "app.kubernetes.io/component=agents"):
        said = street("logs", f"deployment/{pod}", f"--since-time={since:%Y-%m-%dT%H:%M:%SZ}").splitlines()
        changed = [c for c in books(street, pod).contracts if c["updated_ms"] >= rotation.began * 1000]
        assert not [line for line in said if REFUSED.search(line)]
        assert not [contract for contract in changed if REFUSED.search(contract["reason"] or "")]
    assert bad_searches(street) == rotation.bad_searches
