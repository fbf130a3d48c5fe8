"""Every way to forge who sent a call, as one table; `CALLS × ATTACKS` is what test_forged_identity tries.

An attack makes body and headers out of a good call. All but what it attacks is sound: the call itself would be taken.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.beckn.support import changed
from tests.security.arena import Arena
from tests.security.calls import (
    BECKN,
    BECKN_V2,
    DRAIN,
    GATEWAY_ID,
    GATEWAY_SEARCH,
    OF_GATEWAY_V2,
    SUBSCRIBE,
    TARGETS,
    TO_GATEWAY_V2,
    V2,
    Good,
    Target,
    sign,
    write,
)
from tests.street.puppet import SEED, STRANGER
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, HEADERS, HEADERS_OF_CALLBACK, Signer
from wattmesh_cli.street.keys import derived_signers
from wattmesh_common.clock import utc

Sent = tuple[bytes, dict[str, str]]
Forge = Callable[[Arena, Good], Sent]

RIVAL = "rival.default"
"""Registered and honest, in both roles."""
ONLY_BUYER, ONLY_SELLER = "only-buyer.default", "only-seller.default"
EXPIRED, LEFT, EARLY = "expired.default", "left.default", "early.default"
ELSEWHERE = "elsewhere.default"
"""Registered in both roles, but for another domain."""
OTHER_GATEWAY = "other-market.default"
"""Another BG of the same registry."""
CAST = derived_signers([RIVAL, ONLY_BUYER, ONLY_SELLER, EXPIRED, LEFT, EARLY, ELSEWHERE, OTHER_GATEWAY], SEED)
NO_KEY = "00000000-0000-4000-8000-000000000000"


async def enrol_cast(arena: Arena) -> None:
    """Write everybody whom an attack may use into the registry, and let the short-lived key expire."""
    arena.signers.update(CAST)
    now = arena.clock.now
    await arena.enrol(CAST[ONLY_BUYER], "BAP")
    await arena.enrol(CAST[ONLY_SELLER], "BPP")
    await arena.enrol(CAST[OTHER_GATEWAY], "BG")
    for role in ("BAP", "BPP"):
        await arena.enrol(CAST[RIVAL], role)
        await arena.enrol(CAST[EXPIRED], role, valid_until=utc(now + 0.5))
        await arena.enrol(CAST[LEFT], role, status=SubscriptionStatus.UNSUBSCRIBED)
        await arena.enrol(CAST[EARLY], role, valid_from=utc(now) + timedelta(hours=20))
        await arena.enrol(CAST[ELSEWHERE], role, domain="uei:charging")
    await arena.pass_time(1.0)


@dataclass(frozen=True)
class Attack:
    """What is done to a good call, and what its answer must be: status, what it says, which field it names."""

    name: str
    forge: Forge
    says: str
    status: int = 401
    names: Callable[[Good], str | None] = lambda _: None
    challenge: str = "www-authenticate"
    against: tuple[Target, ...] = tuple(TARGETS)

    def __str__(self) -> str:
        return self.name


# --- the signature itself ---


def _with_key_of(signer: Signer, key: Signer) -> Signer:
    """A signer that names itself and its key like one and signs like another."""
    return Signer(signer.subscriber_id, signer.key_id, key._private_key)


def _signed(*, created: int, expires: int) -> Forge:
    def forge(arena: Arena, good: Good) -> Sent:
        body = write(good.call)
        return body, sign(arena, good, body, created=created, expires=expires)

    return forge


def _signed_by(choose: Callable[[Arena, Good], Signer]) -> Forge:
    def forge(arena: Arena, good: Good) -> Sent:
        body = write(good.call)
        return body, sign(arena, good, body, choose(arena, good))

    return forge


def _altered_header(alter: Callable[[str], str]) -> Forge:
    """The header of a good call, altered; it must differ, or nothing is attacked."""

    def forge(arena: Arena, good: Good) -> Sent:
        body = write(good.call)
        headers = sign(arena, good, body)
        altered = alter(headers[AUTHORIZATION])
        assert altered != headers[AUTHORIZATION]
        return body, {**headers, AUTHORIZATION: altered}

    return forge


def _later(field: str) -> Callable[[str], str]:
    def alter(header: str) -> str:
        before, _, rest = header.partition(f'{field}="')
        value, _, after = rest.partition('"')
        return f'{before}{field}="{int(value) + 1}"{after}'

    return alter


def _altered_body(arena: Arena, good: Good) -> Sent:
    """A field that nobody reads is added, so that only the signature can tell."""
    return write({**good.call, "note": "x"}), sign(arena, good, write(good.call)) | _vouched(arena, good)


def _vouched(arena: Arena, good: Good) -> dict[str, str]:
    headers = sign(arena, good, write({**good.call, "note": "x"}))
    return {name: value for name, value in headers.items() if name != AUTHORIZATION}


def _other_digest(arena: Arena, good: Good) -> Sent:
    """Ed25519 over the same text, but for a digest by SHA-512."""
    body = write(good.call)
    headers, now = sign(arena, good, body), int(arena.clock.now)
    text = f"(created): {now}\n(expires): {now + 30}\ndigest: SHA-512={_base64(hashlib.sha512(body).digest())}"
    signature = good.signer._private_key.sign(text.encode())
    return body, {**headers, AUTHORIZATION: _with_signature(headers[AUTHORIZATION], signature)}


def _with_signature(header: str, signature: bytes) -> str:
    return f'{header.rpartition("signature=")[0]}signature="{_base64(signature)}"'


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _without_header(arena: Arena, good: Good) -> Sent:
    body = write(good.call)
    return body, {name: value for name, value in sign(arena, good, body).items() if name != AUTHORIZATION}


WRONG = "wrong signature: it was made with another key"
SIGNATURE = [
    Attack("signed with another key", _signed_by(lambda a, g: _with_key_of(g.signer, a.signers[STRANGER])), WRONG),
    Attack("body altered", _altered_body, WRONG),
    Attack("created altered", _altered_header(_later("created")), WRONG),
    Attack("expires altered", _altered_header(_later("expires")), WRONG),
    Attack("signature of another digest", _other_digest, WRONG),
    Attack("signature of nothing", _altered_header(lambda h: _with_signature(h, bytes(64))), WRONG),
    Attack("expired", _signed(created=-40, expires=-10), "signature expired at"),
    Attack("expires now", _signed(created=-30, expires=0), "signature expired at"),
    Attack("from the future", _signed(created=7, expires=37), "by more than 5 s"),
    Attack("expires before it was created", _signed(created=4, expires=3), "expires before it was created"),
    Attack("created decades ago", _signed(created=-1_000_000_000, expires=30), "it may hold for at most 86400 s"),
    Attack("good until the year 4000", _signed(created=0, expires=62_000_000_000), "it may hold for at most 86400 s"),
    Attack("older than the longest ttl", _signed(created=-3_700, expires=30), "more than the longest ttl, 3600 s"),
    Attack("no signature", _without_header, "no signature: the header is missing"),
]
MALFORMED = [
    Attack(f"malformed header: {name}", _altered_header(alter), says)
    for name, alter, says in [
        ("empty", lambda _: "", "malformed signature header"),
        ("another scheme", lambda h: h.replace("Signature", "Bearer", 1), "must start with"),
        ("no parameters", lambda _: "Signature", "no keyId"),
        *(
            (f"no {field}", lambda h, field=field: h.replace(f"{field}=", f"x{field}x=", 1), f"no {field}")
            for field in ("keyId", "algorithm", "created", "expires", "headers", "signature")
        ),
        ("keyId of two parts", lambda h: h.replace("|ed25519", "", 1), "keyId must be"),
        ("another algorithm", lambda h: h.replace("ed25519", "rsa"), "'rsa' in keyId is not accepted"),
        ("no algorithm at all", lambda h: h.replace("ed25519", "none"), "'none' in keyId is not accepted"),
        ("two algorithms", lambda h: h.replace('"ed25519"', '"hs2019"'), "differs from 'ed25519' in keyId"),
        ("the digest left out", lambda h: h.replace(HEADERS, "(created) (expires)"), "headers must be"),
        ("created is no number", lambda h: h.replace('created="1', 'created="-1'), "created must be unix seconds"),
        ("expires is no number", lambda h: h.replace('expires="1', 'expires="1e9'), "expires must be unix seconds"),
        ("a parameter twice", lambda h: f'{h},created="0"', "created stands twice"),
        ("signature is no base64", lambda h: h.replace('signature="', 'signature="*'), "is not base64"),
        ("signature too short", lambda h: _with_signature(h, bytes(63)), "must be 64 bytes"),
        ("too long", lambda h: h.replace('created="', f'created="{"0" * 3000}'), "longer than 2048"),
    ]
]  # fmt: skip

# --- whose name stands there ---


def _as(name: str) -> Forge:
    """Somebody else's own call, in its name and with its key, all of it in order."""

    def forge(arena: Arena, good: Good) -> Sent:
        assert good.sender is not None
        body = write(changed(good.call, good.sender, name))
        return body, sign(arena, good, body, arena.signers[name])

    return forge


