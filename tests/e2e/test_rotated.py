"""Keys that are rotated while their owners trade, by an operator that is killed in the middle: its beginning.

`test_retired` is about the rest, some tests later: a pod hears of a changed Secret after a minute or two.
"""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.rotating import Rotation, current_keys, ends, known_keys, statuses

pytestmark = pytest.mark.e2e


def test_the_next_operator_completes_a_rotation_and_both_keys_hold_until_the_end_of_the_overlap(
    street: Kube, rotation: Rotation
) -> None:
    in_secrets = until("the Secrets have ends for the former keys", lambda: ends(street, rotation))
    new = current_keys(street, rotation)
    assert not set(new.values()) & set(rotation.former.values())

    def in_registry() -> bool:
        known = known_keys(street)
        entries = [entry for key in rotation.former.items() for entry in known[key]]
        return {datetime.fromisoformat(entry["valid_until"]).timestamp() for entry in entries} == in_secrets

    until("the registry has these ends", in_registry)
    known = known_keys(street)
    assert min(in_secrets) > time.time()
    assert statuses(known, new) == {"SUBSCRIBED"}
    assert statuses(known, rotation.former) == {"SUBSCRIBED"}
    assert current_keys(street, rotation) == new
