"""Whatever is read from outside gives a value or the one error its reader is there to raise.

More of them, each beside the examples of its module, are in tests/beckn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.beckn.support import BUYER, GATEWAY, NOW, SELLER, Entries, Replies, clock, entry, example
from tests.fuzz.cases import forwards, lean_document
from tests.world.clocks import run
from tests.world.subscribers import DOMAIN, signer
from wattmesh_beckn.client import Acked, Nacked, read_answer
from wattmesh_beckn.context import ACTIONS, CLOCK_TOLERANCE_S, MAX_TTL_S
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.http import add_calls
from wattmesh_beckn.keys import KeyFileError, read_keys
from wattmesh_beckn.messages import Call, read_call, write_call
from wattmesh_beckn.receiver import verify
from wattmesh_beckn.registry import SUBSCRIPTIONS, RegistryUnavailable, Subscription, lookup
from wattmesh_beckn.signature import (
    LONGEST_VALIDITY_S,
    SignatureHeader,
    SignatureProblem,
    Signer,
    check_times,
    parse_header,
)
from wattmesh_beckn.transport import Reply

BODY = b'{"context": {}, "message": {}}'
HEADER = BUYER.sign(BODY, created=int(NOW), expires=int(NOW) + 30)
KNOWN = Entries(*(entry(owner, "BAP") for owner in (BUYER, SELLER, GATEWAY, signer("buyer.street", 2))))
T = TypeVar("T")
UUID = "00000000-0000-4000-8000-000000000001"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
deep = st.integers(1, 100_000).map(lambda depth: b"[" * depth + b"]" * depth)
json_bytes = st.binary(max_size=200) | deep | json_values.map(lambda value: json.dumps(value).encode())


# --- signatures ---


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """A text with up to three of its parts taken out, repeated, or in the place of another."""
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        place = draw(st.integers(0, len(text)))
        put = draw(st.sampled_from([text[start:end], "", ",", '"', "|", "seller.street", "2", "registrar"]))
        text = text[:place] + put + text[draw(st.sampled_from([place, end, min(place + 1, len(text))])) :]
    return text


def identity(header: SignatureHeader) -> tuple[str, str, int, int]:
    return header.subscriber_id, header.key_id, header.created, header.expires


@settings(max_examples=300)
@given(mutated(HEADER))
def test_a_changed_header_is_never_taken_for_somebody_else(value: str) -> None:
    try:
        header = parse_header(value)
        run(verify(header, "BAP", DOMAIN, BODY, KNOWN, clock()))
    except SignatureProblem:
        return
    assert identity(header) == identity(parse_header(HEADER))


@given(st.integers(0, 10**11 - 1), st.integers(0, 10**11 - 1), st.floats(0, 1e11))
def test_any_times_are_in_time_or_told(created: int, expires: int, now: float) -> None:
    header = parse_header(BUYER.sign(BODY, created=created, expires=expires))
    try:
        check_times(header, now, now)
    except SignatureProblem:
        too_long = expires - created > LONGEST_VALIDITY_S
        too_old = created < now - MAX_TTL_S - CLOCK_TOLERANCE_S
        assert created > now or expires <= max(now, created) or too_long or too_old
    else:
        assert created - CLOCK_TOLERANCE_S <= now < expires > created
        assert expires - created <= LONGEST_VALIDITY_S


# --- messages ---


class Nobody:
    """A site that is described and never called."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        raise AssertionError((path, body, headers))


def calls(action: str) -> st.SearchStrategy[Any]:
    """Messages that are what the OpenAPI document says, in a good context."""
    app, context = FastAPI(), example(action)["context"]
    add_calls(app, Nobody(), "", [action])
    schema = schemathesis.openapi.from_dict(lean_document(app.openapi(), bodies_only=True))
    return schema[f"/{action}"]["POST"].as_strategy().map(lambda case: {**on_the_grid(case.body), "context": context})


def on_the_grid(body: Any) -> Any:
    """What was generated, with times that end after they start; what is sought, in a slot."""
    body = forwards(body)
    if "intent" in body["message"]:
        slot = {"start": "2026-05-28T10:00:00Z", "end": "2026-05-28T10:15:00Z"}
        body["message"]["intent"]["fulfillment"]["stops"] = [{"time": {"range": slot}}]
    return body


@pytest.mark.parametrize("action", ACTIONS)
def test_what_the_document_describes_is_read_and_written_alike_or_refused(action: str) -> None:
    written_alike = 0

    @settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(calls(action))
    def check(raw: Any) -> None:
        nonlocal written_alike
        call = outcome(lambda: read_call(action, raw))
        if not isinstance(call, Call):
            return
        written = write_call(call.context, call.message)
        again = read_call(action, json.loads(written))
        assert write_call(again.context, again.message) == written
        written_alike += 1

    check()
    assert written_alike > 0


def outcome(read: Callable[[], T]) -> T | Refusal:
    """What a reader gives, or the refusal that it raises for want of form."""
    try:
        return read()
    except Refusal as refusal:
        return refusal if refusal.status == 400 else pytest.fail(str(refusal))


# --- files and answers ---


@given(
    json_bytes | st.dictionaries(st.sampled_from(["a", "é", "-"]), json_values).map(lambda v: json.dumps(v).encode())
)
def test_any_key_file_has_keys_or_is_told_why_not(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-keys.json"
    path.write_bytes(content)
    assert _signers(path) is not None


@given(st.text(max_size=60) | st.binary(min_size=30, max_size=34).map(lambda raw: raw.hex()))
def test_any_private_key_in_a_key_file_is_a_key_or_told_without_showing_it(
    tmp_path_factory: pytest.TempPathFactory, private_key: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-key.json"
    path.write_text(json.dumps({"a": {"key_id": UUID, "private_key": private_key}}))
    told = _signers(path)
    assert isinstance(told, dict) or len(private_key) < 8 or private_key not in told


def _signers(path: Path) -> dict[str, Signer] | str:
    try:
        return read_keys(path)
    except KeyFileError as error:
        return str(error)


SUBSCRIPTION = json.loads(entry(BUYER, "BAP").model_dump_json(exclude_none=True))
subscriptions = st.builds(
    lambda name, value: [{**SUBSCRIPTION, name: value}], st.sampled_from([*SUBSCRIPTION]), json_values
)


@given(st.sampled_from([200, 200, 200, 404, 503]), json_bytes | subscriptions.map(lambda v: json.dumps(v).encode()))
def test_any_answer_of_a_registry_is_entries_or_none_at_all(status: int, body: bytes) -> None:
    try:
        entries = run(lookup("http://registry/lookup", Replies(Reply(status, body)), subscriber_id="a"))
    except RegistryUnavailable:
        pass
    else:
        assert status == 200
        assert all(isinstance(one, Subscription) for one in entries)
        assert SUBSCRIPTIONS.validate_json(SUBSCRIPTIONS.dump_json(entries)) == entries


@given(st.integers(200, 499), json_bytes)
def test_any_bytes_in_answer_to_a_message_are_an_ack_or_a_nack(status: int, body: bytes) -> None:
    answer = read_answer(Reply(status, body))
    assert isinstance(answer, Acked if status == 200 and b'"ACK"' in body else Nacked)
