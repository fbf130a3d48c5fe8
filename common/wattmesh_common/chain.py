"""The hash chain over a ledger: what its entries, their order and its heads are.

head = first_head(party, account)
head = next_head(head, commitment(entry, salt))          # for each entry, in the order of booking

A commitment says nothing of its entry to who lacks the salt. So an entry can be deleted with its salt, and the chain
stays whole with the commitment alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

SALT_BYTES = 16
HASH_BYTES = 32


def first_head(party: str, account: str) -> bytes:
    """What the chain of an empty ledger has for a head: it belongs to this party and this ledger of it."""
    return sha256(f"wattmesh-chain/1 {party} {account}".encode()).digest()


def commitment(entry: Sequence[str | int], salt: bytes) -> bytes:
    """The salted hash of an entry: kind, slot, counterparty, reference, energy (Wh) and money (millionths).

    Hashed are the salt and then the six as a JSON array without spaces.
    """
    return sha256(salt + json.dumps([*entry], separators=(",", ":")).encode()).digest()


def next_head(former: bytes, committed: bytes) -> bytes:
    """The head after one more entry."""
    return sha256(former + committed).digest()
