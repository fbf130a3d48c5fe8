"""What may enter the registry: decisions on one entry, given what is known already. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from wattmesh_beckn.addresses import host_problem
from wattmesh_beckn.errors import ErrorCode, Refusal, invalid
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_beckn.signature import SignatureHeader, SignatureProblem, digest
from wattmesh_common.clock import rfc3339
from wattmesh_common.forget import FORGOTTEN, FORGOTTEN_IS_TAKEN
from wattmesh_gateway.ed25519 import public_key_problem
from wattmesh_gateway.registry import MOST_ENTRIES_OF_ONE, AcceptedCall, AcceptedCalls

MOST_CALLS_A_SECOND = 100
"""Subscribe calls for one subscriber that are signed in the same second."""


def check_entry(entry: Subscription, now: float) -> None:
    """Refuse (400) an entry that makes no sense by itself."""
    if problem := public_key_problem(entry.signing_public_key):
        raise invalid(f"signing_public_key: {problem}", "signing_public_key")
    if problem := _url_problem(entry.url):
        raise invalid(f"url: {problem}", "url")
    if entry.valid_until <= entry.valid_from:
        raise invalid(
            f"valid_until, {rfc3339(entry.valid_until.timestamp())}, must be after valid_from, "
            f"{rfc3339(entry.valid_from.timestamp())}",
            "valid_until",
        )
    if entry.status not in (SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.UNSUBSCRIBED):
        raise invalid(f"status: must be SUBSCRIBED or UNSUBSCRIBED, not {entry.status}", "status")
    if entry.status is SubscriptionStatus.SUBSCRIBED and entry.valid_until.timestamp() <= now:
        raise invalid(
            f"valid_until, {rfc3339(entry.valid_until.timestamp())}, is past; this clock says {rfc3339(now)}",
            "valid_until",
        )


def check_not_reserved(entry: Subscription, reserved: Collection[str]) -> None:
    """Refuse (403) an entry in the name of the registrars or of the gateway itself, which keeps its own, or in that of
    all who were forgotten.
    """
    if entry.subscriber_id == FORGOTTEN:
        raise _forbidden(f"subscriber_id {FORGOTTEN!r} is reserved: {FORGOTTEN_IS_TAKEN}", "subscriber_id")
    if entry.subscriber_id in reserved:
        raise _forbidden(f"subscriber_id {entry.subscriber_id!r} is reserved here", "subscriber_id")


def check_renewal(entry: Subscription, held: Sequence[Subscription], now: float) -> None:
    """Refuse (403) what a subscriber may not do by itself: it may change its keys and its url, and leave.

    `held` are all its entries. What ended can only be brought back by a registrar.
    """
    if entry.type == "BG":
        raise _forbidden("a subscriber cannot register itself as BG; a registrar can", "type")
    live = [other for other in held if other.is_live(now) and other.type == entry.type]
    if not any(other.domain == entry.domain for other in live):
        raise _forbidden(
            f"{entry.subscriber_id!r} has no live entry of type {entry.type} and domain {entry.domain!r} to renew; "
            "a registrar can make one",
            "domain" if live else "type",
        )
    if not any((other.domain, other.location) == (entry.domain, entry.location) for other in live):
        raise _forbidden(
            f"{entry.subscriber_id!r} cannot move to {entry.location.city.code!r} by itself; a registrar can move it",
            "location",
        )
    same = [other for other in held if (other.type, other.key_id) == (entry.type, entry.key_id)]
    returns = entry.status is SubscriptionStatus.SUBSCRIBED
    if returns and any(other.status is SubscriptionStatus.UNSUBSCRIBED for other in same):
        raise _forbidden(
            f"key {entry.key_id!r} was unsubscribed; use a new key, or a registrar can bring it back", "key_id"
        )


def renewal_key(header: SignatureHeader, held: Sequence[Subscription], now: float, *, known: bool) -> str:
    """The public key that a subscriber signs its own renewal with: any live one of those it holds.

    With `known` the call already had its effect and only asks for its answer again, for which a key that the call
    itself may have ended will do. SignatureProblem says what is wrong with the key.
    """
    who = f"subscriber {header.subscriber_id!r}"
    if not held:
        raise SignatureProblem(f"{who} is not in the registry; a registrar makes the first entry")
    same = [entry for entry in held if entry.key_id == header.key_id]
    if not same:
        raise SignatureProblem(f"key {header.key_id!r} of {who} is not in the registry")
    entry = next((entry for entry in same if entry.is_live(now)), same[0])
    if entry.status is SubscriptionStatus.UNSUBSCRIBED and not known:
        raise SignatureProblem(f"key {header.key_id!r} of {who} is {entry.status}")
    if not entry.is_live(now) and not known:
        raise SignatureProblem(
            f"key {header.key_id!r} of {who} is valid from {rfc3339(entry.valid_from.timestamp())} until "
            f"{rfc3339(entry.valid_until.timestamp())}; this clock says {rfc3339(now)}"
        )
    return entry.signing_public_key


def check_key(entry: Subscription, held: Sequence[Subscription]) -> None:
    """Refuse (409) another public key under a known key id, and one live entry too many."""
    for other in held:
        if other.key_id == entry.key_id and other.signing_public_key != entry.signing_public_key:
            raise _conflict(
                f"key_id {entry.key_id!r} of {entry.subscriber_id!r} is known with another signing_public_key; "
                "every key needs a key_id of its own",
                "key_id",
            )
    others = [other for other in held if (other.type, other.key_id) != (entry.type, entry.key_id)]
    if sum(other.status is SubscriptionStatus.SUBSCRIBED for other in others) >= MOST_ENTRIES_OF_ONE:
        raise _conflict(
            f"{entry.subscriber_id!r} has {MOST_ENTRIES_OF_ONE} entries that have not ended; unsubscribe some first",
            "key_id",
        )


def identify(header: SignatureHeader, body: bytes) -> AcceptedCall:
    """What makes a subscribe call the same call: its signer, key, times and body."""
    text = f"{header.subscriber_id}|{header.key_id}|{header.created}|{header.expires}|{digest(body)}"
    return AcceptedCall(call=text.encode(), created_s=header.created)


def check_order(subscriber_id: str, call: AcceptedCall, accepted: AcceptedCalls) -> None:
    """Refuse (409) a call that was signed before one that already had an effect."""
    if accepted.created_s is None:
        return
    if call.created_s < accepted.created_s:
        raise _conflict(
            f"signed at {rfc3339(call.created_s)}, but a subscribe for {subscriber_id!r} signed at "
            f"{rfc3339(accepted.created_s)} was accepted; sign it anew if it still holds"
        )
    if call.created_s == accepted.created_s and len(accepted.calls) >= MOST_CALLS_A_SECOND:
        raise _conflict(
            f"{len(accepted.calls)} subscribes for {subscriber_id!r} signed at {rfc3339(call.created_s)} were "
            "accepted; sign it anew, a second later"
        )


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if not host or port == 0:
        return "names no host to call"
    if problem := host_problem(host):
        return problem
    if parts.query or parts.fragment or "?" in url or "#" in url or "@" in parts.netloc:
        return "must be a plain address, to which /search and the like are added: no user, query or fragment"
    return None


def _forbidden(message: str, path: str) -> Refusal:
    return Refusal(403, ErrorCode.POLICY_ERROR, message, path)


def _conflict(message: str, path: str | None = None) -> Refusal:
    return Refusal(409, ErrorCode.INVALID_REQUEST, message, path)
