"""Identifiers that come out the same when a step is run twice.

A step that crashed before its end is run again; with derived ids the second run sends the very message of the
first, which its receiver knows by `(sender, message_id, action)`. The salt keeps two journals apart.
"""

from __future__ import annotations

from hashlib import blake2b

_VARIANT = "89ab"


def derive_uuid(salt: str, *parts: object) -> str:
    """A UUID (RFC 9562, version 8: custom) of the BLAKE2b hash of `parts` under `salt`, as text."""
    text = "\x1f".join([salt, *map(str, parts)])
    found = blake2b(text.encode(), digest_size=16).hexdigest()
    variant = _VARIANT[int(found[16], 16) & 3]
    return f"{found[:8]}-{found[8:12]}-8{found[13:16]}-{variant}{found[17:20]}-{found[20:]}"
