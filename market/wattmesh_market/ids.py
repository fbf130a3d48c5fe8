"""Identifiers that come out the same when a step is run twice.

A step that crashed before its end is run again; with derived ids the second run sends the very message of the
first, which its receiver knows by `(sender, message_id, action)`. The salt keeps two databases apart.
"""

from __future__ import annotations

import uuid


def derive_uuid(salt: str, *parts: object) -> str:
    """A name-based UUID (RFC 9562, version 5) of `parts` under `salt`, as text."""
    namespace = uuid.uuid5(uuid.NAMESPACE_OID, salt)
    return str(uuid.uuid5(namespace, "\x1f".join(str(part) for part in parts)))
