from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from tests.beckn.support import BUYER, NOW, SELLER, Entries, Replies, clock, entry
from tests.world.clocks import run
from tests.world.subscribers import DOMAIN, signer
from wattmesh_beckn.registry import (
    IN_VAIN_AT_ONCE,
    IN_VAIN_PER_S,
    SUBSCRIPTIONS,
    RegistryDirectory,
    RegistryUnavailable,
    Subscription,
    SubscriptionStatus,
    key_of,
    lookup,
)
from wattmesh_beckn.signature import SignatureHeader, SignatureProblem, Signer
from wattmesh_beckn.transport import Reply, TransportError

NEW_KEY = signer("buyer.street", key=2)


def header(owner: Signer = BUYER) -> SignatureHeader:
    return SignatureHeader(owner.subscriber_id, owner.key_id, int(NOW), int(NOW) + 30, b"")


def answer(*entries: Subscription) -> Reply:
    return Reply(200, SUBSCRIPTIONS.dump_json(list(entries)))


def test_the_key_is_that_of_the_entry_with_the_headers_subscriber_key_and_role() -> None:
    entries = Entries(entry(BUYER, "BPP"), entry(BUYER, "BAP"), entry(NEW_KEY, "BAP"), entry(SELLER, "BAP"))
    assert run(key_of(header(), "BAP", DOMAIN, entries, NOW)) == entry(BUYER, "BAP")
    assert run(key_of(header(NEW_KEY), "BAP", DOMAIN, entries, NOW)) == entry(NEW_KEY, "BAP")


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ([], "subscriber 'buyer.street' is not in the registry"),
        ([entry(SELLER, "BAP")], "subscriber 'buyer.street' is not in the registry"),
        (
            [entry(NEW_KEY, "BAP")],
            "key '00000000-0000-4000-8000-000000000001' of subscriber 'buyer.street' is not in the registry",
        ),
        ([entry(BUYER, "BPP")], "subscriber 'buyer.street' is not registered as BAP"),
        (
            [entry(BUYER, "BAP").model_copy(update={"domain": "other"})],
            "subscriber 'buyer.street' is not registered as BAP in domain 'uei:p2p_trading'",
        ),
        *(
            (
                [entry(BUYER, "BAP", status=status)],
                f"key '00000000-0000-4000-8000-000000000001' of subscriber 'buyer.street' is {status.value}",
            )
            for status in SubscriptionStatus
            if status not in (SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.EXPIRED)
        ),
        (
            [entry(BUYER, "BAP", valid_until=NOW, status=SubscriptionStatus.EXPIRED)],
            "key '00000000-0000-4000-8000-000000000001' of subscriber 'buyer.street' is valid from "
            "2026-05-28T20:10:00.000Z until 2026-05-28T20:26:40.000Z; this clock says 2026-05-28T20:26:40.000Z",
        ),
        (
            [entry(BUYER, "BAP", valid_from=NOW + 6)],
            "key '00000000-0000-4000-8000-000000000001' of subscriber 'buyer.street' is valid from "
            "2026-05-28T20:26:46.000Z until 2026-05-28T20:43:20.000Z; this clock says 2026-05-28T20:26:40.000Z",
        ),
    ],
)
def test_no_key_is_told_why(known: list[Subscription], problem: str) -> None:
    with pytest.raises(SignatureProblem) as info:
        run(key_of(header(), "BAP", DOMAIN, Entries(*known), NOW))
    assert str(info.value) == problem


def test_a_key_unknown_so_far_is_asked_for_again() -> None:
    entries = Entries(entry(BUYER, "BAP"), fresh=[entry(NEW_KEY, "BAP")])
    assert run(key_of(header(NEW_KEY), "BAP", DOMAIN, entries, NOW)) == entry(NEW_KEY, "BAP")


def test_a_key_that_was_subscribed_anew_counts_though_an_old_entry_of_it_stands_first() -> None:
    old = entry(BUYER, "BAP", status=SubscriptionStatus.UNSUBSCRIBED)
    assert run(key_of(header(), "BAP", DOMAIN, Entries(old, entry(BUYER, "BAP")), NOW)) == entry(BUYER, "BAP")


def test_a_registry_that_does_not_answer_is_no_fault_of_the_sender() -> None:
    with pytest.raises(RegistryUnavailable, match=r"^http://registry/lookup answered 500$"):
        run(key_of(header(), "BAP", DOMAIN, Entries(down=True), NOW))


def test_entries_are_looked_up_by_subscriber_and_kept_30_seconds() -> None:
    async def main() -> list[int]:
        registry = Replies(answer(entry(BUYER, "BAP")))
        directory = RegistryDirectory("http://registry/", registry, clock())
        asked = []
        for wait in (0.0, 29.9, 0.2, 1.0):
            await asyncio.sleep(wait)
            assert await directory.find("buyer.street") == [entry(BUYER, "BAP")]
            asked.append(len(registry.sent))
        url, body, headers = registry.sent[0]
        assert (url, json.loads(body)) == ("http://registry/lookup", {"subscriber_id": "buyer.street"})
        assert headers == {"content-type": "application/json"}
        return asked

    assert run(main()) == [1, 1, 2, 2]


