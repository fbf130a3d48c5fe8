"""What is kept by the thousand says the same as before, in less memory."""

from __future__ import annotations

from wattmesh_beckn.registry import Subscription
from wattmesh_common.slim import slim

ENTRY = b"""{
    "subscriber_id": "home-1.street", "url": "http://home-1.street.svc:8080/home-1", "type": "BPP",
    "domain": "uei:p2p_trading", "location": {"city": {"code": "feeder-1"}},
    "key_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "signing_public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"
}"""


def test_it_is_equal_and_writes_what_it_wrote() -> None:
    entry = Subscription.model_validate_json(ENTRY)
    kept = slim(entry)
    assert kept == entry
    assert kept.model_dump_json() == entry.model_dump_json()
    assert kept.is_live(kept.valid_from.timestamp())


def test_a_field_may_be_held_together_with_others() -> None:
    first, second = (Subscription.model_validate_json(ENTRY) for _ in range(2))
    assert slim(second, location=first.location).location is first.location


def test_the_names_of_its_fields_are_those_of_all() -> None:
    first, second = (Subscription.model_validate_json(ENTRY) for _ in range(2))
    assert first.model_fields_set is not second.model_fields_set
    assert slim(first).model_fields_set is slim(second).model_fields_set
