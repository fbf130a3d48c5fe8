from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.beckn.support import NOW, example, make_context, refusal
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.context import (
    ACTIONS,
    CALLBACKS,
    MAX_TTL_S,
    Context,
    Duration,
    Timestamp,
    check_context,
    iso_duration,
)
from wattmesh_beckn.errors import Refusal
from wattmesh_common.clock import utc


def check(context: Context, *, action: str | None = None, subscriber_id: str | None = None, now: float = NOW) -> None:
    receiver = subscriber_id or ("buyer.street" if context.is_callback else "seller.street")
    check_context(context, action=action or context.action, domain=DOMAIN, subscriber_id=receiver, now=now, machine=now)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_built_context_is_accepted_by_its_receiver_and_is_what_core_says(action: str) -> None:
    context = make_context(action)
    check(context)
    assert json.loads(context.model_dump_json(exclude_none=True)) == example(action)["context"]


@pytest.mark.parametrize("action", ACTIONS)
def test_requests_are_sent_by_the_buyer_and_callbacks_by_the_seller(action: str) -> None:
    context = make_context(action)
    sides = ("buyer.street", None if action == "search" else "seller.street")
    assert context.is_callback == (action in CALLBACKS)
    assert (context.sender, context.recipient) == (sides[::-1] if context.is_callback else sides)


def test_a_message_expires_its_ttl_after_its_timestamp() -> None:
    assert make_context("select", ttl_s=12.5).expires_at == NOW + 12.5


def refused(context: Context, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as info:
        check(context, **more)
    status, code, message, path = refusal(info)
    assert (status, code) == (400, "30000")
    return message, path


def test_a_context_of_another_action_is_refused() -> None:
    assert refused(make_context("select"), action="init") == (
        "context.action is 'select' but the call was 'init'",
        "context.action",
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", "1.0.0", "version '1.0.0' is not spoken here; use '1.1.0'"),
        ("domain", "nic2004:52110", "domain 'nic2004:52110' is not traded here; use 'uei:p2p_trading'"),
        ("bpp_id", None, "select needs context.bpp_id"),
        ("bpp_uri", None, "select needs context.bpp_uri"),
        ("bpp_id", "other.street", "context.bpp_id is 'other.street' but this is 'seller.street'"),
        ("ttl", timedelta(0), "ttl must be more than 0 s and at most 3600 s"),
        ("ttl", timedelta(seconds=-1), "ttl must be more than 0 s and at most 3600 s"),
        ("ttl", timedelta(seconds=3600.001), "ttl must be more than 0 s and at most 3600 s"),
    ],
)
def test_what_this_subscriber_cannot_act_on_is_refused(field: str, value: Any, message: str) -> None:
    context = make_context("select").model_copy(update={field: value})
    assert refused(context) == (message, f"context.{field}")


def test_a_callback_for_somebody_else_is_refused() -> None:
    assert refused(make_context("on_select"), subscriber_id="other.street") == (
        "context.bap_id is 'buyer.street' but this is 'other.street'",
        "context.bap_id",
    )


def test_a_search_is_for_everybody() -> None:
    check(make_context("search"), subscriber_id="other.street")
    check_context(make_context("search"), action="search", domain=DOMAIN, subscriber_id=None, now=NOW, machine=NOW)
    assert make_context("search").recipient is None


def test_a_search_that_names_a_seller_is_for_that_one() -> None:
    named = make_context("search").model_copy(update={"bpp_id": "seller.street"})
    check(named, subscriber_id="seller.street")
    assert refused(named, subscriber_id="other.street") == (
        "context.bpp_id is 'seller.street' but this is 'other.street'",
        "context.bpp_id",
    )


def test_a_timestamp_from_the_future_is_told_both_clocks() -> None:
    check(make_context("select"), now=NOW - 5)
    assert refused(make_context("select"), now=NOW - 5.25) == (
        "timestamp 2026-05-28T20:26:40.000Z is ahead of this clock, 2026-05-28T20:26:34.750Z, by more than 5 s; "
        "set the sender's clock",
        "context.timestamp",
    )


