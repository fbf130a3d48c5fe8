from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import BUYER, NOW, Replies, clock, rng
from tests.world.clocks import run
from wattmesh_beckn.answers import ack, json_reply, nack
from wattmesh_beckn.client import Acked, BecknClient, Nacked, Outcome, Undelivered, read_answer, retry_delay_s
from wattmesh_beckn.errors import ErrorCode, busy, declined, invalid
from wattmesh_beckn.signature import check_signature, check_times, parse_header
from wattmesh_beckn.transport import Reply, TransportError

URL = "http://seller.street/beckn/select"
BODY = b'{"context":{},"message":{}}'
LOST = TransportError("connection refused")
BUSY = nack(busy("too much work", 2))


def send(*replies: Reply | Exception, ttl_s: float = 30.0) -> tuple[Outcome, Replies, float]:
    """What comes of sending BODY, what was sent for it, and how many seconds it took."""
    transport = Replies(*replies)

    async def main() -> tuple[Outcome, float]:
        client = BecknClient(transport, clock(), rng(7))
        outcome = await client.send(BUYER, URL, BODY, NOW + ttl_s, {"x-gateway-authorization": "g"})
        return outcome, clock().wall() - NOW

    outcome, seconds = run(main())
    return outcome, transport, seconds


def test_an_acknowledged_message_is_sent_once_and_signed() -> None:
    outcome, transport, seconds = send(ack())
    assert (outcome, seconds) == (Acked({}), 0)
    [(url, body, headers)] = transport.sent
    assert (url, body) == (URL, BODY)
    header = parse_header(headers.pop("authorization"))
    check_times(header, NOW, NOW)
    check_signature(header, BODY, BUYER.public_key)
    assert (header.subscriber_id, header.created, header.expires) == ("buyer.street", NOW, NOW + 30)
    assert headers == {"content-type": "application/json", "x-gateway-authorization": "g"}
    assert transport.timeouts == [5.0]


def test_the_tags_of_an_ack_are_handed_on() -> None:
    assert send(ack(sellers="3", feeder="f-1"))[0] == Acked({"sellers": "3", "feeder": "f-1"})


@pytest.mark.parametrize("trouble", [LOST, Reply(500, b""), Reply(502, b"<html>"), Reply(429, b""), BUSY])
def test_what_may_pass_is_tried_again_with_the_same_bytes_and_signature(trouble: Reply | Exception) -> None:
    outcome, transport, _ = send(trouble, trouble, ack())
    assert outcome == Acked({})
    assert len(transport.sent) == 3
    assert transport.sent[0] == transport.sent[1] == transport.sent[2]


def test_tries_are_spread_out_ever_more() -> None:
    _, transport, _ = send(LOST, ttl_s=60)
    waits = [after - before for before, after in zip(transport.times, transport.times[1:], strict=False)]
    assert len(waits) > 8
    for attempt, wait in enumerate(waits, 1):
        longest = min(10, 0.1 * 2**attempt)
        assert longest / 2 - 1e-6 <= wait <= longest + 1e-6


@given(st.integers(1, 10**6), st.integers())
def test_a_delay_is_between_half_and_all_of_its_bound(attempt: int, seed: int) -> None:
    longest = min(10.0, 0.1 * 2 ** min(attempt, 10))
    assert longest / 2 <= retry_delay_s(attempt, rng(seed)) <= longest


@given(st.integers(1, 50))
def test_two_senders_do_not_try_in_step(attempt: int) -> None:
    assert retry_delay_s(attempt, rng(1)) != retry_delay_s(attempt, rng(2))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(status: int) -> None:
    outcome, transport, seconds = send(Reply(status, b"", {"retry-after": "7"}), ack())
    assert outcome == Acked({})
    assert transport.times == [NOW, NOW + 7]
    assert seconds == 7