def test_nobody_is_asked_for_again_only_after_half_a_second() -> None:
    async def main() -> list[int]:
        registry = Replies(answer())
        directory = RegistryDirectory("http://registry", registry, clock())
        asked = []
        for wait in (0.0, 0.4, 0.2, 0.4, 0.2):
            await asyncio.sleep(wait)
            assert await directory.find("nobody.street", fresh=wait == 0.4) == []
            asked.append(len(registry.sent))
        return asked

    assert run(main()) == [1, 1, 2, 2, 3]


def test_a_fresh_answer_is_at_most_half_a_second_old() -> None:
    async def main() -> list[int]:
        registry = Replies(answer(entry(BUYER, "BAP")))
        directory = RegistryDirectory("http://registry", registry, clock())
        asked = []
        for wait in (0.0, 0.4, 0.2, 0.4):
            await asyncio.sleep(wait)
            await directory.find("buyer.street", fresh=True)
            asked.append(len(registry.sent))
        return asked

    assert run(main()) == [1, 1, 2, 2]


def test_a_new_key_is_found_through_the_cache() -> None:
    async def main() -> Subscription:
        registry = Replies(answer(entry(BUYER, "BAP")), answer(entry(BUYER, "BAP"), entry(NEW_KEY, "BAP")))
        directory = RegistryDirectory("http://registry", registry, clock())
        await directory.find("buyer.street")
        await asyncio.sleep(1)
        return await key_of(header(NEW_KEY), "BAP", DOMAIN, directory, clock().wall())

    assert run(main()) == entry(NEW_KEY, "BAP")


def test_while_the_registry_is_down_old_entries_serve_and_it_is_asked_every_5_seconds() -> None:
    async def main() -> list[int]:
        registry = Replies(answer(entry(BUYER, "BAP")), TransportError("connection refused"))
        directory = RegistryDirectory("http://registry", registry, clock())
        asked = []
        for wait in (0.0, 40.0, 4.9, 0.2, 1.0):
            await asyncio.sleep(wait)
            assert await directory.find("buyer.street") == [entry(BUYER, "BAP")]
            asked.append(len(registry.sent))
        registry.replies = [answer()]
        await asyncio.sleep(4.1)
        assert await directory.find("buyer.street") == []
        return asked

    assert run(main()) == [1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (TransportError("connection refused"), "http://registry/lookup: connection refused"),
        (Reply(500, b""), "http://registry/lookup answered 500"),
        (Reply(404, b"[]"), "http://registry/lookup answered 404"),
        (Reply(200, b"{}"), "http://registry/lookup answered what is no list of subscriptions: 1 validation error"),
        (Reply(200, b"<html>"), "http://registry/lookup answered what is no list of subscriptions: 1 validation error"),
        (Reply(200, b'[{"x":1}]'), "http://registry/lookup answered what is no list of subscriptions: 9 validation"),
    ],
)
def test_without_a_good_answer_and_nothing_at_hand_the_registry_is_unavailable(reply: Any, problem: str) -> None:
    async def main() -> str:
        directory = RegistryDirectory("http://registry", Replies(reply), clock())
        with pytest.raises(RegistryUnavailable) as info:
            await directory.find("buyer.street")
        return str(info.value)

    assert run(main()).startswith(problem)


def test_entries_of_others_in_an_answer_count_for_nothing() -> None:
    async def main() -> Any:
        directory = RegistryDirectory("http://registry", Replies(answer(entry(SELLER, "BAP"))), clock())
        return await directory.find("buyer.street")

    assert run(main()) == []


class ByName:
    """A registry that knows some names, and answers after `delay_s`."""

    def __init__(self, *names: str, delay_s: float = 0.0) -> None:
        self.entries = {name: entry(signer(name), "BAP") for name in names}
        self.delay_s = delay_s
        self.sent: list[str] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:  # noqa: ARG002
        name = json.loads(body)["subscriber_id"]
        self.sent.append(name)
        await asyncio.sleep(self.delay_s)
        return answer(*([self.entries[name]] if name in self.entries else []))


def test_made_up_names_push_out_no_entry_and_the_registry_hears_few_of_them() -> None:
    async def main() -> None:
        registry = ByName("buyer.street")
        directory = RegistryDirectory("http://registry", registry, clock(), most=2)
        await directory.find("buyer.street")
        refused = 0
        for n in range(500):
            try:
                assert await directory.find(f"made-up-{n}.street") == []
            except RegistryUnavailable:
                refused += 1
        assert (len(registry.sent), refused) == (1 + IN_VAIN_AT_ONCE, 500 - IN_VAIN_AT_ONCE)
        registry.sent.clear()
        assert len(await directory.find("buyer.street")) == 1  # still at hand
        assert registry.sent == []
        await asyncio.sleep(1 / IN_VAIN_PER_S)
        assert await directory.find("made-up.street") == []
        with pytest.raises(RegistryUnavailable, match=r"^too many unknown subscribers and keys are being looked up$"):
            await directory.find("made-up-too.street")

    run(main())