def test_an_expired_message_is_told_both_clocks() -> None:
    check(make_context("select"), now=NOW + 30)
    assert refused(make_context("select"), now=NOW + 30.5) == (
        "message expired at 2026-05-28T20:27:10.000Z (timestamp + ttl); this clock says 2026-05-28T20:27:10.500Z",
        "context.ttl",
    )


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-MAX_TTL_S, 2 * MAX_TTL_S))
def test_whatever_the_times_say_the_answer_is_yes_or_a_refusal(timestamp: datetime, ttl_s: int) -> None:
    context = make_context("select").model_copy(update={"timestamp": timestamp, "ttl": timedelta(seconds=ttl_s)})
    good = 0 < ttl_s <= MAX_TTL_S and timestamp.timestamp() <= NOW + 5 and timestamp.timestamp() + ttl_s >= NOW
    if good:
        check(context)
    else:
        assert refused(context)[1] in ("context.ttl", "context.timestamp")


DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
TIMESTAMP: TypeAdapter[datetime] = TypeAdapter(Timestamp)
DURATION_FORM = 'must be an ISO 8601 duration, for example "PT30S"'
TIMESTAMP_FORM = 'must be an RFC 3339 time with zone, for example "2026-06-01T12:00:00Z"'


def problem(adapter: TypeAdapter[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as info:
        adapter.validate_python(value)
    return str(info.value.errors()[0]["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30),
        ("PT0.5S", 0.5),
        ("PT1M", 60),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("P1DT1S", 86_401),
        ("P1W", 604_800),
    ],
)
def test_durations_are_iso_8601(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [30, 30.0, True, None, "", "30", "00:30:00", "1 day", "-PT5S", "+PT5S", "pt5s", [], {}]
)
def test_other_durations_are_refused(value: Any) -> None:
    assert problem(DURATION, value) == DURATION_FORM


def test_a_duration_that_no_time_can_bear_is_refused() -> None:
    assert problem(DURATION, "P999999999D") == "must be at most 365 days"
    assert problem(DURATION, "P366D") == "must be at most 365 days"
    assert problem(DURATION, "PT99999999999999999999S").startswith("Input should be a valid timedelta")


@given(st.timedeltas(timedelta(0), timedelta(days=365)))
def test_a_duration_survives_the_wire_to_the_millisecond(value: timedelta) -> None:
    text = iso_duration(value)
    assert DURATION.dump_json(value) == f'"{text}"'.encode()
    assert abs(DURATION.validate_python(text) - value) <= timedelta(milliseconds=0.5)


def test_durations_are_written_short() -> None:
    assert [iso_duration(timedelta(seconds=s)) for s in (0, 1, 12.5, 100, 3600)] == [
        "PT0S", "PT1S", "PT12.5S", "PT100S", "PT3600S",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00.000Z"),
        ("2026-06-01T12:00:00.123456Z", "2026-06-01T12:00:00.123Z"),
        ("2026-06-01T12:00:00+02:00", "2026-06-01T10:00:00.000Z"),
        ("2026-06-01t12:00:00z", "2026-06-01T12:00:00.000Z"),
    ],
)
def test_timestamps_are_rfc_3339_with_a_zone(text: str, written: str) -> None:
    assert TIMESTAMP.dump_json(TIMESTAMP.validate_python(text)) == f'"{written}"'.encode()


@pytest.mark.parametrize(
    "value",
    [
        1_780_000_000,
        1.5,
        "1780000000",
        True,
        None,
        "",
        "2026-06-01",
        "2026-06-01T12:00:00",
        "2026-06-01 12:00:00Z",
        "now",
    ],
)
def test_other_timestamps_are_refused(value: Any) -> None:
    assert problem(TIMESTAMP, value) == TIMESTAMP_FORM


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z"]
)
def test_timestamps_that_have_no_utc_are_refused(text: str) -> None:
    assert problem(TIMESTAMP, text) == "must be within the years 1 to 9999 of UTC"


@given(st.integers(-5_000_000_000_000, 7_000_000_000_000))
def test_every_timestamp_survives_the_wire_to_the_millisecond(unix_ms: int) -> None:
    value = utc(unix_ms / 1000)
    again = TIMESTAMP.validate_json(TIMESTAMP.dump_json(value))
    assert round(again.timestamp() * 1000) == unix_ms
