"""Nobody speaks in another's name: every attack on who sent a call, against every call, over HTTP, and every replay.

Each is refused with the documented answer, and not a row of any table changes; the good call is taken all the same.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.beckn.support import changed
from tests.security.arena import Arena, arena
from tests.security.attacks import ATTACKS, Attack, enrol_cast
from tests.security.calls import (
    BECKN,
    BECKN_V2,
    DRAIN,
    GATEWAY_SEARCH,
    OF_GATEWAY_V2,
    TARGETS,
    V2,
    Good,
    Target,
    sign,
    write,
)
from tests.street.puppet import STREETS
from tests.world.calls import Json
from wattmesh_beckn.transport import Reply

LASTS_S = 60
"""How long the signature of the good call holds; its ttl is 30 s."""


@dataclass(frozen=True)
class Outcome:
    """How a call was answered, and whether anything changed by it anywhere."""

    reply: Reply
    unchanged: bool

    @property
    def answer(self) -> tuple[int, Json]:
        """Without v2's signature, which is over what was asked, too."""
        answer: Json = json.loads(self.reply.body)
        answer.pop("signature", None)
        return self.reply.status, answer

    @property
    def error(self) -> tuple[int, str, str, str | None]:
        answer = self.answer[1]
        error = answer["error"]
        v1, v2 = {"ack": {"status": "NACK"}}, {"status": "NACK", "messageId": answer.get("messageId"), "error": error}
        assert answer["message"] in (v1, v2)
        return self.reply.status, error["code"], error["message"], error.get("paths")


@dataclass(frozen=True)
class Played:
    """What was tried on one call: every attack, then the good call itself, then its replays."""

    good: Good
    attacks: dict[str, Outcome]
    first: Outcome
    replays: dict[str, Outcome]


def played(target: Target) -> Played:
    result = _tried(target)
    if isinstance(result, Exception):
        raise result
    return result


@cache
def _tried(target: Target) -> Played | Exception:
    """What came of one call's street, or why there is none: a street that breaks is not tried again by every test."""
    try:
        return asyncio.run(_play(target))
    except Exception as error:  # noqa: BLE001 - raised by every test of this call
        return error


async def _play(target: Target) -> Played:
    with tempfile.TemporaryDirectory() as folder:
        async with arena(Path(folder), STREETS[target.protocol]) as street:
            await enrol_cast(street)
            good = await target.prepare(street)
            attacks = {
                str(attack): await _post(street, good.url, *attack.forge(street, good))
                for attack in ATTACKS
                if target in attack.against
            }
            body = write(good.call)
            headers = sign(street, good, body, expires=LASTS_S)
            first = await _post(street, good.url, body, headers)
            replays = await _replay(street, target, good, body, headers)
            return Played(good, attacks, first, replays)


