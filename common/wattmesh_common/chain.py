"""The hash chain over a ledger, and `checkpoint`: what a party signs of it for each day of grid time.

head = first_head(party, account)
head = next_head(head, commitment(entry, salt))          # for each entry, in the order of booking

A commitment says nothing of its entry to who lacks the salt. So an entry can be deleted with its salt, and the chain
stays whole with the commitment alone.

A checkpoint is POSTed to `<url of the other party>/checkpoint`, signed with the party's key like a Beckn message. The
other party keeps body and signature: they show what the chain was when they were given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from wattmesh_common.fields import SubscriberId, Uuid

CHECKPOINT = "checkpoint"
"""Last part of the URL's path."""
SALT_BYTES = 16
HASH_BYTES = 32
_LARGEST = 2**53
_JSON = json.JSONEncoder(separators=(",", ":"))


class Checkpoint(BaseModel):
    """Where the chain of a party's ledger `account` stood: `head` (hexadecimal) after entry `number`.

    Signed after a day of grid time that ended with `until` (unix seconds): what was booked in it is in the chain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    party: SubscriberId
    account: Uuid
    until: int = Field(ge=0, lt=_LARGEST)
    number: int = Field(ge=1, lt=_LARGEST)
    head: str = Field(pattern=r"^[0-9a-f]{64}$")


def first_head(party: str, account: str) -> bytes:
    """What the chain of an empty ledger has for a head: it belongs to this party and this ledger of it."""
    return sha256(f"wattmesh-chain/1 {party} {account}".encode()).digest()


def commitment(entry: Sequence[str | int | None], salt: bytes) -> bytes:
    """The salted hash of an entry: kind, slot, counterparty, reference, energy (Wh) and money (millionths); of what is
    left of deleted ones, other values after another kind.

    Hashed are the salt and then the values as a JSON array without spaces.
    """
    return sha256(salt + _JSON.encode([*entry]).encode()).digest()


def next_head(former: bytes, committed: bytes) -> bytes:
    """The head after one more entry."""
    return sha256(former + committed).digest()
