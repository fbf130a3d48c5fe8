"""Who asks too much is told when to come again, and nobody else notices.

Households are tried over v1 and v2. Of the gateway's limits that of searches is one for both, tried over v1 here and
with that of publications over v2 in test_lies_in_v2; subscribe and lookup are of no version.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.beckn.support import changed
from tests.gateway.support import REGISTRAR, NoPages, World, asked, entry, problem
from tests.security.partners import ACKED, Played, answer_to, said, tell
from tests.street.puppet import PUPPET, SPEED, STRANGER, Puppet
from tests.street.stages import search
from tests.world.clocks import run
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import SLOT_S, play
from tests.world.subscribers import signer
from tests.world.tokens import TOKEN
from wattmesh_agents import receiving
from wattmesh_agents.receiving import messages_per_s
from wattmesh_beckn.http import PEER
from wattmesh_beckn.registry import IN_VAIN_AT_ONCE
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import Reply
from wattmesh_cli.street.local import listen, serving
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.limits import TOLD_AT_ONCE
from wattmesh_gateway import gateway, lookup, subscribe
from wattmesh_gateway.app import create_app

UNKNOWN = {"order_id": str(uuid.UUID(int=7))}
UNKNOWN_ORDER = (200, "30010", f"no order {UNKNOWN['order_id']!r} of yours here")


def count(metrics: CollectorRegistry, name: str, **labels: str) -> float:
    """A counter's value."""
    return metrics.get_sample_value(name, labels) or 0.0


# --- a household or utility ---


def test_who_sends_too_much_is_refused_until_it_has_waited_and_others_are_heard(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "MESSAGES_AT_ONCE", 30)
    assert messages_per_s(SPEED) == 20

    async def work(puppet: Puppet) -> None:
        other = puppet.signers[STRANGER]
        await puppet.register(other)
        for _ in range(30):
            call = puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4()))
            assert await answer_to(puppet, call) == UNKNOWN_ORDER
        call = puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4()))
        reply = await tell(puppet, call)
        text = "'puppet.default' may send 30 messages at once and 20 a second; come again in 1 s"
        assert (said(reply), reply.headers["retry-after"]) == ((429, "50000", text), "1")
        inbox = puppet.run.pods["roof-0"]._driver.store.inbox
        assert inbox.first_answer("roof-0.default", PUPPET, call["context"]["message_id"], "status") is None
        theirs = puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4()))
        assert await answer_to(puppet, theirs, other) == UNKNOWN_ORDER
        at_utility = puppet.call("status", "utility", UNKNOWN, str(uuid.uuid4()))
        assert await answer_to(puppet, at_utility) == UNKNOWN_ORDER
        await puppet.clock.sleep(1)
        assert await answer_to(puppet, call) == UNKNOWN_ORDER
        metrics = puppet.run.pods["roof-0"].metrics.registry
        assert count(metrics, "wattmesh_messages_limited_total", action="status") == 1
        for _ in range(200):
            await answer_to(puppet, puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4())))

    street = played(work)
    told = [text for text in (record.getMessage() for record in street.log) if text.startswith("refused status")]
    assert len(told) == TOLD_AT_ONCE
    assert "'puppet.default' may send 30 messages at once" in told[0]
    assert [row for row in street.contracts("seller", "roof-0") if row.state == "SETTLED"]


