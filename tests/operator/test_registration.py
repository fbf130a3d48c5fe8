"""The registry is made true to what shall run: missing, changed, expiring and unwanted entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_operator.plan import Participant, Role
from wattmesh_operator.registry.entries import Registrant, changes, wanted_entries

NOW = datetime(2026, 6, 21, 6, tzinfo=UTC)
DOMAIN = "uei:p2p_trading"
KEY = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqo="[:43] + "="


def registrant(name: str, *roles: Role, url: str = "http://10.0.0.1/x") -> Registrant:
    key_id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    return Registrant(Participant(name, f"{name}.default", "main", roles), url, key_id, KEY)


def wanted(*registrants: Registrant, now: datetime = NOW) -> list[Subscription]:
    return wanted_entries(registrants, DOMAIN, now)


def test_a_household_that_buys_and_sells_has_an_entry_for_each_role() -> None:
    entries = wanted(registrant("rooftop-0", "BAP", "BPP"))
    assert [(entry.subscriber_id, entry.type) for entry in entries] == [
        ("rooftop-0.default", "BAP"),
        ("rooftop-0.default", "BPP"),
    ]
    assert {entry.location.city.code for entry in entries} == {"main"}


def test_a_lost_registry_is_written_anew() -> None:
    entries = wanted(registrant("rooftop-0", "BAP", "BPP"), registrant("flat-0", "BAP"))
    assert changes(entries, [], NOW) == entries


def test_what_is_there_already_is_not_written_again() -> None:
    there = wanted(registrant("flat-0", "BAP"), now=NOW - timedelta(days=30))
    assert changes(wanted(registrant("flat-0", "BAP")), there, NOW) == []


def test_a_new_address_is_written() -> None:
    there = wanted(registrant("flat-0", "BAP", url="http://10.0.0.1/flat-0"))
    moved = wanted(registrant("flat-0", "BAP", url="http://10.0.0.2/flat-0"))
    assert changes(moved, there, NOW) == moved


def test_an_entry_is_renewed_before_it_expires() -> None:
    there = wanted(registrant("flat-0", "BAP"), now=NOW - timedelta(days=300))
    renewed = wanted(registrant("flat-0", "BAP"))
    assert changes(renewed, there, NOW) == renewed


def test_an_unsubscribed_entry_is_brought_back() -> None:
    ended = [entry.model_copy(update={"status": "UNSUBSCRIBED"}) for entry in wanted(registrant("flat-0", "BAP"))]
    again = wanted(registrant("flat-0", "BAP"))
    assert changes(again, ended, NOW) == again


def test_who_is_not_wanted_any_more_is_unsubscribed_once() -> None:
    there = wanted(registrant("flat-0", "BAP"), registrant("flat-1", "BAP"))
    writes = changes(wanted(registrant("flat-0", "BAP")), there, NOW)
    assert [(entry.subscriber_id, entry.status) for entry in writes] == [
        ("flat-1.default", SubscriptionStatus.UNSUBSCRIBED)
    ]
    assert changes(wanted(registrant("flat-0", "BAP")), [there[0], *writes], NOW) == []