async def _post(street: Arena, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
    before, heard = street.books(), len(street.puppet.heard)
    reply = await street.wires.post(url, body, headers, timeout_s=5.0)
    await street.clock.settle()
    return Outcome(reply, street.books() == before and len(street.puppet.heard) == heard)


async def _replay(
    street: Arena, target: Target, good: Good, body: bytes, headers: dict[str, str]
) -> dict[str, Outcome]:
    """The good call, or one of its message id, again and again: at once, elsewhere, after a restart, too late."""
    await street.clock.settle()
    tried = {"the same bytes": await _post(street, good.url, body, headers)}
    if target in WITH_MESSAGE_ID:
        other = write(_another(target, good))
        tried["another body"] = await _post(street, good.url, other, sign(street, good, other))
    if good.other_url is not None:
        tried["elsewhere"] = await _post(street, good.other_url, body, headers)
    if target in TO_HOUSEHOLDS:
        await street.restart(good.realm.partition(".")[0])
        tried["after a restart"] = await _post(street, good.url, body, headers)
    await street.pass_time(31)
    tried["after its ttl"] = await _post(street, good.url, body, headers)
    await street.pass_time(30)
    tried["after its signature"] = await _post(street, good.url, body, headers)
    return tried


def _another(target: Target, good: Good) -> dict[str, object]:
    if target is DRAIN:
        return changed(good.call, "draining", False)
    name = "transaction_id" if target.protocol == "v1" else "transactionId"
    return changed(good.call, f"context.{name}", "00000000-0000-4000-8000-000000000001")


TO_HOUSEHOLDS = (*BECKN, DRAIN, *BECKN_V2, *OF_GATEWAY_V2)
WITH_MESSAGE_ID = (*BECKN, GATEWAY_SEARCH, DRAIN, *V2)
LIGHT = ("search", "on_search", "discover", "on_discover", *(one.name for one in OF_GATEWAY_V2))
"""What these lead to is in memory only, and so is that they were heard: they hold nothing, and bind nobody."""
TO_ONE_HOUSEHOLD = tuple(target for target in TO_HOUSEHOLDS if target.name != "search")
"""A search that was broadcast is for every seller, so there is no other household that it is not for."""


@pytest.mark.parametrize(
    ("attack", "target"),
    [pytest.param(a, t, id=f"{t}: {a}") for t in TARGETS for a in ATTACKS if t in a.against],
)
def test_a_forged_call_is_refused_and_changes_nothing(attack: Attack, target: Target) -> None:
    result = played(target)
    outcome = result.attacks[str(attack)]
    status, code, message, path = outcome.error
    assert (status, code) == (attack.status, "30000")
    assert attack.says in message
    assert path == attack.names(result.good)
    challenge = f'Signature realm="{result.good.realm}",headers="(created) (expires) digest"'
    assert outcome.reply.headers.get(attack.challenge) == (challenge if status == 401 else None)
    assert outcome.unchanged


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_good_call_is_taken(target: Target) -> None:
    """So it is the forgery that was refused, not the call."""
    first = played(target).first
    assert first.reply.status == 200
    assert b"NACK" not in first.reply.body
    assert not first.unchanged


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_same_bytes_again_get_the_first_answer_and_have_no_second_effect(target: Target) -> None:
    result = played(target)
    again = result.replays["the same bytes"]
    assert again.answer == result.first.answer
    assert again.unchanged


@pytest.mark.parametrize("target", WITH_MESSAGE_ID, ids=str)
def test_another_body_under_a_known_message_id_has_no_effect(target: Target) -> None:
    result = played(target)
    other = result.replays["another body"]
    assert other.answer == result.first.answer
    assert other.unchanged


@pytest.mark.parametrize("target", TO_ONE_HOUSEHOLD, ids=str)
def test_a_call_that_is_handed_on_to_another_household_is_refused_there(target: Target) -> None:
    result = played(target)
    status, code, message, path = result.replays["elsewhere"].error
    assert (status, code, path) == (400, "30000", result.good.receiver)
    assert f"is '{result.good.realm}' but this is" in message
    assert result.replays["elsewhere"].unchanged


@pytest.mark.parametrize("target", [one for one in TO_HOUSEHOLDS if one.name not in LIGHT], ids=str)
def test_after_a_restart_a_replay_still_gets_the_first_answer(target: Target) -> None:
    result = played(target)
    again = result.replays["after a restart"]
    assert again.answer == result.first.answer
    assert again.unchanged


@pytest.mark.parametrize("target", [one for one in WITH_MESSAGE_ID if one is not DRAIN], ids=str)
def test_a_replay_after_the_ttl_is_refused(target: Target) -> None:
    status, code, message, path = played(target).replays["after its ttl"].error
    assert (status, code, path) == (400, "30000", "context.ttl")
    assert message.startswith("message expired at")
    assert played(target).replays["after its ttl"].unchanged


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_replay_after_the_signature_is_refused(target: Target) -> None:
    status, code, message, _ = played(target).replays["after its signature"].error
    assert (status, code) == (401, "30000")
    assert message.startswith("signature expired at")
    assert played(target).replays["after its signature"].unchanged