def test_what_is_said_again_counts_and_a_bad_message_too(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MESSAGES_AT_ONCE", 30)

    async def work(puppet: Puppet) -> None:
        action, body = puppet.written(await search(puppet))
        headers = puppet.signed(body)
        spoilt = json.dumps({**json.loads(body), "message": {}}).encode()
        for _ in range(20):
            assert said(await puppet.send("roof-0", action, body, headers)) == ACKED
        for _ in range(10):
            bad = await puppet.send("roof-0", action, spoilt, puppet.signed(spoilt))
            assert bad.status == 400
        assert (await puppet.send("roof-0", action, body, headers)).status == 429

    played(work)


def test_nobody_can_use_up_anothers_allowance(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MESSAGES_AT_ONCE", 30)

    async def work(puppet: Puppet) -> None:
        _, body = puppet.written(puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4())))
        good = puppet.signed(body)
        tampered = body.replace(b"status", b"stAtus", 1)
        for _ in range(50):
            assert (await puppet.send("roof-0", "status", tampered, good)).status == 401
            stranger = puppet.signed(body, puppet.signers[STRANGER])
            assert (await puppet.send("roof-0", "status", body, stranger)).status == 401
        assert said(await puppet.send("roof-0", "status", body, good)) == UNKNOWN_ORDER

    played(work)


def test_a_flood_of_made_up_names_costs_the_registry_little_and_the_street_nothing(played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        await search(puppet)  # when roof-0 has been at work for a while
        stranger = puppet.signers[STRANGER]
        real = puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4()))
        assert await answer_to(puppet, real) == UNKNOWN_ORDER

        async def forge(number: int) -> Reply:
            name = f"made-up-{number}.default"
            _, body = puppet.written(changed(real, "context.bap_id", name))
            signed = puppet.signed(body, stranger)
            signed[AUTHORIZATION] = signed[AUTHORIZATION].replace(STRANGER, name)
            return await puppet.send("roof-0", "status", body, signed)

        answers = await asyncio.gather(*map(forge, range(2 * IN_VAIN_AT_ONCE)))
        by_status = [sum(answer.status == status for answer in answers) for status in (401, 503)]
        assert by_status == [IN_VAIN_AT_ONCE, IN_VAIN_AT_ONCE]
        busy = next(answer for answer in answers if answer.status == 503)
        assert busy.headers["retry-after"] == "1"
        assert said(busy)[1:] == (
            "40000",
            "signatures cannot be checked now, the registry does not answer: "
            "too many unknown subscribers and keys are being looked up",
        )
        again = puppet.call("status", "roof-0", UNKNOWN, str(uuid.uuid4()))
        assert await answer_to(puppet, again) == UNKNOWN_ORDER

    street = played(work)
    assert [row for row in street.contracts("seller", "roof-0") if row.state == "SETTLED"]


def test_a_busy_honest_street_never_meets_a_limit() -> None:
    street = planned(
        MARKET.replace("speed: 60", "speed: 960")
        + utility()
        + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}", replicas=5)
        + households("flat", "householdsPerPod: 15, load: {annualKwh: 6000}", replicas=45)
    )
    seen: list[float] = []

    async def watch(run: StreetRun) -> None:
        await asyncio.sleep(1.9 * SLOT_S / 960)
        metrics = [one.metrics.registry for one in run.pods.values()]
        seen.extend(_sum(one, "wattmesh_messages_limited_total") for one in metrics)
        seen.append(_sum(run.gateway.metrics.collectors, "wattmesh_gateway_limited_total"))
        assert sum(_sum(one, "wattmesh_messages_received_total") for one in metrics) > 500

    done = play(street, 0.5, watch=watch)
    assert seen
    assert not any(seen)
    done.check_sound()
    assert len([row for row in done.contracts("buyer") if row.state == "SETTLED"]) > 40


def _sum(registry: CollectorRegistry, name: str) -> float:
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name == name)


# --- the gateway ---


def test_searches_are_limited_by_who_signed_them() -> None:
    async def main() -> None:
        world = World()
        eager, other = await world.buyer("eager"), await world.buyer("other")
        for _ in range(gateway.SEARCHES_AT_ONCE):
            assert asked(await world.search(eager)) == 0
        body = world.search_body("eager")
        reply = await world.post("/search", body, world.signed(eager, body))
        text = "'eager' may send 100 searches at once and 20 a second; come again in 1 s"
        assert (problem(reply), reply.headers["retry-after"]) == ((429, "50000", text), "1")
        assert asked(await world.search(other)) == 0
        await world.clock.sleep(1)
        assert asked(await world.post("/search", body, world.signed(eager, body))) == 0
        collectors = world.gateway.metrics.collectors
        assert count(collectors, "wattmesh_gateway_limited_total", call="search") == 1
        assert count(collectors, "wattmesh_gateway_searches_total", result="limited") == 1

    run(main())