def test_made_up_keys_of_a_known_name_are_bounded_too_and_its_entries_are_renewed_all_the_same() -> None:
    async def main() -> None:
        names = [f"house-{n}.street" for n in range(IN_VAIN_AT_ONCE + 1)]
        registry = ByName(*names)
        directory = RegistryDirectory("http://registry", registry, clock())
        for name in names:
            await directory.find(name)
        await asyncio.sleep(29.9)
        for name in names[:-1]:
            await directory.find(name, fresh=True)
        with pytest.raises(RegistryUnavailable):
            await directory.find(names[-1], fresh=True)
        registry.sent.clear()
        await asyncio.sleep(0.1)
        assert len(await directory.find(names[-1])) == 1
        assert registry.sent == [names[-1]]

    run(main())


def test_any_number_of_newcomers_that_the_registry_knows_are_found() -> None:
    async def main() -> None:
        names = [f"house-{n}.street" for n in range(3 * IN_VAIN_AT_ONCE)]
        directory = RegistryDirectory("http://registry", ByName(*names, delay_s=0.01), clock())
        for part in (names[n : n + 100] for n in range(0, len(names), 100)):
            found = await asyncio.gather(*map(directory.find, part))
            assert all(map(len, found))

    run(main())


def test_only_so_many_subscribers_are_remembered_and_the_longest_known_goes_first() -> None:
    async def main() -> list[tuple[str, int]]:
        registry = ByName("a", "b", "c")
        directory = RegistryDirectory("http://registry", registry, clock(), most=2)
        asked = []
        for name in ("a", "b", "a", "c", "b", "c", "a", "c", "b"):
            before = len(registry.sent)
            await directory.find(name)
            asked.append((name, len(registry.sent) - before))
        return asked

    assert run(main()) == [
        ("a", 1), ("b", 1), ("a", 0), ("c", 1), ("b", 0), ("c", 0), ("a", 1), ("c", 0), ("b", 1),
    ]  # fmt: skip


def test_all_who_wait_for_the_same_entries_share_one_question() -> None:
    async def main() -> tuple[list[Any], int]:
        registry = Replies(answer(entry(BUYER, "BAP")))
        directory = RegistryDirectory("http://registry", registry, clock())
        found = await asyncio.gather(*(directory.find("buyer.street", fresh=bool(n % 2)) for n in range(5)))
        return found, len(registry.sent)

    assert run(main()) == ([[entry(BUYER, "BAP")]] * 5, 1)


def test_renewing_an_entry_pushes_no_other_out() -> None:
    async def main() -> int:
        registry = ByName("a", "b")
        directory = RegistryDirectory("http://registry", registry, clock(), keep_s=10.0, most=2)
        await directory.find("a")
        await asyncio.sleep(5)
        await directory.find("b")
        await asyncio.sleep(6)
        await directory.find("a")
        await directory.find("b")
        return len(registry.sent)

    assert run(main()) == 3


def test_any_subset_of_a_subscription_can_be_looked_up() -> None:
    registry = Replies(answer(entry(BUYER, "BAP"), entry(SELLER, "BAP")))

    async def main() -> list[Subscription]:
        return await lookup("http://registry/lookup", registry, type="BAP", domain="uei:p2p_trading")

    assert run(main()) == [entry(BUYER, "BAP"), entry(SELLER, "BAP")]
    assert json.loads(registry.sent[0][1]) == {"type": "BAP", "domain": "uei:p2p_trading"}


def test_who_says_nothing_of_protocols_speaks_the_first() -> None:
    said = json.loads(entry(BUYER, "BAP").model_dump_json(exclude={"protocols"}))
    assert Subscription.model_validate(said).protocols == ("v1",)
    assert Subscription.model_validate(said | {"protocols": ["v2", "v1"]}).protocols == ("v1", "v2")
    for protocols in ([], ["v3"], ["v2", "v2"], "v2"):
        with pytest.raises(ValidationError, match="protocols"):
            Subscription.model_validate(said | {"protocols": protocols})


def test_a_subscription_is_written_as_the_registry_api_says() -> None:
    assert json.loads(entry(BUYER, "BAP").model_dump_json(exclude_none=True)) == {
        "subscriber_id": "buyer.street",
        "url": "http://buyer.street/beckn",
        "type": "BAP",
        "domain": "uei:p2p_trading",
        "location": {"city": {"code": "feeder-1"}, "country": {"code": "DEU"}},
        "key_id": "00000000-0000-4000-8000-000000000001",
        "signing_public_key": BUYER.public_key,
        "encr_public_key": "",
        "protocols": ["v1"],
        "valid_from": "2026-05-28T20:10:00.000Z",
        "valid_until": "2026-05-28T20:43:20.000Z",
        "status": "SUBSCRIBED",
    }
