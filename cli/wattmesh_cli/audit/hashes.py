"""Hashes of chains, as `docs/protocol.md` has them; in hexadecimal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence


def sha256(hashed: bytes) -> str:
    """The hash of bytes."""
    return hashlib.sha256(hashed).hexdigest()


def commitment(values: Sequence[str | int | None], salt: str) -> str:
    """The salted hash of values."""
    return sha256(unhex(salt) + json.dumps([*values], separators=(",", ":")).encode())


def unhex(text: str) -> bytes:
    """The bytes of hexadecimal text; none of what is something else, which then has another hash than it should."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
