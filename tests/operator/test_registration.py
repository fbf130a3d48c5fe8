"""The registry is made true to what shall run: missing, changed, expiring and unwanted entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.fields import ProtocolVersion
from wattmesh_operator.plan import Participant, Role
from wattmesh_operator.registry.entries import RENEW_BEFORE, VALIDITY, Registrant, Wanted, changes, wanted_entries

NOW = datetime(2026, 6, 21, 6, tzinfo=UTC)
DOMAIN = "uei:p2p_trading"
KEY = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqo="[:43] + "="


def registrant(
    name: str, *roles: Role, url: str = "http://10.0.0.1/x", protocols: tuple[ProtocolVersion, ...] = ("v1",)
) -> Registrant:
    key_id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    return Registrant(Participant(name, f"{name}.default", "main", roles, protocols), url, key_id, KEY)


def wanted(*registrants: Registrant) -> list[Wanted]:
    return wanted_entries(registrants, DOMAIN)


def entries(*registrants: Registrant, now: datetime = NOW) -> list[Subscription]:
    return [one.entry(now) for one in wanted(*registrants)]


def test_a_household_that_buys_and_sells_has_an_entry_for_each_role() -> None:
    found = entries(registrant("rooftop-0", "BAP", "BPP"))
    assert [(entry.subscriber_id, entry.type) for entry in found] == [
        ("rooftop-0.default", "BAP"),
        ("rooftop-0.default", "BPP"),
    ]
    assert {entry.location.city.code for entry in found} == {"main"}


def test_a_lost_registry_is_written_anew() -> None:
    street = (registrant("rooftop-0", "BAP", "BPP"), registrant("flat-0", "BAP"))
    assert changes(wanted(*street), [], NOW) == entries(*street)


@pytest.mark.parametrize("passed", [timedelta(microseconds=1), timedelta(days=30), VALIDITY - RENEW_BEFORE])
def test_what_is_there_and_good_for_long_is_not_written_again(passed: timedelta) -> None:
    there = entries(registrant("flat-0", "BAP"), now=NOW - passed + timedelta(seconds=1))
    assert changes(wanted(registrant("flat-0", "BAP")), there, NOW) == []


def test_a_new_address_is_written() -> None:
    there = entries(registrant("flat-0", "BAP", url="http://10.0.0.1/flat-0"))
    moved = registrant("flat-0", "BAP", url="http://10.0.0.2/flat-0")
    assert changes(wanted(moved), there, NOW) == entries(moved)


def test_what_is_spoken_from_now_on_is_written() -> None:
    both = registrant("flat-0", "BAP", protocols=("v1", "v2"))
    [entry] = changes(wanted(both), entries(registrant("flat-0", "BAP")), NOW)
    assert entry.protocols == ("v1", "v2")


def test_an_entry_is_renewed_before_it_expires() -> None:
    flat = registrant("flat-0", "BAP")
    there = entries(flat, now=NOW - VALIDITY + RENEW_BEFORE)
    assert changes(wanted(flat), there, NOW) == entries(flat)


def test_where_a_key_gets_an_end_its_entry_is_written_with_it() -> None:
    there = entries(registrant("flat-0", "BAP"))
    ending = [wanted(registrant("flat-0", "BAP"))[0]._replace(ends=NOW + timedelta(minutes=15))]
    [entry] = changes(ending, there, NOW)
    assert entry.valid_until == NOW + timedelta(minutes=15)
    assert changes(ending, [entry], NOW) == []


def test_an_unsubscribed_entry_is_brought_back() -> None:
    flat = registrant("flat-0", "BAP")
    ended = [entry.model_copy(update={"status": SubscriptionStatus.UNSUBSCRIBED}) for entry in entries(flat)]
    assert changes(wanted(flat), ended, NOW) == entries(flat)


def test_who_is_not_wanted_any_more_is_unsubscribed_once() -> None:
    there = entries(registrant("flat-0", "BAP"), registrant("flat-1", "BAP"))
    writes = changes(wanted(registrant("flat-0", "BAP")), there, NOW)
    assert [(entry.subscriber_id, entry.status) for entry in writes] == [
        ("flat-1.default", SubscriptionStatus.UNSUBSCRIBED)
    ]
    assert changes(wanted(registrant("flat-0", "BAP")), [there[0], *writes], NOW) == []