def _in_the_name_of(name: str, signer: Callable[[Arena, Good], Signer]) -> Forge:
    """A call that says it comes from `name`, signed by another."""

    def forge(arena: Arena, good: Good) -> Sent:
        assert good.sender is not None
        body = write(changed(good.call, good.sender, name))
        return body, sign(arena, good, body, signer(arena, good))

    return forge


def _for(name: str) -> Forge:
    """A good call for somebody else."""

    def forge(arena: Arena, good: Good) -> Sent:
        assert good.receiver is not None
        body = write(changed(good.call, good.receiver, name))
        return body, sign(arena, good, body)

    return forge


def _elsewhere(arena: Arena, good: Good) -> Sent:
    body = write(changed(good.call, "context.networkId", "acmenet.org/charge-net"))
    return body, sign(arena, good, body)


_over_a_request = _altered_header(lambda h: h.replace(HEADERS, HEADERS_OF_CALLBACK))
ANSWERS = tuple(one for one in BECKN_V2 if one.name in ("on_select", "on_init", "on_confirm", "on_update"))
"""To what the household has asked."""
TRADE = (*BECKN, GATEWAY_SEARCH, *BECKN_V2, *TO_GATEWAY_V2)
BY_NAME = (*TRADE, SUBSCRIBE)
SIGNED = (*BY_NAME, *OF_GATEWAY_V2)
OF_SELLERS = tuple(target for target in TRADE if target.is_sellers)
REQUESTS = tuple(target for target in TRADE if not target.is_sellers)
NOT_IN_REGISTRY = "is not in the registry"
SENDER = [
    Attack("unknown subscriber", _as(STRANGER), NOT_IN_REGISTRY, against=BY_NAME),
    Attack(
        "unknown key id",
        _signed_by(lambda _, g: Signer(g.signer.subscriber_id, NO_KEY, g.signer._private_key)),
        NOT_IN_REGISTRY,
        against=SIGNED,
    ),
    Attack(
        "own name and key, with another's key id",
        _signed_by(lambda _, g: Signer(g.signer.subscriber_id, CAST[RIVAL].key_id, g.signer._private_key)),
        NOT_IN_REGISTRY,
        against=SIGNED,
    ),
    Attack(
        "own name, with another's key and key id",
        _signed_by(lambda _, g: Signer(g.signer.subscriber_id, CAST[RIVAL].key_id, CAST[RIVAL]._private_key)),
        NOT_IN_REGISTRY,
        against=SIGNED,
    ),
    Attack(
        "another's name and key id, with the own key",
        _in_the_name_of(RIVAL, lambda _, g: _with_key_of(CAST[RIVAL], g.signer)),
        WRONG,
        against=BY_NAME,
    ),
    Attack(
        "signed as itself, but the call says another",
        _in_the_name_of(RIVAL, lambda _, g: g.signer),
        "signed by 'puppet.default' but",
        against=BY_NAME,
    ),
    Attack("another signs", _signed_by(lambda *_: CAST[RIVAL]), "signed by 'rival.default' but", against=SIGNED),
    Attack("expired key", _as(EXPIRED), "valid from", against=BY_NAME),
    Attack("key not valid yet", _as(EARLY), "valid from", against=BY_NAME),
    Attack("unsubscribed key", _as(LEFT), "is UNSUBSCRIBED", against=BY_NAME),
    Attack(
        "registered only for another domain",
        _as(ELSEWHERE),
        "in domain 'uei:p2p_trading'",
        against=TRADE,
    ),
    Attack("registered only as seller", _as(ONLY_SELLER), "is not registered as BAP", against=REQUESTS),
    Attack("registered only as buyer", _as(ONLY_BUYER), "is not registered as BPP", against=OF_SELLERS),
    Attack("signed by the gateway", _as(GATEWAY_ID), "is not registered as BAP", against=REQUESTS),
    Attack(
        "signed by the gateway as seller",
        _as(GATEWAY_ID),
        "is not registered as BPP",
        against=tuple(target for target in OF_SELLERS if target.name != "on_discover"),  # that is its own answer
    ),
    Attack(
        "signed by another gateway",
        _signed_by(lambda *_: CAST[OTHER_GATEWAY]),
        "signed by 'other-market.default' but context.bppId is",
        against=tuple(OF_GATEWAY_V2),
    ),
    Attack(
        "in the gateway's name, with the own key",
        _signed_by(lambda a, _: _with_key_of(_gateway_of(a, _), a.puppet.me)),
        WRONG,
        against=tuple(OF_GATEWAY_V2),
    ),
    Attack("over another request's signature", _over_a_request, WRONG, against=ANSWERS),
    Attack(
        "over the signature of a request that was not sent",
        _over_a_request,
        "no such request is known here",
        against=tuple(target for target in V2 if target not in ANSWERS),
    ),
    Attack(
        "for another network",
        _elsewhere,
        "is another network; this is 'wattmesh.io/market.default'",
        400,
        names=lambda _: "context.networkId",
        against=tuple(V2),
    ),
    Attack(
        "for another household",
        _for("flat-0.default"),
        "is 'flat-0.default' but this is",
        400,
        names=lambda good: good.receiver,
        against=(*BECKN, DRAIN, *BECKN_V2, *OF_GATEWAY_V2),
    ),
    Attack(
        "a subscriber drains",
        _signed_by(lambda *_: CAST[RIVAL]),
        "is no registrar's",
        against=(DRAIN,),
    ),
    Attack(
        "a subscriber drains with the registrar's key id",
        _signed_by(lambda _, g: Signer(RIVAL, g.signer.key_id, CAST[RIVAL]._private_key)),
        "is no registrar's",
        against=(DRAIN,),
    ),
    Attack(
        "another registrar's key id",
        _signed_by(lambda _, g: Signer(g.signer.subscriber_id, NO_KEY, g.signer._private_key)),
        "is no registrar's",
        against=(DRAIN,),
    ),
]

