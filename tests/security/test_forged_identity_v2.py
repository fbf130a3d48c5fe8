"""Nobody speaks in another's name in Beckn v2 either: every attack on who sent a request, against a `select`.

Whoever is proven by the same code is not tried again call by call: what differs is where a call says who sends it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.foreign.platform_v2 import PlatformV2, instant
from tests.foreign.play_v2 import V2
from tests.security.arena import Arena, arena
from tests.security.attacks import ATTACKS, Attack, enrol_cast
from tests.security.calls import BECKN, Good, sign, write
from wattmesh_beckn.transport import Reply

REALM = "roof-0.default"
[SELECT] = [target for target in BECKN if target.name == "select"]
TRIED = [attack for attack in ATTACKS if SELECT in attack.against]


def good_select(street: Arena) -> Good:
    """A select of the puppet that the household takes."""
    puppet = street.puppet
    me = PlatformV2(puppet.me.subscriber_id, puppet.me.key_id, puppet.me._private_key.private_bytes_raw(), puppet.url)
    offer = {"id": f"energy-{puppet.next_slot}", "resourceIds": [], "provider": {"id": REALM}}
    series = {
        "intervalPeriod": {"start": instant(puppet.next_slot), "duration": "PT15M"},
        "intervals": [{"id": 0, "payloads": [{"type": "REQUESTED_QTY", "values": [0.25]}]}],
    }
    commitment = {"id": "one", "resources": [], "offer": offer, "commitmentAttributes": series}
    contract = {"status": {"code": "DRAFT"}, "commitments": [commitment]}
    seller = {"bppId": REALM, "bppUri": "http://roof-0/roof-0"}
    call = me.call("select", {"contract": contract}, street.clock.now, **seller)
    return Good("http://roof-0/roof-0/select", REALM, puppet.me, call, "context.bapId", "context.bppId")


@cache
def played() -> tuple[dict[str, tuple[Reply, bool]], list[tuple[Reply, bool]]]:
    """What each attack is answered, and whether anything changed; then the good call, twice, and after a restart."""

    async def play() -> tuple[dict[str, tuple[Reply, bool]], list[tuple[Reply, bool]]]:
        with tempfile.TemporaryDirectory() as folder:
            async with arena(Path(folder), V2) as street:
                await enrol_cast(street)
                good = good_select(street)
                tried = {str(one): await post(street, *one.forge(street, good)) for one in TRIED}
                body = write(good.call)
                headers = sign(street, good, body)
                taken = [await post(street, body, headers) for _ in range(2)]
                await street.restart("roof-0")
                return tried, [*taken, await post(street, body, headers)]

    return asyncio.run(play())


async def post(street: Arena, body: bytes, headers: dict[str, str]) -> tuple[Reply, bool]:
    before, heard = street.books(), len(street.puppet.heard)
    reply = await street.wires.post("http://roof-0/roof-0/select", body, headers, timeout_s=5.0)
    await street.clock.settle()
    return reply, street.books() == before and len(street.puppet.heard) == heard


@pytest.mark.parametrize("attack", TRIED, ids=str)
def test_a_forged_request_is_refused_and_changes_nothing(attack: Attack) -> None:
    reply, unchanged = played()[0][str(attack)]
    answer = json.loads(reply.body)
    assert (reply.status, answer["status"], answer["message"]["status"]) == (attack.status, "NACK", "NACK")
    assert answer["error"]["errorCode"] == "30000"
    assert attack.says in answer["error"]["errorMessage"]
    assert answer["error"].get("paths") == ("context.bppId" if attack.names_receiver else None)
    challenge = f'Signature realm="{REALM}",headers="(created) (expires) digest"'
    assert reply.headers.get(attack.challenge) == (challenge if reply.status == 401 else None)
    assert unchanged


def test_the_good_one_is_taken_and_its_replays_have_no_second_effect() -> None:
    answers = [(reply.status, json.loads(reply.body)["status"], unchanged) for reply, unchanged in played()[1]]
    assert answers == [(200, "ACK", False), (200, "ACK", True), (200, "ACK", True)]