@pytest.mark.parametrize("text", ["soon", "-5", "1.5", "", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(text: str) -> None:
    outcome, transport, seconds = send(Reply(503, b"", {"retry-after": text}), ack())
    assert outcome == Acked({})
    assert 0.1 <= seconds <= 0.2
    assert len(transport.sent) == 2


@pytest.mark.parametrize("text", ["31", "9" * 5000])
def test_nobody_waits_beyond_the_ttl(text: str) -> None:
    assert send(Reply(503, b"", {"retry-after": text}))[0] == Undelivered("HTTP 503 (after 1 try)")


@pytest.mark.parametrize(("trouble", "reason"), [(LOST, "connection refused"), (Reply(500, b""), "HTTP 500")])
def test_tries_stop_at_the_ttl(trouble: Reply | Exception, reason: str) -> None:
    outcome, transport, seconds = send(trouble, ttl_s=12)
    assert outcome == Undelivered(f"{reason} (after {len(transport.sent)} tries)")
    assert len(transport.sent) > 4
    assert seconds < 12
    assert transport.timeouts == [min(5.0, NOW + 12 - at) for at in transport.times]


@given(st.floats(0.001, 100), st.integers())
def test_no_try_starts_after_the_ttl_or_may_last_beyond_it(ttl_s: float, seed: int) -> None:
    transport = Replies(LOST)

    async def main() -> Outcome:
        return await BecknClient(transport, clock(), rng(seed)).send(BUYER, URL, BODY, NOW + ttl_s)

    assert isinstance(run(main()), Undelivered)
    for at, timeout_s in zip(transport.times, transport.timeouts, strict=True):
        assert at < NOW + ttl_s
        assert at + timeout_s <= NOW + ttl_s + 1e-6


def test_a_message_that_is_too_late_already_is_not_sent() -> None:
    outcome, transport, _ = send(ack(), ttl_s=0)
    assert outcome == Undelivered("the message's ttl ran out before it could be sent")
    assert transport.sent == []


def test_the_signature_lasts_as_long_as_the_message_rounded_up() -> None:
    _, transport, _ = send(ack(), ttl_s=0.25)
    assert parse_header(transport.sent[0][2]["authorization"]).expires == NOW + 1


@pytest.mark.parametrize(
    ("refusal", "nacked"),
    [
        (invalid("no such field", "context.x"), Nacked(400, "30000", "no such field")),
        (declined(ErrorCode.QUANTITY_UNAVAILABLE, "sold"), Nacked(200, "40002", "sold")),
        (declined(ErrorCode.CANCELLATION_NOT_POSSIBLE, "too late"), Nacked(200, "50001", "too late")),
    ],
)
def test_a_nack_is_final(refusal: Any, nacked: Nacked) -> None:
    outcome, transport, seconds = send(nack(refusal), ack())
    assert (outcome, len(transport.sent), seconds) == (nacked, 1, 0)
    assert send(LOST, nack(refusal), ack())[0] == nacked


def test_too_late_after_a_lost_try_does_not_mean_refused_for_the_lost_try_may_have_been_taken() -> None:
    late = nack(invalid("message expired at …", "context.ttl"))
    busy_7s = Reply(503, b"", {"retry-after": "7"})
    assert send(busy_7s, late, ttl_s=12)[0] == Undelivered("message expired at … (after 2 tries)")
    assert send(busy_7s, late, ttl_s=13)[0] == Nacked(400, "30000", "message expired at …")
    assert send(late, ttl_s=1)[0] == Nacked(400, "30000", "message expired at …")
    sold = nack(declined(ErrorCode.QUANTITY_UNAVAILABLE, "sold"))
    assert send(busy_7s, sold, ttl_s=8)[0] == Nacked(200, "40002", "sold")


ACK = {"message": {"ack": {"status": "ACK"}}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>welcome</html>"),
        (200, b"{}"),
        (200, b"[]"),
        (200, b'"ACK"'),
        (200, b'{"message":{"ack":"ACK"}}'),
        (200, b'{"message":{"ack":{"status":"NACK"}}}'),
        (200, b'{"message":{"ack":{"status":"NACK"}},"error":"no"}'),
        (200, b"\xff"),
        (200, b"[" * 100_000),
        (201, json.dumps(ACK).encode()),
        (302, b""),
        (404, b'{"detail":"Not Found"}'),
    ],
)
def test_an_answer_that_is_not_beckn_is_a_nack(status: int, body: bytes) -> None:
    assert read_answer(Reply(status, body)) == Nacked(status, "", f"HTTP {status} with no Beckn answer")


@pytest.mark.parametrize(
    "tags", [None, 5, "x", [1], [{}], [{"list": [{}]}], [{"list": [{"descriptor": {"code": []}}]}], {}]
)
def test_an_ack_is_an_ack_whatever_its_tags(tags: Any) -> None:
    assert read_answer(json_reply(200, {"message": {"ack": {"status": "ACK", "tags": tags}}})) == Acked({})


def test_an_endless_error_is_cut() -> None:
    error = {"code": "9" * 5000, "message": "x" * 5000}
    assert read_answer(json_reply(400, {"message": {"ack": {"status": "NACK"}}, "error": error})) == Nacked(
        400, "9" * 100, "x" * 1000
    )


@pytest.mark.parametrize(
    "form",
    [
        lambda told: {**told, "signature": "Signature …"},  # LTS
        lambda told: {"message": {**told, "messageId": "7"}},  # its reference adapter
    ],
)
@pytest.mark.parametrize(
    "error", [{"errorCode": "40002", "errorMessage": "sold"}, {"code": "40002", "message": "sold"}]
)
def test_answers_of_v2_are_understood_in_both_their_forms(form: Any, error: dict[str, str]) -> None:
    assert read_answer(json_reply(200, form({"status": "ACK"}))) == Acked({})
    refused = form({"status": "NACK", "error": error})
    assert read_answer(json_reply(409, refused)) == Nacked(409, "40002", "sold")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "ack", "status", "error", "code", "tags", "list"]), inner, max_size=4
        )
    ),
)


@given(st.integers(200, 499), json_values | st.builds(lambda v: {"message": {"ack": v}}, json_values))
def test_any_answer_is_an_ack_or_a_nack(status: int, value: Any) -> None:
    answer = read_answer(json_reply(status, value))
    assert isinstance(answer, Acked | Nacked)
    assert read_answer(Reply(status, b"junk" + json.dumps(value).encode())) == Nacked(
        status, "", f"HTTP {status} with no Beckn answer"
    )


def test_answers_are_what_beckn_says() -> None:
    assert json.loads(ack().body) == ACK
    refusal = invalid("no such field", "context.x")
    assert json.loads(nack(refusal).body) == {
        "message": {"ack": {"status": "NACK"}},
        "error": {"code": "30000", "message": "no such field", "paths": "context.x"},
    }
    assert json.loads(nack(declined(ErrorCode.QUANTITY_UNAVAILABLE, "sold")).body)["error"] == {
        "code": "40002",
        "message": "sold",
    }
    assert BUSY.headers == {"content-type": "application/json", "retry-after": "2"}
    assert BUSY.status == 503
    assert str(refusal) == "30000 no such field"