# --- who vouches for a search ---


def _vouched_by(choose: Callable[[Arena, Good], Signer], *, created: int = 0, expires: int = 30) -> Forge:
    def forge(arena: Arena, good: Good) -> Sent:
        body, now = write(good.call), int(arena.clock.now)
        vouched = choose(arena, good).sign(body, created=now + created, expires=now + expires)
        return body, {**sign(arena, good, body), GATEWAY_AUTHORIZATION: vouched}

    return forge


def _not_vouched(arena: Arena, good: Good) -> Sent:
    body = write(good.call)
    return body, {AUTHORIZATION: sign(arena, good, body)[AUTHORIZATION]}


def _vouched_for_another(arena: Arena, good: Good) -> Sent:
    body = write(good.call)
    return body, {**sign(arena, good, b"{}"), AUTHORIZATION: sign(arena, good, body)[AUTHORIZATION]}


def _gateway_of(arena: Arena, _: Good) -> Signer:
    return arena.signers[GATEWAY_ID]


GATEWAY = [
    Attack(name, forge, f"X-Gateway-Authorization: {says}", challenge="proxy-authenticate", against=(BECKN[0],))
    for name, forge, says in [
        ("not vouched for", _not_vouched, "no signature: the header is missing"),
        ("vouched for by its buyer", _vouched_by(lambda _, g: g.signer), "signed by 'puppet.default' but the gateway"),
        ("vouched for by a seller", _vouched_by(lambda *_: CAST[ONLY_SELLER]), "signed by 'only-seller.default' but"),
        (
            "vouched for by another gateway",
            _vouched_by(lambda *_: CAST[OTHER_GATEWAY]),
            "signed by 'other-market.default' but the gateway is 'market.default'",
        ),
        (
            "vouched for in the gateway's name",
            _vouched_by(lambda a, g: _with_key_of(_gateway_of(a, g), a.signers[STRANGER])),
            WRONG,
        ),
        (
            "vouched for with a key that the gateway has not",
            _vouched_by(lambda *_: Signer(GATEWAY_ID, CAST[RIVAL].key_id, CAST[RIVAL]._private_key)),
            f"key '{CAST[RIVAL].key_id}' of subscriber 'market.default' is not in the registry",
        ),
        ("another search is vouched for", _vouched_for_another, WRONG),
        ("vouched for too long ago", _vouched_by(_gateway_of, created=-40, expires=-10), "signature expired at"),
        ("vouched for in the future", _vouched_by(_gateway_of, created=7, expires=37), "signature created at"),
    ]
]

ATTACKS = [*SIGNATURE, *MALFORMED, *SENDER, *GATEWAY]
