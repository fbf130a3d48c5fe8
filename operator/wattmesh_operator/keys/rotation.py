"""Key rotation: what becomes of a Secret's keys in a pass. No I/O; every step may be the last one for a while.

A new key is made → the registry holds it, and the former key as before → the former key gets an end, and from now on
the new one signs → the former key has ended and is dropped. What shows how far it has come is the key file alone
(`wattmesh_beckn.keys`); who reads it signs with no key before the registry was seen to hold it.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from wattmesh_beckn.keys import SEED_BYTES
from wattmesh_operator.cluster.objects import Object, annotations_of
from wattmesh_operator.desired.names import ROTATE_KEYS

MOST_RETIRING = 4
"""Former keys of one subscriber. A further rotation waits until one has ended; the registry keeps 64 entries of one."""

KeyFile = dict[str, dict[str, Any]]
"""A key file's JSON, by subscriber id. `first_key_id` is that of the first of the keys that followed one another."""


@dataclass(frozen=True)
class Rotation:
    """What decides on keys besides themselves.

    `asked` is the value of ROTATE_KEYS, empty if there is none; `may_begin` whether it may be carried out now;
    `registered` tells of a subscriber id and a key id whether the registry holds the key in all roles.
    """

    asked: str = ""
    may_begin: bool = False
    now: int = 0
    overlap_s: int = 0
    registered: Callable[[str, str], bool] = lambda _subscriber_id, _key_id: False


def asked_of(owner: Object) -> str:
    """The value of ROTATE_KEYS, of which the first 253 characters count; empty if there is none."""
    return annotations_of(owner).get(ROTATE_KEYS, "")[:253]


def new_key() -> dict[str, Any]:
    """A new Ed25519 key as a key file has it."""
    return {"key_id": str(uuid.uuid4()), "private_key": base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()}


def next_keys(
    keys: Mapping[str, Mapping[str, Any]], rotated: str, subscriber_ids: Collection[str], rotation: Rotation
) -> tuple[KeyFile, str]:
    """The keys as they shall be now, and the value of ROTATE_KEYS that they were made for.

    `subscriber_ids` are those that trade; a Secret may have keys of others, which trade no more or not yet.
    """
    result = {
        subscriber_id: _progressed(subscriber_id, held, subscriber_id in subscriber_ids, rotation)
        for subscriber_id, held in keys.items()
    }
    trading = {subscriber_id: held for subscriber_id, held in result.items() if subscriber_id in subscriber_ids}
    asked = rotation.may_begin and rotation.asked not in ("", rotated)
    if asked and all(_can_retire(*one, rotation) for one in trading.items()):
        rotated = rotation.asked
        result = {name: _replaced(held, keep_former=name in trading) for name, held in result.items()}
    return result | {name: new_key() for name in subscriber_ids if name not in result}, rotated


def _progressed(subscriber_id: str, held: Mapping[str, Any], trades: bool, rotation: Rotation) -> dict[str, Any]:
    """One subscriber's keys, with ends for the former ones where it is time, and without those that have ended."""
    retiring = held.get("retiring", ()) if trades else ()
    if any(_end(key) is None for key in retiring) and rotation.registered(subscriber_id, held["key_id"]):
        end = rotation.now + rotation.overlap_s
        retiring = [{**key, "valid_until": end} if _end(key) is None else key for key in retiring]
    return _with(held, [key for key in retiring if (until := _end(key)) is None or until > rotation.now])


def _can_retire(subscriber_id: str, held: Mapping[str, Any], rotation: Rotation) -> bool:
    # Only what the registry holds is replaced, so that there is always a key that can sign.
    return len(held.get("retiring", ())) < MOST_RETIRING and rotation.registered(subscriber_id, held["key_id"])


def _replaced(held: Mapping[str, Any], *, keep_former: bool) -> dict[str, Any]:
    former = {"key_id": held["key_id"], "private_key": held["private_key"], "valid_until": None}
    first = {"first_key_id": held.get("first_key_id", held["key_id"])}
    return _with({**held, **new_key(), **first}, [former, *held.get("retiring", ())] if keep_former else [])


def _end(key: Mapping[str, Any]) -> int | None:
    end: int | None = key.get("valid_until")
    return end


def _with(held: Mapping[str, Any], retiring: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    rest = {name: value for name, value in held.items() if name != "retiring"}
    return {**rest, "retiring": [*retiring]} if retiring else rest
