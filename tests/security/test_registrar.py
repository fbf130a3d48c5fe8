"""Who may write into the registry: the registrar, and a subscriber its own entry, no more than it was given."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.security.arena import Arena, Books, arena
from tests.security.attacks import LEFT, ONLY_BUYER, ONLY_SELLER, OTHER_GATEWAY, RIVAL, enrol_cast
from tests.security.calls import GATEWAY_ID
from tests.street.puppet import PUPPET, STRANGER
from wattmesh_beckn.client import Nacked, read_answer
from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import utc
from wattmesh_common.runtime import REGISTRAR

NEW_KEY = Signer.from_seed(PUPPET, "00000000-0000-4000-8000-00000000000a", bytes(31) + b"\x01")
Wanted = Callable[[Arena], tuple[Subscription, Signer]]


@dataclass(frozen=True)
class Grab:
    """An entry that somebody may not write, and how the registry answers."""

    name: str
    wanted: Wanted
    status: int
    code: str
    says: str

    def __str__(self) -> str:
        return self.name


def _puppet(role: Any = "BPP", *, by: str = PUPPET, **changes: Any) -> Wanted:
    return lambda arena: (arena.entry(arena.puppet.me, role, **{"feeder": "main", **changes}), arena.signers[by])


def _other(name: str, role: Any = "BPP", *, by: str | None = None, **changes: Any) -> Wanted:
    """The entry of another, signed by itself unless somebody else is named."""
    return lambda arena: (arena.entry(arena.signers[name], role, **changes), arena.signers[by or name])


def _without_the_registrars_key(arena: Arena) -> tuple[Subscription, Signer]:
    registrar, stranger = arena.signers[REGISTRAR], arena.signers[STRANGER]
    return arena.entry(stranger, "BPP"), Signer(REGISTRAR, registrar.key_id, stranger._private_key)


def _with_a_key_of_its_own(arena: Arena) -> tuple[Subscription, Signer]:
    stranger = arena.signers[STRANGER]
    return arena.entry(stranger, "BPP"), Signer(REGISTRAR, stranger.key_id, stranger._private_key)


def _new_key_signs_for_itself(arena: Arena) -> tuple[Subscription, Signer]:
    return arena.entry(NEW_KEY, "BPP", feeder="main"), NEW_KEY


def _known_key_id(arena: Arena) -> tuple[Subscription, Signer]:
    changed = {"signing_public_key": NEW_KEY.public_key, "feeder": "main"}
    return arena.entry(arena.puppet.me, "BPP", **changed), arena.puppet.me


GRABS = [
    Grab("in the registrar's name", _without_the_registrars_key, 401, "30000", "wrong signature"),
    Grab("as another registrar", _with_a_key_of_its_own, 401, "30000", "is no registrar's here"),
    Grab("a first entry by oneself", _other(STRANGER), 401, "30000", "a registrar makes the first entry"),
    Grab("another's entry", _other(RIVAL, by=PUPPET), 401, "30000", "only a registrar and the subscriber itself"),
    Grab("a household's entry", _other("roof-0.default", by=PUPPET), 401, "30000", "only a registrar and the subs"),
    Grab("the gateway's entry", _other(GATEWAY_ID, "BG", by=PUPPET), 401, "30000", "only a registrar and the subs"),
    Grab("another's entry, as another gateway", _other(RIVAL, by=OTHER_GATEWAY), 401, "30000", "only a registrar"),
    Grab("as the gateway, by the registrar", _other(GATEWAY_ID, "BG", by=REGISTRAR), 403, "50000", "is reserved here"),
    Grab("as the gateway, by the gateway", _other(GATEWAY_ID, "BG"), 403, "50000", "is reserved here"),
    Grab("as registrar, by the registrar", _other(REGISTRAR), 403, "50000", "'registrar' is reserved here"),
    Grab("as a gateway", _puppet("BG"), 403, "50000", "cannot register itself as BG"),
    Grab("a seller as buyer", _other(ONLY_SELLER, "BAP"), 403, "50000", "no live entry of type BAP"),
    Grab("a buyer as seller", _other(ONLY_BUYER), 403, "50000", "no live entry of type BPP"),
    Grab("in another domain", _puppet(domain="uei:charging"), 403, "50000", "domain 'uei:charging' to renew"),
    Grab("on another feeder", _puppet(feeder="apart"), 403, "50000", "cannot move to 'apart' by itself"),
    Grab(
        "in another country",
        _puppet(location=Location(city=Code(code="main"), country=Code(code="FRA"))),
        403,
        "50000",
        "by itself",
    ),
    Grab("a new key that signs for itself", _new_key_signs_for_itself, 401, "30000", "is not in the registry"),
    Grab("another key under a known key id", _known_key_id, 409, "30000", "known with another signing_public_key"),
    Grab("back with an unsubscribed key", _other(LEFT), 401, "30000", "is UNSUBSCRIBED"),
]


async def _send(street: Arena, entry: Subscription, by: Signer) -> tuple[Callable[[], Awaitable[Reply]], Reply]:
    """Ask the gateway for an entry; also gives the way to send the very same bytes again."""
    body = entry.model_dump_json(exclude_none=True).encode()
    now = int(street.clock.now)
    headers = {AUTHORIZATION: by.sign(body, created=now, expires=now + 30)}

    async def again() -> Reply:
        return await street.wires.post("http://gateway/subscribe", body, headers, timeout_s=5.0)

    return again, await again()


@cache
def grabbed() -> dict[str, tuple[Reply, bool]]:
    async def play() -> dict[str, tuple[Reply, bool]]:
        with tempfile.TemporaryDirectory() as folder:
            async with arena(Path(folder)) as street:
                await enrol_cast(street)
                results = {}
                for grab in GRABS:
                    before = street.books()
                    _, reply = await _send(street, *grab.wanted(street))
                    results[grab.name] = (reply, street.books() == before)
                return results

    return asyncio.run(play())


@pytest.mark.parametrize("grab", GRABS, ids=str)
def test_nobody_takes_what_was_not_given(grab: Grab) -> None:
    reply, unchanged = grabbed()[grab.name]
    answer = read_answer(reply)
    assert isinstance(answer, Nacked)
    assert (answer.status, answer.code) == (grab.status, grab.code)
    assert grab.says in answer.message
    assert ("www-authenticate" in reply.headers) == (grab.status == 401)
    assert unchanged


def _replayed(first: Callable[[Arena], Subscription], then: Callable[[Arena], tuple[Subscription, Signer]]) -> Books:
    """The puppet says one thing, a second later another, and somebody says the first again; the registry at the end."""

    async def play() -> Books:
        with tempfile.TemporaryDirectory() as folder:
            async with arena(Path(folder)) as street:
                await street.pass_time(1.0)
                again, reply = await _send(street, first(street), street.puppet.me)
                assert reply.status == 200, reply.body
                await street.pass_time(1.0)
                _, reply = await _send(street, *then(street))
                assert reply.status == 200, reply.body
                before = street.books()
                answer = read_answer(await again())
                assert isinstance(answer, Nacked)
                # An UNSUBSCRIBED key is refused before the order of the calls is looked at.
                assert (answer.status, answer.code) in [(409, "30000"), (401, "30000")]
                await street.pass_time(30.0)
                late = read_answer(await again())
                assert isinstance(late, Nacked)
                assert late.message.startswith("signature expired at")
                books = street.books()
                assert books["registry"] == before["registry"]
                return books

    return asyncio.run(play())


def test_an_old_subscribe_does_not_bring_back_an_old_url() -> None:
    def at(url: str) -> Callable[[Arena], Subscription]:
        return lambda arena: arena.entry(arena.puppet.me, "BPP", feeder="main", url=url)

    books = _replayed(at("http://old"), lambda arena: (at("http://new")(arena), arena.puppet.me))
    urls = {row[3] for row in books["registry"]["subscription"] if row[:2] == (PUPPET, "BPP")}
    assert urls == {"http://new"}


def test_an_old_subscribe_does_not_bring_back_an_old_key() -> None:
    def new_key(arena: Arena, **changes: Any) -> Subscription:
        return arena.entry(NEW_KEY, "BPP", feeder="main", **changes)

    def ended(arena: Arena) -> tuple[Subscription, Signer]:
        return new_key(arena, status=SubscriptionStatus.UNSUBSCRIBED), arena.puppet.me

    books = _replayed(new_key, ended)
    [status] = [row[11] for row in books["registry"]["subscription"] if row[:3] == (PUPPET, "BPP", NEW_KEY.key_id)]
    assert status == "UNSUBSCRIBED"


def test_an_old_subscribe_does_not_outlive_the_registrars_word() -> None:
    def longer(arena: Arena) -> Subscription:
        return arena.entry(arena.puppet.me, "BPP", feeder="main", valid_until=utc(arena.clock.now + 10 * 86_400))

    def ended(arena: Arena) -> tuple[Subscription, Signer]:
        entry = arena.entry(arena.puppet.me, "BPP", feeder="main", status=SubscriptionStatus.UNSUBSCRIBED)
        return entry, arena.signers[REGISTRAR]

    books = _replayed(longer, ended)
    [status] = [row[11] for row in books["registry"]["subscription"] if row[:2] == (PUPPET, "BPP")]
    assert status == "UNSUBSCRIBED"
