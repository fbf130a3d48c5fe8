"""Key files in Secrets: made once, then changed by rotation only, never logged."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from wattmesh_beckn.keys import KeyFileError, SubscriberKeys, parse_keys
from wattmesh_beckn.signature import Signer
from wattmesh_operator.cluster.objects import Object, annotations_of, name_of
from wattmesh_operator.desired.files import KEYS_FILE
from wattmesh_operator.desired.names import ROTATED_KEYS
from wattmesh_operator.keys.rotation import KeyFile, Rotation, new_key, next_keys


class KeysUnreadable(Exception):
    """A Secret of keys was changed into something else; says where, never what."""


@dataclass(frozen=True)
class HeldKeys:
    """What a Secret holds, by subscriber id, and the value of ROTATE_KEYS that it was made for.

    `first_key_ids` change when a key is made anew, but not when it is rotated.
    """

    keys: Mapping[str, SubscriberKeys]
    first_key_ids: Mapping[str, str]
    rotated: str = ""

    @cached_property
    def waits(self) -> bool:
        """Whether a new key is not known to be registered yet."""
        return any(key.valid_until is None for keys in self.keys.values() for key in keys.retiring)

    @cached_property
    def former(self) -> int:
        """How many subscribers have former keys."""
        return sum(bool(keys.retiring) for keys in self.keys.values())

    def rest(self, subscriber_ids: Collection[str], rotation: Rotation) -> bool:
        """Whether no step of a rotation can change them, nor somebody who has none yet."""
        asked = rotation.asked not in ("", self.rotated)
        return not self.former and not asked and self.keys.keys() >= {*subscriber_ids}


def key_file(secret: Object) -> bytes:
    """The key file in a Secret. Raises KeysUnreadable."""
    try:
        return base64.b64decode(secret["data"][KEYS_FILE], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise KeysUnreadable(f"Secret {name_of(secret)} has no {KEYS_FILE}; delete it for a new key") from None


def held_keys(secret: Object) -> HeldKeys:
    """All that is in a Secret. Raises KeysUnreadable."""
    try:
        return _held(key_file(secret), annotations_of(secret).get(ROTATED_KEYS, ""))
    except KeyFileError:
        what = f"Secret {name_of(secret)}: {KEYS_FILE} is no key file; mend it, or delete the Secret for a new key"
        raise KeysUnreadable(what) from None


@lru_cache(maxsize=4_096)  # a pass reads each Secret several times, and most have not changed since the last one
def _held(file: bytes, rotated: str) -> HeldKeys:
    keys = parse_keys(file, KEYS_FILE)
    first = {name: str(held.get("first_key_id", held["key_id"])) for name, held in _read(file).items()}
    return HeldKeys(keys, first, rotated)


def signers_of(secret: Object) -> dict[str, Signer]:
    """The current keys in a Secret, by subscriber id. Raises KeysUnreadable."""
    return {subscriber_id: keys.current for subscriber_id, keys in held_keys(secret).keys.items()}


def new_key_file(subscriber_ids: Collection[str]) -> bytes:
    """A key file with a new key for each."""
    return _written({subscriber_id: new_key() for subscriber_id in subscriber_ids})


def next_key_file(secret: Object, subscriber_ids: Collection[str], rotation: Rotation) -> tuple[bytes, str]:
    """The key file that a Secret of readable keys shall have now, and the value of ROTATE_KEYS that it is made for."""
    file = key_file(secret)
    before = _read(file)
    after, rotated = next_keys(before, annotations_of(secret).get(ROTATED_KEYS, ""), subscriber_ids, rotation)
    return file if after == before else _written(after), rotated


def former_keys(secret: Object) -> tuple[int, int]:
    """How many subscribers there are in a Secret, and how many have former keys; none if it cannot be read."""
    try:
        held = held_keys(secret)
    except KeysUnreadable:
        return 0, 0  # told of where the keys are needed
    return len(held.keys), held.former


def _read(file: bytes) -> KeyFile:
    keys: KeyFile = json.loads(file)
    return keys


def _written(keys: KeyFile) -> bytes:
    return json.dumps(keys, indent=2).encode()
