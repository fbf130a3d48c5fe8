from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.beckn.support import GONE, Json, changed, example, make_context, refusal, wire
from wattmesh_beckn.context import ACTIONS, BecknModel
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.messages import (
    BODIES,
    CALLS,
    Call,
    ErrorMessage,
    Measure,
    OnSearchMessage,
    OnStatusMessage,
    PositiveMeasure,
    SearchMessage,
    SelectMessage,
    StatusMessage,
    TagGroup,
    UpdateMessage,
    read_call,
    tag_group,
    tag_value,
    write_call,
)
from wattmesh_beckn.receiver import parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def leaves(value: Any, path: str = "") -> list[str]:
    """The dotted paths of all fields, lists and objects in a message."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    paths = [(f"{path}.{key}".lstrip("."), below) for key, below in inner]
    return [*(one for one, _ in paths), *(more for one, below in paths for more in leaves(below, one))]


PLACES = [(action, path) for action in ACTIONS for path in leaves(example(action))]


def refused(action: str, raw: Any) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as info:
        read_call(action, raw)
    status, code, message, path = refusal(info)
    assert (status, code) == (400, "30000")
    return message, path


def read_or_refused(action: str, raw: Any) -> Call | Refusal:
    try:
        return read_call(action, raw)
    except Refusal as refusal:
        return refusal


@pytest.mark.parametrize("action", ACTIONS)
def test_every_actions_message_is_written_as_it_was_read(action: str) -> None:
    call = read_call(action, example(action))
    assert type(call.message) is BODIES[action]
    assert json.loads(write_call(call.context, call.message)) == example(action)
    assert read_call(action, json.loads(write_call(call.context, call.message))) == call


@pytest.mark.parametrize("action", ACTIONS)
def test_unknown_fields_are_passed_over_on_reading(action: str) -> None:
    raw = example(action)
    for path in leaves(example(action)):
        parent = path.rpartition(".")[0]
        if parent and not path.rpartition(".")[2].isdigit():
            raw = changed(raw, f"{parent}.x-new", {"any": ["thing", 1.5, None]})
    assert read_call(action, {**raw, "x-new": 1}) == read_call(action, example(action))


def test_messages_are_made_of_integers_and_slots() -> None:
    select = read_call("select", example("select")).message
    assert isinstance(select, SelectMessage)
    [item], [fulfillment] = select.order.items, select.order.fulfillments
    assert item.quantity is not None
    assert item.quantity.selected.measure.energy_wh == 1250
    assert fulfillment.window == (
        datetime(2026, 5, 28, 10, 0, tzinfo=UTC),
        datetime(2026, 5, 28, 10, 15, tzinfo=UTC),
    )
    status = read_call("on_status", example("on_status")).message
    assert isinstance(status, OnStatusMessage)
    assert status.order.quote is not None
    assert status.order.quote.price.value_micro == 234_375


@pytest.mark.parametrize(
    ("measure", "energy_wh"),
    [
        ({"value": "1.25", "unit": "kWH"}, 1250),
        ({"value": "1250", "unit": "Wh"}, 1250),
        ({"value": "0.00125", "unit": "MWh"}, 1250),
        ({"value": "+1.25"}, 1250),
        ({"value": ".5", "unit": "kWh"}, 500),
        ({"value": "1.2345", "unit": "kWh"}, 1235),
        ({"value": "1.23449999", "unit": "kWh"}, 1234),
        ({"value": "1250.4", "unit": "wh"}, 1250),
    ],
)
def test_energy_comes_in_any_unit_with_any_decimals_and_half_a_wh_is_rounded_up(measure: Json, energy_wh: int) -> None:
    select = read_call("select", changed(example("select"), SELECTED, measure)).message
    assert isinstance(select, SelectMessage)
    assert select.order.items[0].quantity is not None
    assert select.order.items[0].quantity.selected.measure.energy_wh == energy_wh


def test_a_price_may_be_of_any_decimals_and_say_that_it_is_per_kwh() -> None:
    price = {"currency": "EUR/kWH", "value": "0.1234565"}
    message = read_call("on_search", changed(example("on_search"), f"{OFFER}.price", price)).message
    assert isinstance(message, OnSearchMessage)
    read = message.catalog.providers[0].items[0].price
    assert (read.currency, read.value_micro) == ("EUR", 123_457)


@pytest.mark.parametrize("error", [{"code": "40002"}, {"code": "40002", "message": "sold out", "paths": "message"}])
@pytest.mark.parametrize("action", [action for action in ACTIONS if action.startswith("on_")])
def test_a_callback_may_carry_an_error_in_place_of_its_body(action: str, error: Json) -> None:
    call = example(action)
    for raw in ({"context": call["context"], "error": error}, {**call, "message": {"error": error}}):
        message = read_call(action, raw).message
        assert isinstance(message, ErrorMessage)
        assert message.error.code == "40002"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_message_of_another_action_is_not_written(action: str) -> None:
    another = "select" if action in ("status", "cancel") else "status"
    other = read_call(another, example(another)).message
    with pytest.raises(ValidationError):
        write_call(make_context(action), other)


class Bigger(StatusMessage):
    """A message with a field that Beckn does not have."""

    surprise: str


def test_unknown_fields_are_refused_on_writing() -> None:
    with pytest.raises(ValidationError, match=r"message\.surprise\s+Extra inputs are not permitted"):
        write_call(make_context("status"), Bigger(order_id="order-1", surprise="x"))


def test_what_could_not_be_read_is_not_written() -> None:
    broken = SearchMessage.model_validate(example("search")["message"]).model_copy(update={"intent": None})
    with pytest.raises(ValidationError):
        write_call(make_context("search"), broken)
    with pytest.raises(ValidationError, match="more than 0 kWh"):
        PositiveMeasure(energy_wh=0)
    assert Measure(energy_wh=0).model_dump_json() == '{"value":"0.000","unit":"kWh"}'


UUID = "should match pattern '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"
ID = "should match pattern '^[!-~]+$'"
KWH = 'must be a decimal string of kWh ≥ 0 with at most 3 decimals, for example "1.250", not '
MONEY = 'must be a decimal string ≥ 0 with at most 6 decimals, for example "0.25", not '
TIME = 'must be an RFC 3339 time with zone, for example "2026-06-01T12:00:00Z"'
DURATION = 'must be an ISO 8601 duration, for example "PT30S"'
REQUIRED = "Field required"
SELECTED = "message.order.items.0.quantity.selected.measure"
RANGE = "message.order.fulfillments.0.stops.0.time.range"
OFFER = "message.catalog.providers.0.items.0"


@pytest.mark.parametrize(
    ("action", "path", "value", "problem"),
    [
        ("select", "context", GONE, REQUIRED),
        ("select", "message", GONE, REQUIRED),
        ("select", "context", [], "Input should be a valid dictionary or instance of Context"),
        ("select", "context.domain", GONE, REQUIRED),
        ("select", "context.domain", "", "String should have at least 1 character"),
        ("select", "context.domain", "x" * 101, "String should have at most 100 characters"),
        ("select", "context.domain", 5, "Input should be a valid string"),
        ("select", "context.location.city.code", "", "String should have at least 1 character"),
        ("select", "context.location.city.code", "x" * 201, "String should have at most 200 characters"),
        ("select", "context.version", None, "Input should be a valid string"),
        ("select", "context.bap_id", GONE, REQUIRED),
        (
            "select",
            "context.bap_id",
            "https://a.b",
            "should match pattern '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$'",
        ),
        ("select", "context.bap_id", "a\n", "should match pattern '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$'"),
        ("select", "context.bap_id", "a|b", "should match pattern '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$'"),
        ("select", "context.bpp_id", "x" * 254, "String should have at most 253 characters"),
        ("select", "context.bap_uri", "ftp://a", "should match pattern '^https?://[^\\s]+$'"),
        ("select", "context.bap_uri", "http://a b", "should match pattern '^https?://[^\\s]+$'"),
        ("select", "context.bpp_uri", "http://" + "x" * 2048, "String should have at most 2048 characters"),
        ("select", "context.transaction_id", "1", UUID),
        ("select", "context.message_id", GONE, REQUIRED),
        ("select", "context.message_id", "6d3f6c5e00004000800000000000000a", UUID),
        ("select", "context.timestamp", GONE, REQUIRED),
        ("select", "context.timestamp", 1_780_000_000, TIME),
        ("select", "context.timestamp", "2026-05-28T20:26:40", TIME),
        ("select", "context.timestamp", "2026-13-28T20:26:40Z", "month value is outside expected range of 1-12"),
        ("select", "context.timestamp", "9999-12-31T23:59:59-12:00", "must be within the years 1 to 9999 of UTC"),
        ("select", "context.ttl", 30, DURATION),
        ("select", "context.ttl", "30 s", DURATION),
        ("select", "context.ttl", "P366D", "must be at most 365 days"),
        ("search", "message.intent", GONE, REQUIRED),
        ("search", "message.intent.item.quantity.selected.measure.value", "0", "must be more than 0 kWh"),
        ("select", "message.order.provider.id", "a b", ID),
        ("select", "message.order.provider.id", "", "String should have at least 1 character"),
        ("select", "message.order.provider.id", "x" * 101, "String should have at most 100 characters"),
        ("select", "message.order.items", {}, "Input should be a valid tuple"),
        ("select", "message.order.items.0.id", "a\x00", ID),
        ("select", f"{SELECTED}.value", 1.25, KWH + "1.25"),
        ("select", f"{SELECTED}.value", 1250, KWH + "1250"),
        ("select", f"{SELECTED}.value", -1250, KWH + "-1250"),
        ("select", f"{SELECTED}.value", "-1", KWH + "'-1'"),
        (
            "select",
            f"{SELECTED}.value",
            "2000000",
            "2000000.000 kWh is more than 1000000.000 kWh, the most one order can hold",
        ),
        ("select", f"{SELECTED}.unit", "J", "unit must be kWh, Wh or MWh, not 'J'"),
        ("select", f"{RANGE}.start", "10:00", TIME),
        ("select", f"{RANGE}.end", GONE, REQUIRED),
        ("on_search", f"{OFFER}.price.currency", "eur", "should match pattern '^[A-Z]{3}$'"),
        ("on_search", f"{OFFER}.price.value", 0.1875, MONEY + "0.1875"),
        ("on_search", f"{OFFER}.price.value", 187500, MONEY + "187500"),
        ("on_search", f"{OFFER}.quantity.available.measure.value", None, KWH + "None"),
        ("on_search", f"{OFFER}.descriptor.name", "x" * 201, "String should have at most 200 characters"),
        ("on_select", "message.order.quote", GONE, REQUIRED),
        ("on_select", "message.order.quote.ttl", "soon", DURATION),
        (
            "on_select",
            "message.order.quote.price.value",
            "9999999999",
            "is more than 1000000000.000000, the most one order",
        ),
        (
            "confirm",
            "message.order.payments.0.type",
            "LATER",
            "Input should be 'PRE-ORDER', 'PRE-FULFILLMENT', 'ON-FULFILLMENT' or 'POST-FULFILLMENT'",
        ),
        ("confirm", "message.order.payments.0.status", "OWED", "Input should be 'NOT-PAID' or 'PAID'"),
        ("confirm", "message.order.payments.0.params.amount", 1, MONEY + "1"),
        ("status", "message.order_id", GONE, REQUIRED),
        ("status", "message.order_id", "ü", ID),
        ("on_status", "message.order.fulfillments.0.tags.0.list", GONE, REQUIRED),
        ("on_status", "message.order.fulfillments.0.tags.0.list.0.value", 1, "Input should be a valid string"),
        ("update", "message.update_target", "order.items", "Input should be 'order.payments' or 'order.fulfillments'"),
    ],
)
def test_a_bad_field_is_named_and_told_what_is_wrong(action: str, path: str, value: Any, problem: str) -> None:
    message, at = refused(action, changed(example(action), path, value))
    assert at is not None
    assert path == at or path.startswith(at + ".")
    assert message.startswith(f"{at}: ")
    assert message.endswith(problem) or problem in message


@pytest.mark.parametrize(
    ("action", "path", "value", "problem"),
    [
        ("update", "message.update_target", "order.fulfillments",
         "message: update_target is 'order.fulfillments' but that is not in the message"),
        ("select", f"{RANGE}.end", "2026-05-28T10:00:00Z", f"{RANGE}: end must be after start"),
        ("search", "message.intent.fulfillment.stops.0.time.range.end", "2026-05-28T09:45:00Z",
         "message.intent.fulfillment.stops.0.time.range: end must be after start"),
        ("select", f"{SELECTED}.value", "0.000", f"{SELECTED}: must be more than 0 kWh"),
    ],
)  # fmt: skip
def test_what_is_wrong_between_fields_is_told_of_what_holds_them(
    action: str, path: str, value: str, problem: str
) -> None:
    assert refused(action, changed(example(action), path, value)) == (problem, problem.split(":")[0])


@pytest.mark.parametrize(
    ("action", "path", "most"),
    [
        ("select", "message.order.items", 96),
        ("select", "message.order.fulfillments", 96),
        ("confirm", "message.order.payments", 192),
    ],
)
def test_an_order_has_at_most_96_deliveries(action: str, path: str, most: int) -> None:
    one = example(action)["message"]["order"][path.rpartition(".")[2]][0]
    assert read_call(action, changed(example(action), path, [one] * most))
    many = f"{path}: Tuple should have at most {most} items after validation, not {most + 1}"
    assert refused(action, changed(example(action), path, [one] * (most + 1))) == (many, path)


def test_a_select_names_at_least_one_item() -> None:
    none = "message.order.items: Tuple should have at least 1 item after validation, not 0"
    raw = changed(example("select"), "message.order.items", [])
    assert refused("select", raw) == (none, "message.order.items")


def test_the_first_of_several_problems_is_told_and_how_many_more_there_are() -> None:
    assert refused("status", {}) == ("context: Field required (and 1 more)", "context")
    raw = changed(changed(example("select"), "context.ttl", 1), "context.domain", GONE)
    assert refused("select", changed(raw, "message", GONE)) == (
        "context.domain: Field required (and 2 more)",
        "context.domain",
    )


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_what_is_no_object_is_no_message(raw: Any) -> None:
    assert refused("search", raw) == ("body: Input should be a valid dictionary or instance of SearchCall", None)


@pytest.mark.parametrize(
    ("wire_name", "our_name"),
    [(f"{SELECTED}.value", f"{SELECTED}.energy_wh")],
)
def test_the_names_used_inside_are_no_names_of_the_wire(wire_name: str, our_name: str) -> None:
    raw = changed(changed(example("select"), wire_name, GONE), our_name, "1.250")
    assert refused("select", raw) == (f"{wire_name}: Field required", wire_name)


@pytest.mark.parametrize("action", ACTIONS)
def test_without_any_one_field_a_message_is_read_or_refused_at_that_field(action: str) -> None:
    for path in leaves(example(action)):
        raw = changed(example(action), path, GONE)
        try:
            call = read_call(action, raw)
        except Refusal as refusal:
            at = refusal.paths or ""
            assert at == path or path.startswith(f"{at}.") or path.rpartition(".")[2].isdigit() or action == "update"
        else:
            assert read_call(action, json.loads(write_call(call.context, call.message))) == call


@given(st.sampled_from(ACTIONS), json_values)
def test_any_json_is_a_call_or_refused(action: str, value: Any) -> None:
    for raw in (value, {"context": value, "message": value}, {**example(action), "message": value}):
        outcome = read_or_refused(action, raw)
        assert isinstance(outcome, Call) or (outcome.status, outcome.code) == (400, "30000")


@given(st.sampled_from(PLACES), json_values)
def test_any_json_in_any_field_is_a_call_that_can_be_written_or_refused(place: tuple[str, str], value: Any) -> None:
    action, path = place
    outcome = read_or_refused(action, changed(example(action), path, value))
    if isinstance(outcome, Call):
        assert read_call(action, json.loads(write_call(outcome.context, outcome.message))) == outcome
    else:
        assert outcome.status == 400
        assert outcome.paths


@given(json_values)
def test_parsing_gives_the_object_that_the_bytes_hold(value: Any) -> None:
    body = json.dumps(value).encode()
    if isinstance(value, dict):
        assert parse(body) == json.loads(body)
    else:
        with pytest.raises(Refusal) as info:
            parse(body)
        assert refusal(info) == (400, "30000", "body must be a JSON object with context and message", None)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    try:
        expected = json.loads(body)
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert parse(body) == expected
    else:
        with pytest.raises(Refusal, match=r"^30000 body (is not JSON|must be a JSON object)"):
            parse(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b'{"context":\n nonsense}', "expected ident at line 2 column 3"),
        (b"[" * 100_000, "recursion limit exceeded at line 1 column 202"),
        (b'{"a":' * 100_000, "recursion limit exceeded at line 1 column 1006"),
        (b'{"a":' + b"9" * 100_000 + b"}", "number out of range at line 1 column 4307"),
        (b'{"a":NaN}', "expected value at line 1 column 6"),
        (b'{"a":Infinity}', "expected value at line 1 column 6"),
        (b'{"a":"\\ud800"}', "unexpected end of hex escape at line 1 column 13"),
        (b'{"a":1} {}', "trailing characters at line 1 column 9"),
        (b"\xef\xbb\xbf{}", "expected value at line 1 column 1"),
        (b"\xff", "expected value at line 1 column 1"),
    ],
)
def test_broken_json_is_told_where_it_breaks(body: bytes, problem: str) -> None:
    with pytest.raises(Refusal) as info:
        parse(body)
    assert refusal(info) == (400, "30000", f"body is not JSON: {problem}", None)


@pytest.mark.parametrize("number", ["9" * 4000, "-" + "9" * 4000, "1e999", "-1e999", "1e-999", "1" + "0" * 400 + ".5"])
@pytest.mark.parametrize("path", [f"{SELECTED}.value", "context.timestamp", "context.ttl", "message.order.items"])
def test_huge_numbers_are_refused_where_they_stand(number: str, path: str) -> None:
    body = wire(changed(example("select"), path, "NUMBER")).replace(b'"NUMBER"', number.encode())
    assert refused("select", parse(body))[1] == path


def test_tags_carry_what_core_has_no_field_for() -> None:
    groups = (tag_group("other", code="x"), tag_group("delivery", delivered_kwh="1.100", note="late"))
    assert tag_value(groups, "delivery", "delivered_kwh") == "1.100"
    assert tag_value(groups, "delivery", "note") == "late"
    assert tag_value(groups, "delivery", "missing") is None
    assert tag_value(groups, "missing", "note") is None
    assert tag_value((), "delivery", "note") is None


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True).filter(lambda k: k != "group"), st.text(max_size=200)
    )
)
def test_tags_survive_the_wire(values: dict[str, str]) -> None:
    if len(values) <= 50:
        group = TagGroup.model_validate_json(tag_group("delivery", **values).model_dump_json())
        assert {code: tag_value((group,), "delivery", code) for code in values} == values


def test_updates_say_what_they_change() -> None:
    update = read_call("update", example("update")).message
    assert isinstance(update, UpdateMessage)
    assert update.order.payments is not None
    assert update.order.payments[0].status == "PAID"


def test_there_is_a_model_for_every_action() -> None:
    assert set(CALLS) == set(BODIES) == set(ACTIONS)
    assert all(issubclass(body, BecknModel) and body.__doc__ for body in BODIES.values())


def test_the_examples_are_those_that_the_tests_think_they_are() -> None:
    raw: Json = example("search")
    assert "bpp_id" not in raw["context"]
    assert changed(raw, "message.intent", GONE) == {"context": raw["context"], "message": {}}