def test_searches_in_anothers_name_take_nothing_from_it() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        body = world.search_body("buyer")
        for _ in range(2 * gateway.SEARCHES_AT_ONCE):
            assert (await world.post("/search", body, world.signed(signer("buyer", 2), body))).status == 401
        assert asked(await world.post("/search", body, world.signed(buyer, body))) == 0

    run(main())


def test_a_subscriber_may_write_its_entry_now_and_then_and_a_registrar_as_often_as_it_must() -> None:
    async def main() -> None:
        world = World()
        for number in range(3 * subscribe.CALLS_AT_ONCE):
            assert (await world.subscribe(entry(signer(f"house-{number}"), "BPP"))).status == 200
        own = signer("house-0")
        await world.clock.sleep(1)
        for number in range(subscribe.CALLS_AT_ONCE):
            assert (await world.subscribe(entry(own, "BPP", url=f"http://moved-{number}"), own)).status == 200
        reply = await world.subscribe(entry(own, "BPP"), own)
        text = "'house-0' may send 20 subscribe calls at once and 2 a second; come again in 1 s"
        assert (problem(reply), reply.headers["retry-after"]) == ((429, "50000", text), "1")
        forged = await world.subscribe(entry(signer("house-1"), "BPP"), own)
        assert forged.status == 401
        assert (await world.subscribe(entry(signer("house-1"), "BPP"), signer("house-1"))).status == 200
        await world.clock.sleep(1)
        assert (await world.subscribe(entry(own, "BPP"), own)).status == 200
        assert (await world.subscribe(entry(own, "BAP"), REGISTRAR)).status == 200

    run(main())


def test_wide_lookups_are_limited_by_address_and_those_of_a_subscriber_never() -> None:
    async def main() -> None:
        world = World()
        await world.buyer("buyer")

        async def ask(peer: str, **subset: Any) -> Reply:
            return await world.post("/lookup", json.dumps(subset).encode(), {PEER: peer})

        for _ in range(lookup.WIDE_AT_ONCE):
            assert (await ask("10.0.0.1", type="BAP")).status == 200
        refused = await ask("10.0.0.1", type="BAP")
        text = "'10.0.0.1' may send 50 lookups without subscriber_id at once and 10 a second; come again in 1 s"
        assert (problem(refused), refused.headers["retry-after"]) == ((429, "50000", text), "1")
        assert (await ask("10.0.0.2", type="BAP")).status == 200
        for _ in range(10 * lookup.WIDE_AT_ONCE):
            assert (await ask("10.0.0.1", subscriber_id="buyer")).status == 200
        await world.clock.sleep(1)
        assert (await ask("10.0.0.1")).status == 200

    run(main())


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-Ip"])
def test_over_http_nobody_can_say_it_calls_from_elsewhere(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "WIDE_AT_ONCE", 3)
    monkeypatch.setattr(lookup, "WIDE_PER_S", 0.001)

    async def main() -> tuple[list[int], int]:
        world, listener = World(), listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with (
            serving(create_app(world.gateway, NoPages(), TOKEN), listener),
            httpx.AsyncClient(base_url=url, trust_env=False) as http,
            httpx.AsyncClient(base_url=url, transport=elsewhere) as other,
        ):
            statuses = []
            for number in range(5):
                reply = await http.post("/lookup", content=b"{}", headers={header: f"10.0.0.{number}"})
                statuses.append(reply.status_code)
            return statuses, (await other.post("/lookup", content=b"{}")).status_code

    assert asyncio.run(main()) == ([200, 200, 200, 429, 429], 200)
